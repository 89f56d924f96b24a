"""The network over a video, clip by clip: mask logits of every instance on the grid."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING

import cv2
import numpy as np
import torch

from maskfree.clip_features import ClipFeatures
from maskfree.evenly import evenly
from maskfree.lab import GRID_STRIDE
from maskfree.linking import Linker, TrackLinker
from maskfree.loose_tube import loose_tube
from maskfree.sampling import padded_size
from maskfree.targets import BoxTargets, box_targets
from maskfree.tube import tracks_scale
from maskfree.working import WorkingFrames, working_scale

if TYPE_CHECKING:
    from collections.abc import Iterator

    from maskfree.config import Config
    from maskfree.crop import Crop
    from maskfree.model.mask2former_video import Mask2FormerVideo
    from maskfree.types import BoxTracks
    from maskfree.video import Video

__all__ = ["GridFrame", "KeptLogits", "network_pass", "windows"]

_ABSENT = -15.0


@dataclasses.dataclass(frozen=True)
class GridFrame:
    """What the network says about one frame.

    ``logits``: float ``(N, H4, W4)``; ``ids`` and ``scores``: N each.
    """

    frame: int
    logits: np.ndarray
    ids: list[int]
    scores: list[float]


def windows(start: int, stop: int, length: int, overlap: int) -> list[tuple[int, int]]:
    """Return the half-open clips that cover [start, stop), the last one moved back to fit."""
    if stop - start <= length:
        return [(start, stop)]
    stride = max(1, length - overlap)
    starts = [*range(start, stop - length, stride), stop - length]
    return [(s, s + length) for s in starts]


@torch.no_grad()
def network_pass(
    video: Video,
    tracks: BoxTracks | None,
    model: Mask2FormerVideo,
    config: Config,
    *,
    track_ids: list[int],
    device: torch.device,
    frames: tuple[int, int] | None = None,
    most_clips: int | None = None,
    mirror: bool | None = None,
    tube: tuple[np.ndarray, np.ndarray] | None = None,
) -> Iterator[GridFrame]:
    """Yield the frames of a video in order; memory holds one clip.

    With boxes, clips without one are not looked at: nothing is anywhere in their frames.

    Parameters
    ----------
    video, tracks
        The video, and its boxes; None for a video without boxes, whose instances then come from
        the queries' scores.
    track_ids
        The track that each of the first queries is bound to; empty when they are not bound.
    frames
        Half-open range of frames; None for all.
    most_clips
        Look at no more clips than this, spread over those with a box, and yield their frames alone.
    mirror
        Average every clip with its mirror image, where training saw such; None: as the settings
        say.
    tube
        The tracks' boxes and slack, see `loose_tube`, where they are known better.
    """
    model.eval()
    mirror = (config.predict.mirror if mirror is None else mirror) and config.augment.flip
    if tracks is None:
        boxes = np.zeros((0, len(video), 4))
        slack = np.zeros((0, len(video)))
    else:
        boxes, slack = tube or loose_tube(tracks, range(len(video)), config=config.sampling)
    if tracks is None:
        scale = working_scale(boxes, *video.shape[1:3], config=config.sampling)
    else:
        scale = tracks_scale(video, tracks, config)
    if config.predict.middle_scale:
        scale *= 1 + config.augment.scale_jitter
    working = WorkingFrames(video, scale, cache_bytes=0)
    size = padded_size(working.height, working.width)
    start, stop = frames or (0, len(video))
    length = max(1, min(config.predict.clip_length, config.predict.clip_area // math.prod(size)))
    overlap = min(config.predict.overlap, length - 1)
    linker: Linker | TrackLinker
    if tracks is None:
        linker = Linker(config.predict)
    else:
        linker = TrackLinker([t.id for t in tracks.tracks], track_ids, config)
    clips = windows(start, stop, length, overlap)
    boxed = np.ones(len(video), bool)
    if tracks is not None:
        boxed[:] = np.isfinite(boxes).all(-1).any(0)
    if most_clips is not None:
        clips = evenly([clip for clip in clips if boxed[slice(*clip)].any()], most_clips)
    seen = ClipFeatures(
        model, lambda span: _read_clip(working, span, size).to(device), mirror=mirror
    )
    pending: dict[int, tuple[torch.Tensor, int]] = {}
    for number, (first, last) in enumerate(clips):
        targets = _clip_targets(boxes[:, first:last], slack[:, first:last], video, size, config)
        shared = max(0, clips[number - 1][1] - first) if number else 0
        if boxed[first:last].any():
            clip = seen.clip(first, last)
            logits = linker.link(clip, targets.to(device), shared=shared).float().cpu()
        else:
            logits = targets.box_masks.new_full(targets.box_masks.shape, _ABSENT)
        following = clips[number + 1][0] if number + 1 < len(clips) else stop
        for offset, frame in enumerate(range(first, last)):
            logits_here = logits[:, offset]
            before, count = pending.pop(frame, (None, 0))
            if before is not None:
                grown = len(logits_here) - len(before)
                before = torch.nn.functional.pad(before, (0, 0, 0, 0, 0, grown), value=_ABSENT)
                logits_here = before + (logits_here - before) / (count + 1)
            if frame < following:
                yield GridFrame(frame, logits_here.numpy(), linker.ids(), linker.scores())
            else:
                pending[frame] = (logits_here, count + 1)


def _read_clip(working: WorkingFrames, span: range, size: tuple[int, int]) -> torch.Tensor:
    images = [
        cv2.resize(working[t], (size[1], size[0]), interpolation=cv2.INTER_LINEAR) for t in span
    ]
    return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float() / 255


def _clip_targets(
    boxes: np.ndarray, slack: np.ndarray, video: Video, size: tuple[int, int], config: Config
) -> BoxTargets:
    _, height, width, _ = video.shape
    grid = (size[0] // GRID_STRIDE, size[1] // GRID_STRIDE)
    ratio = np.array([grid[1] / width, grid[0] / height] * 2)
    return box_targets(boxes * ratio, slack, *grid, config=config.sampling)


class KeptLogits:
    """The network's logits around the boxes, kept for later (`consensus.Network`).

    ``size``: height and width of the video in pixels.
    """

    def __init__(self, size: tuple[int, int]) -> None:
        self._size = size
        self._parts: dict[tuple[int, int], tuple[int, int, int, int, torch.Tensor]] = {}

    def add(self, grid: GridFrame, boxes: np.ndarray, slack: np.ndarray) -> None:
        """Keep a frame's logits in the reach of its boxes ``(N, 4)``, which have ``slack (N,)``."""
        rows, columns = grid.logits.shape[1:]
        down, across = rows / self._size[0], columns / self._size[1]
        for n in np.flatnonzero(np.isfinite(boxes).all(1)):
            x0, y0, x1, y1 = boxes[n]
            dx, dy = slack[n] * (x1 - x0), slack[n] * (y1 - y0)
            top, left = int((y0 - dy) * down) - 1, int((x0 - dx) * across) - 1
            bottom, right = math.ceil((y1 + dy) * down) + 1, math.ceil((x1 + dx) * across) + 1
            top, left = max(0, min(top, rows - 1)), max(0, min(left, columns - 1))
            part = grid.logits[n, top : max(top + 1, bottom), left : max(left + 1, right)]
            kept = torch.from_numpy(part.astype(np.float16))
            self._parts[int(n), grid.frame] = (top, left, rows, columns, kept)

    def __call__(self, n: int, t: int, crop: Crop) -> np.ndarray | None:
        """Return the logits at a crop's pixels, float ``(h, w)``; None where none were kept."""
        if (n, t) not in self._parts:
            return None
        top, left, rows, columns, part = self._parts[n, t]
        y, x = crop.places()
        map_y = (y + 0.5) * rows / self._size[0] - 0.5 - top
        map_x = (x + 0.5) * columns / self._size[1] - 0.5 - left
        grid_x, grid_y = np.meshgrid(map_x.astype(np.float32), map_y.astype(np.float32))
        values = part.numpy().astype(np.float32)
        return np.asarray(
            cv2.remap(values, grid_x, grid_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        )

    def state(self) -> list[tuple[int, int, int, int, int, int, torch.Tensor]]:
        """Return everything kept, as numbers and tensors."""
        return [(*key, *part) for key, part in self._parts.items()]

    def restore(self, state: list[tuple[int, int, int, int, int, int, torch.Tensor]]) -> None:
        """Take up what :meth:`state` returned."""
        self._parts = {(n, t): (top, left, h, w, p.cpu()) for n, t, top, left, h, w, p in state}
