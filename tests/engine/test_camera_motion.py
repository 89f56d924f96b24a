from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

from maskfree import camera_motion as module
from maskfree.camera_motion import estimate_motion, estimate_motions, surroundings
from maskfree.config import EvidenceConfig
from maskfree.motion_chain import CameraMotion, Picture

if TYPE_CHECKING:
    from collections.abc import Sequence

HEIGHT, WIDTH = 96, 128
CONFIG = EvidenceConfig(max_corners=200, min_inliers=12, ransac_threshold=1.0)
EVERYWHERE = np.ones((HEIGHT, WIDTH), bool)
CORNERS = np.array([[0, 0, 1], [WIDTH - 1, 0, 1], [0, HEIGHT - 1, 1], [WIDTH - 1, HEIGHT - 1, 1]]).T


def texture(seed: int = 0) -> np.ndarray:
    """A smooth random picture, larger than a frame."""
    rng = np.random.default_rng(seed)
    small = rng.uniform(0, 255, (48, 64)).astype(np.float32)
    return cv2.resize(small, (256, 192), interpolation=cv2.INTER_CUBIC).clip(0, 255)


def seen_through(to_picture: np.ndarray, seed: int = 0) -> np.ndarray:
    """What a camera sees whose pixels are mapped to the picture's by ``to_picture``."""
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    frame = cv2.warpPerspective(texture(seed), to_picture, (WIDTH, HEIGHT), flags=flags)
    return frame.clip(0, 255).astype(np.uint8)


def pan(dx: float, dy: float) -> np.ndarray:
    return np.array([[1, 0, 60 + dx], [0, 1, 45 + dy], [0, 0, 1.0]])


def turn(degrees: float, zoom: float = 1.0) -> np.ndarray:
    matrix = cv2.getRotationMatrix2D((WIDTH / 2, HEIGHT / 2), degrees, zoom)
    return pan(0, 0) @ np.vstack([matrix, [0, 0, 1]])


def motion_of(
    cameras: Sequence[np.ndarray], config: EvidenceConfig = CONFIG, seed: int = 0
) -> CameraMotion:
    return estimate_motion(((seen_through(c, seed), EVERYWHERE) for c in cameras), config=config)


def corner_error(matrix: np.ndarray, source: np.ndarray, target: np.ndarray) -> float:
    """Largest error at the frame's corners, pixels, of a map from source to target camera."""
    truth = np.linalg.inv(target) @ source @ CORNERS
    found = matrix @ CORNERS
    return float(np.abs(truth[:2] / truth[2] - found[:2] / found[2]).max())


