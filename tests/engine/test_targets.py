from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from maskfree.config import SamplingConfig
from maskfree.loose_tube import loose_tube
from maskfree.targets import BoxTargets, box_targets

if TYPE_CHECKING:
    from collections.abc import Callable

    from maskfree.types import BoxTracks

CONFIG = SamplingConfig(
    slack_per_frame=0.02, slack_per_travel=0.0, max_slack=0.1, least_trust=0.3, max_cut=0.05
)
ABSENT = [np.nan] * 4


def targets_of(*boxes: list[float], slack: float = 0.0, height: int = 4, width: int = 6):
    """One track, one frame each box; slack the same in all."""
    array = np.array([boxes], float)
    return box_targets(array, np.full(array.shape[:2], slack), height, width, config=CONFIG)


def drawn(mask: torch.Tensor) -> list[str]:
    return ["".join(".#"[int(v)] for v in row) for row in mask]


def test_a_cell_is_in_the_box_where_its_centre_is() -> None:
    targets = targets_of([1.0, 1.0, 3.0, 3.0], [0.5, 0.51, 2.5, 2.49])
    assert drawn(targets.box_masks[0, 0]) == ["......", ".##...", ".##...", "......"]
    assert drawn(targets.box_masks[0, 1]) == ["......", "##....", "......", "......"]
    assert targets.box_masks.dtype == torch.float32


def test_the_reach_is_every_cell_that_the_box_touches() -> None:
    targets = targets_of([1.0, 1.0, 3.0, 3.0], [0.9, 1.1, 3.1, 2.9])
    assert drawn(targets.reach[0, 0]) == ["......", ".##...", ".##...", "......"]
    assert drawn(targets.reach[0, 1]) == ["......", "####..", "####..", "......"]
    assert torch.equal(targets.certain_background, ~targets.reach[0])
    assert targets.reach.dtype == targets.certain_background.dtype == torch.bool


def test_slack_widens_the_reach_by_a_part_of_each_side() -> None:
    # 4 cells wide, 1 high: 0.1 of that is 0.4 cells left and right, but 0.1 above and below
    box = [1.3, 1.3, 5.3, 2.3]
    assert drawn(targets_of(box).reach[0, 0]) == ["......", ".#####", ".#####", "......"]
    loose = targets_of(box, slack=0.1)
    assert drawn(loose.reach[0, 0]) == ["......", "######", "######", "......"]
    assert drawn(loose.box_masks[0, 0]) == ["......", ".####.", "......", "......"]


def test_the_radius_is_one_on_the_inscribed_ellipse() -> None:
    targets = targets_of([0.0, 0.0, 6.0, 4.0], ABSENT)
    radius = targets.radius[0, 0]
    y, x = np.mgrid[:4, :6]
    expected = np.hypot((y + 0.5 - 2) / 2, (x + 0.5 - 3) / 3)
    np.testing.assert_allclose(radius, expected, rtol=1e-6)
    assert bool(torch.isinf(targets.radius[0, 1]).all())


@pytest.mark.parametrize(("slack", "expected"), [(0.0, 1.0), (0.05, 0.65), (0.1, 0.3)])
def test_trust_falls_with_the_slack(slack: float, expected: float) -> None:
    assert targets_of([1, 1, 3, 3], slack=slack).trust.item() == pytest.approx(expected)


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        ([0.0, 0.0, 6.0, 4.0], 1.0),  # up to the edge
        ([-0.1, 1.0, 2.9, 3.0], 1.0),  # 0.1 of 2 cells (its smaller side) is the limit
        ([-0.11, 1.0, 2.9, 3.0], 0.0),
        ([4.0, 1.0, 6.2, 3.0], 0.0),
        ([1.0, -0.2, 3.0, 2.0], 0.0),
        ([1.0, 2.0, 3.0, 4.2], 0.0),
    ],
)
def test_a_box_that_the_crop_cuts_is_not_trusted(box: list[float], expected: float) -> None:
    config = dataclasses.replace(CONFIG, max_cut=0.0501)  # 0.1 / 2, but for rounding
    targets = box_targets(np.array([[box]]), np.zeros((1, 1)), 4, 6, config=config)
    assert targets.trust.item() == expected


def test_without_tolerance_a_box_may_still_touch_the_edge() -> None:
    config = dataclasses.replace(CONFIG, max_cut=0.0)
    for x1, expected in ((6.0, 1), (6.01, 0)):
        boxes = np.array([[[2.0, 1.0, x1, 3.0]]])
        assert box_targets(boxes, np.zeros((1, 1)), 4, 6, config=config).trust.item() == expected


def test_a_box_reaching_beyond_the_grid_is_filled_up_to_the_edge() -> None:
    targets = targets_of([-5.0, 2.0, 2.0, 9.0], [4.0, -3.0, 20.0, 1.0])
    assert drawn(targets.box_masks[0, 0]) == ["......", "......", "##....", "##...."]
    assert drawn(targets.box_masks[0, 1]) == ["....##", "......", "......", "......"]


def test_a_box_thinner_than_a_cell_is_still_an_object() -> None:
    targets = targets_of([2.1, 0.0, 2.4, 4.0], [2.9, 1.0, 3.2, 1.3])
    assert drawn(targets.box_masks[0, 0]) == ["..#..."] * 4
    assert drawn(targets.reach[0, 0]) == ["..#..."] * 4
    assert drawn(targets.reach[0, 1]) == ["......", "..##..", "......", "......"]
    assert int(targets.box_masks[0, 1].sum()) == 1
    assert bool((targets.reach | (targets.box_masks == 0)).all())
    assert targets.trust.tolist() == [[1, 1]]


