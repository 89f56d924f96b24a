"""The pixels of ignore regions, frame by frame, and the video as it looks without them.

What training looks at beside the network's own input is the picture with every ignored pixel
painted over with the nearest one that counts: what a region shows then has no say in motion,
colours, evidence or matches, and its outline makes no edge. The network itself sees the whole
picture: a prediction sees it as well.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import cv2
import numpy as np

from maskfree.ignore_regions import box_of_region, regions_at
from maskfree.video import Video
from maskfree.video_source import FrameSource

if TYPE_CHECKING:
    from maskfree.config import Config
    from maskfree.types import BoxTracks, IgnoreRegion

__all__ = ["IgnoreMasks", "painted_over", "region_mask", "without_ignored"]

_MOST_KEPT = 16
"""Masks: one for each set of regions that hold together."""
_NOTHING = 127
"""The grey of a frame that is ignored as a whole."""


def region_mask(region: IgnoreRegion, height: int, width: int) -> np.ndarray:
    """Return the pixels whose centres lie in a region: bool ``(height, width)``."""
    out = np.zeros((height, width), bool)
    box = box_of_region(region)
    if box is not None:
        x0, y0, x1, y1 = (max(0, math.ceil(v - 0.5)) for v in box)
        out[y0:y1, x0:x1] = True
        return out
    from skimage.draw import polygon

    x, y = np.array(region.polygon).T
    rows, columns = polygon(y - 0.5, x - 0.5, out.shape)
    out[rows, columns] = True
    return out


class IgnoreMasks:
    """Says which pixels of a video's frames are neither object nor background.

    ``bool()`` of it says whether there is any region at all.
    """

    def __init__(self, tracks: BoxTracks) -> None:
        self._tracks = tracks
        self._kept: dict[tuple[int, ...], np.ndarray] = {}
        self._sized: dict[tuple[tuple[int, ...], tuple[int, int]], np.ndarray] = {}

    def __bool__(self) -> bool:
        return bool(self._tracks.ignore)

    def at(self, frame: int) -> np.ndarray | None:
        """Return bool ``(H, W)``, True where ignored; None where no region holds in ``frame``."""
        here = regions_at(self._tracks, frame)
        if not here:
            return None
        key = tuple(here)
        if key not in self._kept:
            size = self._tracks.height, self._tracks.width
            masks = [region_mask(region, *size) for region in here.values()]
            while len(self._kept) >= _MOST_KEPT:
                del self._kept[next(iter(self._kept))]
            self._kept[key] = np.logical_or.reduce(masks)
        return self._kept[key]

    def polygons(self, frame: int) -> list[tuple[tuple[float, float], ...]]:
        """Return the corners of the regions that hold in ``frame``."""
        return [region.polygon for region in regions_at(self._tracks, frame).values()]

    def crop(
        self, frame: int, rows: slice, columns: slice, size: tuple[int, int]
    ) -> np.ndarray | None:
        """Return a part of :meth:`at` at another size: bool, True where any of it is ignored."""
        whole = self.at(frame)
        if whole is None:
            return None
        part = np.ascontiguousarray(whole[rows, columns], np.float32)
        if size != part.shape:
            part = np.asarray(cv2.resize(part, size[::-1], interpolation=cv2.INTER_AREA))
        return np.asarray(part > 0)

    def resized(self, frame: int, size: tuple[int, int]) -> np.ndarray | None:
        """Return :meth:`at` at another size ``(h, w)``: True where any of it is ignored."""
        key = tuple(regions_at(self._tracks, frame)), size
        if key not in self._sized:
            made = self.crop(frame, slice(None), slice(None), size)
            if made is None:
                return None
            while len(self._sized) >= _MOST_KEPT:
                del self._sized[next(iter(self._sized))]
            self._sized[key] = made
        return self._sized[key]

    def outside(self, points: np.ndarray, frame: int, size: tuple[int, ...]) -> np.ndarray:
        """Return those of the points ``(P, 2)``, xy in a frame of ``size``, that count."""
        ignored = self.resized(frame, (size[0], size[1])) if len(points) else None
        if ignored is None:
            return points
        x, y = np.clip(points.round().astype(int), 0, [size[1] - 1, size[0] - 1]).T
        return np.asarray(points[~ignored[y, x]])


def painted_over(frame: np.ndarray, ignored: np.ndarray | None) -> np.ndarray:
    """Return ``frame (H, W, 3)`` with each ignored pixel as the nearest one that is not.

    ``ignored``: bool ``(H, W)``; None: the frame itself.
    """
    if ignored is None or not ignored.any():
        return frame
    if ignored.all():
        return np.full_like(frame, _NOTHING)
    # the nearest pixel that counts touches the region: one pixel around it is enough to look at
    around = cv2.dilate(ignored.astype(np.uint8), np.ones((3, 3), np.uint8))
    window = tuple(slice(i.min(), i.max() + 1) for i in np.nonzero(around))
    hidden, part = ignored[window], frame[window]
    _, labels = cv2.distanceTransformWithLabels(
        hidden.astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    colours = np.zeros((int(labels.max()) + 1, part.shape[2]), part.dtype)
    colours[labels[~hidden]] = part[~hidden]
    out = frame.copy()
    out[window][hidden] = colours[labels[hidden]]
    return np.asarray(out)


class _PaintedOver(FrameSource):
    """Frames of another video, which keeps them, with what is ignored painted over."""

    def __init__(self, video: Video, ignore: IgnoreMasks) -> None:
        self._video, self._ignore = video, ignore
        self.size = video.shape[:3]
        self.names = video.names
        self.fps = video.fps

    def read(self, index: int) -> np.ndarray:
        """Return frame ``index`` as uint8 RGB ``(H, W, 3)``."""
        return painted_over(np.asarray(self._video[index]), self._ignore.at(index)).copy()


def without_ignored(video: Video, ignore: IgnoreMasks, config: Config) -> Video:
    """Return the video with what is ignored painted over; ``video`` itself where nothing is.

    ``video`` must stay open.
    """
    return Video(_PaintedOver(video, ignore), config.video) if ignore else video
