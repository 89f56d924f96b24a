"""Temporal KNN-patch loss."""

from __future__ import annotations

import dataclasses
import itertools
import math
import re

import pytest
import torch

from maskfree.config import TemporalKNNConfig
from maskfree.correspondence import frame_pairs, match_clip, match_patches
from maskfree.losses import TemporalKNNLoss, temporal_knn_loss

PAPER = TemporalKNNConfig.paper()
RELEASED = TemporalKNNConfig.released()


def example(n: int = 2, t: int = 3, h: int = 7, w: int = 8, seed: int = 0) -> tuple:
    """Masks, Lab of frames that resemble each other and are dark in places, boxes."""
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(n, t, h, w, generator=generator, dtype=torch.float64) * 3
    lab = torch.rand(1, 3, h, w, generator=generator, dtype=torch.float64) * 2
    lab = lab + torch.rand(t, 3, h, w, generator=generator, dtype=torch.float64)
    boxes = torch.zeros(n, t, h, w, dtype=torch.float64)
    for i, j in itertools.product(range(n), range(t)):
        boxes[i, j, i : 3 + i, j : 3 + 2 * i] = 1
    return logits, lab, boxes


def slow_loss(
    logits: torch.Tensor, lab: torch.Tensor, boxes: torch.Tensor | None, config: TemporalKNNConfig
) -> float:
    """Pair by pair, instance by instance, cell by cell, match by match."""
    masks = logits.sigmoid()
    instances, frames, height, width = logits.shape
    loss = 0.0
    for t, t_hat in frame_pairs(frames, config.tube):
        centre, other = (t, t_hat) if config.centre_frame == "source" else (t_hat, t)
        matches = match_patches(lab[centre], lab[other], config=config)
        total, count = 0.0, 0
        for n, y, x in itertools.product(range(instances), range(height), range(width)):
            if boxes is not None and not any(bool(box[y, x]) for box in boxes[n]):
                continue
            for k in range(config.num_neighbors):
                v, u = matches.target_yx[k, y, x].tolist()
                inside = 0 <= v < height and 0 <= u < width
                if matches.distance[k, y, x] > config.max_distance:
                    continue
                if inside or config.outside_counts:
                    count += 1
                if inside:
                    p, q = float(masks[n, centre, y, x]), float(masks[n, other, v, u])
                    total -= math.log(p * q + (1 - p) * (1 - q))
        loss += total / (height * width if config.normaliser == "grid" else max(count, 1))
    return config.weight * loss


CONFIGS = [
    PAPER,
    dataclasses.replace(PAPER, search_radius=2, max_distance=4.5, weight=0.3),
    dataclasses.replace(PAPER, tube="neighbour", normaliser="matches", num_neighbors=2),
    dataclasses.replace(PAPER, centre_frame="target", search_radius=1, num_neighbors=9),
    RELEASED,
    dataclasses.replace(RELEASED, num_neighbors=9, max_distance=20.0),
    dataclasses.replace(RELEASED, tube="cyclic", normaliser="grid"),
]


@pytest.mark.parametrize("config", CONFIGS)
@pytest.mark.parametrize("with_boxes", [True, False])
def test_slow_reference(config: TemporalKNNConfig, with_boxes: bool) -> None:
    logits, lab, boxes = example()
    given = boxes if with_boxes else None
    expected = slow_loss(logits, lab, given, config)
    loss = temporal_knn_loss(logits, lab, given, config=config)
    assert loss.item() == pytest.approx(expected, rel=1e-9)