@pytest.mark.parametrize("box", [[-3.0, 1.0, 0.4, 3.0], [1.0, 3.7, 3.0, 8.0]])
def test_the_sliver_of_a_cut_box_is_neither_object_nor_background(box: list[float]) -> None:
    targets = targets_of(box)
    assert not targets.box_masks.any()
    assert targets.trust.item() == 0
    assert 0 < int(targets.reach.sum()) == int((~targets.certain_background).sum())


@pytest.mark.parametrize("box", [[-3.0, 1.0, 0.0, 3.0], [6.0, 0.0, 9.0, 4.0], ABSENT])
def test_a_box_out_of_sight_is_absent(box: list[float]) -> None:
    targets = targets_of(box)
    assert not targets.box_masks.any()
    assert not targets.reach.any()
    assert targets.trust.item() == 0
    assert bool(torch.isinf(targets.radius).all())
    assert bool(targets.certain_background.all())


def test_without_instances_everything_is_background() -> None:
    targets = box_targets(np.zeros((0, 2, 4)), np.zeros((0, 2)), 4, 6, config=CONFIG)
    assert targets.box_masks.shape == (0, 2, 4, 6)
    assert targets.trust.shape == (0, 2)
    assert targets.certain_background.shape == (2, 4, 6)
    assert bool(targets.certain_background.all())


def test_certain_background_lies_beyond_all_and_stays_when_some_are_selected() -> None:
    boxes = np.array([[[0.0, 0, 2, 2]], [[4.0, 2, 6, 4]]])
    targets = box_targets(boxes, np.zeros((2, 1)), 4, 6, config=CONFIG)
    assert drawn(targets.certain_background[0]) == ["..####", "..####", "####..", "####.."]
    second = targets.select(torch.tensor([1, 1]))
    assert torch.equal(second.certain_background, targets.certain_background)
    for field in ("box_masks", "reach", "radius", "trust"):
        both = getattr(second, field)
        assert torch.equal(both, getattr(targets, field)[[1, 1]])


def test_to_moves_every_tensor() -> None:
    moved = targets_of([1, 1, 3, 3]).to(torch.device("meta"))
    assert {getattr(moved, f.name).device.type for f in dataclasses.fields(BoxTargets)} == {"meta"}


@pytest.mark.parametrize("seed", range(20))
def test_mirroring_the_boxes_mirrors_the_targets(seed: int) -> None:
    rng = np.random.default_rng(seed)
    corner = rng.uniform(-3, 8, (3, 2, 2))
    boxes = np.concatenate([corner, corner + rng.uniform(0.2, 6, (3, 2, 2))], -1)
    slack = rng.uniform(0, 0.1, (3, 2))
    plain = box_targets(boxes, slack, 7, 9, config=CONFIG)
    mirrored = boxes.copy()
    mirrored[..., 0], mirrored[..., 2] = 9 - boxes[..., 2], 9 - boxes[..., 0]
    other = box_targets(mirrored, slack, 7, 9, config=CONFIG)
    for field in ("box_masks", "reach", "certain_background"):
        assert torch.equal(getattr(plain, field).flip(-1), getattr(other, field)), field
    torch.testing.assert_close(plain.radius.flip(-1), other.radius)
    assert torch.equal(plain.trust, other.trust)


def test_loose_tube_is_exact_on_keyframes_and_softer_between(
    make_tracks: Callable[..., BoxTracks],
) -> None:
    tracks = make_tracks({1: (0, 0, 8, 8), 9: (8, 0, 16, 8), 10: None}, {4: (1, 2, 3, 4)})
    boxes, slack = loose_tube(tracks, [0, 1, 2, 5, 9, 10], config=CONFIG)
    assert boxes.shape == (2, 6, 4)
    absent = ~np.isfinite(boxes).all(-1)
    assert absent.tolist() == [[True, *[False] * 4, True], [*[True] * 3, *[False] * 3]]
    np.testing.assert_allclose(boxes[0, 2], [1, 0, 9, 8])
    np.testing.assert_allclose(boxes[0, 3], [4, 0, 12, 8])
    np.testing.assert_allclose(slack[0], [0, 0, 0.02, 0.08, 0, 0])
    np.testing.assert_allclose(slack[1], [0, 0, 0, 0.02, 0.1, 0.1])  # never above max_slack


def test_a_box_that_travels_far_between_keyframes_is_worth_less(
    make_tracks: Callable[..., BoxTracks],
) -> None:
    config = dataclasses.replace(CONFIG, slack_per_travel=0.05)
    # half of its height downwards; a quarter of its smaller width wider; then held
    moves = make_tracks({0: (0, 0, 8, 8), 4: (0, 4, 8, 12)}, {0: (0, 0, 8, 8), 4: (0, 0, 10, 8)})
    _, slack = loose_tube(moves, [0, 1, 2, 4, 5], config=config)
    np.testing.assert_allclose(slack[0], [0, 0.02 + 0.025, 0.04 + 0.025, 0, 0.02])
    np.testing.assert_allclose(slack[1], [0, 0.02 + 0.0125, 0.04 + 0.0125, 0, 0.02])
    far = make_tracks({0: (0, 0, 8, 8), 4: (60, 0, 68, 8)})
    assert loose_tube(far, [1], config=config)[1].item() == pytest.approx(0.1)


def test_loose_tube_without_tracks(make_tracks: Callable[..., BoxTracks]) -> None:
    boxes, slack = loose_tube(make_tracks(), [0, 1], config=CONFIG)
    assert boxes.shape == (0, 2, 4)
    assert slack.shape == (0, 2)
