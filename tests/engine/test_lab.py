"""CIELAB on the mask grid."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch
from skimage.color import rgb2lab

from maskfree import lab_array
from maskfree.config import TemporalKNNConfig
from maskfree.lab import compared_colours, lab_to_rgb, rgb_to_lab, to_lab


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


def test_there_and_back() -> None:
    rgb = torch.rand(2, 3, 9, 11, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    rgb[0] *= 0.02  # the straight part of both curves
    lab = rgb_to_lab(rgb)
    torch.testing.assert_close(lab_to_rgb(lab), rgb, atol=5e-4, rtol=0)  # of rounded constants
    last = lab[0].permute(1, 2, 0).numpy()
    np.testing.assert_allclose(lab_array.lab_to_rgb(last), rgb[0].permute(1, 2, 0), atol=5e-4)
    assert not lab_to_rgb(torch.zeros(3, 1, 1)).any()
    assert not lab_array.lab_to_rgb(np.zeros((1, 3), np.float32)).any()


def test_what_patches_are_compared_in() -> None:
    lab = rgb_to_lab(torch.tensor([1.0, 0.5, 0.0])[:, None, None].expand(3, 2, 2))
    assert compared_colours(lab, TemporalKNNConfig()) is lab
    rgb = compared_colours(lab, TemporalKNNConfig(colour_space="rgb"))[:, 0, 0]
    torch.testing.assert_close(rgb, torch.tensor([100.0, 50.0, 0.0]), atol=0.05, rtol=0)


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
