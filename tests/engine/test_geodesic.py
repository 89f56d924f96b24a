from __future__ import annotations

import dataclasses
import heapq
import math

import numpy as np
import pytest

from maskfree.config import GeodesicConfig
from maskfree.geodesic import reached_from_outside, step_cost

CONFIG = GeodesicConfig(blur=1)


def shown(shape: tuple[int, int], box: tuple[int, int, int, int]) -> np.ndarray:
    """The pixels of a box y0, x0, y1, x1."""
    allowed = np.zeros(shape, bool)
    allowed[box[0] : box[2], box[1] : box[3]] = True
    return allowed


def slow_costs(step: np.ndarray, allowed: np.ndarray) -> np.ndarray:
    """Dijkstra over the 8 neighbours; a move costs its length times the mean of its two ends.

    It starts in the middle of the pixels around the box, straight; their own half is not counted.
    """
    height, width = allowed.shape
    best = np.where(allowed, math.inf, 0.0)
    heap = [(0.0, int(y), int(x)) for y, x in np.argwhere(~allowed)]
    while heap:
        so_far, y, x = heapq.heappop(heap)
        if so_far > best[y, x]:
            continue
        for j in range(max(0, y - 1), min(height, y + 2)):
            for i in range(max(0, x - 1), min(width, x + 2)):
                diagonal = j != y and i != x
                if not allowed[j, i] or (diagonal and not allowed[y, x]):
                    continue
                ends = step[j, i] + (step[y, x] if allowed[y, x] else 0)
                cost = so_far + math.hypot(j - y, i - x) * ends / 2
                if cost < best[j, i]:
                    best[j, i] = cost
                    heapq.heappush(heap, (cost, j, i))
    return best


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("stretch", [1.0, 1.5])
def test_it_is_the_cheapest_path(seed: int, stretch: float) -> None:
    config = dataclasses.replace(CONFIG, texture=2.0, step=0.05, octaves=3.0, least=0.5)
    rng = np.random.default_rng(seed)
    lab = rng.normal([60, 10, -20], [8, 3, 5], (14, 17, 3)).astype(np.float32)
    fine = lab
    lab[3:9, 4:11] += (-30, 15, 40)
    lab = np.rint(lab)  # as it is looked at
    allowed = shown((14, 17), (2, 2, 12, 15))
    # what changes at a pixel: Sobel's slopes over all three colours
    step = np.full(allowed.shape, math.nan)
    for y, x in np.argwhere(allowed):
        square = lab[y - 1 : y + 2, x - 1 : x + 2].astype(float)
        across = np.einsum("yxc,y,x->c", square, [1, 2, 1], [-1, 0, 1]) / 8
        down = np.einsum("yxc,y,x->c", square, [-1, 0, 1], [1, 2, 1]) / 8
        change = math.sqrt((across**2).sum() + (down**2).sum()) * stretch
        step[y, x] = max(change - 2.0, 0) + 0.05
    costs = slow_costs(step, allowed)[allowed]
    expected = np.log2((costs + 0.5) / (np.median(costs) + 0.5)) / 3 / stretch**4
    found = reached_from_outside(fine, allowed, stretch=stretch, config=config)
    np.testing.assert_allclose(
        found[allowed], np.clip(expected, -1 / stretch**4, 0), rtol=1e-4, atol=1e-4
    )
    assert (found[~allowed] == 0).all()


@pytest.mark.parametrize(
    "box",
    [(2, 2, 12, 15), (0, 3, 9, 17), (3, 0, 14, 12), (0, 4, 14, 9), (6, 0, 7, 17), (13, 16, 14, 17)],
)
@pytest.mark.parametrize("by_hand", [False, True])
def test_paths_begin_all_around_but_not_where_the_picture_ends(
    box: tuple[int, int, int, int], by_hand: bool
) -> None:
    rng = np.random.default_rng(0)
    lab = rng.normal([60, 10, -20], [25, 3, 5], (14, 17, 3)).astype(np.float32)
    config = dataclasses.replace(CONFIG, octaves=3.0, least=0.5, burnt=80.0)
    allowed = shown((14, 17), box)
    if by_hand:  # any shape
        allowed[10:13, 12:16] = True
        allowed[11, 13] = False
    burnt = lab[..., 0] > 80
    step = step_cost(lab, 1.0, config) + config.burnt_cost * burnt
    costs = slow_costs(step, allowed)
    usual = np.median(costs[allowed])
    expected = np.log2((costs + 0.5) / (usual + 0.5)).clip(-3, 0) / 3
    found = reached_from_outside(lab, allowed, stretch=1.0, config=config)
    np.testing.assert_allclose(found, np.where(allowed & ~burnt, expected, 0), atol=1e-6)


