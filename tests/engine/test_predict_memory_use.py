from __future__ import annotations

import weakref
from typing import TYPE_CHECKING

import numpy as np

from maskfree.predict import predict_video
from painted_video import CPU, ColourModel, boxes_of, iou, moving, paint, run, truth

if TYPE_CHECKING:
    from collections.abc import Callable

    from maskfree.config import Config
    from maskfree.types import BoxTracks


class WatchedVideo:
    """Frames that are made when asked for and noted while anybody holds them."""

    def __init__(self, frames: np.ndarray) -> None:
        self.frames, self.shape = frames, frames.shape
        self.asked: list[int] = []
        self.alive = self.most = 0

    def __len__(self) -> int:
        return len(self.frames)

    def __getitem__(self, index: int) -> np.ndarray:
        class Frame(np.ndarray):
            pass

        def gone() -> None:
            self.alive -= 1

        frame = self.frames[index].copy().view(Frame)
        weakref.finalize(frame, gone)
        self.asked.append(index)
        self.alive += 1
        self.most = max(self.most, self.alive)
        return frame


def test_frames_are_read_in_order_and_never_many_are_held(
    small_config: Config, make_tracks: Callable[..., BoxTracks], settings_of: Callable[..., Config]
) -> None:
    config = settings_of(small_config, "predict", clip_length=4, overlap=2)
    config = settings_of(config, "video", cache_bytes=0)
    path = moving(4, 8, 2, 0, 30)
    video = WatchedVideo(paint(path))
    results = run(video, make_tracks(boxes_of(path), num_frames=30), config)
    assert len(results) == 30
    assert video.asked == list(range(30))
    assert video.most <= 2  # the clip itself is copied into one tensor


def test_masks_come_long_before_the_last_clip_is_looked_at(
    small_config: Config, make_tracks: Callable[..., BoxTracks]
) -> None:
    path = moving(4, 8, 2, 0, 30)
    video = WatchedVideo(paint(path))
    found = predict_video(
        video,  # type: ignore[arg-type]
        make_tracks(boxes_of(path), num_frames=30),
        ColourModel(),  # type: ignore[arg-type]
        small_config,
        track_ids=[1],
        device=CPU,
    )
    assert next(found)[0] == 0
    found.close()  # type: ignore[attr-defined]
    # the clips whose first frames are made ahead, and the one that is looked at then
    assert max(video.asked) < 3 * small_config.predict.clip_length


def test_large_frames_make_shorter_clips(
    small_config: Config, make_tracks: Callable[..., BoxTracks], settings_of: Callable[..., Config]
) -> None:
    path = moving(4, 8, 2, 0, 6)
    for area, length in ((64 * 96 * 3, 3), (64 * 96 * 2, 2), (64 * 96, 1), (4096, 1)):
        config = settings_of(small_config, "predict", clip_length=3, overlap=2, clip_area=area)
        model = ColourModel()
        results = run(paint(path), make_tracks(boxes_of(path), num_frames=6), config, model=model)
        assert len(results) == 6
        assert set(model.lengths) == {length}
        assert all(iou(m.masks[0], truth(path, t)) > 0.9 for t, m in results.items())
