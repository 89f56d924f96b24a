"""Which pixels, or cells of a grid, a box touches."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["box_pixels", "touched"]


def touched(low: float, high: float, size: int, *, least: int = 0) -> slice:
    """Return the whole numbers in [0, size) that [low, high) touches, ``least`` at the least."""
    first = min(max(math.floor(low), 0), size - least)
    return slice(first, min(max(math.ceil(high), first + least), size))


def box_pixels(box: Sequence[float], height: int, width: int) -> tuple[slice, slice]:
    """Return the rows and columns of the pixels that a box ``xyxy`` touches."""
    x0, y0, x1, y1 = box
    return touched(y0, y1, height), touched(x0, x1, width)
