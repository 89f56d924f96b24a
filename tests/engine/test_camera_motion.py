from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

from maskfree.camera_motion import CameraMotion, estimate_motion
from maskfree.config import EvidenceConfig

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


def motion_of(cameras: Sequence[np.ndarray], config: EvidenceConfig = CONFIG) -> CameraMotion:
    return estimate_motion(((seen_through(c), EVERYWHERE) for c in cameras), config=config)


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
    motion = motion_of(cameras)
    assert motion.span.tolist() == [0] * 8
    for source, target in ((0, 1), (1, 0), (0, 7), (7, 0), (2, 5)):
        matrix = motion.between(source, target)
        assert matrix is not None
        steps = abs(target - source)  # errors add up over a chain
        error = corner_error(matrix, cameras[source], cameras[target])
        assert error < (0.5 if steps < 5 else 1.0)


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
