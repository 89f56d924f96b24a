from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from evidence_clips import CONFIG
from maskfree import evidence as module
from maskfree.evidence import SURE

if TYPE_CHECKING:
    from maskfree.config import EvidenceConfig


# from distance to belief


def view_of(delta: np.ndarray, own: np.ndarray, matched: np.ndarray | None = None) -> module._View:
    delta = np.asarray(delta, np.float32)[None]
    in_box = np.ones(delta.shape, bool)
    return module._View(
        delta=delta,
        in_box=in_box,
        own=own,
        matched=own if matched is None else matched,
    )


def limits_of(views: list[module._View], config: EvidenceConfig) -> list[Any]:
    distances = module._Distances(config.most_distances)
    for view in views:
        distances.add(view)
    return module._limits(distances, config)


def test_the_limits_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    split = 8.0
    monkeypatch.setattr(module, "_split", lambda *_: split)
    delta = np.full(60, 5.0)
    for noise, values, expected in (
        # near: 2 x 1; belief is 0 from 8 / 1.25 to 8 x 1.25; object: 1.3 of that, not 6 x 1
        (1.0, {}, (2.0, 6.4, 10.0, 13.0)),
        # near is never beyond background_distance, nor below 0.7 of the noise
        (3.0, {}, (4.0, 6.4, 10.0, 15.0)),
        (7.0, {"background_distance": 1.0}, (4.9, 7.0, 10.0, 15.0)),
        # noise above the split: nothing below it is object
        (12.0, {}, (8 / 1.5, 8.0, 12.0, 15.6)),
        # object is at least so many times the noise
        (9.0, {"object_least_noise": 4.0}, (8 / 1.5, 8.0, 10.0, 36.0)),
        (0.0, {"least_noise": 2.0}, (4.0, 6.4, 10.0, 13.0)),
        (1.0, {"split_margin": 1.0}, (2.0, 8.0, 8.0, 10.4)),
    ):
        config = dataclasses.replace(CONFIG, **values)
        own = np.full(60, noise)
        assert limits_of([view_of(delta, own)], config) == [pytest.approx(expected)]
    assert limits_of([], CONFIG) == []


def test_the_noise_of_one_frame_and_of_all_meet_halfway(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_split", lambda *_: 1.0)
    calm, rough = np.full(500, 2.0), np.full(60, 8.0)
    views = [view_of(np.full(60, 5.0), calm * 0 + 0.5, m) for m in (calm, rough, rough[:10])]
    # 0.9 of all lie at 8 or below; the last view is too small to have a noise of its own
    config = dataclasses.replace(CONFIG, object_distance=0.0)
    usual = float(np.quantile(np.concatenate([calm, rough, rough[:10]]), 0.9))
    assert usual == 8.0
    for limits, here in zip(limits_of(views, config), (2.0, 8.0, 8.0), strict=True):
        assert limits[2] == pytest.approx(math.sqrt(here * usual))


def test_too_few_cells_tell_nothing_about_a_distribution() -> None:
    assert module._quantile(np.arange(49.0), 0.5, 77.0) == 77
    assert module._quantile(np.full(50, 3.0), 0.5, 77.0) == 3
    # then the split is where background ends
    few = view_of(np.array([0.1] * 24 + [30.0] * 25), np.full(60, 1.0))
    assert limits_of([few], CONFIG)[0] == pytest.approx((2.0, 2.0, 2.5, 6.0))


def test_four_limits_rise() -> None:
    rng = np.random.default_rng(0)
    for values in rng.uniform(0, 10, (200, 4)):
        near, last, first, far = module._ordered(*values)
        assert near <= last <= first <= far
        assert near == values[0]
        assert far == max(values[0], values[3])


def test_limits_that_rise_stay_as_they_are() -> None:
    assert module._ordered(1, 2, 3, 4) == (1, 2, 3, 4)
    assert module._ordered(3, 2, 5, 4) == (3, 3, 4, 4)


def slow_split(values: np.ndarray, low: float) -> tuple[float, float]:
    """The two edges of the gap that Otsu's threshold lies in: tries every pair of neighbours."""
    logs = np.sort(np.log(np.clip(values, low, None)))
    best, found = -1.0, (0.0, 0.0)
    for k in range(1, len(logs)):
        left, right = logs[:k], logs[k:]
        between = len(left) * len(right) * (left.mean() - right.mean()) ** 2
        if between > best:
            best, found = between, (logs[k - 1], logs[k])
    return math.exp(found[0]), math.exp(found[1])


def test_the_split_lies_in_the_middle_of_a_gap() -> None:
    # wherever it lies between 1 and 100 the two sides are the same; their middle is 10
    values = np.repeat([1.0, 100.0], 100)
    assert module._split(values, 0.5, 1e9) == pytest.approx(10, rel=0.1)
    assert module._split(values, 0.5, 4.0) == pytest.approx(4)  # but no higher than it may


@pytest.mark.parametrize("seed", range(6))
def test_the_split_is_otsus(seed: int) -> None:
    rng = np.random.default_rng(seed)
    centres, counts = rng.uniform([0, 2], [1, 4]), rng.integers(100, 800, 2)
    logs = [rng.normal(c, 0.3, n) for c, n in zip(centres, counts, strict=True)]
    values = np.exp(np.concatenate(logs))
    low, high = slow_split(values, 0.5)
    step = math.exp(np.ptp(np.log(np.clip(values, 0.5, None))) / 64)  # of its histogram
    assert low / step < module._split(values, 0.5, 1e9) < high * step
    assert module._split(values, 0.5, 3.0) == pytest.approx(3.0)  # never above the highest


def test_distances_that_are_all_alike_have_a_split_too() -> None:
    assert 0 < module._split(np.zeros(99), 0.5, 15.0) <= 0.5


def test_belief_by_hand() -> None:
    limits = (1.0, 4.0, 9.0, 81.0)
    for delta, expected in (
        (0.0, -127),
        (1.0, -127),
        (2.0, -64),  # halfway on a logarithmic scale: 63.5, to even
        (4.0, 0),
        (6.0, 0),
        (9.0, 0),
        (27.0, 64),
        (81.0, 127),
        (1e9, 127),
    ):
        found = module._belief(np.array([[delta]]), limits)
        assert found.dtype == np.int8
        assert abs(int(found[0, 0]) - expected) <= (1 if abs(expected) == 64 else 0)


def test_belief_never_falls_with_the_distance() -> None:
    deltas = np.exp(np.linspace(-8, 8, 400))[None]
    for limits in ((1.0, 4.0, 9.0, 81.0), (2.0, 2.0, 2.0, 2.0), (0.0, 0.0, 1.0, 1.0)):
        belief = module._belief(deltas, limits)[0].astype(int)
        assert (np.diff(belief) >= 0).all()
        assert (belief[-1], abs(belief).max()) == (SURE, SURE)
