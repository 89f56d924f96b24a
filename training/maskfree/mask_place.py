"""Where a mask lies: the box around it, and whether its track was boxed there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from maskfree.box_pixels import box_pixels
from maskfree.tracks import box_at

if TYPE_CHECKING:
    from maskfree.types import Box, InstanceMasks, Track

__all__ = ["LEAST_BOX", "box_of_mask", "is_where_boxed", "labels_of"]

LEAST_BOX = 2.0
"""Pixels: a smaller box is a click that slipped."""
_LEAST = 0.5
"""Part of a mask's pixels that lie in the box of its own track."""


def box_of_mask(mask: np.ndarray) -> Box:
    """Return the box ``xyxy`` around a mask, bool ``(H, W)``, at least `LEAST_BOX` wide and high.

    Raises
    ------
    ValueError
        For a mask without a pixel.
    """
    if not mask.any():
        raise ValueError("a box needs a mask with a pixel, got an empty one. Paint one first.")
    sides = []
    for axis in (0, 1):
        places = np.flatnonzero(mask.any(axis))
        low, high = int(places[0]), int(places[-1]) + 1
        size = mask.shape[1 - axis]
        short = max(0, int(np.ceil(LEAST_BOX)) - (high - low))
        low = min(low, max(0, size - (high - low) - short))
        sides.append((float(low), float(min(size, high + short))))
    (x0, x1), (y0, y1) = sides
    return x0, y0, x1, y1


def labels_of(masks: InstanceMasks | None, height: int, width: int) -> np.ndarray:
    """Return int32 ``(H, W)``: each pixel's track id, 0 for none; where two overlap the surer."""
    labels = np.zeros((height, width), np.int32)
    if masks is None:
        return labels
    for index in np.argsort(masks.scores, kind="stable"):
        labels[np.asarray(masks.masks[index], bool)] = masks.track_ids[index]
    return labels


def is_where_boxed(track: Track, frame: int, mask: np.ndarray) -> bool:
    """Return whether at least half of a mask, bool ``(H, W)``, lies in its track's box.

    False where the track is absent; true after its last keyframe, where the box follows the object
    and is not known here.
    """
    now = box_at(track, frame)
    if now is None:
        return False
    if frame > track.keyframes[-1].frame:
        return True
    inside = mask[box_pixels(now.xyxy, *mask.shape)]
    return bool(inside.sum() >= _LEAST * mask.sum())
