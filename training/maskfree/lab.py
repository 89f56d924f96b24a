"""From RGB frames to the CIELAB images on the mask grid that colours are compared in."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from maskfree.lab_array import GRID_STRIDE, WHITE_D65, XYZ_FROM_RGB

__all__ = ["GRID_STRIDE", "rgb_to_lab", "to_lab"]


def rgb_to_lab(rgb: torch.Tensor) -> torch.Tensor:
    """Convert sRGB to CIELAB (D65, 2 degree observer), as ``skimage.color.rgb2lab`` does.

    Parameters
    ----------
    rgb
        Float ``(..., 3, H, W)`` in [0, 1].

    Returns
    -------
    torch.Tensor
        ``(..., 3, H, W)``: L in [0, 100], a and b about [-128, 127].

    Notes
    -----
    IEC 61966-2-1 (the sRGB curve) and CIE 15 (Lab); their constants are standards, not settings.
    """
    linear = torch.where(rgb > 0.04045, ((rgb + 0.055) / 1.055).clamp_min(0) ** 2.4, rgb / 12.92)
    matrix = rgb.new_tensor(XYZ_FROM_RGB) / rgb.new_tensor(WHITE_D65)[:, None]
    xyz = torch.einsum("ij,...jhw->...ihw", matrix, linear)
    f = torch.where(xyz > 0.008856, xyz.clamp_min(0) ** (1 / 3), 7.787 * xyz + 16 / 116)
    x, y, z = f.unbind(-3)
    return torch.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], dim=-3)


def to_lab(rgb: torch.Tensor) -> torch.Tensor:
    """Average frames down to stride 4 and convert them to CIELAB.

    Parameters
    ----------
    rgb
        Float ``(T, 3, H, W)`` in [0, 1], H and W multiples of 4.

    Returns
    -------
    torch.Tensor
        ``(T, 3, H/4, W/4)``.

    Raises
    ------
    ValueError
        For another shape.

    Notes
    -----
    Design section 3: "Lab of the frame averaged down to stride 4", the average first.
    """
    multiple = rgb.ndim == 4 and rgb.shape[-2] % GRID_STRIDE == rgb.shape[-1] % GRID_STRIDE == 0
    if not multiple or rgb.shape[1] != 3:
        raise ValueError(
            f"rgb must be (T, 3, H, W) with H and W multiples of {GRID_STRIDE}, "
            f"got {tuple(rgb.shape)}. Pad the frames first."
        )
    return rgb_to_lab(F.avg_pool2d(rgb, GRID_STRIDE))
