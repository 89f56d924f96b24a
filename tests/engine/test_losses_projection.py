"""Box projection loss."""

from __future__ import annotations

import math
import re

import pytest
import torch

from maskfree.losses import ProjectionLoss, projection_loss


def example(n: int = 3, t: int = 2, h: int = 5, w: int = 7, seed: int = 0) -> tuple:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(n, t, h, w, generator=generator, dtype=torch.float64) * 3
    boxes = torch.zeros(n, t, h, w, dtype=torch.float64)
    for i in range(n):
        for j in range(t):
            boxes[i, j, i % 3 : 3 + i % 2, j : 4 + i % 3] = 1
    return logits, boxes


def slow_loss(logits: torch.Tensor, boxes: torch.Tensor) -> list[list[float]]:
    """Instance by instance, frame by frame, column by column."""
    height, width = logits.shape[-2:]
    terms = []
    for masks, tube in zip(logits.sigmoid(), boxes, strict=True):
        terms.append([])
        for mask, box in zip(masks.tolist(), tube.tolist(), strict=True):
            total = 0.0
            columns = [(max(m[x] for m in mask), max(b[x] for b in box)) for x in range(width)]
            rows = [(max(mask[y]), max(box[y])) for y in range(height)]
            for profile in (columns, rows):
                overlap = sum(p * g for p, g in profile)
                total += 1 - 2 * overlap / (sum(p * p + g * g for p, g in profile) + 1e-5)
            terms[-1].append(total)
    return terms


def test_value_by_hand() -> None:
    """A mask of 1/2 on one cell of a 1 x 2 box in a 2 x 2 grid; nothing elsewhere."""
    logits = torch.full((1, 1, 2, 2), -50.0)
    logits[0, 0, 0, 0] = 0.0
    boxes = torch.tensor([[[[1.0, 1.0], [0.0, 0.0]]]])
    over_y = 1 - 2 * 0.5 / (0.25 + 2 + 1e-5)
    over_x = 1 - 2 * 0.5 / (0.25 + 1 + 1e-5)
    assert projection_loss(logits, boxes).item() == pytest.approx(over_y + over_x)


def test_slow_reference() -> None:
    logits, boxes = example()
    terms = slow_loss(logits, boxes)
    mean = sum(map(sum, terms)) / 6
    assert projection_loss(logits, boxes).item() == pytest.approx(mean, rel=1e-9)
    weights = torch.tensor([[1.0, 0.0], [0.5, 2.0], [0.0, 0.25]], dtype=torch.float64)
    weighted = (weights * torch.tensor(terms, dtype=torch.float64)).sum().item()
    assert projection_loss(logits, boxes, weights).item() == pytest.approx(weighted / 3.75)


def test_a_mask_that_fills_its_box_costs_nothing() -> None:
    _, boxes = example()
    assert projection_loss(40 * (2 * boxes - 1), boxes).item() == pytest.approx(0, abs=1e-5)


def test_permuting_the_instances_changes_nothing() -> None:
    logits, boxes = example()
    order = torch.tensor([2, 0, 1])
    torch.testing.assert_close(
        projection_loss(logits[order], boxes[order]), projection_loss(logits, boxes)
    )


def test_transposing_the_frames_changes_nothing() -> None:
    logits, boxes = example()
    torch.testing.assert_close(projection_loss(logits.mT, boxes.mT), projection_loss(logits, boxes))


def test_gradcheck() -> None:
    logits, boxes = example()
    weights = torch.rand(3, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert torch.autograd.gradcheck(
        lambda x: projection_loss(x, boxes, weights), logits.requires_grad_()
    )


def test_an_absent_instance_teaches_nothing() -> None:
    logits, boxes = example(n=1, t=2)
    boxes[0, 1] = 0
    logits.requires_grad_()
    loss = projection_loss(logits, boxes)
    loss.backward()
    alone = projection_loss(logits[:, :1], boxes[:, :1])
    assert loss.item() == pytest.approx((alone.item() + 2) / 2)
    assert not logits.grad[0, 1].any()
    for weight in (1.0, 0.3):
        weights = torch.tensor([[weight, 0.0]])
        torch.testing.assert_close(projection_loss(logits, boxes, weights), alone)


@pytest.mark.parametrize("weights", [None, torch.zeros(0, 2)])
def test_no_instance(weights: torch.Tensor | None) -> None:
    logits = torch.zeros(0, 2, 5, 7, requires_grad=True)
    loss = projection_loss(logits, torch.zeros(0, 2, 5, 7), weights)
    assert loss.item() == 0
    loss.backward()


def test_no_weight() -> None:
    logits, boxes = example()
    logits.requires_grad_()
    loss = projection_loss(logits, boxes, torch.zeros(3, 2))
    assert loss.item() == 0
    loss.backward()
    assert not logits.grad.any()


def test_bool_boxes_and_half_precision() -> None:
    logits, boxes = example()
    expected = projection_loss(logits.bfloat16().float(), boxes.float())
    assert math.isfinite(expected.item())
    torch.testing.assert_close(projection_loss(logits.bfloat16(), boxes.bool()), expected)


def test_module() -> None:
    logits, boxes = example()
    assert ProjectionLoss()(logits, boxes) == projection_loss(logits, boxes)


@pytest.mark.parametrize(
    ("logits", "boxes", "weights", "message"),
    [
        (
            (3, 24, 40),
            (3, 24, 40),
            None,
            "mask_logits must be (N, T, H, W), got (3, 24, 40). Pass one clip, not a batch.",
        ),
        (
            (2, 3, 24, 40),
            (2, 3, 24, 41),
            None,
            "box_masks must be (2, 3, 24, 40) like mask_logits, got (2, 3, 24, 41). "
            "Draw the boxes on the mask grid, one mask an instance and frame.",
        ),
        (
            (2, 3, 24, 40),
            (2, 3, 24, 40),
            (2,),
            "weights must be (N, T) = (2, 3) to go with mask_logits, got (2,). "
            "Give one weight for each instance and frame.",
        ),
    ],
)
def test_wrong_shapes(logits: tuple, boxes: tuple, weights: tuple | None, message: str) -> None:
    given = None if weights is None else torch.ones(weights)
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        projection_loss(torch.zeros(logits), torch.zeros(boxes), given)
