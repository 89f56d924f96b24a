"""The kinds of place that matches lie in."""

from __future__ import annotations

import math
import re

import pytest
import torch
import torch.nn.functional as F

from maskfree.category import CATEGORY_COLOURS, Category, categorise, structure_eigenvalues
from maskfree.config import CategoryConfig, TemporalKNNConfig
from maskfree.correspondence import match_patches
from maskfree.types import Matches

CONFIG = CategoryConfig()
INNER = (slice(4, -4), slice(4, -4))


def all_valid(height: int, width: int, count: int = 5) -> Matches:
    """Give every cell the same number of valid matches."""
    valid = torch.zeros(5, height, width, dtype=torch.bool)
    valid[:count] = True
    zeros = torch.zeros(5, height, width)
    return Matches(torch.zeros(5, height, width, 2, dtype=torch.long), zeros, valid)


def lightness(image: torch.Tensor) -> torch.Tensor:
    return torch.stack([image, torch.zeros_like(image), torch.zeros_like(image)])


def test_eigenvalues_of_a_ramp() -> None:
    x = torch.arange(8.0).expand(6, 8)
    lab = torch.stack([3 * x, 4 * x, 0 * x])  # 3 and 4 per cell in two channels
    larger, smaller = structure_eigenvalues(lab, 3)
    torch.testing.assert_close(larger[:, 1:-1], torch.full((6, 6), 25.0))
    torch.testing.assert_close(smaller[:, 1:-1], torch.zeros(6, 6))
    assert (larger[:, 0] == 12.5).all()  # half of the patch is the continued border


def test_eigenvalues_by_hand() -> None:
    """One bright cell: each 2 x 2 block around it has dx = (0, 1), dy = (0, 1) up to signs."""
    image = torch.zeros(7, 7)
    image[3, 3] = 2.0
    larger, smaller = structure_eigenvalues(lightness(image), 3)
    # xx = yy = 4 / 2 in each of the four blocks, xy = +-4 / 4, which cancels over the patch
    torch.testing.assert_close(larger[3, 3], torch.tensor(2.0))
    torch.testing.assert_close(smaller[3, 3], torch.tensor(2.0))
    # the patch around (2, 2) sees one block of four: (2 / 4) +- (1 / 4)
    torch.testing.assert_close(larger[2, 2], torch.tensor(0.75))
    torch.testing.assert_close(smaller[2, 2], torch.tensor(0.25))


def test_kinds_of_place() -> None:
    matches = all_valid(20, 24)
    generator = torch.Generator().manual_seed(0)
    flat = torch.full((20, 24), 50.0) + 0.5 * torch.rand(20, 24, generator=generator)
    assert (categorise(matches, lightness(flat), config=CONFIG) == Category.HOMOGENEOUS).all()

    step = flat + 40 * (torch.arange(24) >= 12)
    kinds = categorise(matches, lightness(step), config=CONFIG)
    assert (kinds[:, 11:13] == Category.EDGE).all()
    assert (kinds[:, :10] == Category.HOMOGENEOUS).all()

    noise = 20 * torch.rand(20, 24, generator=generator)
    kinds = categorise(matches, lightness(noise), config=CONFIG)
    assert (kinds == Category.TEXTURED).float().mean() > 0.75

    checks = 30.0 * ((torch.arange(20)[:, None] + torch.arange(24)) % 2)
    kinds = categorise(matches, lightness(checks), config=CONFIG)
    assert (kinds[INNER] == Category.TEXTURED).all()


@pytest.mark.parametrize("degrees", range(0, 180, 15))
def test_an_edge_is_one_at_any_angle(degrees: int) -> None:
    y, x = torch.meshgrid(torch.arange(96.0), torch.arange(96.0), indexing="ij")
    angle = math.radians(degrees)
    step = 60.0 * ((x - 49.3) * math.cos(angle) + (y - 48.1) * math.sin(angle) > 0)
    step = F.avg_pool2d(step[None], 4)[0]
    kinds = categorise(all_valid(24, 24), lightness(step), config=CONFIG)
    assert set(kinds[INNER].unique().tolist()) == {Category.HOMOGENEOUS, Category.EDGE}


def test_the_number_of_matches_comes_first() -> None:
    noise = lightness(20 * torch.rand(6, 7, generator=torch.Generator().manual_seed(0)))
    none = categorise(all_valid(6, 7, 0), noise, config=CONFIG)
    one = categorise(all_valid(6, 7, 1), noise, config=CONFIG)
    assert none.dtype == torch.uint8
    assert none.shape == (6, 7)
    assert (none == Category.NONE).all()
    assert (one == Category.ONE).all()


def test_with_real_matches() -> None:
    """Flat ground, a long edge, a textured part, a part that is gone in the other frame."""
    generator = torch.Generator().manual_seed(0)
    source = torch.full((3, 40, 60), 40.0)
    source[0, :, 40:] += 30
    source[:, 5:15, 5:15] += 15 * torch.randn(3, 10, 10, generator=generator)
    target = source.clone()
    target[:, 25:35, 5:15] += 50
    matches = match_patches(source, target, config=TemporalKNNConfig.paper())
    kinds = categorise(matches, source, config=CONFIG)
    assert (kinds[18:24, 20:38] == Category.HOMOGENEOUS).all()
    assert (kinds[2:-2, 39:41] == Category.EDGE).all()
    assert (kinds[6:14, 6:14] == Category.ONE).all()
    far = matches.target_yx[0, 30, 10].sub(torch.tensor([30, 10])).abs().max()
    assert kinds[30, 10] == Category.NONE or far >= 4  # reaches past the changed part, or nothing


def test_colours_can_be_told_apart() -> None:
    assert list(CATEGORY_COLOURS) == list(Category)
    assert len(set(CATEGORY_COLOURS.values())) == len(Category)
    red, green, blue = (list(c) for c in zip(*CATEGORY_COLOURS.values(), strict=True))
    assert max(range(3), key=lambda c: CATEGORY_COLOURS[Category.NONE][c]) == 1
    assert max(range(3), key=lambda c: CATEGORY_COLOURS[Category.ONE][c]) == 2
    assert red[Category.HOMOGENEOUS] > green[Category.HOMOGENEOUS] > blue[Category.HOMOGENEOUS]
    assert min(CATEGORY_COLOURS[Category.EDGE]) > 150


def test_another_grid() -> None:
    message = (
        "lab must be (3, 6, 7) to go with the matches, got (3, 6, 8). "
        "Pass the Lab image of the frame that the matches start from."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        categorise(all_valid(6, 7), torch.zeros(3, 6, 8), config=CONFIG)