def test_value_by_hand() -> None:
    """1 x 4 cells; a bright one moves by one cell; one match each, itself or where it went."""
    lab = torch.zeros(2, 3, 1, 4)
    lab[0, 0, 0, 1] = lab[1, 0, 0, 2] = 60.0
    logits = torch.tensor([[[[-40.0, 0.0, -40.0, -40.0]], [[-40.0, -40.0, math.log(3), -40.0]]]])
    config = dataclasses.replace(PAPER, patch_size=1, num_neighbors=1, tube="neighbour")
    # cell 1 -> cell 2: -log(1/2 * 3/4 + 1/2 * 1/4); cell 2 -> cell 1, which is background in both
    value = temporal_knn_loss(logits, lab, config=config)
    assert value.item() == pytest.approx(math.log(2) / 4)
    # the way back, t=1 -> t=0, has the same pair, and 1 (background) -> 0 or 2
    both = temporal_knn_loss(logits, lab, config=dataclasses.replace(config, tube="cyclic"))
    assert both.item() == pytest.approx(2 * math.log(2) / 4)
    # in a box that holds cell 0 in one frame and cell 3 in the other, the pair does not count
    boxes = torch.tensor([[[[1.0, 0.0, 0.0, 0.0]], [[0.0, 0.0, 0.0, 1.0]]]])
    assert temporal_knn_loss(logits, lab, boxes, config=config).item() == pytest.approx(0, abs=1e-6)


def test_box_of_another_frame_counts() -> None:
    logits, lab, boxes = example(t=2)
    boxes[:, 1] = 0
    swapped = boxes.flip(1)
    torch.testing.assert_close(
        temporal_knn_loss(logits, lab, boxes, config=RELEASED),
        temporal_knn_loss(logits, lab, swapped, config=RELEASED),
    )


@pytest.mark.parametrize("config", CONFIGS)
def test_invariance(config: TemporalKNNConfig) -> None:
    logits, lab, boxes = example()
    loss = temporal_knn_loss(logits, lab, boxes, config=config)
    order = torch.tensor([1, 0])
    torch.testing.assert_close(
        temporal_knn_loss(logits[order], lab, boxes[order], config=config), loss
    )
    torch.testing.assert_close(temporal_knn_loss(-logits, lab, boxes, config=config), loss)
    torch.testing.assert_close(temporal_knn_loss(logits.mT, lab.mT, boxes.mT, config=config), loss)


def test_cyclic_tube_has_no_first_frame() -> None:
    logits, lab, boxes = example(t=4)
    order = torch.tensor([1, 2, 3, 0])
    torch.testing.assert_close(
        temporal_knn_loss(logits[:, order], lab[order], boxes[:, order], config=PAPER),
        temporal_knn_loss(logits, lab, boxes, config=PAPER),
    )


def test_shifting_both_frames_changes_nothing_inside() -> None:
    generator = torch.Generator().manual_seed(0)
    lab = torch.rand(2, 3, 40, 40, generator=generator)
    logits = torch.randn(1, 2, 40, 40, generator=generator)
    boxes = torch.zeros(1, 2, 40, 40)
    boxes[:, :, 15:22, 16:21] = 1
    config = dataclasses.replace(PAPER, normaliser="matches")

    def shift(x: torch.Tensor) -> torch.Tensor:
        return x.roll((3, -2), dims=(-2, -1))

    torch.testing.assert_close(
        temporal_knn_loss(shift(logits), shift(lab), shift(boxes), config=config),
        temporal_knn_loss(logits, lab, boxes, config=config),
    )


@pytest.mark.parametrize("config", [PAPER, RELEASED])
@pytest.mark.parametrize("with_boxes", [True, False])
def test_stacked_decoder_layers(config: TemporalKNNConfig, with_boxes: bool) -> None:
    """Stacked along the instances: their sum with the grid normaliser, else their mean."""
    one, lab, boxes = example()
    two = example(seed=5)[0]
    given = boxes if with_boxes else None
    stacked = temporal_knn_loss(
        torch.cat([one, two]), lab, boxes.repeat(2, 1, 1, 1) if with_boxes else None, config=config
    )
    separate = sum(temporal_knn_loss(x, lab, given, config=config) for x in (one, two))
    torch.testing.assert_close(stacked, separate if config is PAPER else separate / 2)


@pytest.mark.parametrize("config", [PAPER, RELEASED])
def test_matches_given_beforehand(config: TemporalKNNConfig) -> None:
    logits, lab, boxes = example()
    matches = match_clip(lab, config=config)
    given = temporal_knn_loss(logits, torch.zeros_like(lab), boxes, config=config, matches=matches)
    assert given == temporal_knn_loss(logits, lab, boxes, config=config)


