"""The grid of cells that a run compares: which size its frames have, and where a cell lies."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import cv2
import numpy as np

from maskfree.ignore_masks import IgnoreMasks, region_mask, without_ignored
from maskfree.ignore_regions import holds_at
from maskfree.lab_array import GRID_STRIDE
from maskfree.working import WorkingFrames, resized, working_scale

if TYPE_CHECKING:
    from collections.abc import Sequence

    from maskfree.config import Config, TemporalKNNConfig
    from maskfree.types import BoxTracks, IgnoreRegion
    from maskfree.video import Video

__all__ = ["MatchingGrid", "compared_video", "grid_of_run"]

_CENTRE = 0.5  # of a pixel: positions count pixel centres


@dataclasses.dataclass(frozen=True)
class MatchingGrid:
    """Frames as the temporal loss compares them, before a clip's random zoom.

    ``video_size`` and ``size``: (height, width) in pixels of the video and of its working frames;
    ``stretch``: what Lab is multiplied with for little contrast; ``config``: R, K, N, D;
    ``ignore``: the regions that are painted over in these frames.
    """

    video_size: tuple[int, int]
    size: tuple[int, int]
    stretch: float
    config: TemporalKNNConfig
    ignore: tuple[IgnoreRegion, ...] = ()
    _hidden: dict[tuple[int, ...], np.ndarray] = dataclasses.field(
        default_factory=dict, compare=False, repr=False
    )

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of cells; pixels beyond a whole cell belong to none."""
        return self.size[0] // GRID_STRIDE, self.size[1] // GRID_STRIDE

    @property
    def cell_size(self) -> np.ndarray:
        """Height and width of a cell in pixels of the video."""
        return np.asarray(np.array(self.video_size) / np.array(self.size) * GRID_STRIDE)

    @property
    def radius(self) -> float:
        """The search radius in pixels of the video."""
        return float(self.config.search_radius * self.cell_size.mean())

    def frame(self, frame: np.ndarray) -> np.ndarray:
        """Return a frame of the video, uint8 RGB, at the working size."""
        return resized(frame, *self.size)

    def ignored(self, frame: int) -> np.ndarray | None:
        """Return the cells with an ignored pixel: bool of ``shape``; None where nothing is."""
        here = tuple(n for n, region in enumerate(self.ignore) if holds_at(region, frame))
        if not here:
            return None
        if here not in self._hidden:
            self._hidden[here] = self._cells_of([self.ignore[n] for n in here])
        return self._hidden[here]

    def _cells_of(self, regions: Sequence[IgnoreRegion]) -> np.ndarray:
        whole = np.logical_or.reduce([region_mask(region, *self.video_size) for region in regions])
        part = cv2.resize(whole.astype(np.float32), self.size[::-1], interpolation=cv2.INTER_AREA)
        rows, columns = self.shape
        cells = part[: rows * GRID_STRIDE, : columns * GRID_STRIDE] > 0
        return np.asarray(cells.reshape(rows, GRID_STRIDE, columns, GRID_STRIDE).any((1, 3)))

    def cell_at(self, yx: np.ndarray) -> tuple[int, int] | None:
        """Return the cell of a position in the video's pixels; None where there is none."""
        cell = np.floor((np.asarray(yx, float) + _CENTRE) / self.cell_size).astype(int)
        row, column = int(cell[0]), int(cell[1])
        rows, columns = self.shape
        return (row, column) if 0 <= row < rows and 0 <= column < columns else None

    def centres(self, cells: np.ndarray) -> np.ndarray:
        """Return the centres of cells in the video's pixels: float ``(..., 2)``."""
        return np.asarray((np.asarray(cells, float) + _CENTRE) * self.cell_size - _CENTRE)


def grid_of_run(video: Video, tracks: BoxTracks | None, config: Config) -> MatchingGrid:
    """Return the grid that a run with these boxes and settings compares its frames on.

    Reads a few frames and imports torch: call it beside the window. Without boxes, the scale is
    that of a whole frame within the area budget. The frames to compare are those of
    :func:`compared_video`.
    """
    from maskfree.contrast import lab_stretch
    from maskfree.tube import tracks_scale

    height, width = video.shape[1:3]
    if tracks is None:
        scale = working_scale(np.zeros((0, 0, 4)), height, width, config=config.sampling)
    else:
        scale = tracks_scale(video, tracks, config)
    frames = WorkingFrames(compared_video(video, tracks, config), scale, cache_bytes=0)
    stretch = lab_stretch(frames, config=config.sampling)
    size = frames.height, frames.width
    ignore = () if tracks is None else tracks.ignore
    return MatchingGrid((height, width), size, stretch, config.temporal, ignore)


def compared_video(video: Video, tracks: BoxTracks | None, config: Config) -> Video:
    """Return the video as a run compares it: with what its boxes' file ignores painted over.

    ``video`` must stay open.
    """
    return video if tracks is None else without_ignored(video, IgnoreMasks(tracks), config)
