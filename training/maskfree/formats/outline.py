"""A mask as one polygon, to the pixel, and polygons as masks.

The outline runs along the edges of pixels. Parts and holes are joined to it by lines that are gone
along twice, forth and back: by the even-odd rule those enclose nothing. So one polygon holds any
mask, and filling it gives that mask back.
"""

from __future__ import annotations

import numpy as np

from maskfree.config import FormatConfig
from maskfree.errors import InputError

__all__ = ["fill", "outline"]


def outline(mask: np.ndarray) -> np.ndarray:
    """Return the corners of a bool ``(H, W)`` mask that has a pixel: int64 ``(P, 2)``, x and y.

    Whole numbers are edges of pixels: the upper left pixel's corners are 0 and 1.
    """
    loops = _loops(mask)
    joined = [point for loop in loops for point in (*loop, loop[0])]
    # Back along the places where the loops begin, except the last, where we are.
    joined += [loop[0] for loop in reversed(loops[1:-1])]
    if len(loops) == 1:
        joined.pop()
    return np.array(joined, np.int64)


def _loops(mask: np.ndarray) -> list[list[tuple[int, int]]]:
    """Return the closed lines between object and background, by their corners in turn."""
    padded = np.pad(mask, 1).astype(np.int8)
    # Where pixels touch by their corners alone, two lines cross and neither turns.
    y, x = np.nonzero(padded[:-1, :-1] ^ padded[:-1, 1:] ^ padded[1:, :-1] ^ padded[1:, 1:])
    # In a row of corners a horizontal edge joins each second one to the next; so in columns.
    by_column = np.lexsort((y, x))
    down = np.empty(len(x), np.int64)
    down[by_column[::2]], down[by_column[1::2]] = by_column[1::2], by_column[::2]
    partner, points = down.tolist(), list(zip(x.tolist(), y.tolist(), strict=True))
    left = bytearray(b"\x01") * len(points)
    loops = []
    for start in range(len(points)):
        if not left[start]:
            continue
        loop, at = [], start
        while left[at]:
            across = at ^ 1
            left[at] = left[across] = 0
            loop += [points[at], points[across]]
            at = partner[across]
        loops.append(loop)
    return loops


def fill(points: np.ndarray, height: int, width: int, where: str) -> np.ndarray:
    """Return the pixels whose middles a polygon encloses by the even-odd rule: bool ``(H, W)``.

    ``points``: float ``(P, 2)``, x and y in pixels, near the frame; it is closed by itself.

    Raises
    ------
    InputError
        Where its sides pass more rows than ``FormatConfig.polygon_length``; ``where`` begins the
        message.
    """
    start = np.asarray(points, float) - 0.5
    end = np.roll(start, -1, axis=0)
    # From above to below, so that a line gone along twice is met at the same places.
    turned = start[:, 1] > end[:, 1]
    start[turned], end[turned] = end[turned], start[turned]
    first = np.clip(np.ceil(start[:, 1]), 0, height).astype(np.int64)
    count = np.clip(np.ceil(end[:, 1]), 0, height).astype(np.int64) - first
    most, length = FormatConfig().polygon_length, int(count.sum())
    if length > most:
        raise InputError(
            f"{where}: the sides of a polygon may pass {most} rows of pixels together, got "
            f"{length}. Simplify it."
        )
    side = np.repeat(np.arange(len(count)), count)
    rows = np.arange(length) - np.repeat(np.cumsum(count) - count, count) + first[side]
    (x0, y0), (x1, y1) = start[side].T, end[side].T
    columns = np.ceil(x0 + (rows - y0) * (x1 - x0) / (y1 - y0))
    turns = np.zeros((height, width + 1), np.uint8)
    np.bitwise_xor.at(turns, (rows, np.clip(columns, 0, width).astype(np.int64)), 1)
    inside = np.bitwise_xor.accumulate(turns[:, :width], axis=1)
    return inside.astype(bool)
