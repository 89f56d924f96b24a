"""A click takes what is missing, cuts off what is too much, and leaves the rest."""

from __future__ import annotations

import numpy as np
import pytest

from maskfree.clicks import Click, apply_click
from maskfree.config import ClicksConfig
from maskfree.errors import InputError

H, W = 90, 120
BOX = (20.0, 15.0, 100.0, 75.0)
HEAD, BODY, LEAK = np.s_[20:40, 25:50], np.s_[40:70, 25:95], np.s_[20:40, 60:90]
GREEN, RED, BLUE = (60, 130, 60), (200, 40, 40), (40, 60, 200)


@pytest.fixture
def frame() -> np.ndarray:
    """A red body with a blue head on green, with some noise."""
    made = np.full((H, W, 3), GREEN, float)
    made[BODY], made[HEAD] = RED, BLUE
    return (made + np.random.default_rng(0).normal(0, 3, made.shape)).clip(0, 255).astype(np.uint8)


def blocks(*places: tuple[slice, slice]) -> np.ndarray:
    made = np.zeros((H, W), bool)
    for place in places:
        made[place] = True
    return made


def overlap(one: np.ndarray, other: np.ndarray) -> float:
    return float((one & other).sum() / (one | other).sum())


def clicked(frame, mask, y, x, belongs, **more) -> np.ndarray:
    return apply_click(frame, mask, BOX, Click(y, x, belongs), config=ClicksConfig(), **more)


def test_a_missing_part_of_another_colour_is_taken(frame):
    after = clicked(frame, blocks(BODY), 30, 35, True)
    assert overlap(after, blocks(BODY, HEAD)) > 0.97
    assert after[BODY].all()


def test_a_leak_is_cut_off(frame):
    after = clicked(frame, blocks(BODY, HEAD, LEAK), 28, 75, False)
    assert overlap(after, blocks(BODY, HEAD)) > 0.97


def test_clicks_accumulate(frame):
    first = clicked(frame, blocks(BODY, LEAK), 28, 75, False)
    assert overlap(first, blocks(BODY)) > 0.97
    done = clicked(frame, first, 30, 35, True, earlier=[Click(28, 75, False)])
    assert overlap(done, blocks(BODY, HEAD)) > 0.97


def test_an_earlier_click_stays_sure(frame):
    """On one colour without any edge two clicks part the ground between them."""
    plain = np.full_like(frame, 120)
    mask = blocks(np.s_[20:70, 25:95])
    alone = clicked(plain, mask, 45, 80, False)
    both = clicked(plain, mask, 45, 80, False, earlier=[Click(45, 40, True)])
    assert both[45, 40]
    assert not both[45, 80]
    assert both[45, 26:55].all()
    assert not both[45, 65:94].any()
    assert not alone[45, 40:94].any()


def test_what_is_kept_stays(frame):
    kept = blocks(np.s_[20:30, 25:50])
    after = clicked(frame, blocks(BODY), 34, 35, True, kept=kept)
    assert not after[kept].any()
    assert after[33:38, 33:38].all()


def test_beside_the_box_nothing_changes(frame):
    mask = blocks(np.s_[0:15, :], BODY)
    after = clicked(np.full_like(frame, 120), mask, 30, 35, True)
    np.testing.assert_array_equal(after[:15], mask[:15])
    assert not after[75:].any()
    assert not after[15:, :20].any()
    with pytest.raises(InputError, match=r"x 5, y 30 is not in the box\. Click inside"):
        clicked(frame, mask, 30, 5, True)
    with pytest.raises(InputError, match=r"x 30, y -20 is not in the box"):
        clicked(frame, mask, -20, 30, True)


def test_a_mask_from_box_and_click_alone(frame):
    after = clicked(frame, blocks(), 55, 60, True)
    assert overlap(after, blocks(BODY, HEAD)) > 0.9
    whole = apply_click(
        np.full_like(frame, 120), blocks(), BOX, Click(45, 60, True), config=ClicksConfig()
    )
    assert whole[45, 60]


def test_without_a_mask_what_does_not_belong_changes_nothing(frame):
    assert not clicked(frame, blocks(), 30, 35, False).any()


def test_a_large_frame_is_looked_at_in_a_small_size(frame):
    large = np.kron(frame, np.ones((8, 8, 1), np.uint8))
    mask = np.kron(blocks(BODY), np.ones((8, 8), bool))
    box = tuple(8 * v for v in BOX)
    after = apply_click(large, mask, box, Click(240, 280, True), config=ClicksConfig())
    truth = np.kron(blocks(BODY, HEAD), np.ones((8, 8), bool))
    assert overlap(after, truth) > 0.97
    assert after[mask].all()


def test_sizes_that_differ(frame):
    with pytest.raises(ValueError, match=r"of one size \(H, W\), got \(90, 120\), \(90, 119\)"):
        clicked(frame, np.zeros((90, 119), bool), 30, 35, True)


def test_any_click_in_the_box_says_what_its_pixel_is(frame):
    rng = np.random.default_rng(1)
    mask = blocks(BODY)
    for _ in range(20):
        y, x, belongs = rng.integers(15, 75), rng.integers(20, 100), bool(rng.integers(2))
        mask = clicked(frame, mask, int(y), int(x), belongs)
        assert mask[y, x] == belongs or (not mask.any() and not belongs)
