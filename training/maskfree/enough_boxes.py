"""Which boxes of a track are enough, because the others lie between them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from maskfree.types import Box

__all__ = ["enough_boxes"]


def enough_boxes(boxes: Mapping[int, Box], tolerance: float) -> list[int]:
    """Return the frames whose boxes are enough: the others lie between them.

    No side of a box left out is further from where it is interpolated than ``tolerance`` of the
    box's size along that axis (Ramer, 1972; Douglas and Peucker, 1973, over the four sides).
    """
    frames = sorted(boxes)
    if len(frames) < 3:
        return frames
    kept, open_ = {frames[0], frames[-1]}, [(0, len(frames) - 1)]
    sides = np.array([boxes[f] for f in frames])
    times = np.array(frames, float)
    while open_:
        low, high = open_.pop()
        if high - low < 2:
            continue
        part = ((times[low + 1 : high] - times[low]) / (times[high] - times[low]))[:, None]
        between = sides[low] + part * (sides[high] - sides[low])
        inner = sides[low + 1 : high]
        size = np.tile(inner[:, 2:] - inner[:, :2], 2)
        missed = np.abs(inner - between) / size
        worst = int(missed.max(1).argmax())
        if missed[worst].max() > tolerance:
            middle = low + 1 + worst
            kept.add(frames[middle])
            open_ += [(low, middle), (middle, high)]
    return sorted(kept)
