from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import torch

from maskfree.config import MatchingConfig
from maskfree.matching import assign_queries, box_masks_of


def rectangle(*xyxy: int, frames: int = 1, height: int = 8, width: int = 10) -> torch.Tensor:
    mask = torch.zeros(frames, height, width)
    x0, y0, x1, y1 = xyxy
    mask[:, y0:y1, x0:x1] = 1
    return mask


def logits_of(*masks: torch.Tensor) -> torch.Tensor:
    return torch.stack(masks) * 20 - 10


def assign(
    mask_logits: torch.Tensor,
    box_masks: torch.Tensor,
    *,
    class_logits: torch.Tensor | None = None,
    labels: list[int] | None = None,
    tracks: list[int] | None = None,
    seed: int = 0,
    **settings: Any,
) -> list[int]:
    config = MatchingConfig(**{"mode": "tube", "num_points": 2000, **settings})
    count = len(box_masks)
    if class_logits is None:
        class_logits = torch.zeros(len(mask_logits), 2)
    return assign_queries(
        class_logits,
        mask_logits,
        box_masks,
        torch.tensor(labels or [0] * count, dtype=torch.long),
        torch.tensor(tracks if tracks is not None else range(count), dtype=torch.long),
        config=config,
        generator=torch.Generator().manual_seed(seed),
    ).tolist()


LEFT, RIGHT, LOW = rectangle(0, 0, 3, 4), rectangle(6, 1, 10, 6), rectangle(2, 5, 7, 8)
NOWHERE = torch.zeros(1, 8, 10)


@pytest.mark.parametrize("mode", ["tube", "frame"])
def test_each_tube_finds_its_own_query(mode: str) -> None:
    queries = logits_of(NOWHERE, LOW, LEFT, RIGHT)
    assert assign(queries, torch.stack([LEFT, RIGHT, LOW]), mode=mode) == [2, 3, 1]
    assert assign(queries, torch.stack([LOW]), mode=mode) == [1]


def test_bound_takes_the_tracks_own_queries_whatever_they_show() -> None:
    queries = logits_of(NOWHERE, LOW, LEFT, RIGHT)
    boxes = torch.stack([LEFT, RIGHT])
    assert assign(queries, boxes, mode="bound", tracks=[3, 1]) == [3, 1]


def test_a_tube_is_compared_by_the_box_of_a_mask_not_by_its_pixels() -> None:
    # an L that spans the box is better than the box's half
    bent = rectangle(0, 0, 1, 6) + rectangle(1, 5, 6, 6)
    half = rectangle(0, 0, 3, 6)
    box = torch.stack([rectangle(0, 0, 6, 6)])
    assert assign(logits_of(half, bent), box) == [1]


def test_a_tube_is_compared_over_all_frames() -> None:
    box = torch.cat([LEFT, RIGHT])[None]
    still = torch.cat([LEFT, LEFT])
    other = torch.cat([RIGHT, LEFT])
    moving = torch.cat([LEFT, RIGHT])
    assert assign(logits_of(still, other, moving), box) == [2]
    assert assign(logits_of(still, other, moving), box, mode="frame") == [2]


def test_per_frame_matching_leaves_out_frames_in_which_the_instance_is_absent() -> None:
    box = torch.cat([LEFT, NOWHERE])[None]
    exact_then_wild = torch.cat([LEFT, RIGHT])
    near_then_empty = torch.cat([rectangle(0, 0, 4, 4), NOWHERE])
    assert assign(logits_of(near_then_empty, exact_then_wild), box, mode="frame") == [1]


def test_two_instances_never_share_a_query() -> None:
    near = rectangle(0, 0, 3, 5)
    boxes = torch.stack([LEFT, LEFT])
    assert sorted(assign(logits_of(LEFT, near, NOWHERE), boxes)) == [0, 1]


def test_the_first_instance_gives_way_where_that_costs_less() -> None:
    # dice costs: 0 and 0.25 of the first instance, 0.14 and 0.43 of the second
    queries = logits_of(rectangle(0, 0, 4, 4), rectangle(0, 1, 4, 5))
    boxes = torch.stack([rectangle(0, 0, 4, 4), rectangle(0, 0, 4, 3)])
    assert assign(queries, boxes[:1]) == assign(queries, boxes[1:]) == [0]
    assert assign(queries, boxes, num_points=20000) == [1, 0]


