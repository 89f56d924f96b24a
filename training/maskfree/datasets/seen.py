"""What a clip shows of a video's instances: their boxes and masks through a view, the rest ignored.

An instance is kept where a frame of the clip shows it; the others count as absent. What is neither
object nor background for sure is ignored: crowds, slivers of objects that the view cuts off, and
padding. Within the box of a kept instance a crowd is not ignored: that box says what is there.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import cv2
import numpy as np

from maskfree import rle
from maskfree.box_pixels import box_pixels
from maskfree.datasets.views import map_boxes, warp
from maskfree.lab_array import GRID_STRIDE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from maskfree.datasets.types import DataVideo
    from maskfree.datasets.views import View

__all__ = ["Seen", "look"]

_HALF = 0.5
"""A pixel through a view is of a mask where so much of it is."""


@dataclasses.dataclass(frozen=True)
class Seen:
    """What a clip of T frames shows, on a mask grid of ``H4 x W4`` cells.

    ``instances``: N places in ``DataVideo.instances``; ``boxes``: float ``(N, T, 4)`` xyxy in
    pixels of the clip, within the picture, NaN where absent; ``cut``: float ``(N, T)``, how far a
    box reaches beyond the picture, in parts of its shorter side; ``masks``: float32
    ``(N, T, H4, W4)``, -1 to 1, 0 where unknown, or None; ``ignored``: bool ``(T, H4, W4)``.
    """

    instances: tuple[int, ...]
    boxes: np.ndarray
    cut: np.ndarray
    masks: np.ndarray | None
    ignored: np.ndarray


def look(video: DataVideo, frames: Sequence[int], view: View, grid: tuple[int, int]) -> Seen:
    """Return what frames of a video show through a view.

    Parameters
    ----------
    frames
        T frames of the video, as the view has T maps.
    grid
        (H4, W4) of the padded clip.
    """
    objects = [n for n, each in enumerate(video.instances) if not each.crowd]
    masked = any(video.instances[n].segments is not None for n in objects)
    boxes, cut = _boxes(video, objects, frames, view)
    ignored = _beyond(view, grid, len(frames))
    masks = np.zeros((len(objects), len(frames), *grid), np.float32) if masked else None
    if masks is not None:
        _mask(video, objects, frames, view, boxes, cut, masks)
    sliver = _slivers(boxes, cut)
    for n, t in np.argwhere(sliver):
        _mark(ignored[t], boxes[n, t])
    boxes[sliver] = np.nan
    kept = np.isfinite(boxes).all(-1).any(1)
    boxes, cut = boxes[kept], cut[kept]
    for t, frame in enumerate(frames):
        crowd = np.zeros(grid, bool)
        for each in video.instances:
            if each.crowd:
                (box,) = _clipped(map_boxes(each.boxes[frame][None], view.matrices[t]), view)
                _mark(crowd, box)
        for box in boxes[:, t]:
            _mark(crowd, box, False)
        ignored[t] |= crowd
    instances = tuple(n for n, is_kept in zip(objects, kept, strict=True) if is_kept)
    return Seen(instances, boxes, cut, None if masks is None else masks[kept], ignored)


def _boxes(
    video: DataVideo, objects: Sequence[int], frames: Sequence[int], view: View
) -> tuple[np.ndarray, np.ndarray]:
    """Return boxes within the picture ``(N, T, 4)``, and how far they reach beyond ``(N, T)``."""
    boxes = np.full((len(objects), len(frames), 4), np.nan)
    cut = np.zeros(boxes.shape[:2])
    if not objects:
        return boxes, cut
    for t, frame in enumerate(frames):
        given = np.stack([video.instances[n].boxes[frame] for n in objects]).astype(float)
        whole = map_boxes(given, view.matrices[t])
        boxes[:, t] = _clipped(whole, view)
        side = np.minimum(whole[:, 2] - whole[:, 0], whole[:, 3] - whole[:, 1])
        with np.errstate(invalid="ignore"):
            cut[:, t] = np.abs(whole - boxes[:, t]).max(1) / side
    return boxes, np.nan_to_num(cut)


def _clipped(boxes: np.ndarray, view: View) -> np.ndarray:
    """Return the part of boxes ``(N, 4)`` within the picture, NaN where there is none."""
    height, width = view.size
    out = np.clip(boxes, 0, [width, height, width, height])
    out[~((out[:, 2] > out[:, 0]) & (out[:, 3] > out[:, 1]))] = np.nan
    return np.asarray(out)


def _slivers(boxes: np.ndarray, cut: np.ndarray) -> np.ndarray:
    """Return where less of a box that the view cuts is left than a cell: bool ``(N, T)``."""
    side = np.minimum(boxes[..., 2] - boxes[..., 0], boxes[..., 3] - boxes[..., 1])
    return np.asarray((cut > 0) & (side < GRID_STRIDE))


def _beyond(view: View, grid: tuple[int, int], length: int) -> np.ndarray:
    """Return the cells that padding has a part in: bool ``(T, H4, W4)``."""
    out = np.zeros((length, *grid), bool)
    out[:, view.size[0] // GRID_STRIDE :] = True
    out[:, :, view.size[1] // GRID_STRIDE :] = True
    return out


def _mark(cells: np.ndarray, box: np.ndarray, value: bool = True) -> None:
    """Set the cells ``(H4, W4)`` that a box in pixels touches; none where it is absent."""
    if np.isfinite(box).all():
        cells[box_pixels((box / GRID_STRIDE).tolist(), *cells.shape)] = value


def _mask(
    video: DataVideo,
    objects: Sequence[int],
    frames: Sequence[int],
    view: View,
    boxes: np.ndarray,
    cut: np.ndarray,
    masks: np.ndarray,
) -> None:
    """Fill in ``masks``; where there is one its own extent becomes the box, which nothing cuts."""
    for place, n in enumerate(objects):
        segments = video.instances[n].segments or {}
        for t, frame in enumerate(frames):
            if frame not in segments:
                # a box without a mask: nothing is known of its cells
                masks[place, t] = 0 if np.isfinite(boxes[place, t]).all() else -1
                continue
            pixels = rle.decode(segments[frame], video.height, video.width).astype(np.float32)
            pixels = warp(pixels, view.matrices[t], view.size)
            boxes[place, t], cut[place, t] = _extent(pixels >= _HALF), 0
            masks[place, t] = 2 * _cell_means(pixels, masks.shape[2:]) - 1


def _extent(mask: np.ndarray) -> np.ndarray:
    """Return the box around a bool ``(h, w)`` mask, NaN where it is empty."""
    rows, columns = (np.flatnonzero(mask.any(axis)) for axis in (1, 0))
    if not len(rows):
        return np.full(4, np.nan)
    return np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1], float)


def _cell_means(pixels: np.ndarray, grid: tuple[int, ...]) -> np.ndarray:
    """Return the means over the grid's cells; what lies beyond the pixels is 0."""
    height, width = grid[0] * GRID_STRIDE, grid[1] * GRID_STRIDE
    below, right = height - pixels.shape[0], width - pixels.shape[1]
    whole = cv2.copyMakeBorder(pixels, 0, below, 0, right, cv2.BORDER_CONSTANT, value=0)
    return np.asarray(whole.reshape(grid[0], GRID_STRIDE, grid[1], GRID_STRIDE).mean((1, 3)))
