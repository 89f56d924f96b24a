"""From RGB frames to the CIELAB images on the mask grid that colours are compared in."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F

from maskfree.lab_array import GRID_STRIDE, RGB_FROM_XYZ, RGB_RANGE, WHITE_D65, XYZ_FROM_RGB

if TYPE_CHECKING:
    from maskfree.config import TemporalKNNConfig

__all__ = ["GRID_STRIDE", "compared_colours", "lab_to_rgb", "rgb_to_lab", "to_lab"]


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


def lab_to_rgb(lab: torch.Tensor) -> torch.Tensor:
    """Convert CIELAB back to sRGB: what :func:`rgb_to_lab` undoes.

    Parameters
    ----------
    lab
        Float ``(..., 3, H, W)``.

    Returns
    -------
    torch.Tensor
        ``(..., 3, H, W)``, in [0, 1] for the Lab of a picture. What is no colour of sRGB, as where
        contrast was stretched, lies beyond, and the curve simply goes on.
    """
    lightness, a, b = lab.unbind(-3)
    y = (lightness + 16) / 116
    f = torch.stack([y + a / 500, y, y - b / 200], dim=-3)
    xyz = torch.where(f > 6 / 29, f**3, (f - 16 / 116) / 7.787)
    matrix = lab.new_tensor(RGB_FROM_XYZ) * lab.new_tensor(WHITE_D65)
    linear = torch.einsum("ij,...jhw->...ihw", matrix, xyz)
    curve = 1.055 * linear.clamp_min(0.0031308) ** (1 / 2.4) - 0.055
    return torch.where(linear > 0.0031308, curve, 12.92 * linear)


def compared_colours(lab: torch.Tensor, config: TemporalKNNConfig) -> torch.Tensor:
    """Return what patches are compared in, ``(..., 3, H, W)``, of the same shape of Lab.

    With ``config.colour_space`` of rgb that is sRGB from 0 to 100, as L has it, so that D is of one
    size: a step of grey is then as large in each of three channels as it is in L alone.
    """
    return lab if config.colour_space == "lab" else lab_to_rgb(lab) * RGB_RANGE


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
