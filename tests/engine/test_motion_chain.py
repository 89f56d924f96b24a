from __future__ import annotations

import cv2
import numpy as np
import pytest

from maskfree import motion_chain as module
from maskfree.motion_chain import Chain, Picture, followed

HEIGHT, WIDTH = 96, 128
EVERYWHERE = np.ones((HEIGHT, WIDTH), bool)
GRID = np.indices((HEIGHT, WIDTH))[::-1, 6:-6:6, 6:-6:6].reshape(2, -1).T.astype(np.float32)


def scene(seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    small = rng.uniform(0, 255, (64, 96)).astype(np.float32)
    return cv2.resize(small, (384, 256), interpolation=cv2.INTER_CUBIC).clip(0, 255)


def picture(dx: float, dy: float = 0, seed: int = 0) -> Picture:
    """What a camera sees that stands ``dx, dy`` pixels from where it began."""
    to_scene = np.array([[1, 0, 100 + dx], [0, 1, 80 + dy], [0, 0, 1.0]])
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    frame = cv2.warpPerspective(scene(seed), to_scene, (WIDTH, HEIGHT), flags=flags)
    return Picture(frame.clip(0, 255).astype(np.uint8), EVERYWHERE)


def moved_by(dx: float, dy: float = 0) -> np.ndarray:
    return np.array([[1, 0, dx], [0, 1, dy], [0, 0, 1.0]])


def homography(here: np.ndarray, there: np.ndarray) -> np.ndarray | None:
    return cv2.findHomography(here, there, cv2.RANSAC, 1.0)[0]


def chained(
    places: list[float], *, every: int, error: float, pictures: list[Picture] | None = None
) -> np.ndarray:
    """Where the chain says that the camera stood, along x, when each step is wrong by ``error``."""
    pictures = pictures or [picture(x) for x in places]
    chain = Chain(pictures[0], every=every)
    for t in range(1, len(places)):
        step = moved_by(places[t] - places[t - 1] + error)
        chain.append(step, pictures[t], GRID, homography)
    return chain.motion().to_first[:, 0, 2]


def test_steps_are_multiplied_up() -> None:
    places = [0.0, 2, 5, 4]
    np.testing.assert_allclose(chained(places, every=0, error=0), places)
    np.testing.assert_allclose(chained(places, every=0, error=0.5), [0, 2.5, 6, 5.5])


def test_drift_is_taken_back_and_spread_over_the_frames_since_the_last_comparison() -> None:
    places = [3 * float(np.sin(t)) for t in range(17)]
    wrong = chained(places, every=8, error=0.25) - places
    np.testing.assert_allclose(wrong[[0, 8, 16]], 0, atol=0.1)
    np.testing.assert_allclose(wrong, 0, atol=0.15)
    assert abs(chained(places, every=0, error=0.25) - places).max() == pytest.approx(4)


def test_frames_after_the_last_comparison_are_as_their_steps_say() -> None:
    places = [0.0] * 12
    wrong = chained(places, every=8, error=0.25)
    np.testing.assert_allclose(np.diff(wrong[8:]), 0.25, atol=1e-3)
    assert abs(wrong[8]) < 0.1


def test_steps_that_are_right_are_left_alone() -> None:
    places = [1.5 * t for t in range(9)]
    np.testing.assert_array_equal(
        chained(places, every=4, error=0.0), chained(places, every=0, error=0.0)
    )


def test_where_the_picture_has_left_the_anchor_another_frame_is_one() -> None:
    places = [8.0 * t for t in range(25)]  # after 16 frames nothing of the first is left
    wrong = chained(places, every=4, error=0.25) - places
    assert abs(chained(places, every=0, error=0.25) - places).max() == pytest.approx(6)
    assert abs(wrong).max() < 1  # an anchor's own error stays
    assert wrong[-1] == pytest.approx(0, abs=0.5)


def test_a_picture_that_shows_something_else_corrects_nothing() -> None:
    places = [0.0] * 9
    pictures = [picture(0)] * 4 + [picture(0, seed=3)] * 5
    for every in (0, 8):
        found = chained(places, every=every, error=0.25, pictures=pictures)
        np.testing.assert_allclose(found, 0.25 * np.arange(9))


def test_a_correction_that_few_corners_follow_is_not_made() -> None:
    """A third of the picture has moved by 3 pixels: the others outvote it, whatever the fit."""
    still, shifted = picture(0), picture(3)
    mixed = still.grey.copy()
    mixed[:, : WIDTH // 3] = shifted.grey[:, : WIDTH // 3]
    chain = Chain(still, every=1)
    chain.append(np.eye(3), Picture(mixed, EVERYWHERE), GRID, lambda *_: moved_by(3))
    np.testing.assert_array_equal(chain.motion().to_first[1], np.eye(3))


def test_a_correction_that_makes_nothing_more_alike_is_not_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    places = [0.0] * 9
    monkeypatch.setattr(module, "_GAIN", 0.0)
    np.testing.assert_allclose(chained(places, every=8, error=0.25)[-1], 2)


def test_background_alone_is_compared() -> None:
    """The object fills most of the frame and moves on; the corners on it are not asked."""
    hidden = EVERYWHERE.copy()
    hidden[:, 40:] = False
    pictures = []
    for t in range(9):
        grey = picture(0).grey.copy()
        grey[:, 40:] = picture(2.0 * t).grey[:, 40:]
        pictures.append(Picture(grey, hidden))
    found = chained([0.0] * 9, every=8, error=0.25, pictures=pictures)
    assert abs(found).max() < 0.15


def test_an_unknown_step_begins_a_span_with_an_anchor_of_its_own() -> None:
    chain = Chain(picture(0), every=4)
    other = [picture(0, seed=5)] * 5
    chain.append(None, other[0], GRID, homography)
    for each in other[1:]:
        chain.append(moved_by(0.25), each, GRID, homography)
    motion = chain.motion()
    assert motion.span.tolist() == [0, 1, 1, 1, 1, 1]
    np.testing.assert_array_equal(motion.to_first[1], np.eye(3))
    assert abs(motion.to_first[1:, 0, 2]).max() < 0.15
    assert motion.between(0, 1) is None


def test_without_corners_nothing_is_corrected() -> None:
    chain = Chain(picture(0), every=1)
    nothing = np.zeros((0, 2), np.float32)
    chain.append(moved_by(0.5), picture(0), nothing, homography)
    np.testing.assert_array_equal(chain.motion().to_first[1], moved_by(0.5))


def test_followed_corners_lie_where_the_other_picture_shows_them() -> None:
    here, there = followed(picture(0).grey, picture(2).grey, GRID, EVERYWHERE)
    assert len(here) > 100
    np.testing.assert_allclose(np.median(there - here, axis=0), (-2, 0), atol=0.05)
    assert followed(picture(0).grey, picture(2).grey, GRID[:0], EVERYWHERE)[0].shape == (0, 2)
    left = EVERYWHERE.copy()
    left[:, 64:] = False
    _, there = followed(picture(0).grey, picture(2).grey, GRID, left)
    assert np.rint(there[:, 0]).max() < 64
