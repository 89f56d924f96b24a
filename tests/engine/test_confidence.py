from __future__ import annotations

import numpy as np
import pytest

from maskfree.confidence import box_fit, stability


def test_stability_by_hand() -> None:
    logits = np.array([[-9.0, -1.4, -0.1, 0.1], [1.4, 1.6, 9.0, -1.6]])
    assert stability(logits, 1.5) == 2 / 6  # above 1.5; above -1.5
    assert stability(logits, 0.5) == 3 / 5
    assert stability(logits, 0.0) == 1
    assert stability(logits, 100.0) == 0


def test_a_mask_of_nothing_is_not_stable() -> None:
    assert stability(np.full((3, 3), -5.0), 1.5) == 0
    assert stability(np.full((3, 3), 5.0), 1.5) == 1


def mask_of(x0: int, y0: int, x1: int, y1: int) -> np.ndarray:
    mask = np.zeros((20, 30), bool)
    mask[y0:y1, x0:x1] = True
    return mask


WHOLE = (slice(0, 20), slice(0, 30))


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        ((4.0, 6, 14, 16), 1.0),
        ((4.0, 6, 14, 11), 0.5),
        ((9.0, 6, 19, 16), 50 / 150),
        ((4.5, 6.5, 13.5, 15.5), 0.81),
        ((2.0, 4, 16, 18), 100 / 196),
        ((20.0, 6, 25, 16), 0.0),
        ((14.0, 16, 20, 20), 0.0),  # they touch
        ((-20.0, -20, -5, -5), 0.0),
    ],
)
def test_the_fit_to_a_box_by_hand(box: tuple[float, ...], expected: float) -> None:
    mask = mask_of(4, 6, 14, 16)
    mask[8:14, 6:10] = False  # holes and gaps do not matter
    assert box_fit(mask, WHOLE, np.array(box)) == pytest.approx(expected)


def test_the_mask_may_be_a_part_of_the_frame() -> None:
    box = np.array([4.0, 6, 14, 16])
    part = (slice(5, 18), slice(2, 25))
    whole = mask_of(4, 6, 14, 12)
    assert box_fit(whole[part], part, box) == box_fit(whole, WHOLE, box) == pytest.approx(0.6)


def test_without_a_mask_or_a_box_nothing_fits() -> None:
    assert box_fit(mask_of(0, 0, 0, 0), WHOLE, np.array([0.0, 0, 5, 5])) == 0
    assert box_fit(mask_of(4, 6, 14, 16), WHOLE, np.full(4, np.nan)) == 0
