"""Colour-pairwise loss between neighbouring frames."""

from __future__ import annotations

import dataclasses
import itertools
import math
import re

import pytest
import torch

from maskfree.config import PairwiseConfig
from maskfree.losses import pairwise3d_loss

CONFIG = PairwiseConfig(dilation=1)
FRAMES = [(0, 1), (1, 2)]


def example(n: int = 2, t: int = 3, h: int = 5, w: int = 6, seed: int = 0) -> tuple:
    """Masks, boxes, and Lab of frames that resemble each other and are dark in places."""
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(n, t, h, w, generator=generator, dtype=torch.float64) * 3
    lab = torch.rand(t, 3, h, w, generator=generator, dtype=torch.float64) * 3
    boxes = torch.zeros(n, t, h, w, dtype=torch.float64)
    for i, j in itertools.product(range(n), range(t)):
        boxes[i, j, i : 3 + i, j : 3 + 2 * i] = 1
    return logits, boxes, lab


def slow_loss(
    logits: torch.Tensor,
    boxes: torch.Tensor,
    lab: torch.Tensor,
    frames: list[tuple[int, int]],
    config: PairwiseConfig,
    ignored: torch.Tensor | None = None,
) -> float:
    masks = logits.sigmoid()
    instances, _, height, width = logits.shape
    total, count = 0.0, 0
    both = {(a, b) for a, b in frames} | {(b, a) for a, b in frames}
    for n, (p, q), y, x in itertools.product(
        range(instances), sorted(both), range(height), range(width)
    ):
        if not boxes[n, p, y, x]:
            continue
        for dy, dx in itertools.product((-1, 0, 1), repeat=2):
            v, u = y + config.dilation * dy, x + config.dilation * dx
            inside = 0 <= v < height and 0 <= u < width
            colour = lab[q, :, v, u] if inside else torch.zeros(3)
            distance = float((lab[p, :, y, x] - colour).norm())
            if math.exp(-distance / config.colour_bandwidth) < config.similarity_threshold:
                continue
            if ignored is not None and (ignored[p, y, x] or (inside and ignored[q, v, u])):
                continue
            count += inside or config.outside_counts
            if inside:
                a, b = float(masks[n, p, y, x]), float(masks[n, q, v, u])
                total -= math.log(a * b + (1 - a) * (1 - b))
    return total / max(1, count)


@pytest.mark.parametrize("frames", [FRAMES, [(0, 1), (1, 2), (2, 0)], [(1, 0), (0, 1)]])
@pytest.mark.parametrize(
    "config",
    [
        CONFIG,
        dataclasses.replace(CONFIG, dilation=2, similarity_threshold=0.5),
        dataclasses.replace(CONFIG, dilation=3, outside_counts=True),
    ],
)
def test_slow_reference(config: PairwiseConfig, frames: list[tuple[int, int]]) -> None:
    logits, boxes, lab = example()
    expected = slow_loss(logits, boxes, lab, frames, config)
    loss = pairwise3d_loss(logits, boxes, lab, frames, config=config)
    assert loss.item() == pytest.approx(expected, rel=1e-9)
    ignored = torch.rand(3, 5, 6, generator=torch.Generator().manual_seed(2)) < 0.3
    loss = pairwise3d_loss(logits, boxes, lab, frames, config=config, ignored=ignored)
    assert loss.item() == pytest.approx(
        slow_loss(logits, boxes, lab, frames, config, ignored), rel=1e-9
    )


def test_value_by_hand() -> None:
    """One cell a frame, of one colour: there and back is one term."""
    logits = torch.tensor([[[[0.0]], [[math.log(3)]]]])
    boxes = torch.ones(1, 2, 1, 1)
    loss = pairwise3d_loss(logits, boxes, torch.zeros(2, 3, 1, 1), [(0, 1)], config=CONFIG)
    assert loss.item() == pytest.approx(math.log(2))
    apart = torch.zeros(2, 3, 1, 1)
    apart[1] = 30.0
    assert pairwise3d_loss(logits, boxes, apart, [(0, 1)], config=CONFIG).item() == 0


def test_a_frame_between_two_others_has_eighteen_neighbours() -> None:
    """The box is the middle cell of the middle frame."""
    moved, lab = torch.zeros(1, 3, 3, 3), torch.zeros(3, 3, 3, 3)
    boxes = torch.zeros(1, 3, 3, 3)
    boxes[0, 1, 1, 1] = 1
    moved[0, 1, 1, 1] = 4.0
    moved.requires_grad_()
    pairwise3d_loss(moved, boxes, lab, FRAMES, config=CONFIG).backward()
    assert moved.grad is not None
    touched = moved.grad[0] != 0
    assert touched.flatten(1).sum(1).tolist() == [9, 0, 9]


def test_invariance() -> None:
    logits, boxes, lab = example()
    loss = pairwise3d_loss(logits, boxes, lab, FRAMES, config=CONFIG)
    order = torch.tensor([1, 0])
    for changed in (
        (logits[order], boxes[order], lab),
        (-logits, boxes, lab),
        (logits.mT, boxes.mT, lab.mT),
        (logits.flip(-1), boxes.flip(-1), lab.flip(-1)),
        (logits.flip(1), boxes.flip(1), lab.flip(0)),
    ):
        torch.testing.assert_close(pairwise3d_loss(*changed, FRAMES, config=CONFIG), loss)


def test_gradcheck() -> None:
    logits, boxes, lab = example(h=4, w=3)
    assert torch.autograd.gradcheck(
        lambda x: pairwise3d_loss(x, boxes, lab, FRAMES, config=CONFIG), logits.requires_grad_()
    )


def test_nothing_to_compare() -> None:
    logits, boxes, lab = example()
    for given in (
        (logits[:0], boxes[:0], lab, FRAMES),
        (logits, boxes, lab, []),
        (logits, boxes * 0, lab, FRAMES),
    ):
        masks = given[0].clone().requires_grad_()
        loss = pairwise3d_loss(masks, *given[1:], config=CONFIG)
        assert loss.item() == 0
        loss.backward()


def test_wrong_shapes() -> None:
    message = "mask_logits must be (N, T, H, W), got (3, 4, 5). Pass one clip, not a batch."
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        pairwise3d_loss(
            torch.zeros(3, 4, 5), torch.zeros(3, 4, 5), torch.zeros(3, 3, 4, 5), [], config=CONFIG
        )