@pytest.mark.parametrize("config", [PAPER, RELEASED])
@pytest.mark.parametrize("with_boxes", [True, False])
def test_gradcheck(config: TemporalKNNConfig, with_boxes: bool) -> None:
    logits, lab, boxes = example(h=5, w=4)
    given = boxes if with_boxes else None
    matches = match_clip(lab, config=config)
    assert torch.autograd.gradcheck(
        lambda x: temporal_knn_loss(x, lab, given, config=config, matches=matches),
        logits.requires_grad_(),
    )


@pytest.mark.parametrize("config", [PAPER, RELEASED])
@pytest.mark.parametrize(
    ("instances", "frames", "with_boxes"),
    [(0, 3, False), (0, 3, True), (2, 1, False), (2, 1, True)],
)
def test_nothing_to_compare(
    config: TemporalKNNConfig, instances: int, frames: int, with_boxes: bool
) -> None:
    logits = torch.zeros(instances, frames, 7, 8, requires_grad=True)
    boxes = torch.ones(instances, frames, 7, 8) if with_boxes else None
    loss = temporal_knn_loss(logits, torch.zeros(frames, 3, 7, 8), boxes, config=config)
    assert loss.item() == 0
    loss.backward()


@pytest.mark.parametrize("config", [PAPER, RELEASED])
def test_no_match(config: TemporalKNNConfig) -> None:
    logits, lab, boxes = example()
    logits.requires_grad_()
    changing = lab + 100 * torch.arange(3)[:, None, None, None]
    for given in ((changing, boxes), (changing, None), (lab, torch.zeros_like(boxes))):
        loss = temporal_knn_loss(logits, *given, config=config)
        assert loss.item() == 0
        loss.backward()
        assert not logits.grad.any()


def test_module() -> None:
    logits, lab, boxes = example()
    expected = temporal_knn_loss(logits, lab, boxes, config=RELEASED)
    assert TemporalKNNLoss(RELEASED)(logits, lab, boxes) == expected


@pytest.mark.parametrize(
    ("logits", "lab", "boxes", "message"),
    [
        (
            (3, 24, 40),
            (3, 3, 24, 40),
            None,
            "mask_logits must be (N, T, H, W), got (3, 24, 40). Pass one clip, not a batch.",
        ),
        (
            (1, 2, 3, 24, 40),
            (3, 3, 24, 40),
            None,
            "mask_logits must be (N, T, H, W), got (1, 2, 3, 24, 40). Pass one clip, not a batch.",
        ),
        (
            (2, 3, 4, 5),
            (2, 3, 4, 5),
            None,
            "lab must be (T, 3, H, W) = (3, 3, 4, 5) to go with mask_logits, got (2, 3, 4, 5). "
            "Make it from the clip's frames with maskfree.lab.to_lab.",
        ),
        (
            (2, 3, 4, 5),
            (3, 3, 4, 5),
            (2, 4, 5),
            "box_masks must be (2, 3, 4, 5) like mask_logits, got (2, 4, 5). "
            "Draw the boxes on the mask grid, one mask an instance and frame.",
        ),
    ],
)
def test_wrong_shapes(logits: tuple, lab: tuple, boxes: tuple | None, message: str) -> None:
    given = None if boxes is None else torch.zeros(boxes)
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        temporal_knn_loss(torch.zeros(logits), torch.zeros(lab), given, config=PAPER)


def test_matches_of_another_clip() -> None:
    matches = match_clip(torch.zeros(4, 3, 4, 5), config=PAPER)
    message = (
        "matches must be of frames below 3 on a (4, 5) grid like mask_logits, "
        "got frames (2, 3) on (4, 5). Make them with match_clip from this clip's lab."
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        temporal_knn_loss(
            torch.zeros(1, 3, 4, 5), torch.zeros(3, 3, 4, 5), config=PAPER, matches=matches
        )
