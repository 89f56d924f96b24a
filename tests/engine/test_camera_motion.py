from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

from maskfree import camera_motion as module
from maskfree.camera_motion import estimate_motion
from maskfree.config import EvidenceConfig
from maskfree.motion_chain import CameraMotion, Picture
from moving_camera import CONFIG, EVERYWHERE, HEIGHT, WIDTH, pan, seen_through

if TYPE_CHECKING:
    from collections.abc import Sequence

CORNERS = np.array([[0, 0, 1], [WIDTH - 1, 0, 1], [0, HEIGHT - 1, 1], [WIDTH - 1, HEIGHT - 1, 1]]).T


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


def test_no_frame_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one frame"):
        estimate_motion(iter([]), config=CONFIG)


# corners


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
