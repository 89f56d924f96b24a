"""Holes are filled and specks dropped, worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from maskfree.tidy_mask import tidy_mask

SEEDED = settings(derandomize=True, database=None, deadline=None)


def picture(*rows: str) -> np.ndarray:
    return np.array([[c == "#" for c in row] for row in rows])


NOTHING = np.zeros((5, 8), bool)
OBJECT = picture(
    "#####..#",
    "#.###...",
    "#.#.#...",
    "#####.#.",
    "........",
)
"""A hole of two pixels, one of one, and two specks of one pixel: one at a corner, one alone."""


def test_holes_and_specks_up_to_a_size_go() -> None:
    np.testing.assert_array_equal(
        tidy_mask(OBJECT, NOTHING, 1),
        picture("#####...", "#.###...", "#.###...", "#####...", "........"),
    )
    np.testing.assert_array_equal(
        tidy_mask(OBJECT, NOTHING, 2),
        picture("#####...", "#####...", "#####...", "#####...", "........"),
    )


def test_what_lies_at_the_side_of_the_picture_is_no_hole() -> None:
    bay = picture("#.##", "####", "####")
    np.testing.assert_array_equal(tidy_mask(bay, np.zeros_like(bay), 5), bay)


def test_a_corner_joins_an_object_and_parts_a_hole() -> None:
    joined = picture("##..", "##..", "..#.", "....")
    np.testing.assert_array_equal(tidy_mask(joined, np.zeros_like(joined), 1), joined)
    hole = picture(".###", "##.#", "####", "....")  # open to the outside by a corner only
    np.testing.assert_array_equal(
        tidy_mask(hole, np.zeros_like(hole), 1), picture(".###", "####", "####", "....")
    )


def test_another_object_in_a_hole_stays() -> None:
    ring = picture("####", "#..#", "####")
    ball = picture("....", ".#..", "....")
    np.testing.assert_array_equal(tidy_mask(ring, ball, 2), picture("####", "#.##", "####"))


def test_a_dot_in_a_hole_becomes_part_of_what_fills_it() -> None:
    dot = picture("#####", "#...#", "#.#.#", "#...#", "#####")
    assert tidy_mask(dot, np.zeros_like(dot), 8).all()
    # the hole is too large, the dot is not
    assert not tidy_mask(dot, np.zeros_like(dot), 7)[2, 2]


def test_the_largest_part_stays_however_small() -> None:
    two = picture("##.#", "....")
    np.testing.assert_array_equal(tidy_mask(two, np.zeros_like(two), 99), picture("##..", "...."))
    assert not tidy_mask(NOTHING, NOTHING, 3).any()


def test_what_is_passed_stays_as_it_is() -> None:
    before = OBJECT.copy()
    tidy_mask(OBJECT, NOTHING, 2)
    np.testing.assert_array_equal(OBJECT, before)


@SEEDED
@given(hnp.arrays(bool, (6, 7)), hnp.arrays(bool, (6, 7)), st.integers(1, 45))
def test_tidy_is_tidy(mask: np.ndarray, taken: np.ndarray, size: int) -> None:
    once = tidy_mask(mask, taken, size)
    assert not (once & ~mask & taken).any()
    assert once.any() == mask.any()
    np.testing.assert_array_equal(tidy_mask(once, taken, size), once)


def test_bad_input() -> None:
    with pytest.raises(ValueError, match=r"of one shape, got \(5, 8\) and \(5, 7\)\. Pass"):
        tidy_mask(OBJECT, NOTHING[:, 1:], 3)
    with pytest.raises(ValueError, match="max_size must be 1 pixel or more, got 0"):
        tidy_mask(OBJECT, NOTHING, 0)