def slow_cost(queries: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """1 - dice of box masks over every cell, and loops."""
    cost = np.zeros((len(queries), len(boxes)))
    for q, mask in enumerate(queries):
        filled = np.zeros_like(mask)
        for t, frame in enumerate(mask):
            ys, xs = np.nonzero(frame)
            if len(ys):
                filled[t, ys.min() : ys.max() + 1, xs.min() : xs.max() + 1] = 1
        for n, box in enumerate(boxes):
            cost[q, n] = 1 - 2 * (filled * box).sum() / max(1, filled.sum() + box.sum())
    return cost


@pytest.mark.parametrize("seed", range(10))
def test_the_assignment_is_the_best_of_all(seed: int) -> None:
    rng = np.random.default_rng(seed)

    def draw() -> torch.Tensor:
        x0, y0 = rng.integers(0, 6), rng.integers(0, 5)
        return rectangle(x0, y0, x0 + rng.integers(2, 5), y0 + rng.integers(2, 4), frames=2)

    queries = [draw() for _ in range(5)]
    boxes = torch.stack([draw() for _ in range(3)])
    found = assign(logits_of(*queries), boxes, num_points=20000)
    cost = slow_cost(torch.stack(queries).numpy(), boxes.numpy())
    best = min(
        sum(cost[q, n] for n, q in enumerate(p)) for p in itertools.permutations(range(5), 3)
    )
    assert sum(cost[q, n] for n, q in enumerate(found)) == pytest.approx(best, abs=0.03)


def test_the_class_decides_between_equal_masks() -> None:
    queries = logits_of(LEFT, LEFT, LEFT)
    classes = torch.tensor([[0.0, 0, 5], [0, 5, 0], [5, 0, 0]])
    boxes = torch.stack([LEFT, LEFT])
    assert assign(queries, boxes, class_logits=classes, labels=[0, 1]) == [2, 1]
    assert assign(queries, boxes, class_logits=classes, labels=[1, 0]) == [1, 2]


def test_the_weights_of_the_costs_decide_what_counts_more() -> None:
    queries = logits_of(LEFT, RIGHT)
    classes = torch.tensor([[0.0, 5], [5, 0]])  # the query with the mask says "nothing"
    box = torch.stack([LEFT])
    assert assign(queries, box, class_logits=classes, class_cost=0.1, dice_cost=5) == [0]
    assert assign(queries, box, class_logits=classes, class_cost=9, dice_cost=0.1) == [1]


def test_permuting_queries_and_instances_permutes_the_assignment() -> None:
    queries, boxes = logits_of(NOWHERE, LOW, LEFT, RIGHT), torch.stack([LEFT, RIGHT, LOW])
    order = torch.tensor([3, 0, 2, 1])
    plain = assign(queries, boxes)
    permuted = assign(queries[order], boxes)
    assert [int(order[q]) for q in permuted] == plain
    assert assign(queries, boxes[[2, 0, 1]]) == [plain[i] for i in (2, 0, 1)]


@pytest.mark.parametrize("mode", ["tube", "frame", "bound"])
def test_without_instances_no_query_is_taken(mode: str) -> None:
    assert assign(logits_of(LEFT), torch.zeros(0, 1, 8, 10), mode=mode) == []


@pytest.mark.parametrize("mode", ["tube", "frame"])
def test_masks_that_are_empty_or_not_finite_can_still_be_assigned(mode: str) -> None:
    boxes = torch.stack([LEFT, RIGHT])
    assert sorted(assign(logits_of(NOWHERE, NOWHERE), boxes, mode=mode)) == [0, 1]
    broken = torch.full((2, 1, 8, 10), torch.nan)
    classes = torch.full((2, 2), torch.nan)
    assert sorted(assign(broken, boxes, class_logits=classes, mode=mode)) == [0, 1]


@pytest.mark.parametrize("mode", ["tube", "frame", "bound"])
def test_more_instances_than_queries_are_refused(mode: str) -> None:
    with pytest.raises(ValueError) as caught:
        assign(logits_of(LEFT), torch.stack([LEFT, RIGHT]), mode=mode)
    assert str(caught.value) == "2 instances need at least as many queries, got 1."


def test_one_seed_gives_one_assignment() -> None:
    near, far = rectangle(0, 0, 3, 5), rectangle(0, 0, 4, 4)
    queries, boxes = logits_of(near, far, LEFT), torch.stack([LEFT, near])
    found = {s: assign(queries, boxes, num_points=4, seed=s) for s in range(20)}
    assert found == {s: assign(queries, boxes, num_points=4, seed=s) for s in range(20)}
    assert len({tuple(f) for f in found.values()}) > 1


def test_box_masks_are_filled_between_the_outermost_cells() -> None:
    masks = torch.zeros(3, 4, 5, dtype=torch.bool)
    masks[0, 1, 1] = masks[0, 3, 3] = True
    masks[1, 2, 4] = True
    filled = box_masks_of(masks)
    expected = torch.zeros_like(masks)
    expected[0, 1:4, 1:4] = True
    expected[1, 2, 4] = True
    assert torch.equal(filled, expected)
    assert filled.dtype == torch.bool
    assert torch.equal(box_masks_of(filled), filled)
