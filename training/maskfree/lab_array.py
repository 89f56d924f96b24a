"""CIELAB without torch: where one looks before it is imported, or in the window's thread."""

from __future__ import annotations

import numpy as np

__all__ = [
    "GRID_STRIDE",
    "RGB_FROM_XYZ",
    "RGB_RANGE",
    "WHITE_D65",
    "XYZ_FROM_RGB",
    "lab_of_pixels",
    "lab_to_rgb",
    "rgb_to_lab",
]

GRID_STRIDE = 4
"""Pixels of the frame along one side of a cell of the mask grid (H4 = H / 4, W4 = W / 4)."""

XYZ_FROM_RGB = (
    (0.412453, 0.357580, 0.180423),
    (0.212671, 0.715160, 0.072169),
    (0.019334, 0.119193, 0.950227),
)
"""Linear sRGB to XYZ (ITU-R BT.709 primaries), as scikit-image has it."""

RGB_FROM_XYZ = tuple(map(tuple, np.linalg.inv(XYZ_FROM_RGB).tolist()))
"""The way back."""

RGB_RANGE = 100.0
"""White, where patches are compared in sRGB: that of Lab's L."""

WHITE_D65 = (0.95047, 1.0, 1.08883)
"""XYZ of the white point: D65, 2 degree observer."""


def lab_of_pixels(pixels: np.ndarray) -> np.ndarray:
    """Average pixels down to stride 4 and convert them, as :func:`maskfree.lab.to_lab` does.

    Parameters
    ----------
    pixels
        uint8 RGB ``(4 h, 4 w, 3)``.

    Returns
    -------
    np.ndarray
        float32 ``(3, h, w)``, of `to_lab`'s value within rounding.
    """
    rows, columns = pixels.shape[0] // GRID_STRIDE, pixels.shape[1] // GRID_STRIDE
    blocks = pixels.reshape(rows, GRID_STRIDE, columns, GRID_STRIDE, 3)
    rgb = blocks.mean((1, 3), dtype=np.float32) / np.float32(255)
    return np.ascontiguousarray(np.moveaxis(rgb_to_lab(rgb), -1, 0))


def rgb_to_lab(rgb: np.ndarray) -> np.ndarray:
    """Convert sRGB to CIELAB, as :func:`maskfree.lab.rgb_to_lab` does but for the channels' place.

    Parameters
    ----------
    rgb
        float32 ``(..., 3)`` in [0, 1].

    Returns
    -------
    np.ndarray
        float32 ``(..., 3)``, of that function's value within rounding.
    """
    curve = ((rgb + 0.055) / 1.055) ** 2.4
    linear = np.where(rgb > 0.04045, curve, rgb / 12.92)
    matrix = np.array(XYZ_FROM_RGB, np.float32) / np.array(WHITE_D65, np.float32)[:, None]
    xyz = linear @ matrix.T
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    x, y, z = np.moveaxis(f, -1, 0)
    lab = np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)
    return np.asarray(lab, np.float32)


def lab_to_rgb(lab: np.ndarray) -> np.ndarray:
    """Convert CIELAB back to sRGB, as :func:`maskfree.lab.lab_to_rgb` but for the channels' place.

    Parameters
    ----------
    lab
        float32 ``(..., 3)``.

    Returns
    -------
    np.ndarray
        float32 ``(..., 3)``, of that function's value within rounding.
    """
    lightness, a, b = np.moveaxis(np.asarray(lab, np.float32), -1, 0)
    y = (lightness + 16) / 116
    f = np.stack([y + a / 500, y, y - b / 200], axis=-1)
    xyz = np.where(f > 6 / 29, f**3, (f - 16 / 116) / 7.787)
    linear = xyz @ (np.array(RGB_FROM_XYZ, np.float32) * np.array(WHITE_D65, np.float32)).T
    curve = 1.055 * np.maximum(linear, 0.0031308) ** (1 / 2.4) - 0.055
    return np.asarray(np.where(linear > 0.0031308, curve, 12.92 * linear), np.float32)
