"""Colour-pairwise loss."""

from __future__ import annotations

import dataclasses
import itertools
import math
import re

import pytest
import torch

from maskfree.config import PairwiseConfig
from maskfree.losses import PairwiseLoss, colour_similarity, pairwise_loss

PAPER = PairwiseConfig.paper()
RELEASED = PairwiseConfig.released()


def example(n: int = 2, t: int = 2, h: int = 7, w: int = 9, seed: int = 0) -> tuple:
    """Masks, boxes (one of them at the border), and Lab that is dark and alike here and there."""
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(n, t, h, w, generator=generator, dtype=torch.float64) * 3
    boxes = torch.zeros(n, t, h, w, dtype=torch.float64)
    for i, j in itertools.product(range(n), range(t)):
        boxes[i, j, i : 4 + i, j : 5 + 2 * i] = 1
    lab = torch.rand(t, 3, h, w, generator=generator, dtype=torch.float64) * 2.5
    return logits, boxes, lab


def slow_loss(
    logits: torch.Tensor, boxes: torch.Tensor, lab: torch.Tensor, config: PairwiseConfig
) -> float:
    """Every instance, frame, pixel and neighbour in turn."""
    instances, frames, height, width = logits.shape
    masks = logits.sigmoid()
    total, count, d = 0.0, 0, config.dilation
    for n, t, y, x in itertools.product(*map(range, (instances, frames, height, width))):
        if not boxes[n, t, y, x]:
            continue
        for dy, dx in itertools.product((-d, 0, d), repeat=2):
            inside = 0 <= y + dy < height and 0 <= x + dx < width
            if (dy, dx) == (0, 0) or not (inside or config.outside_counts):
                continue
            other = lab[t, :, y + dy, x + dx] if inside else torch.zeros(3)
            distance = float((lab[t, :, y, x] - other).norm())
            if math.exp(-distance / config.colour_bandwidth) < config.similarity_threshold:
                continue
            count += 1
            if inside:
                p, q = float(masks[n, t, y, x]), float(masks[n, t, y + dy, x + dx])
                total -= math.log(p * q + (1 - p) * (1 - q))
    return total / count


@pytest.mark.parametrize(
    "config",
    [
        PAPER,
        RELEASED,
        dataclasses.replace(PAPER, dilation=1, colour_bandwidth=0.7),
        dataclasses.replace(PAPER, similarity_threshold=0.0),
        dataclasses.replace(RELEASED, dilation=5),
        dataclasses.replace(RELEASED, dilation=3, similarity_threshold=0.45),
    ],
)
def test_slow_reference(config: PairwiseConfig) -> None:
    logits, boxes, lab = example()
    expected = slow_loss(logits, boxes, lab, config)
    assert pairwise_loss(logits, boxes, lab, config=config).item() == pytest.approx(expected)


def test_zero_padding_matters_here() -> None:
    """So that the slow reference tells the two presets apart."""
    assert slow_loss(*example(), PAPER) != pytest.approx(slow_loss(*example(), RELEASED), rel=1e-2)


def test_value_by_hand() -> None:
    """1 x 3 cells at dilation 1; the last has another colour; the box holds the first two."""
    logits = torch.tensor([[[[0.0, math.log(3), 5.0]]]])
    lab = torch.tensor([[50.0, 50.0, 80.0]]).expand(1, 3, 1, 3)
    boxes = torch.tensor([[[[1.0, 1.0, 0.0]]]])
    config = dataclasses.replace(PAPER, dilation=1)
    # both directions of the one pair: -log(1/2 * 3/4 + 1/2 * 1/4) each
    assert pairwise_loss(logits, boxes, lab, config=config).item() == pytest.approx(math.log(2))
    # with all of one colour also second -> third, once: the third is outside the box
    q = 1 / (1 + math.exp(-5))
    last = -math.log(0.75 * q + 0.25 * (1 - q))
    value = pairwise_loss(logits, boxes, torch.zeros(1, 3, 1, 3), config=config)
    assert value.item() == pytest.approx((2 * math.log(2) + last) / 3)


def test_similarity_by_hand() -> None:
    lab = torch.zeros(1, 3, 3, 5)
    lab[0, :, 0, 0] = torch.tensor([2.0, 3.0, 6.0])  # 7 from black
    similarity = colour_similarity(lab, PAPER)
    assert similarity.shape == (1, 8, 3, 5)
    far = math.exp(-3.5)
    assert similarity[0, :, 0, 0].tolist() == pytest.approx([far] * 8)
    # seen from two cells to the right it is the 4th neighbour, from two below the 2nd
    assert similarity[0, :, 0, 2].tolist() == pytest.approx([1, 1, 1, far, 1, 1, 1, 1])
    assert similarity[0, :, 2, 0].tolist() == pytest.approx([1, far, 1, 1, 1, 1, 1, 1])
    assert similarity[0, :, 2, 2].tolist() == pytest.approx([far, 1, 1, 1, 1, 1, 1, 1])


