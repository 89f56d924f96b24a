"""What a difference is worth, by hand."""

from __future__ import annotations

import math

import pytest

from maskfree.ablation.differences import (
    Difference,
    mean_over_clips,
    paired_difference,
    verdict,
)


def test_an_interval_by_hand() -> None:
    # differences: clip a 0.1 and 0.3 (mean 0.2), b 0.4, c 0.6: mean 0.4, deviation 0.2
    values = {("a", 0): 0.6, ("a", 1): 0.8, ("b", 0): 0.9, ("c", 0): 0.7, ("d", 0): 0.1}
    reference = {("a", 0): 0.5, ("a", 1): 0.5, ("b", 0): 0.5, ("c", 0): 0.1, ("e", 0): 0.9}
    found = paired_difference(values, reference, 0.95)
    assert found is not None
    assert found.mean == pytest.approx(0.4)
    reach = 4.302653 * 0.2 / math.sqrt(3)  # the quantile of t with 2 degrees of freedom
    assert (found.low, found.high) == pytest.approx((0.4 - reach, 0.4 + reach))
    assert (found.pairs, found.units, found.clips) == (4, 3, 3)
    assert found.median == pytest.approx(0.4)
    assert (found.higher, found.equal) == (3, ())


def test_of_one_clip_the_seeds_count() -> None:
    values = {("a", seed): 0.5 + 0.1 * seed for seed in (0, 1, 2)}
    reference = {("a", seed): 0.5 for seed in (0, 1, 2)}
    found = paired_difference(values, reference, 0.95)
    assert found is not None
    assert found.mean == pytest.approx(0.1)
    reach = 4.302653 * 0.1 / math.sqrt(3)
    assert (found.low, found.high) == pytest.approx((0.1 - reach, 0.1 + reach))
    assert (found.units, found.clips, found.higher) == (3, 1, 2)
    assert found.equal == ()  # one seed is equal, the clip is not


def test_an_outlier_leaves_the_median_and_equal_clips_are_named() -> None:
    reference = {(clip, seed): 0.5 for clip in "abcd" for seed in (0, 1)}
    values = reference | {("a", 0): 0.9, ("b", 1): 0.48}
    found = paired_difference(values, reference, 0.95)
    assert found is not None
    assert found.mean == pytest.approx((0.2 - 0.01) / 4)
    assert found.median == pytest.approx(0.0)
    assert (found.higher, found.units, found.equal) == (1, 4, ("c", "d"))


def test_more_confidence_is_a_wider_interval_of_the_same_mean() -> None:
    values = {("a", 0): 0.6, ("b", 0): 0.9}
    reference = {("a", 0): 0.5, ("b", 0): 0.5}
    wide, narrow = (paired_difference(values, reference, level) for level in (0.99, 0.5))
    assert wide is not None and narrow is not None
    assert wide.low is not None and narrow.low is not None
    assert wide.mean == narrow.mean
    assert wide.low < narrow.low


def test_one_pair_has_no_interval_and_none_no_difference() -> None:
    assert paired_difference({("a", 0): 0.75}, {("a", 0): 0.5}, 0.95) == Difference(
        0.25, None, None, 1, 1, 0.25, 1, 1
    )
    assert paired_difference({("a", 0): 0.7}, {("a", 1): 0.5}, 0.95) is None
    assert paired_difference({}, {}, 0.95) is None


@pytest.mark.parametrize(
    ("low", "high", "expected", "said"),
    [
        (-0.3, -0.1, "below", "agrees"),
        (0.1, 0.3, "below", "disagrees"),
        (-0.1, 0.3, "below", "not told apart"),
        (-0.1, 0.0, "below", "not told apart"),
        (-0.3, -0.1, "", ""),
        (-0.01, 0.01, "same", "agrees"),
        (0.001, 0.01, "same", "agrees"),
        (-0.02, 0.01, "same", "not told apart"),
        (0.001, 0.02, "same", "not told apart"),
        (0.011, 0.02, "same", "disagrees"),
        (-0.02, -0.011, "same", "disagrees"),
        (0.1, 0.3, "above", "agrees"),
        (-0.3, -0.1, "above", "disagrees"),
        (-0.1, 0.3, "above", "not told apart"),
        (None, None, "below", "not told apart"),
    ],
)
def test_verdicts(low: float | None, high: float | None, expected: str, said: str) -> None:
    assert verdict(Difference(0.0, low, high, 2, 2, 0.0, 1, 2), expected, 0.01) == said


def test_without_a_difference_nothing_is_said() -> None:
    assert verdict(None, "below", 0.01) == ""


def test_each_clip_counts_once_and_a_missing_one_leaves_no_mean() -> None:
    values = {("a", 0): 0.2, ("a", 1): 0.4, ("b", 0): 0.9}
    mean, by_clip = mean_over_clips(values, ["a", "b"])
    assert mean == pytest.approx(0.6)
    assert by_clip == pytest.approx({"a": 0.3, "b": 0.9})
    assert mean_over_clips(values, ["a", "b", "c"])[0] is None
    assert mean_over_clips({}, [])[0] is None
