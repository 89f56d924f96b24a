"""The presets against numbers: the released code's own where they are at hand, and ours always."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from maskfree.config import PairwiseConfig, TemporalKNNConfig
from maskfree.correspondence import match_clip, match_patches
from maskfree.lab import rgb_to_lab
from maskfree.losses import (
    colour_similarity,
    pairwise_loss,
    projection_loss,
    temporal_knn_loss,
)

GOLDEN = Path(__file__).parents[2].parent / "shared" / "golden"
Arrays = dict[str, torch.Tensor]
Loss = Callable[[torch.Tensor], torch.Tensor]


@pytest.fixture(params=[0, 1])
def golden(request: pytest.FixtureRequest) -> Arrays:
    path = GOLDEN / f"release_losses_{request.param}.npz"
    if not path.exists():
        pytest.skip("the released code's numbers are not beside this repository")
    with np.load(path, allow_pickle=False) as arrays:
        return {name: torch.from_numpy(np.asarray(arrays[name])) for name in arrays}


def check(golden: Arrays, name: str, loss: Loss) -> None:
    """Values to 1e-5, gradients to 1e-4 relative: of the whole and of every entry that matters."""
    logits = golden["mask_logits"].clone().requires_grad_()
    value = loss(logits)
    value.backward()
    assert value.item() == pytest.approx(golden[f"loss_{name}"].item(), abs=1e-5)
    expected = golden[f"grad_{name}"]
    assert logits.grad is not None
    assert (logits.grad - expected).norm() <= 1e-4 * expected.norm()
    torch.testing.assert_close(logits.grad, expected, rtol=1e-4, atol=1e-4 * expected.abs().max())


def test_projection(golden: Arrays) -> None:
    check(golden, "proj", lambda m: projection_loss(m, golden["box_masks"]))


def test_pairwise(golden: Arrays) -> None:
    config = PairwiseConfig.released()
    check(
        golden,
        "pair",
        lambda m: pairwise_loss(m, golden["box_masks"], golden["lab"], config=config),
    )


def test_temporal(golden: Arrays) -> None:
    config = TemporalKNNConfig.released()
    assert config.weight == 0.1
    boxes, lab = golden["box_masks"], golden["lab"]
    check(golden, "temp", lambda m: temporal_knn_loss(m, lab, boxes, config=config))


def test_temporal_pair_by_pair(golden: Arrays) -> None:
    config = TemporalKNNConfig.released()
    logits, boxes, lab = golden["mask_logits"], golden["box_masks"], golden["lab"]
    matches = match_clip(lab, config=config)
    assert [frames for frames, _ in matches] == [(1, 0), (2, 0), (2, 1)]
    for pair, expected in zip(matches, golden["loss_temp_pairs"], strict=True):
        loss = temporal_knn_loss(logits, lab, boxes, config=config, matches=[pair])
        assert loss.item() / config.weight == pytest.approx(expected.item(), abs=1e-5)


def test_colour_similarity(golden: Arrays) -> None:
    similarity = colour_similarity(golden["lab"], PairwiseConfig.released())
    torch.testing.assert_close(similarity, golden["color_similarity"], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(("earlier", "later"), [(0, 1), (0, 2), (1, 2)])
def test_affinity_of_the_nearest(golden: Arrays, earlier: int, later: int) -> None:
    """The released affinity exp(-d / 2) of the five nearest of nine, and where they lie."""
    config = TemporalKNNConfig.released()
    matches = match_patches(golden["lab"][later], golden["lab"][earlier], config=config)
    affinity = golden[f"affinity_{earlier}_{later}"]
    best, index = affinity.sort(dim=0, descending=True, stable=True)
    torch.testing.assert_close((-matches.distance / 2).exp(), best[:5], rtol=1e-4, atol=1e-6)
    passes = best[:5] >= 0.05
    assert torch.equal(passes, matches.distance <= config.max_distance)
    height, width = affinity.shape[1:]
    cell = torch.stack(torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij"), -1)
    step = torch.stack([index[:5] // 3 - 1, index[:5] % 3 - 1], -1) * 3
    assert torch.equal(matches.target_yx[passes], (cell + step)[passes])


def test_paper_keeps_matches(golden: Arrays) -> None:
    for _, matches in match_clip(golden["lab"], config=TemporalKNNConfig.paper()):
        assert matches.valid.float().mean() > 0.3


def test_lab(golden: Arrays) -> None:
    rgb = golden["rgb"].permute(0, 3, 1, 2).float() / 255
    torch.testing.assert_close(rgb_to_lab(rgb), golden["lab"], rtol=0, atol=1e-3)


def waves() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Masks, boxes and Lab made of sines alone: the same with every release of everything."""
    n, t, y, x = torch.meshgrid(
        *(torch.arange(size, dtype=torch.float64) for size in (2, 3, 14, 18)), indexing="ij"
    )
    logits = 4 * torch.sin(0.7 * y + 1.3 * n - 0.4 * t) * torch.cos(0.5 * x - 0.9 * t + n)
    centre_y, centre_x = 5 + 3 * n + 0.5 * t, 6 + 4 * n - t
    boxes = (((y - centre_y).abs() < 4) & ((x - centre_x).abs() < 5)).double()
    t, c, y, x = torch.meshgrid(
        *(torch.arange(size, dtype=torch.float64) for size in (3, 3, 14, 18)), indexing="ij"
    )
    shade = torch.sin(0.6 * (y - 0.5 * t) + c) + torch.sin(0.35 * (x - t) * (1 + 0.2 * c))
    return logits, boxes, 2 + 1.5 * shade + 0.4 * torch.sin(37 * y + 53 * x + 11 * t + 5 * c)


@pytest.mark.parametrize(
    ("name", "value", "slope"),
    [
        ("projection", 0.6112632068, -0.009332753846),
        ("pairwise paper", 0.6533857763, 0.006030955712),
        ("pairwise released", 0.6428832285, 0.0059340139),
        ("temporal paper", 15.52890519, 0.1472072503),
        ("temporal paper boxes", 4.980274441, -0.03792163044),
        ("temporal released", 0.1748274111, 0.001214496931),
    ],
)
def test_regression(name: str, value: float, slope: float) -> None:
    """Each loss, and its derivative along one direction of the logits."""
    logits, boxes, lab = waves()
    pairwise, temporal = PairwiseConfig, TemporalKNNConfig
    losses: dict[str, Loss] = {
        "projection": lambda m: projection_loss(m, boxes),
        "pairwise paper": lambda m: pairwise_loss(m, boxes, lab, config=pairwise.paper()),
        "pairwise released": lambda m: pairwise_loss(m, boxes, lab, config=pairwise.released()),
        "temporal paper": lambda m: temporal_knn_loss(m, lab, config=temporal.paper()),
        "temporal paper boxes": lambda m: temporal_knn_loss(m, lab, boxes, config=temporal.paper()),
        "temporal released": lambda m: temporal_knn_loss(m, lab, boxes, config=temporal.released()),
    }
    loss = losses[name](logits.requires_grad_())
    loss.backward()
    direction = torch.cos(torch.arange(logits.numel(), dtype=torch.float64)).view_as(logits)
    assert logits.grad is not None
    assert loss.item() == pytest.approx(value, rel=1e-6)
    assert (logits.grad * direction).sum().item() == pytest.approx(slope, rel=1e-5)
