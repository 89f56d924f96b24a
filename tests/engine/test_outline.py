"""Outlines: any mask as one polygon, and back to the pixel."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from maskfree.config import FormatConfig
from maskfree.errors import InputError
from maskfree.formats.outline import fill, outline

MASKS = hnp.arrays(bool, st.tuples(st.integers(1, 9), st.integers(1, 9))).filter(np.any)


def test_a_rectangle_has_four_corners() -> None:
    mask = np.zeros((6, 8), bool)
    mask[1:4, 2:7] = True
    corners = {tuple(point) for point in outline(mask).tolist()}
    assert corners == {(2, 1), (7, 1), (7, 4), (2, 4)}
    assert len(outline(mask)) == 4


@settings(max_examples=300, deadline=None, derandomize=True)
@given(MASKS)
def test_parts_holes_and_corners_come_back(mask: np.ndarray) -> None:
    height, width = mask.shape
    points = outline(mask)
    np.testing.assert_array_equal(fill(points, height, width, "x"), mask)
    # As text with seven digits, which a label file has.
    parts = [float(f"{part:.7g}") for part in (points / (width, height)).ravel()]
    again = np.array(parts).reshape(-1, 2) * (width, height)
    np.testing.assert_array_equal(fill(again, height, width, "x"), mask)


def test_a_filled_polygon_is_the_pixels_whose_middles_it_holds() -> None:
    points = np.array([[0.6, -3.0], [7.2, 2.4], [3.3, 9.1], [-2.0, 5.0]])

    def inside(x: float, y: float) -> bool:
        odd = False
        for (x0, y0), (x1, y1) in zip(points, np.roll(points, -1, axis=0), strict=True):
            if (y0 > y) != (y1 > y) and x < x0 + (y - y0) * (x1 - x0) / (y1 - y0):
                odd = not odd
        return odd

    wanted = [[inside(x + 0.5, y + 0.5) for x in range(8)] for y in range(7)]
    np.testing.assert_array_equal(fill(points, 7, 8, "x"), wanted)


def test_a_polygon_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    points = np.tile([[0.0, 0.0], [3.0, 90.0]], (10, 1))
    assert fill(points, 100, 4, "x").shape == (100, 4)
    small = FormatConfig(polygon_length=1000)
    monkeypatch.setattr("maskfree.formats.outline.FormatConfig", lambda: small)
    with pytest.raises(InputError, match=r"^x: the sides of a polygon may pass 1000 rows .* 1800"):
        fill(points, 100, 4, "x")
