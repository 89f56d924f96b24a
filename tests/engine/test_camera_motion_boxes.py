from __future__ import annotations

import dataclasses

import cv2
import numpy as np
import pytest

from maskfree import camera_motion as module
from maskfree.camera_motion import estimate_motion, estimate_motions, surroundings
from maskfree.config import EvidenceConfig
from maskfree.motion_chain import CameraMotion, Picture
from moving_camera import CONFIG, EVERYWHERE, HEIGHT, WIDTH, pan, seen_through

# around a box


def tiled(
    left: tuple[float, float], right: tuple[float, float], seed: int = 0
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Six frames: two thirds whose camera moves by ``left`` a frame, one third by ``right``."""
    background = np.ones((HEIGHT, WIDTH * 3 // 2), bool)
    for x0, y0, x1, y1 in TILED_BOXES[:, 0].astype(int):
        background[y0:y1, x0:x1] = False
    frames = []
    for t in range(6):
        tiles = (
            seen_through(pan(left[0] * t, left[1] * t), seed),
            seen_through(pan(right[0] * t, right[1] * t), seed + 5)[:, : WIDTH // 2],
        )
        frames.append((np.hstack(tiles), background))
    return frames


TILED_BOXES = np.array([[[50.0, 40, 70, 60]] * 6, [[150.0, 40, 170, 60]] * 6])


def moved(motion: CameraMotion, source: int, target: int, point: tuple[float, float]) -> np.ndarray:
    matrix = motion.between(source, target)
    assert matrix is not None
    place = matrix @ (*point, 1)
    return np.asarray(place[:2] / place[2] - point)


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize(("left", "right"), [((4, 0), (-3, 2)), ((5, 0), (0, 4))])
def test_surroundings_that_move_otherwise_get_a_motion_of_their_own(
    left: tuple[int, int], right: tuple[int, int], seed: int
) -> None:
    world, around = estimate_motions(tiled(left, right, seed), TILED_BOXES, config=CONFIG)
    # what is at a place now was, in the camera's pixels, one step of the camera further on before
    for source, target in ((0, 5), (5, 0), (1, 3)):
        steps = source - target
        expected = np.array(left) * steps
        np.testing.assert_allclose(moved(world, source, target, (60, 50)), expected, atol=0.5)
        assert around[0] is None
        assert around[1] is not None
        expected = np.array(right) * steps
        np.testing.assert_allclose(moved(around[1], source, target, (160, 50)), expected, atol=0.3)


def test_surroundings_that_move_with_the_world_have_no_motion_of_their_own() -> None:
    _, around = estimate_motions(tiled((4, 1), (4, 1)), TILED_BOXES, config=CONFIG)
    assert around == [None, None]


def test_how_many_must_move_with_the_world_is_a_setting() -> None:
    frames = tiled((4, 0), (-3, 2))
    for share, own in ((0.0, [False, False]), (0.8, [False, True])):
        config = EvidenceConfig(max_corners=200, ransac_threshold=1.0, world_share=share)
        _, around = estimate_motions(frames, TILED_BOXES, config=config)
        assert [motion is not None for motion in around] == own


def test_the_world_is_the_same_whatever_the_boxes() -> None:
    frames = tiled((4, 0), (-3, 2))
    alone = estimate_motion(iter(frames), config=CONFIG)
    world, _ = estimate_motions(iter(frames), TILED_BOXES, config=CONFIG)
    np.testing.assert_array_equal(world.to_first, alone.to_first)
    np.testing.assert_array_equal(world.span, alone.span)


def test_a_box_that_is_never_there_moves_with_the_world() -> None:
    boxes = np.full((1, 6, 4), np.nan)
    assert estimate_motions(tiled((4, 0), (-3, 2)), boxes, config=CONFIG)[1] == [None]


def test_a_box_that_comes_and_goes_is_followed_where_it_is() -> None:
    boxes = TILED_BOXES[1:].copy()
    boxes[0, [0, 1, 5]] = np.nan
    _, around = estimate_motions(tiled((4, 0), (-3, 2)), boxes, config=CONFIG)
    assert around[0] is not None
    for source, target in ((1, 4), (2, 5)):  # a step needs one of its two boxes
        found = moved(around[0], source, target, (160, 50))
        np.testing.assert_allclose(found, (9, -6), atol=0.3)
    away = moved(around[0], 0, 1, (60, 50))  # without a box: with the world
    np.testing.assert_allclose(away, (-4, 0), atol=0.5)


@pytest.mark.parametrize(("drift_every", "error"), [(0, 7.5), (10, 0.0)])
def test_the_chain_around_a_box_is_corrected_by_its_own_surroundings(
    monkeypatch: pytest.MonkeyPatch, drift_every: int, error: float
) -> None:
    """The right third shakes otherwise than the rest; each of its steps is wrong by 1/4 pixel."""
    real = module._local

    def biased(
        here: np.ndarray, there: np.ndarray, world: np.ndarray | None, config: EvidenceConfig
    ) -> np.ndarray | None:
        matrix = real(here, there, world, config)
        step = world is not None  # a comparison falls back on nothing
        return matrix + 0.25 * np.eye(3)[0, :, None] * [0, 0, 1] if step else matrix

    monkeypatch.setattr(module, "_local", biased)
    right = [(-4 * np.sin(0.5 * t), 3 * np.sin(0.8 * t)) for t in range(31)]
    background = tiled((0, 0), (0, 0))[0][1]
    left = [seen_through(pan(3 * np.sin(0.7 * t), 2 * np.cos(0.5 * t))) for t in range(31)]
    frames = [
        (np.hstack([one, seen_through(pan(*other), 5)[:, : WIDTH // 2]]), background)
        for one, other in zip(left, right, strict=True)
    ]
    config = dataclasses.replace(CONFIG, drift_every=drift_every)
    boxes = np.repeat(TILED_BOXES[:, :1], 31, 1)
    _, around = estimate_motions(frames, boxes, config=config)
    assert around[1] is not None
    found = moved(around[1], 30, 0, (160, 50)) - (np.array(right[30]) - right[0])
    np.testing.assert_allclose(found, (error, 0), atol=0.4)


def test_surroundings_of_any_size_end_with_the_frame() -> None:
    frame = Picture(seen_through(pan(0, 0)), EVERYWHERE)
    box = np.array([[np.nan] * 4, [50.0, 40, 70, 60]])
    for size, (rows, columns) in ((0.5, (40, 40)), (1e20, (HEIGHT, WIDTH))):
        config = dataclasses.replace(CONFIG, surroundings=size)
        part = module._part(frame, box, config).background
        assert part.sum() == rows * columns
    assert not module._part(frame, box[:1], CONFIG).background.any()


def test_a_cut_breaks_the_chain_around_a_box_too() -> None:
    frames = tiled((4, 0), (-3, 2))
    frames[3:] = [(255 - f, b) for f, b in tiled((4, 0), (-3, 2), seed=9)[3:]]
    world, around = estimate_motions(frames, TILED_BOXES, config=CONFIG)
    assert world.span.tolist() == [0, 0, 0, 1, 1, 1]
    assert around[0] is None
    assert around[1] is not None
    assert around[1].span.tolist() == [0, 0, 0, 1, 1, 1]
    np.testing.assert_allclose(moved(around[1], 3, 5, (160, 50)), (6, -4), atol=0.3)


def test_surroundings_by_hand() -> None:
    box = np.array([10.0, 20, 30, 60])
    np.testing.assert_array_equal(surroundings(box, 0.5), (-10, 0, 50, 80))
    np.testing.assert_array_equal(surroundings(box, 0.0), box)


def test_which_corners_are_near_by_hand() -> None:
    points = np.array([[8, 5], [7.9, 5], [25.9, 5], [26, 5], [12, -3], [12, -3.1]], np.float32)
    absent = [np.nan] * 4
    box = [14, 3, 20, 9]  # and 6 on each side
    expected = [True, False, True, False, True, False]
    for boxes in ([absent, box], [box, absent], [[90, 90, 96, 96], box]):
        assert module._near(points, np.array(boxes), 1.0).tolist() == expected
    assert not module._near(points, np.array([absent, absent]), 1.0).any()


def scattered(count: int) -> np.ndarray:
    return np.random.default_rng(0).uniform(0, 90, (count, 2)).astype(np.float32)


def test_the_freedom_of_a_local_motion_follows_the_number_of_its_corners() -> None:
    similar = np.array([[0.98, -0.05, 3], [0.05, 0.98, -2], [0, 0, 1.0]])
    tilted = similar + np.array([[0.3, 0, 0], [0, -0.2, 0], [0.005, 0.002, 0]])
    world = np.eye(3)

    def local(count: int, truth: np.ndarray) -> np.ndarray | None:
        here = scattered(count)
        there = cv2.perspectiveTransform(here[None], truth)[0]
        return module._local(here, there, world, CONFIG)

    for count, truth, found in (
        (24, tilted, tilted),
        (23, similar, similar),
        (12, similar, similar),
        (11, similar, world),
        (23, tilted, world),  # no similarity is near enough
    ):
        matrix = local(count, truth)
        assert matrix is not None
        np.testing.assert_allclose(matrix, found, atol=2e-3)


def test_corners_around_a_box_that_agree_on_nothing_move_with_the_world() -> None:
    here = scattered(60)
    there = np.random.default_rng(1).uniform(0, 90, (60, 2)).astype(np.float32)
    world = np.diag([2.0, 2, 1])
    assert module._local(here, there, world, CONFIG) is world
    assert module._local(here, there, None, CONFIG) is None


def test_how_many_corners_move_as_told_by_hand() -> None:
    here = np.array([[0, 0], [10, 0], [0, 10], [5, 5]], np.float32)
    there = here + np.array([[2, 1], [2.9, 1], [2, 2.1], [-2, 1]], np.float32)
    move = np.array([[1, 0, 2], [0, 1, 1], [0, 0, 1.0]])
    assert module._agreement(here, there, move, CONFIG) == 2  # the threshold is one pixel
    assert module._agreement(here[:0], there[:0], move, CONFIG) == 0


def test_around_boxes_more_corners_are_followed_than_the_frame_needs() -> None:
    frames = [Picture(seen_through(pan(x, 0)), EVERYWHERE) for x in (0, 1)]
    few = EvidenceConfig(max_corners=20)
    here, _ = module._follow(*frames, few)
    assert 40 < len(here) <= 60
