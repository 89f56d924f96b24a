"""Which pixels a box touches, inside the picture and beyond it."""

from __future__ import annotations

import pytest

from maskfree.box_pixels import box_pixels, touched


@pytest.mark.parametrize(
    ("low", "high", "least", "found"),
    [
        (1.5, 3.0, 0, (1, 3)),
        (-4.0, 99.0, 0, (0, 10)),
        (12.0, 15.0, 0, (10, 10)),
        (-9.0, -3.0, 0, (0, 0)),
        (4.0, 4.0, 0, (4, 4)),
        (4.0, 4.0, 1, (4, 5)),
        (12.0, 15.0, 1, (9, 10)),
        (-9.0, -3.0, 1, (0, 1)),
    ],
)
def test_what_an_interval_touches(
    low: float, high: float, least: int, found: tuple[int, int]
) -> None:
    assert touched(low, high, 10, least=least) == slice(*found)


def test_rows_come_first() -> None:
    assert box_pixels((1.5, 0.0, 3.0, 2.1), 6, 10) == (slice(0, 3), slice(1, 3))
