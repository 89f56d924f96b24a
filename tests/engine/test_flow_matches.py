"""Matches by optical flow: where things go, what is hidden, which flow is taken."""

from __future__ import annotations

import dataclasses
import math
import re
import sys
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest
import torch
from torch import nn

from maskfree import raft_flow
from maskfree.config import TemporalKNNConfig
from maskfree.dense_flow import DisFlow, RoundTrip
from maskfree.errors import InputError
from maskfree.flow_matches import flow_of, match_flow
from maskfree.losses import temporal_flow_loss

if TYPE_CHECKING:
    from pathlib import Path

CONFIG = TemporalKNNConfig(method="flow", tube="neighbour")
HEIGHT, WIDTH = 96, 128
STEP = 8
"""Pixels: two cells."""


def smooth(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    noise = rng.uniform(-400, 656, (height, width, 3))
    return cv2.GaussianBlur(noise, (0, 0), 2).clip(0, 255).astype(np.uint8)


def moving_square(length: int = 2) -> torch.Tensor:
    """A textured square of 40 pixels goes right by two cells a frame over a textured ground."""
    rng = np.random.default_rng(0)
    ground, thing = smooth(rng, HEIGHT, WIDTH), smooth(rng, 40, 40)
    frames = np.repeat(ground[None], length, 0)
    for t in range(length):
        frames[t, 28:68, 28 + STEP * t : 68 + STEP * t] = thing
    return torch.from_numpy(frames).permute(0, 3, 1, 2).float() / 255


def cells(height: int, width: int) -> torch.Tensor:
    return torch.stack(torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij"), -1)


def test_cells_go_where_the_square_goes_and_the_ground_stays() -> None:
    ((frames, matches),) = match_flow(moving_square(), config=CONFIG)
    assert frames == (0, 1)
    grid = HEIGHT // 4, WIDTH // 4
    assert matches.target_yx.shape == (1, *grid, 2)
    assert matches.valid.shape == matches.distance.shape == (1, *grid)
    square = (slice(9, 15), slice(9, 15))
    moved = matches.target_yx[0][square] - cells(*grid)[square]
    assert (moved == torch.tensor([0, STEP // 4])).float().mean() > 0.9
    assert matches.valid[0][square].float().mean() > 0.9
    ground = (slice(19, 24), slice(0, 32))
    assert (matches.target_yx[0][ground] == cells(*grid)[ground]).all()
    assert matches.valid[0][ground].all()


def test_what_is_hidden_there_does_not_count() -> None:
    """The ground right of the square is covered by it in the other frame."""
    matches = match_flow(moving_square(), config=CONFIG)[0][1]
    assert matches.valid[0, 9:15, 17:19].float().mean() < 0.5
    everything = dataclasses.replace(CONFIG, flow_error=1000.0)
    assert match_flow(moving_square(), config=everything)[0][1].valid.all()


def shift(dx: float, dy: float = 0.0) -> np.ndarray:
    return np.tile(np.array([dx, dy], np.float32), (8, 12, 1))


def given(*flows: np.ndarray) -> object:
    """A flow that gives these, one after the other, and counts."""
    left = list(flows)
    return lambda _one, _other: left.pop(0)


def test_cells_by_hand() -> None:
    rgb = torch.zeros(2, 3, 8, 12)
    flow = given(shift(4.0), shift(-4.5))
    matches = match_flow(rgb, config=CONFIG, flow=flow)[0][1]  # type: ignore[arg-type]
    assert matches.target_yx[0, 1].tolist() == [[1, 1], [1, 2], [0, 0]]
    assert matches.distance[0, 1].tolist() == [0.5, 0.5, math.inf]
    assert matches.valid[0, 1].tolist() == [True, True, False]
    strict = dataclasses.replace(CONFIG, flow_error=0.25)
    flow = given(shift(4.0), shift(-4.5))
    assert not match_flow(rgb, config=strict, flow=flow)[0][1].valid.any()  # type: ignore[arg-type]


def test_a_cell_goes_where_its_middle_goes() -> None:
    flow = given(shift(0.0, 1.9), shift(0.0, -1.9), shift(0.0, 2.1), shift(0.0, -2.1))
    rgb = torch.zeros(2, 3, 8, 12)
    for row in (0, 1):
        matches = match_flow(rgb, config=CONFIG, flow=flow)[0][1]  # type: ignore[arg-type]
        assert (matches.target_yx[0, 0, :, 0] == row).all()


def test_each_flow_of_a_tube_is_computed_once() -> None:
    asked = []

    def flow(one: np.ndarray, other: np.ndarray) -> np.ndarray:
        asked.append((int(one[0, 0, 0]), int(other[0, 0, 0])))
        return shift(0.0)

    rgb = (torch.arange(3)[:, None, None, None] / 255).expand(3, 3, 8, 12)
    found = match_flow(rgb, config=dataclasses.replace(CONFIG, tube="cyclic"), flow=flow)
    assert [pair for pair, _ in found] == [(0, 1), (1, 2), (2, 0)]
    assert sorted(asked) == [(0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1)]
    turned = dataclasses.replace(CONFIG, centre_frame="target")
    assert [pair for pair, _ in match_flow(rgb, config=turned, flow=flow)] == [(1, 0), (2, 1)]
    assert match_flow(rgb[:1], config=CONFIG, flow=flow) == []


@pytest.mark.parametrize("shape", [(3, 8, 8), (2, 4, 8, 8), (2, 3, 8, 6)])
def test_wrong_shape(shape: tuple[int, ...]) -> None:
    message = (
        f"rgb must be (T, 3, H, W) with H and W multiples of 4, got {shape}. "
        "Pass the frames of one clip."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        match_flow(torch.zeros(shape), config=CONFIG)


def test_a_way_there_and_back() -> None:
    way = RoundTrip.of(shift(3.0, 4.0), np.zeros((8, 12, 2), np.float32))
    assert (way.missed == 5).all()
    assert (way.x[0, 0], way.y[0, 0]) == (3, 4)
    assert way.inside.sum() == 4 * 9


# ---- the loss


def test_loss_by_hand() -> None:
    """Three cells in a row move on by one; the last one leaves."""
    logits = torch.tensor([[[[0.0, 0.0, 0.0]], [[-40.0, math.log(3), 40.0]]]])
    flow = given(shift(4.0)[:4], shift(-4.0)[:4])
    matches = match_flow(torch.zeros(2, 3, 4, 12), config=CONFIG, flow=flow)  # type: ignore[arg-type]
    loss = temporal_flow_loss(logits, None, config=CONFIG, matches=matches)
    # of p = 1/2 the term is log 2, whatever the other is: two cells of three
    assert loss.item() == pytest.approx(2 * math.log(2) / 3)
    counted = dataclasses.replace(CONFIG, normaliser="matches", weight=0.5)
    loss = temporal_flow_loss(logits, None, config=counted, matches=matches)
    assert loss.item() == pytest.approx(0.5 * math.log(2))
    boxes = torch.zeros(1, 2, 1, 3)
    boxes[:, 0, 0, 1] = 1
    loss = temporal_flow_loss(logits, None, boxes, config=CONFIG, matches=matches)
    assert loss.item() == pytest.approx(math.log(2) / 3)
    ignored = torch.zeros(2, 1, 3, dtype=torch.bool)
    ignored[1, 0, 1] = True
    loss = temporal_flow_loss(logits, None, config=CONFIG, matches=matches, ignored=ignored)
    assert loss.item() == pytest.approx(math.log(2) / 3)


def test_loss_of_frames_has_a_gradient_and_none_of_one() -> None:
    logits = torch.randn(2, 2, 24, 32, generator=torch.Generator().manual_seed(0))
    logits.requires_grad_()
    loss = temporal_flow_loss(logits, moving_square(), config=CONFIG)
    loss.backward()
    assert loss.item() > 0
    assert logits.grad is not None
    assert logits.grad[:, 0].any()
    single = temporal_flow_loss(logits[:, :1], moving_square()[:1], config=CONFIG)
    assert single.item() == 0
    single.backward()


def test_zero_patches_outside_do_not_count_in_it() -> None:
    """That is a rule of the patches: the distance here is one of the flow."""
    logits = torch.randn(1, 2, 24, 32, generator=torch.Generator().manual_seed(0))
    rgb, plain = moving_square(), dataclasses.replace(CONFIG, normaliser="matches")
    padded = dataclasses.replace(plain, outside_counts=True, max_distance=1000.0)
    expected = temporal_flow_loss(logits, rgb, config=plain)
    assert temporal_flow_loss(logits, rgb, config=padded) == expected


def test_loss_of_nothing() -> None:
    message = "rgb must be the clip's frames, got none and no matches. Pass either."
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        temporal_flow_loss(torch.zeros(1, 2, 4, 4), None, config=CONFIG)


# ---- RAFT


class StandIn(nn.Module):
    """Answers with its weights, refined once, as torchvision's RAFT does."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.by = nn.Parameter(torch.zeros(size))

    def forward(self, one: torch.Tensor, other: torch.Tensor) -> list[torch.Tensor]:
        assert one.shape == other.shape
        assert one.shape[2] % 8 == one.shape[3] % 8 == 0
        assert min(one.shape[2:]) >= 128
        assert -1 <= float(one.min()) <= float(one.max()) <= 1
        flow = self.by[:2, None, None].expand(1, 2, *one.shape[2:])
        return [flow * 0, flow]


@pytest.fixture
def torchvision(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("torchvision.models")
    module.optical_flow = SimpleNamespace(  # type: ignore[attr-defined]
        raft_large=lambda **_: StandIn(3), raft_small=lambda **_: StandIn(2)
    )
    monkeypatch.setitem(sys.modules, "torchvision", ModuleType("torchvision"))
    monkeypatch.setitem(sys.modules, "torchvision.models", module)
    raft_flow._load.cache_clear()


def raft(path: Path, config: TemporalKNNConfig = CONFIG) -> TemporalKNNConfig:
    raft_flow._load.cache_clear()
    return dataclasses.replace(config, flow_weights=str(path))


@pytest.mark.usefixtures("torchvision")
@pytest.mark.parametrize("size", [2, 3])
def test_raft_is_taken_where_its_weights_are_named(tmp_path: Path, size: int) -> None:
    network = StandIn(size)
    nn.init.constant_(network.by, 4.0)
    torch.save(network.state_dict(), tmp_path / "raft.pth")
    flow = flow_of(raft(tmp_path / "raft.pth"), torch.device("cpu"))
    picture = np.full((20, 28, 3), 200, np.uint8)
    found = flow(picture, picture)
    assert found.shape == (20, 28, 2)
    assert found.dtype == np.float32
    assert (found == 4).all()


@pytest.mark.usefixtures("torchvision")
def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.pth"
    torch.save({"by": torch.zeros(7)}, path)
    message = (
        f"{path} holds the weights of another network than torchvision's raft_large or raft_small. "
        "Give temporal.flow_weights the file of one of those."
    )
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        flow_of(raft(path), torch.device("cpu"))
    with pytest.raises(InputError, match="There is no checkpoint"):
        flow_of(raft(tmp_path / "none.pth"), torch.device("cpu"))


def test_without_torchvision_it_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("torchvision", "torchvision.models"):
        monkeypatch.setitem(sys.modules, name, None)
    message = "temporal.flow_weights asks for RAFT, which needs torchvision ("
    with pytest.raises(InputError, match=f"^{re.escape(message)}"):
        flow_of(raft(tmp_path / "raft.pth"), torch.device("cpu"))


def test_without_weights_it_is_dis() -> None:
    assert isinstance(flow_of(CONFIG, torch.device("cpu")), DisFlow)
