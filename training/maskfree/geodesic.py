"""How easily a pixel in a box is reached from outside: what goes on out there is background.

The cost of the cheapest path from outside the box, where a step costs what the colour changes. A
cave, sky or road that goes on inside the box is reached at once; to reach the object, a path must
cross its contour. Source: Wei, Wen, Zhu, Sun: *Geodesic Saliency Using Background Priors*, ECCV
2012; here in pixels instead of patches.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
from skimage.graph import MCP_Geometric

if TYPE_CHECKING:
    from collections.abc import Sequence

    from maskfree.config import GeodesicConfig

__all__ = ["reached_from_outside", "step_cost"]

_AB_ZERO = 128
"""The Lab axes a and b are shifted by this into the range of a byte."""
_SOBEL = 1 / 8
"""A Sobel filter times this gives the change per pixel."""
_ROOM = 2
"""Pixels around a box in which paths begin; where the picture ends the inner one is closed."""
_WALL = 1e9
"""What a step costs outside a shape that is no box."""


def reached_from_outside(
    lab: np.ndarray, allowed: np.ndarray, *, stretch: float, config: GeodesicConfig
) -> np.ndarray:
    """Say which pixels of a box go on outside it.

    Parameters
    ----------
    lab
        A picture in Lab, float ``(H, W, 3)``.
    allowed
        bool ``(H, W)``, the box; outside it everything is background.
    stretch
        By how much the clip's contrast is stretched: surfaces that hardly differ say little, so
        that the answer is divided by a power of it.
    config
        What a step costs, and what easy is.

    Returns
    -------
    numpy.ndarray
        float32 ``(H, W)`` from -1 (divided likewise), reached at once, to 0, reached no easier than
        most of the box; 0 outside the box, where the picture is burnt out, and everywhere when the
        box is empty or nothing of the outside is in the picture.
    """
    out = np.zeros(allowed.shape, np.float32)
    if not allowed.any() or allowed.all():
        return out
    reach = config.blur // 2 + 1
    window = tuple(slice(max(0, i.start - reach), i.stop + reach) for i in _around(allowed))
    lab, open_to = lab[window], allowed[window]
    burnt = lab[..., 0] > config.burnt
    cost = step_cost(lab, stretch, config) + config.burnt_cost * burnt
    box = _around(open_to)
    if open_to[box].all():
        inside = _cheaper_half(cost[box], _ends(_around(allowed), allowed.shape)).ravel()
    else:
        inside = _from_around(cost, open_to)
    usual = float(np.median(inside))
    easier = np.log2((inside + config.least) / (usual + config.least)) / config.octaves
    easier = np.where(burnt[open_to], 0, np.clip(easier, -1, 0))
    out[allowed] = easier / stretch**config.stretch_power
    return out


def _cheaper_half(cost: np.ndarray, ends: Sequence[tuple[bool, bool]]) -> np.ndarray:
    """Return what the cheapest path to each pixel of a box costs: float64 ``(H, W)``, ``cost``'s.

    Of the pixels that cost more than the median at least those above it get infinity. Paths begin
    all around, but not where the picture ``ends``: before the first or after the last row, column.
    """
    wide = np.pad(cost.astype(float), _ROOM)
    inner = slice(1, -1)
    for (before, after), lines in zip(ends, (wide, wide.T), strict=True):
        if before:
            lines[_ROOM - 1, inner] = -1  # no way
        if after:
            lines[-_ROOM, inner] = -1
    # around the box a path costs nothing: begun in one corner it has begun everywhere
    most = np.count_nonzero(wide == 0) + cost.size // 2 + 1
    total, _ = MCP_Geometric(wide).find_costs([(0, 0)], max_coverage=(most + 0.5) / wide.size)
    return np.asarray(total[_ROOM:-_ROOM, _ROOM:-_ROOM])


def _from_around(cost: np.ndarray, open_to: np.ndarray) -> np.ndarray:
    """Return what the cheapest path to each pixel that is ``open_to`` paths costs, of any shape."""
    around = cv2.dilate(open_to.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    starts = np.argwhere(around & ~open_to)
    total, _ = MCP_Geometric(np.where(open_to, cost, _WALL)).find_costs(starts)
    # a path begins with half a step in the wall
    return np.asarray(np.maximum(total[open_to] - _WALL / 2, 0))


def _around(allowed: np.ndarray) -> tuple[slice, slice]:
    """Return the rows and columns that hold all pixels."""
    rows, columns = (np.flatnonzero(allowed.any(axis)) for axis in (1, 0))
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)


def _ends(window: Sequence[slice], size: Sequence[int]) -> list[tuple[bool, bool]]:
    """Say of rows and columns whether a window begins and ends where the picture does."""
    return [(part.start == 0, part.stop == end) for part, end in zip(window, size, strict=True)]


def step_cost(lab: np.ndarray, stretch: float, config: GeodesicConfig) -> np.ndarray:
    """Return what a step of one pixel costs, float ``(H, W)``, of a picture in Lab ``(H, W, 3)``.

    That is how much the colour changes there beyond texture; see :func:`reached_from_outside`.
    """
    shifted = np.asarray(cv2.add(lab, (0, _AB_ZERO, _AB_ZERO, 0)))
    np.rint(np.clip(shifted, 0, 255, out=shifted), out=shifted)
    smooth = cv2.medianBlur(shifted.astype(np.uint8), config.blur).astype(np.float32)
    squared = sum(cv2.Sobel(smooth, cv2.CV_32F, dx, 1 - dx, scale=_SOBEL) ** 2 for dx in (1, 0))
    change = np.sqrt(squared[..., 0] + squared[..., 1] + squared[..., 2]) * stretch
    return np.asarray(np.maximum(change - config.texture, 0) + config.step)