def cave() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A bright object in a dark cave that is wider than the box: Lab, box, object."""
    rng = np.random.default_rng(1)
    lab = rng.normal([12, 0, 0], 0.5, (60, 60, 3)).astype(np.float32)
    mask = shown((60, 60), (18, 15, 50, 45))
    lab[mask] += (40, 5, 5)
    return lab, shown((60, 60), (10, 10, 50, 50)), mask


def test_what_goes_on_outside_is_reached() -> None:
    lab, allowed, mask = cave()
    found = reached_from_outside(lab, allowed, stretch=1.0, config=GeodesicConfig())
    assert found[allowed & ~mask].mean() < -0.7
    assert found[25:45, 20:40].min() > -0.05
    assert -1 <= found.min() <= found.max() <= 0


def test_a_picture_without_contours_tells_nothing() -> None:
    allowed = shown((60, 60), (10, 10, 50, 50))
    plain = np.full((60, 60, 3), 50, np.float32)
    found = reached_from_outside(plain, allowed, stretch=1.0, config=GeodesicConfig())
    assert found.min() > -0.1


def test_where_it_is_burnt_out_nothing_is_reached() -> None:
    lab, allowed, mask = cave()
    lab = np.where(mask[..., None], [50, 0, 0], [99, 0, 0]).astype(np.float32)
    grey_post = shown((60, 60), (10, 20, 30, 24)) & ~mask  # behind it, seen from outside
    lab[grey_post] = (60, 0, 0)
    found = reached_from_outside(lab, allowed, stretch=1.0, config=GeodesicConfig())
    ring = allowed & ~mask & ~grey_post
    assert not found[ring].any()
    plain = GeodesicConfig(burnt=101.0)
    without = reached_from_outside(lab, allowed, stretch=1.0, config=plain)
    assert without[ring].mean() < -0.7
    for level, most in ((100, 0.0), (50, 0.1), (0, 0.1)):  # white, grey, black alone
        lab[:] = (level, 0, 0)
        alone = reached_from_outside(lab, allowed, stretch=1.0, config=GeodesicConfig())
        assert np.abs(alone).max() <= most


def test_no_path_leads_through_burnt_places() -> None:
    # a grey alley in the box, its mouth burnt out: the same wherever it is not
    lab = np.full((40, 60, 3), 30, np.float32)
    allowed = shown((40, 60), (5, 5, 35, 60))
    lab[15:25, 5:] = (70, 0, 0)
    lab[:, :5] = lab[:, 5:8] = (97, 0, 0)
    lab[:5] = lab[35:] = (97, 0, 0)
    costs = []
    for stretch in (1.0, 1.5):
        config = dataclasses.replace(CONFIG, texture=0.0, octaves=20.0, stretch_power=0.0)
        for burnt_cost in (0.0, 20.0):
            made = dataclasses.replace(config, burnt_cost=burnt_cost, least=1e-3)
            found = reached_from_outside(lab, allowed, stretch=stretch, config=made)
            costs.append(2.0 ** (20 * float(found[20, 30])))
    free, dear, stretched_free, stretched_dear = costs  # parts of the median's cost
    assert dear > free
    assert stretched_dear > stretched_free


def test_thin_lines_hold_nothing_up() -> None:
    # a wire before the cave; the median filter takes it away
    lab, allowed, mask = cave()
    lab[8, :] = lab[13, 10:50] = (90, 0, 0)
    lab[:, 12] = np.where(mask[:, 12, None], lab[:, 12], (90, 0, 0))
    beyond = np.zeros_like(allowed)
    beyond[14:17, 16:44] = True
    found, kept = (
        reached_from_outside(lab, allowed, stretch=1.0, config=GeodesicConfig(blur=blur))
        for blur in (7, 1)
    )
    assert found[beyond].mean() < kept[beyond].mean() - 0.2


def test_colours_alone_hold_it_up() -> None:
    # green of equal lightness, beyond -60 on the axis a
    lab, allowed, mask = cave()
    rng = np.random.default_rng(2)
    lab = rng.normal([60, -80, 70], 0.2, (60, 60, 3)).astype(np.float32)
    lab[mask] += (0, 17, 0)
    found = reached_from_outside(lab, allowed, stretch=1.0, config=GeodesicConfig())
    assert found[allowed & ~mask].mean() < -0.5
    assert found[25:45, 20:40].min() > -0.05


def test_dull_clips_are_told_less() -> None:
    lab, allowed, _ = cave()
    plain, dull = (
        reached_from_outside(lab, allowed, stretch=s, config=GeodesicConfig()) for s in (1.0, 2.0)
    )
    assert dull.min() == pytest.approx(plain.min() / 16)
    even = GeodesicConfig(stretch_power=0.0)
    found = reached_from_outside(lab, allowed, stretch=2.0, config=even)
    assert found.min() == pytest.approx(-1)


def test_a_box_that_fills_the_picture_or_is_empty_tells_nothing() -> None:
    lab, allowed, _ = cave()
    for fill in (True, False):
        allowed[:] = fill
        assert not reached_from_outside(lab, allowed, stretch=1.0, config=GeodesicConfig()).any()


def test_a_box_at_the_border_is_reached_from_its_other_sides() -> None:
    lab, _, mask = cave()
    lab, mask = lab[:52, 13:47], mask[:52, 13:47]
    allowed = shown(mask.shape, (10, 0, 52, 34))  # touches three borders
    found = reached_from_outside(lab, allowed, stretch=1.0, config=GeodesicConfig())
    assert found[11:16].mean() < -0.7
    assert found[mask].mean() > -0.2
