from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
import pytest

from maskfree.config import SamplingConfig
from maskfree.video import open_video
from maskfree.working import WorkingFrames, working_scale

CONFIG = SamplingConfig(
    frame_area=64 * 100, object_size=40.0, max_enlarge=4.0, max_frame_area=128 * 200
)


def squares(*sides: float) -> np.ndarray:
    """One track whose box in each frame is a square of that side."""
    return np.array([[[10.0, 5.0, 10.0 + s, 5.0 + s] for s in sides]])


class CountedVideo:
    """A video that notes which frames are asked for; frame t has the value t everywhere."""

    def __init__(self, length: int, height: int, width: int) -> None:
        self.shape = (length, height, width, 3)
        self.asked: list[int] = []

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: int) -> np.ndarray:
        self.asked.append(index)
        return np.full(self.shape[1:], index, np.uint8)


@pytest.mark.parametrize(
    ("boxes", "expected", "why"),
    [
        (squares(100, 200), 0.5, "a video of twice the budget's sides is halved"),
        (np.full((1, 3, 4), np.nan), 0.5, "absent boxes say nothing"),
        (np.zeros((0, 3, 4)), 0.5, "no track, no wish"),
        (squares(60, 80, 100), 0.5, "the median object reaches its size at half the scale"),
        (squares(64), 0.625, "enlarged until the object is 40 pixels large"),
        (squares(50, 10, 50, 1000), 0.8, "half of the objects, not all"),
        (squares(10), 1.0, "a frame is never larger than the largest"),
    ],
)
def test_the_scale(boxes: np.ndarray, expected: float, why: str) -> None:
    assert working_scale(boxes, 128, 200, config=CONFIG) == pytest.approx(expected), why


def test_a_box_that_is_not_square_counts_by_its_area() -> None:
    boxes = np.array([[[0.0, 0.0, 32.0, 128.0]]])
    assert working_scale(boxes, 128, 200, config=CONFIG) == pytest.approx(40 / 64)


def test_a_small_video_is_enlarged_but_not_without_end() -> None:
    assert working_scale(squares(1), 32, 50, config=CONFIG) == 4
    assert working_scale(np.zeros((0, 1, 4)), 8, 10, config=CONFIG) == 4
    assert working_scale(np.zeros((0, 1, 4)), 32, 50, config=CONFIG) == 2


def test_the_scaled_frame_fits_the_budget() -> None:
    for height, width in ((480, 854), (1080, 1920), (33, 977)):
        scale = working_scale(np.zeros((0, 1, 4)), height, width, config=CONFIG)
        assert height * width * scale**2 == pytest.approx(CONFIG.frame_area)
        assert math.isfinite(scale)


def frames_of(video: Any, scale: float, room: int = 2**20) -> WorkingFrames:
    return WorkingFrames(video, scale, cache_bytes=room)


def test_frames_are_resized_as_opencv_does() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (2, 40, 60, 3), dtype=np.uint8)
    small = frames_of(open_video(pixels), 0.5)
    assert (len(small), small.height, small.width) == (2, 20, 30)
    mean = pixels[1].reshape(20, 2, 30, 2, 3).mean((1, 3))
    np.testing.assert_allclose(small[1], mean, atol=0.51)
    large = frames_of(open_video(pixels), 1.5)
    assert large[0].shape == (60, 90, 3)
    expected = cv2.resize(pixels[0], (90, 60), interpolation=cv2.INTER_CUBIC)
    np.testing.assert_array_equal(large[0], expected)
    np.testing.assert_array_equal(frames_of(open_video(pixels), 1.0)[1], pixels[1])


def test_sides_are_rounded_and_boxes_follow_them() -> None:
    frames = frames_of(CountedVideo(1, 33, 47), 0.5)
    assert (frames.height, frames.width) == (16, 24)
    box = frames.to_working(np.array([[[0.0, 0.0, 47.0, 33.0], [np.nan] * 4]]))
    np.testing.assert_allclose(box, [[[0, 0, 24, 16], [np.nan] * 4]])
    assert frames_of(CountedVideo(1, 3, 3), 0.01)[0].shape == (1, 1, 3)


def test_a_frame_is_read_once_while_there_is_room() -> None:
    video = CountedVideo(3, 8, 8)
    frames = frames_of(video, 1.0)
    for t in (0, 1, 2, 1, 0):
        assert frames[t][0, 0, 0] == t
    assert video.asked == [0, 1, 2]


def test_the_least_recently_used_frame_goes_first() -> None:
    video = CountedVideo(4, 8, 8)
    frames = frames_of(video, 1.0, room=2 * 8 * 8 * 3)
    for t in (0, 1, 0, 2, 0, 1):
        assert frames[t][0, 0, 0] == t
    assert video.asked == [0, 1, 2, 1]


def test_one_frame_is_kept_however_small_the_room() -> None:
    video = CountedVideo(2, 8, 8)
    frames = frames_of(video, 1.0, room=0)
    for t in (0, 0, 1, 1, 0):
        assert frames[t][0, 0, 0] == t
    assert video.asked == [0, 1, 0]
