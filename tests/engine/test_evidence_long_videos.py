from __future__ import annotations

import dataclasses
import tracemalloc
from typing import TYPE_CHECKING, Any

import numpy as np

from evidence_clips import (
    CONFIG,
    GREEN,
    HEIGHT,
    WIDTH,
    box_clip,
    boxes_of,
    collected,
    textured,
    wide,
)
from maskfree import evidence as module
from maskfree.camera_motion import CameraMotion
from maskfree.evidence import SURE
from napari_maskfree.sample_data import generated_clip

if TYPE_CHECKING:
    import pytest


def test_other_frames_are_spread_over_the_video() -> None:
    assert module._sources(2, 5, 32) == [0, 1, 3, 4]
    assert module._sources(0, 101, 5) == [1, 26, 51, 75, 100]
    assert module._sources(0, 1, 5) == []


def test_frames_are_read_once_each() -> None:
    frames, boxes = box_clip([16, 40, 64])
    asked = []

    class Counted:
        def __len__(self) -> int:
            return len(frames)

        def __getitem__(self, index: int) -> np.ndarray:
            asked.append(index)
            return frames[index]

    collected(Counted(), boxes, config=CONFIG)  # type: ignore[arg-type]
    assert sorted(set(asked)) == [0, 1, 2]
    assert len(asked) <= 4


def test_on_disk_it_is_the_same() -> None:
    clip = generated_clip(num_frames=8, height=HEIGHT, width=WIDTH, seed=4)
    boxes = boxes_of(clip.boxes(every=1))
    found = collected(clip.frames, boxes, config=CONFIG)
    assert len(np.unique(found)) > 100
    filed = collected(clip.frames, boxes, config=dataclasses.replace(CONFIG, most_bytes=0))
    assert filed.dtype == np.int8
    np.testing.assert_array_equal(filed, found)


def test_a_part_of_the_distances_gives_nearly_the_same_limits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clip = generated_clip(num_frames=12, height=128, width=192, seed=1)
    boxes = boxes_of(clip.boxes(every=1))
    limits, real, found = [], module._limits, []

    def noted(*arguments: Any) -> Any:
        limits.append(real(*arguments))
        assert len(arguments[0].inside.values) <= arguments[1].most_distances
        return limits[-1]

    monkeypatch.setattr(module, "_limits", noted)
    for most in (CONFIG.most_distances, 500):
        config = dataclasses.replace(CONFIG, most_distances=most)
        found.append(collected(clip.frames, boxes, config=config))
    for whole, part in zip(limits[:2], limits[2:], strict=True):
        assert whole != part
        np.testing.assert_allclose(part, whole, rtol=0.2)
    assert ((found[0] > 0) == (found[1] > 0)).mean() > 0.99


class Endless:
    """Frames made when they are asked for: a square that wanders over a still ground."""

    def __init__(self, num_frames: int) -> None:
        self.ground, self.num_frames = textured(), num_frames

    def __len__(self) -> int:
        return self.num_frames

    def __getitem__(self, index: int) -> np.ndarray:
        frame, x = self.ground.copy(), 8 + index % 60
        frame[24:40, x : x + 16] = GREEN
        return frame

    def boxes(self) -> np.ndarray:
        x = 8.0 + np.arange(self.num_frames) % 60
        y = np.full(self.num_frames, 24.0)
        return wide(np.stack([x, y, x + 16, y + 16], 1), 8)[None]


def test_memory_hardly_grows_with_the_video(monkeypatch: pytest.MonkeyPatch) -> None:
    def stands(frames: Any, boxes: np.ndarray, **_: Any) -> Any:
        count = sum(1 for _ in frames)
        still = CameraMotion(np.broadcast_to(np.eye(3), (count, 3, 3)), np.zeros(count, int))
        return still, [None] * len(boxes)

    monkeypatch.setattr(module, "estimate_motions", stands)
    config = dataclasses.replace(CONFIG, most_bytes=0, most_distances=1000, max_sources=4)
    peaks = []
    for num_frames in (50, 50, 200):  # the first warms up
        frames = Endless(num_frames)
        boxes = frames.boxes()
        tracemalloc.start()
        try:
            evidence = collected(frames, boxes, config=config)  # type: ignore[arg-type]
            peaks.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
        assert (evidence == SURE).any()
    # bytes a frame, in which a single map of the cells would take 32 x 48 = 1536
    assert (peaks[2] - peaks[1]) / 150 < 800


def far_off(places: dict[int, int], num_frames: int) -> tuple[np.ndarray, np.ndarray]:
    """A clip whose square, and its box, are there in few frames."""
    frames, boxes = box_clip([places.get(t) for t in range(num_frames)])
    return frames, wide(boxes, 8)


def test_frames_far_from_any_box_are_not_looked_at() -> None:
    frames, boxes = far_off({10: 16, 14: 40, 40: 64}, 60)
    config, asked = dataclasses.replace(CONFIG, beyond=3), set()

    class Counted:
        def __len__(self) -> int:
            return len(frames)

        def __getitem__(self, index: int) -> np.ndarray:
            asked.add(index)
            return frames[index]

    found = collected(Counted(), boxes, config=config)
    assert asked == {*range(7, 18), *range(37, 44)}
    rest = np.array([t for t in range(60) if t not in asked])
    assert (found[rest] == -SURE).all()
    # the ground stands still, so what lies between tells nothing else
    everything = collected(frames, boxes, config=dataclasses.replace(CONFIG, beyond=60))
    np.testing.assert_array_equal(found, everything)
    assert (found == SURE).any()


def test_the_rest_of_a_video_changes_nothing() -> None:
    config = dataclasses.replace(CONFIG, beyond=2)
    short = collected(*far_off({2: 16, 3: 40, 4: 64}, 7), config=config)
    long = collected(*far_off({2: 16, 3: 40, 4: 64}, 50), config=config)
    np.testing.assert_array_equal(long[:7], short)


def test_distances_of_colours_are_those_of_the_plain_formula() -> None:
    rng = np.random.default_rng(0)
    here, there = rng.normal(40, 30, (2, 50, 70, 3)).astype(np.float32)
    np.testing.assert_array_equal(module._apart(here, there), np.linalg.norm(here - there, axis=2))


def test_padded_colours_are_warped_to_the_same() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (90, 120, 3), np.uint8)
    matrix = np.array([[1.02, 0.03, 12], [-0.02, 0.97, 9], [2e-5, 1e-5, 1]])
    padded = np.dstack([picture, np.full(picture.shape[:2], 255, np.uint8)])
    warped = module._warp(padded, matrix, (50, 70))[..., :3]
    np.testing.assert_array_equal(warped, module._warp(picture, matrix, (50, 70)))
