"""A click as a person's correction of a frame: what it changes, and that its own pixel is said."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from maskfree.clicks import apply_click
from maskfree.corrections import Correction, from_labels, is_gold

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from maskfree.clicks import Click
    from maskfree.config import ClicksConfig
    from maskfree.types import Box

__all__ = ["click_on"]


def click_on(
    picture: np.ndarray,
    labels: np.ndarray,
    box: Box,
    track_id: int,
    click: Click,
    known: Mapping[int, Correction],
    *,
    earlier: Sequence[Click] = (),
    config: ClicksConfig,
) -> tuple[dict[int, Correction], int]:
    """Return a frame's corrections by track id after a click, and how many pixels it changed.

    What was painted stays as it is, in this track and in others, except for the patch that is
    clicked on itself. A click that agrees with the mask keeps its pixel as it is.

    Parameters
    ----------
    picture
        The frame, RGB uint8 ``(H, W, 3)``.
    labels
        Track ids by pixel as they are shown, integers ``(H, W)``, see
        :func:`maskfree.mask_place.labels_of`.
    box
        Where the track is in the frame: pixels ``xyxy``, half-open.
    track_id
        The track that the click is about.
    known
        The frame's corrections so far, by track id.
    earlier
        The track's clicks in this frame that count still.

    Raises
    ------
    InputError
        For a click that is not in the box.
    """
    mask = labels == track_id
    kept = _kept(known, track_id, labels, click)
    after = apply_click(picture, mask, box, click, earlier=earlier, kept=kept, config=config)
    drawn = np.where(after, track_id, np.where(mask, 0, labels)).astype(labels.dtype)
    made = _with_pixel(from_labels(labels, drawn, known), track_id, click, labels.shape)
    return made, int((after != mask).sum())


def _kept(
    known: Mapping[int, Correction], track_id: int, labels: np.ndarray, click: Click
) -> np.ndarray:
    """Return the pixels that a click does not change, bool (H, W)."""
    place = (click.y, click.x)
    there = int(labels[place])
    kept = np.zeros(labels.shape, bool)
    if click.belongs:  # other tracks keep theirs, unless the click is on one of them
        kept |= (labels != 0) & (labels != track_id) & (labels != there)
    for own_id, own in known.items():
        if own.carried is not None:
            continue
        if own_id != track_id:
            kept |= _without_patch(own.is_object, place)
        elif click.belongs:
            kept |= own.is_object | _without_patch(own.is_other, place)
        else:
            kept |= own.is_other | _without_patch(own.is_object, place)
    return kept


def _without_patch(mask: np.ndarray, place: tuple[int, int]) -> np.ndarray:
    """Return a mask without the connected part that holds a place."""
    if not mask[place]:
        return mask
    parts, _ = ndimage.label(mask)
    return np.asarray(mask & (parts != parts[place]))


def _with_pixel(
    made: dict[int, Correction], track_id: int, click: Click, shape: tuple[int, ...]
) -> dict[int, Correction]:
    """Return a frame's corrections in which the clicked pixel is said, changed or not."""
    own = made.get(track_id)
    if own is None and is_gold(made):
        return made
    said, none = np.zeros((2, *shape), bool)
    said[click.y, click.x] = True
    on, off = (said, none) if click.belongs else (none, said)
    return {**made, track_id: Correction.make(on, off) if own is None else own.painted(on, off)}
