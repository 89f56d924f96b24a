"""A drawn box, cut to the frame."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from maskfree.mask_place import LEAST_BOX

if TYPE_CHECKING:
    from maskfree.types import Box

__all__ = ["clip_box"]


def clip_box(xyxy: Box, width: int, height: int) -> Box | None:
    """Cut a box to the frame; None when it is smaller than a slipped click, or not finite."""
    if not all(map(math.isfinite, xyxy)):
        return None
    x0, y0, x1, y1 = xyxy
    x0, x1 = max(0.0, min(x0, x1)), min(float(width), max(x0, x1))
    y0, y1 = max(0.0, min(y0, y1)), min(float(height), max(y0, y1))
    if x1 - x0 < LEAST_BOX or y1 - y0 < LEAST_BOX:
        return None
    return (x0, y0, x1, y1)
