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
    """A third of the picture has moved by 3 pixels; the rest is faint, and outvotes it."""
    still, shifted = picture(0).grey.astype(np.float32), picture(3).grey.astype(np.float32)
    faint = 128 + (still - 128) / 6
    before, after = faint.copy(), faint.copy()
    before[:, : WIDTH // 3], after[:, : WIDTH // 3] = (
        still[:, : WIDTH // 3],
        shifted[:, : WIDTH // 3],
    )
    pictures = [Picture(p.clip(0, 255).astype(np.uint8), EVERYWHERE) for p in (before, after)]
    chain = Chain(pictures[0], every=1)
    chain.append(np.eye(3), pictures[1], GRID, lambda *_: moved_by(3))
    np.testing.assert_array_equal(chain.motion().to_first[1], np.eye(3))
    assert (
        module._aligned(
            pictures[1],
            pictures[0],
            np.eye(3),
            EVERYWHERE,
            GRID[GRID[:, 0] < 36],
            lambda *_: moved_by(3),
        )
        is not None
    )  # asked alone, the third is followed


def test_a_correction_that_makes_nothing_more_alike_is_not_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    places = [0.0] * 9
    monkeypatch.setattr(module, "_GAIN", 0.0)
    np.testing.assert_allclose(chained(places, every=8, error=0.25)[-1], 2)


def test_background_alone_is_compared() -> None:
    """Most of the frame is an object that moves on and flickers: it has no say."""
    hidden = EVERYWHERE.copy()
    hidden[:, 48:] = False
    rng = np.random.default_rng(0)
    pictures = []
    for t in range(9):
        grey = picture(0).grey.copy()
        grey[:, 48:] = rng.permuted(picture(2.0 * t).grey[:, 48:], axis=0 if t % 2 else 1)
        pictures.append(Picture(grey, hidden))
    found = chained([0.0] * 9, every=8, error=0.25, pictures=pictures)
    assert abs(found).max() < 0.15


def test_an_object_that_moves_on_as_one_has_no_say() -> None:
    hidden = EVERYWHERE.copy()
    hidden[:, 48:] = False
    pictures = []
    for t in range(9):
        grey = picture(0).grey.copy()
        grey[:, 48:] = picture(0.5 * t).grey[:, 48:]
        pictures.append(Picture(grey, hidden))
    found = chained([0.0] * 9, every=8, error=0.25, pictures=pictures)
    assert abs(found).max() < 0.15


def test_a_step_comes_before_those_before_it() -> None:
    """A quarter turn, then one pixel along this frame's x: along the first one's y."""
    turn = np.array([[0, -1, 0], [1, 0, 0], [0, 0, 1.0]])
    chain = Chain(picture(0), every=0)
    for step in (turn, moved_by(1)):
        chain.append(step, picture(0), GRID, homography)
    np.testing.assert_allclose(chain.motion().to_first[2] @ [0, 0, 1], [0, 1, 1])


def test_drift_in_turn_zoom_and_tilt_is_taken_back() -> None:
    """Each step is a little wrong in every way; maps do not commute, so order matters."""

    def camera(t: int) -> np.ndarray:
        turn = cv2.getRotationMatrix2D((WIDTH / 2, HEIGHT / 2), 12 * np.sin(t / 9), 1 + 0.004 * t)
        tilt = np.eye(3)
        tilt[2, :2] = 2e-4 * np.sin(t / 7), 1e-4 * np.cos(t / 5)
        return np.array([[1, 0, 40 + 3 * t], [0, 1, 80], [0, 0, 1]]) @ (
            np.vstack([turn, [0, 0, 1]]) @ tilt
        )

    def shown(t: int) -> Picture:
        flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
        frame = cv2.warpPerspective(scene(), camera(t), (WIDTH, HEIGHT), flags=flags)
        return Picture(frame.clip(0, 255).astype(np.uint8), EVERYWHERE)

    bias = np.vstack([cv2.getRotationMatrix2D((0, 0), 0.05, 1.0005), [0, 0, 1]]) @ moved_by(
        0.1, 0.1
    )
    corners = np.array([[0, 0, 1], [WIDTH, 0, 1], [0, HEIGHT, 1], [WIDTH, HEIGHT, 1]]).T

    def error(every: int) -> float:
        chain = Chain(shown(0), every=every)
        for t in range(1, 41):
            step = np.linalg.inv(camera(t - 1)) @ camera(t) @ bias
            chain.append(step / step[2, 2], shown(t), GRID, homography)
        off = []
        for t in range(41):
            found = chain.motion().to_first[t] @ corners
            truth = np.linalg.inv(camera(0)) @ camera(t) @ corners
            off.append(abs(found[:2] / found[2] - truth[:2] / truth[2]).max())
        return float(max(off))

    assert error(0) > 10
    assert error(5) < 2.5
    assert error(10) < 2.5


def test_a_frame_that_cannot_be_compared_leaves_its_drift_to_the_next_that_can() -> None:
    pictures = [picture(0)] * 17
    pictures[8] = Picture(np.full((HEIGHT, WIDTH), 90, np.uint8), EVERYWHERE)
    found = chained([0.0] * 17, every=8, error=0.25, pictures=pictures)
    np.testing.assert_allclose(found, 0, atol=0.15)


def test_an_anchor_that_nothing_can_be_compared_with_is_given_up() -> None:
    """The light has changed for good: later frames are compared with each other."""
    pictures = [picture(0)] + [picture(0, seed=4)] * 30
    found = chained([0.0] * 31, every=4, error=0.25, pictures=pictures)
    lost = found[3 * 4]
    assert lost == pytest.approx(3)
    np.testing.assert_allclose(found[12:29] - lost, 0, atol=0.15)


def test_far_from_the_first_frame_a_tilt_is_still_spread_evenly() -> None:
    """The middle of a correction is its half, also 20,000 pixels away from where it began."""
    chain = Chain(picture(0), every=0)
    chain.append(moved_by(20_000), picture(0), GRID, homography)
    chain._hold(picture(0), 1)
    chain._every = 2
    tilt = np.eye(3)
    tilt[2, 0] = 1e-4
    for _ in range(2):
        chain.append(np.eye(3), picture(0), GRID, homography)
    exact = chain.motion().to_first
    np.testing.assert_allclose(exact[3], moved_by(20_000), atol=1e-6)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_aligned", lambda *_: tilt)
        for _ in range(2):
            chain.append(np.eye(3), picture(0), GRID, homography)
    middle = np.linalg.inv(exact[3]) @ chain.motion().to_first[4] @ [WIDTH, HEIGHT, 1]
    end = np.linalg.inv(exact[3]) @ chain.motion().to_first[5] @ [WIDTH, HEIGHT, 1]
    way = [p[:2] / p[2] - [WIDTH, HEIGHT] for p in (middle, end)]
    assert np.linalg.norm(way[1]) > 1
    np.testing.assert_allclose(way[0], way[1] / 2, rtol=0.05)


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
