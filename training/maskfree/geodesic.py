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
    from maskfree.config import GeodesicConfig

__all__ = ["reached_from_outside", "step_cost"]

_AB_ZERO = 128
"""The Lab axes a and b are shifted by this into the range of a byte."""
_SOBEL = 1 / 8
"""A Sobel filter times this gives the change per pixel."""
_WALL = 1e9


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
    around = cv2.dilate(allowed.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    if not (around & ~allowed).any():
        return out
    seen = cv2.dilate(allowed.astype(np.uint8), np.ones((config.blur + 2,) * 2, np.uint8))
    window = tuple(slice(i.min(), i.max() + 1) for i in np.nonzero(seen))  # all that costs follow
    lab, open_to, start = lab[window], allowed[window], (around & ~allowed)[window]
    burnt = lab[..., 0] > config.burnt
    cost = step_cost(lab, stretch, config) + config.burnt_cost * burnt
    total, _ = MCP_Geometric(np.where(open_to, cost, _WALL)).find_costs(np.argwhere(start))
    inside = np.maximum(total[open_to] - _WALL / 2, 0)  # a path begins with half a step in the wall
    usual = float(np.median(inside))
    easier = np.log2((inside + config.least) / (usual + config.least)) / config.octaves
    easier = np.where(burnt[open_to], 0, np.clip(easier, -1, 0))
    out[allowed] = easier / stretch**config.stretch_power
    return out


def step_cost(lab: np.ndarray, stretch: float, config: GeodesicConfig) -> np.ndarray:
    """Return what a step of one pixel costs, float ``(H, W)``, of a picture in Lab ``(H, W, 3)``.

    That is how much the colour changes there beyond texture; see :func:`reached_from_outside`.
    """
    shifted = np.clip(lab + np.array([0, _AB_ZERO, _AB_ZERO], np.float32), 0, 255)
    smooth = cv2.medianBlur(np.rint(shifted).astype(np.uint8), config.blur).astype(np.float32)
    across, down = (
        np.linalg.norm(cv2.Sobel(smooth, cv2.CV_32F, dx, 1 - dx, scale=_SOBEL), axis=2)
        for dx in (1, 0)
    )
    change = np.hypot(across, down) * stretch
    return np.asarray(np.maximum(change - config.texture, 0) + config.step)
