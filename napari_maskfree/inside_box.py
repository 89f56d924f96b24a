"""Strokes of the brush and the eraser that end where a track's box ends. No Qt here."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from maskfree.box_pixels import box_pixels

if TYPE_CHECKING:
    from collections.abc import Mapping

    from maskfree.types import Box

__all__ = ["keep_inside"]


def keep_inside(
    before: np.ndarray, after: np.ndarray, boxes: Mapping[int, Box | None]
) -> tuple[np.ndarray, set[int]]:
    """Return what was painted as far as it lies in the boxes, and the tracks without a box.

    What is painted goes by the box of the track that is painted, what is erased by that of the
    track that is erased.

    Parameters
    ----------
    before, after
        Track ids by pixel, integers (H, W), 0 for none.
    boxes
        By track id, None where a track has no box in this frame: nothing is painted of it. A label
        that is not among them is no track yet and goes everywhere.
    """
    changed = before != after
    subject = np.where(after == 0, before, after)
    allowed = changed.copy()
    boxless = set()
    for label in np.unique(subject[changed]).tolist():
        if label not in boxes:
            continue
        box, own = boxes[label], changed & (subject == label)
        inside = np.zeros_like(own)
        if box is None:
            boxless.add(int(label))
        else:
            inside[box_pixels(box, *own.shape)] = True
        allowed &= inside | ~own
    return np.where(allowed, after, before), boxless
