"""The video at its working scale: frames small enough to train on, large enough for its objects."""

from __future__ import annotations

import collections
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from maskfree.config import SamplingConfig
    from maskfree.video import Video

__all__ = ["WorkingFrames", "resized", "working_scale"]


def working_scale(boxes: np.ndarray, height: int, width: int, *, config: SamplingConfig) -> float:
    """Return the scale from the video's pixels to working pixels.

    The whole frame fits the area budget, unless half of the objects would be smaller than
    ``object_size``; then frames are larger, up to ``max_enlarge`` and the largest whole frame.

    Parameters
    ----------
    boxes
        float ``(N, T, 4)`` xyxy in pixels of the video, NaN where absent.
    height, width
        Size of the video in pixels.
    """
    budget = math.sqrt(config.frame_area / (height * width))
    largest = math.sqrt(config.max_frame_area / (height * width))
    present = boxes[np.isfinite(boxes).all(-1)]
    if not len(present):
        return min(budget, config.max_enlarge)
    sides = np.sqrt((present[:, 2] - present[:, 0]) * (present[:, 3] - present[:, 1]))
    wanted = config.object_size / float(np.median(sides))
    return min(max(budget, min(wanted, largest)), config.max_enlarge)


def resized(frame: np.ndarray, height: int, width: int) -> np.ndarray:
    """Return a frame, uint8 RGB ``(H, W, 3)``, at another size: by area where it shrinks."""
    if frame.shape[:2] != (height, width):
        how = cv2.INTER_AREA if height < frame.shape[0] else cv2.INTER_CUBIC
        frame = cv2.resize(frame, (width, height), interpolation=how)
    return np.ascontiguousarray(np.asarray(frame))


class WorkingFrames(Sequence[np.ndarray]):
    """Frames of a video, resized once and kept within a memory bound.

    ``frames[t]`` is uint8 RGB ``(h, w, 3)`` with ``h, w`` the video's size times ``scale``.
    """

    def __init__(self, video: Video, scale: float, *, cache_bytes: int) -> None:
        _, height, width, _ = video.shape
        self.video = video
        self.height = max(1, round(height * scale))
        self.width = max(1, round(width * scale))
        self.scale_yx = (self.height / height, self.width / width)
        self._room = cache_bytes
        self._kept: collections.OrderedDict[int, np.ndarray] = collections.OrderedDict()

    def __len__(self) -> int:
        return len(self.video)

    def __getitem__(self, index: int) -> np.ndarray:  # type: ignore[override]
        if index in self._kept:
            self._kept.move_to_end(index)
            return self._kept[index]
        frame = resized(self.video[index], self.height, self.width)
        self._kept[index] = frame
        while len(self._kept) > 1 and len(self._kept) * frame.nbytes > self._room:
            self._kept.popitem(last=False)
        return frame

    def to_working(self, boxes: np.ndarray) -> np.ndarray:
        """Scale ``(..., 4)`` xyxy boxes from the video's pixels to working pixels."""
        sy, sx = self.scale_yx
        return np.asarray(boxes * np.array([sx, sy, sx, sy]))
