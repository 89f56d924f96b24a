"""A mask without its small holes and specks, and a frame's masks so, as a person's correction."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from maskfree.config import TidyConfig
from maskfree.corrections import Correction, is_gold
from maskfree.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from maskfree.types import InstanceMasks

__all__ = ["Tidied", "tidy_frame", "tidy_mask"]

_CORNERS = np.ones((3, 3), bool)
"""Pixels that touch by a corner are one part of an object; holes are parted by such corners."""


@dataclasses.dataclass(frozen=True)
class Tidied:
    """What tidying makes of a frame: corrections by track id, and how many pixels that changes."""

    changed: Mapping[int, Correction]
    filled: int
    dropped: int


def tidy_frame(
    masks: InstanceMasks,
    known: Mapping[int, Correction],
    *,
    track_id: int | None = None,
    max_size: int | None = None,
    config: TidyConfig | None = None,
) -> Tidied:
    """Work out a frame without small holes and specks.

    What a person painted, erased or accepted stays as it is.

    Parameters
    ----------
    masks
        As they are shown, corrections included.
    known
        The frame's corrections so far, by track id.
    track_id
        The track that is meant, None: all.
    max_size
        Pixels of the largest hole or speck that goes; None: a share of each object.
    config
        That share.

    Raises
    ------
    InputError
        For a track that has no mask in the frame.
    """
    share = (config or TidyConfig()).share
    if track_id is not None and track_id not in masks.track_ids:
        ids = ", ".join(map(str, masks.track_ids)) or "none"
        raise InputError(f"Track {track_id} has no mask in the frame. Those that have: {ids}.")
    count = masks.masks.sum(0, dtype=np.int32)
    changed, filled, dropped = {}, 0, 0
    for own_id, mask in zip(masks.track_ids, masks.masks, strict=True):
        own = known.get(own_id)
        if track_id not in (None, own_id) or (own is not None and own.accepted):
            continue
        size = max_size or max(1, round(share * int(mask.sum())))
        tidy = tidy_mask(mask, count - mask > 0, size)
        on, off = tidy & ~mask, mask & ~tidy
        if own is not None:
            on, off = on & ~own.is_other, off & ~own.is_object
        if on.any() or off.any():
            made = Correction.make(on, off) if own is None else own.painted(on, off)
            changed[own_id] = Correction.whole(tidy, gold=True) if is_gold(known) else made
            filled, dropped = filled + int(on.sum()), dropped + int(off.sum())
    return Tidied(changed, filled, dropped)


def tidy_mask(mask: np.ndarray, taken: np.ndarray, max_size: int) -> np.ndarray:
    """Return a mask with small holes filled first, then without small specks: bool ``(H, W)``.

    A hole is background that the object encloses; what touches the picture's side is none. A speck
    is a part that hangs together by sides or corners; the largest part always stays.

    Parameters
    ----------
    mask
        The object, bool ``(H, W)``.
    taken
        The pixels of other objects, bool ``(H, W)``: they may lie in a hole and are never filled.
    max_size
        Pixels of the largest hole or speck that goes, 1 or more.

    Raises
    ------
    ValueError
        For arrays of two shapes, or a size below 1.
    """
    if mask.shape != taken.shape or mask.ndim != 2:
        raise ValueError(
            f"expected two masks (H, W) of one shape, got {mask.shape} and {taken.shape}. Pass the "
            "masks of one frame."
        )
    if max_size < 1:
        raise ValueError(f"max_size must be 1 pixel or more, got {max_size}.")
    tidy = mask.copy()
    if not mask.any():
        return tidy
    rows, columns = (_span(np.any(mask, 1 - axis)) for axis in (0, 1))
    part = np.pad(mask[rows, columns], 1)
    part |= _holes(part, max_size) & ~np.pad(taken[rows, columns], 1)
    tidy[rows, columns] = (part & ~_specks(part, max_size))[1:-1, 1:-1]
    return tidy


def _span(where: np.ndarray) -> slice:
    places = np.flatnonzero(where)
    return slice(int(places[0]), int(places[-1]) + 1)


def _holes(mask: np.ndarray, max_size: int) -> np.ndarray:
    """Return the small parts of the background but that of the first pixel, which is outside."""
    parts, _ = ndimage.label(~mask)
    small = np.bincount(parts.ravel()) <= max_size
    small[[0, parts[0, 0]]] = False
    found: np.ndarray = small[parts]
    return found


def _specks(mask: np.ndarray, max_size: int) -> np.ndarray:
    """Return the small parts of the object but the largest one."""
    parts, _ = ndimage.label(mask, _CORNERS)
    sizes = np.bincount(parts.ravel())
    sizes[0] = 0
    small = sizes <= max_size
    small[[0, int(sizes.argmax())]] = False
    found: np.ndarray = small[parts]
    return found