def test_similarity_given_beforehand() -> None:
    logits, boxes, lab = example()
    similarity = colour_similarity(lab, PAPER)
    assert pairwise_loss(logits, boxes, lab, config=PAPER, similarity=similarity) == pairwise_loss(
        logits, boxes, lab, config=PAPER
    )


@pytest.mark.parametrize("config", [PAPER, RELEASED])
def test_invariance(config: PairwiseConfig) -> None:
    logits, boxes, lab = example()
    loss = pairwise_loss(logits, boxes, lab, config=config)
    order = torch.tensor([1, 0])
    for change in (
        lambda x: x.flip(-1),
        lambda x: x.flip(-2),
        lambda x: x.mT,
    ):
        changed = pairwise_loss(change(logits), change(boxes), change(lab), config=config)
        torch.testing.assert_close(changed, loss)
    torch.testing.assert_close(pairwise_loss(logits[order], boxes[order], lab, config=config), loss)
    torch.testing.assert_close(pairwise_loss(-logits, boxes, lab, config=config), loss)
    # decoder layers stacked along the instances: their mean
    stacked = pairwise_loss(logits.repeat(3, 1, 1, 1), boxes.repeat(3, 1, 1, 1), lab, config=config)
    torch.testing.assert_close(stacked, loss)


def test_a_uniform_mask_costs_nothing() -> None:
    logits, boxes, lab = example()
    for value in (-20.0, 20.0):
        flat = torch.full_like(logits, value)
        assert pairwise_loss(flat, boxes, lab, config=PAPER).item() < 1e-7


def test_saturated_logits_are_finite() -> None:
    logits, boxes, lab = example()
    logits = (200 * logits.sign()).float().requires_grad_()
    loss = pairwise_loss(logits, boxes, lab, config=PAPER)
    loss.backward()
    assert 1 < loss.item() < 200
    assert logits.grad.isfinite().all()


@pytest.mark.parametrize("config", [PAPER, RELEASED])
def test_gradcheck(config: PairwiseConfig) -> None:
    logits, boxes, lab = example(h=5, w=6)
    assert torch.autograd.gradcheck(
        lambda x: pairwise_loss(x, boxes, lab, config=config), logits.requires_grad_()
    )


def test_no_instance() -> None:
    logits = torch.zeros(0, 2, 7, 9, requires_grad=True)
    loss = pairwise_loss(logits, torch.zeros(0, 2, 7, 9), torch.zeros(2, 3, 7, 9), config=PAPER)
    assert loss.item() == 0
    loss.backward()


def test_no_pair_that_counts() -> None:
    logits, boxes, lab = example()
    logits.requires_grad_()
    for given in ((torch.zeros_like(boxes), lab), (boxes, 1e3 * lab)):
        loss = pairwise_loss(logits, *given, config=PAPER)
        assert loss.item() == 0
        loss.backward()
        assert not logits.grad.any()


def test_module() -> None:
    given = example()
    assert PairwiseLoss(RELEASED)(*given) == pairwise_loss(*given, config=RELEASED)


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        (
            [(3, 24, 40), (3, 24, 40), (3, 3, 24, 40)],
            "mask_logits must be (N, T, H, W), got (3, 24, 40). Pass one clip, not a batch.",
        ),
        (
            [(2, 3, 4, 5), (3, 2, 4, 5), (3, 3, 4, 5)],
            "box_masks must be (2, 3, 4, 5) like mask_logits, got (3, 2, 4, 5). "
            "Draw the boxes on the mask grid, one mask an instance and frame.",
        ),
        (
            [(2, 3, 4, 5), (2, 3, 4, 5), (3, 3, 16, 20)],
            "lab must be (T, 3, H, W) = (3, 3, 4, 5) to go with mask_logits, got (3, 3, 16, 20). "
            "Make it from the clip's frames with maskfree.lab.to_lab.",
        ),
        (
            [(2, 3, 4, 5), (2, 3, 4, 5), (3, 3, 4, 5), (3, 4, 4, 5)],
            "similarity must be (T, 8, H, W) = (3, 8, 4, 5) to go with mask_logits, "
            "got (3, 4, 4, 5). Make it with colour_similarity from this clip's lab.",
        ),
    ],
)
def test_wrong_shapes(shapes: list[tuple[int, ...]], message: str) -> None:
    logits, boxes, lab, *rest = (torch.zeros(shape) for shape in shapes)
    similarity = rest[0] if rest else None
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        pairwise_loss(logits, boxes, lab, config=PAPER, similarity=similarity)