@pytest.mark.parametrize(
    "cameras",
    [
        [pan(1.7 * t, -0.8 * t) for t in range(8)],
        [turn(1.5 * t) for t in range(8)],
        [turn(0.8 * t, 1 + 0.01 * t) for t in range(8)],
        [pan(6 * np.sin(t), 3 * np.cos(t)) for t in range(8)],
        [
            pan(5 * ((t + 1) // 2), 0) @ np.linalg.inv(pan(0, 0)) @ turn(4 * (t // 2))
            for t in range(8)
        ],
    ],
    ids=["pan", "rotation", "zoom", "shake", "pan, then rotation, then pan"],
)
def test_a_synthetic_camera_is_recovered(cameras: list[np.ndarray]) -> None:
    near, far = [], []  # errors add up over a chain
    for seed in range(3):
        motion = motion_of(cameras, seed=seed)
        assert motion.span.tolist() == [0] * 8
        for source, target in ((0, 1), (1, 0), (0, 7), (7, 0), (2, 5)):
            matrix = motion.between(source, target)
            assert matrix is not None
            error = corner_error(matrix, cameras[source], cameras[target])
            (near if abs(target - source) < 5 else far).append(error)
    # over three pictures: a single one may be a fifth of a pixel luckier or unluckier
    assert np.mean(near) < 0.5
    assert np.mean(far) < 1.0


def test_over_a_long_shake_nothing_drifts() -> None:
    cameras = [pan(3 * np.sin(0.7 * t), 2 * np.cos(0.5 * t)) for t in range(120)]

    def error(drift_every: int) -> float:
        config = dataclasses.replace(CONFIG, drift_every=drift_every)
        motion = motion_of(cameras, config)
        assert not motion.span.any()
        matrices = [motion.between(t, t + 100) for t in range(0, 20, 4)]
        assert all(m is not None for m in matrices)
        found = zip(range(0, 20, 4), matrices, strict=True)
        return float(np.mean([corner_error(m, cameras[t], cameras[t + 100]) for t, m in found]))

    assert error(10) < 0.5
    assert error(0) > 4 * error(10)


def test_the_map_there_and_back_is_the_identity() -> None:
    motion = motion_of([pan(2 * t, t) for t in range(4)])
    there, back = motion.between(0, 3), motion.between(3, 0)
    assert there is not None
    assert back is not None
    product = there @ back
    np.testing.assert_allclose(product / product[2, 2], np.eye(3), atol=1e-6)
    same = motion.between(2, 2)
    assert same is not None
    np.testing.assert_allclose(same, np.eye(3), atol=1e-9)


def test_an_object_that_moves_otherwise_is_left_out() -> None:
    cameras = [pan(1.5 * t, 0) for t in range(6)]
    frames = []
    for t, camera in enumerate(cameras):
        frame, background = seen_through(camera), EVERYWHERE.copy()
        rows, columns = slice(20, 80), slice(10 + 8 * t, 60 + 8 * t)
        frame[rows, columns] = seen_through(pan(0, 0), seed=1)[:60, :50]
        background[rows, columns] = False
        frames.append((frame, background))
    motion = estimate_motion(frames, config=CONFIG)
    matrix = motion.between(0, 5)
    assert matrix is not None
    assert corner_error(matrix, cameras[0], cameras[5]) < 1  # some corners were behind it


def test_a_cut_breaks_the_chain() -> None:
    frames = [(seen_through(pan(t, 0)), EVERYWHERE) for t in range(3)]
    frames += [(255 - seen_through(turn(50 + t), seed=7), EVERYWHERE) for t in range(3)]
    motion = estimate_motion(frames, config=CONFIG)
    assert motion.span.tolist() == [0, 0, 0, 1, 1, 1]
    for source, target in ((0, 3), (3, 0), (2, 5)):
        assert motion.between(source, target) is None
    assert motion.between(0, 2) is not None
    assert motion.between(3, 5) is not None
    np.testing.assert_array_equal(motion.to_first[3], np.eye(3))


def test_a_static_camera_without_texture_stands_still() -> None:
    frames = [(np.full((HEIGHT, WIDTH), 100, np.uint8), EVERYWHERE)] * 3
    motion = estimate_motion(frames, config=CONFIG)
    np.testing.assert_array_equal(motion.to_first, np.stack([np.eye(3)] * 3))
    assert motion.span.tolist() == [0, 0, 0]


def test_without_texture_and_with_change_the_motion_is_unknown() -> None:
    frames = [(np.full((HEIGHT, WIDTH), 30 * t, np.uint8), EVERYWHERE) for t in range(3)]
    assert estimate_motion(frames, config=CONFIG).span.tolist() == [0, 1, 2]


def test_without_any_background_the_motion_is_unknown() -> None:
    nowhere = np.zeros((HEIGHT, WIDTH), bool)
    frames = [(seen_through(pan(0, 0)), nowhere)] * 2
    assert estimate_motion(frames, config=CONFIG).span.tolist() == [0, 1]


def test_too_few_corners_break_the_chain() -> None:
    config = EvidenceConfig(max_corners=8, min_inliers=9)
    motion = motion_of([pan(3 * t, 0) for t in range(2)], config)
    assert motion.span.tolist() == [0, 1]


def test_a_homography_that_collapses_the_frame_breaks_the_chain(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for wrong in (np.zeros((3, 3)), np.diag([1.0, 0.0, 1.0]), np.diag([1.0, -1.0, 1.0])):
        everyone = np.ones((1000, 1), np.uint8)
        monkeypatch.setattr(cv2, "findHomography", lambda *_, m=wrong, e=everyone: (m, e))
        motion = motion_of([pan(3 * t, 0) for t in range(3)])
        assert motion.span.tolist() == [0, 1, 2]
        assert motion.between(0, 2) is None


def test_one_frame() -> None:
    motion = motion_of([pan(0, 0)])
    matrix = motion.between(0, 0)
    assert matrix is not None
    np.testing.assert_array_equal(matrix, np.eye(3))


def test_the_frames_are_read_once_in_order_two_at_a_time() -> None:
    alive: set[int] = set()
    most = 0

    class Frame(np.ndarray):
        number = -1

        def __del__(self) -> None:
            alive.discard(self.number)

    def frames():  # type: ignore[no-untyped-def]
        nonlocal most
        for t in range(6):
            frame = seen_through(pan(t, 0)).view(Frame)
            frame.number = t
            alive.add(t)
            most = max(most, len(alive))
            yield frame, EVERYWHERE
            del frame

    estimate_motion(frames(), config=CONFIG)
    assert most <= 3


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


def test_no_frame_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one frame"):
        estimate_motion(iter([]), config=CONFIG)


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


def test_corners_are_followed_onto_background_alone() -> None:
    frame, before = seen_through(pan(0, 0)), seen_through(pan(6, 0))  # all moves 6 to the right
    hidden = EVERYWHERE.copy()
    hidden[:, 64:] = False
    here, there = module._follow(Picture(frame, EVERYWHERE), Picture(before, hidden), CONFIG)
    assert len(here) > 20
    assert (np.rint(there[:, 0]) < 64).all()
    assert here[:, 0].max() > 64
    here, _ = module._follow(Picture(frame, hidden), Picture(before, EVERYWHERE), CONFIG)
    assert here[:, 0].max() < 64


def test_around_boxes_more_corners_are_followed_than_the_frame_needs() -> None:
    frames = [Picture(seen_through(pan(x, 0)), EVERYWHERE) for x in (0, 1)]
    few = EvidenceConfig(max_corners=20)
    here, _ = module._follow(*frames, few)
    assert 40 < len(here) <= 60


@pytest.mark.parametrize(("back", "found"), [(0.5, True), (1.5, False)])
def test_a_corner_that_does_not_come_back_is_not_followed(
    monkeypatch: pytest.MonkeyPatch, back: float, found: bool
) -> None:
    calls: list[np.ndarray] = []

    def flow(
        grey: np.ndarray, before: np.ndarray, places: np.ndarray, _: None
    ) -> tuple[np.ndarray, np.ndarray, None]:
        calls.append(places)
        shift = 0.0 if len(calls) == 1 else back
        return places + np.float32(shift), np.ones((len(places), 1), np.uint8), None

    monkeypatch.setattr(cv2, "calcOpticalFlowPyrLK", flow)
    frame = Picture(seen_through(pan(0, 0)), EVERYWHERE)
    # half a pixel along x and y: 0.7 pixels away
    here, there = module._follow(frame, frame, CONFIG)
    assert (len(here) > 0) is found
    assert len(here) == len(there)
    assert len(calls) == 2
