"""CIELAB on the mask grid."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch
from skimage.color import rgb2lab

from maskfree.lab import rgb_to_lab, to_lab


def test_agrees_with_skimage() -> None:
    rgb = np.random.default_rng(0).random((17, 23, 3))
    rgb[0, :8] = np.eye(8, 3)  # primaries and black
    rgb[1] *= 0.02  # the straight part of both curves
    ours = rgb_to_lab(torch.from_numpy(rgb).permute(2, 0, 1)).permute(1, 2, 0).numpy()
    np.testing.assert_allclose(ours, rgb2lab(rgb), atol=1e-6)


def test_black_grey_white() -> None:
    rgb = torch.tensor([0.0, 0.5, 1.0]).expand(3, 1, 3)
    lab = rgb_to_lab(rgb)
    torch.testing.assert_close(lab[0, 0], torch.tensor([0.0, 53.389, 100.0]), atol=1e-3, rtol=0)
    torch.testing.assert_close(lab[1:], torch.zeros(2, 1, 3), atol=5e-3, rtol=0)


def test_averages_before_it_converts() -> None:
    stripes = torch.zeros(1, 3, 8, 4)
    stripes[..., ::2] = 1.0
    lab = to_lab(stripes)
    assert lab.shape == (1, 3, 2, 1)
    torch.testing.assert_close(lab[0, 0], torch.full((2, 1), 53.389), atol=1e-3, rtol=0)


@pytest.mark.parametrize("shape", [(3, 8, 8), (2, 4, 8, 8), (2, 3, 8, 6)])
def test_wrong_shape(shape: tuple[int, ...]) -> None:
    message = (
        f"rgb must be (T, 3, H, W) with H and W multiples of 4, got {shape}. Pad the frames first."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        to_lab(torch.zeros(shape))
