"""A mask without its small holes and specks."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

__all__ = ["tidy_mask"]

_CORNERS = np.ones((3, 3), bool)
"""Pixels that touch by a corner are one part of an object; holes are parted by such corners."""


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
