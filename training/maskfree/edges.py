"""Edge-aware smoothing: the guided filter with a colour guide.

Source: He, Sun, Tang: *Guided Image Filtering*, TPAMI 2013, equations 14 to 16.
"""

from __future__ import annotations

import cv2
import numpy as np

__all__ = ["GuidedFilter"]

_PAIRS = ((0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2))


class GuidedFilter:
    """Smooths maps of one picture so that they keep to its edges.

    Parameters
    ----------
    guide
        float ``(H, W, 3)``, the picture's colours.
    radius
        Half the window's side, in pixels.
    strength
        Variance of colour (in the guide's units, squared) below which the guide is flat.
    """

    def __init__(self, guide: np.ndarray, radius: int, strength: float) -> None:
        self._guide = (guide - guide.mean((0, 1))).astype(np.float32)
        self._window = (2 * radius + 1, 2 * radius + 1)
        self._mean = self._blur(self._guide)
        xx, xy, xz, yy, yz, zz = (
            self._blur(self._guide[..., i] * self._guide[..., j])
            - self._mean[..., i] * self._mean[..., j]
            for i, j in _PAIRS
        )
        xx, yy, zz = xx + strength, yy + strength, zz + strength
        cofactors = (
            yy * zz - yz * yz,
            xz * yz - xy * zz,
            xy * yz - xz * yy,
            xx * zz - xz * xz,
            xy * xz - xx * yz,
            xx * yy - xy * xy,
        )
        determinant = xx * cofactors[0] + xy * cofactors[1] + xz * cofactors[2]
        self._inverse = [c / np.maximum(determinant, 1e-12) for c in cofactors]

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """Return float ``(H, W)``: ``values (H, W)``, smoothed."""
        values = values.astype(np.float32)
        mean = self._blur(values)
        cross = self._blur(self._guide * values[..., None]) - self._mean * mean[..., None]
        x, y, z = cross[..., 0], cross[..., 1], cross[..., 2]
        xx, xy, xz, yy, yz, zz = self._inverse
        slope = np.stack(
            [xx * x + xy * y + xz * z, xy * x + yy * y + yz * z, xz * x + yz * y + zz * z], -1
        )
        offset = mean - (slope * self._mean).sum(-1)
        return np.asarray((self._blur(slope) * self._guide).sum(-1) + self._blur(offset))

    def _blur(self, values: np.ndarray) -> np.ndarray:
        return np.asarray(cv2.blur(values, self._window, borderType=cv2.BORDER_REFLECT))
