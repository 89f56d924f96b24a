"""Masks for a whole video, clip by clip, every instance keeping its id."""

from __future__ import annotations

import dataclasses
import math
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import torch

from maskfree.device import resolve_device
from maskfree.errors import InputError
from maskfree.lab import GRID_STRIDE
from maskfree.linking import Linker, TrackLinker
from maskfree.model.checkpoint import load_model
from maskfree.sampling import lab_stretch, padded_size
from maskfree.targets import BoxTargets, box_targets, loose_tube
from maskfree.types import InstanceMasks
from maskfree.video import open_video
from maskfree.working import WorkingFrames, working_scale

if TYPE_CHECKING:
    from collections.abc import Iterator

    from maskfree.config import Config
    from maskfree.model.mask2former_video import Mask2FormerVideo
    from maskfree.session import Session
    from maskfree.types import BoxTracks
    from maskfree.video import Video

__all__ = ["PredictProgress", "predict", "predict_video", "windows"]


@dataclasses.dataclass(frozen=True)
class PredictProgress:
    """One finished frame: its number, how many of how many are done, seconds left."""

    frame: int
    done: int
    total: int
    seconds_left: float


def windows(start: int, stop: int, length: int, overlap: int) -> list[tuple[int, int]]:
    """Return the half-open clips that cover [start, stop), the last one moved back to fit."""
    if stop - start <= length:
        return [(start, stop)]
    stride = max(1, length - overlap)
    starts = [*range(start, stop - length, stride), stop - length]
    return [(s, s + length) for s in starts]


@torch.no_grad()
def predict_video(
    video: Video,
    tracks: BoxTracks | None,
    model: Mask2FormerVideo,
    config: Config,
    *,
    track_ids: list[int],
    device: torch.device,
    frames: tuple[int, int] | None = None,
) -> Iterator[tuple[int, InstanceMasks]]:
    """Predict frame after frame; memory holds one clip.

    Parameters
    ----------
    video, tracks
        The video, and its boxes; None for a video without boxes, whose instances then come from
        the queries' scores.
    track_ids
        The track that each of the first queries is bound to; empty when they are not bound.
    frames
        Half-open range of frames; None for all.

    Yields
    ------
    tuple
        Frame number and its masks at the video's size.
    """
    model.eval()
    span = range(len(video))
    if tracks is None:
        boxes = np.zeros((0, len(video), 4))
        slack = np.zeros((0, len(video)))
    else:
        boxes, slack = loose_tube(tracks, span, config=config.sampling)
    scale = working_scale(boxes, *video.shape[1:3], config=config.sampling)
    working = WorkingFrames(video, scale, cache_bytes=config.video.cache_bytes)
    size = padded_size(working.height, working.width)
    start, stop = frames or (0, len(video))
    length = max(1, min(config.predict.clip_length, config.predict.clip_area // math.prod(size)))
    overlap = min(config.predict.overlap, length - 1)
    linker: Linker | TrackLinker
    if tracks is None:
        linker = Linker(config.predict)
    else:
        linker = TrackLinker([t.id for t in tracks.tracks], track_ids, config)
    lean = 0.0
    if tracks is not None and config.predict.shape_weight:
        lean = config.predict.shape_weight * (lab_stretch(working, config=config.sampling) - 1)
    pending: dict[int, tuple[torch.Tensor, int]] = {}
    clips = windows(start, stop, length, overlap)
    for number, (first, last) in enumerate(clips):
        rgb = _read_clip(working, range(first, last), size).to(device)
        targets = _clip_targets(boxes[:, first:last], slack[:, first:last], video, size, config)
        shared = max(0, clips[number - 1][1] - first) if number else 0
        logits = linker.link(model, rgb, targets.to(device), shared=shared).float().cpu()
        if lean:
            logits = logits + lean * (1 - targets.radius).clamp(-1, 1)
        following = clips[number + 1][0] if number + 1 < len(clips) else stop
        for offset, frame in enumerate(range(first, last)):
            logits_here = logits[:, offset]
            before, count = pending.pop(frame, (None, 0))
            if before is not None:
                grown = len(logits_here) - len(before)
                before = torch.nn.functional.pad(before, (0, 0, 0, 0, 0, grown), value=-15.0)
                logits_here = before + (logits_here - before) / (count + 1)
            if frame < following:
                scores = linker.scores()
                yield (
                    frame,
                    _finish(
                        logits_here,
                        boxes[:, frame],
                        slack[:, frame],
                        linker.ids(),
                        scores,
                        video.shape[1:3],
                        config,
                        bound=tracks is not None,
                    ),
                )
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


def _finish(
    logits: torch.Tensor,
    boxes: np.ndarray,
    slack: np.ndarray,
    ids: list[int],
    scores: list[float],
    size: tuple[int, int],
    config: Config,
    *,
    bound: bool,
) -> InstanceMasks:
    """Bring one frame's logits to full size; a cell belongs to its likeliest instance."""
    height, width = size
    best = np.zeros((height, width), np.float32)
    owner = np.full((height, width), -1, np.int32)
    floor = math.log(config.predict.mask_threshold / (1 - config.predict.mask_threshold))
    for n in range(len(logits)):
        window = (slice(0, height), slice(0, width))
        if bound:
            if not np.isfinite(boxes[n]).all():
                continue
            window = _reach(boxes[n], slack[n], height, width)
        full = _enlarge(logits[n].numpy(), size, window)
        wins = (full > floor) & ((owner[window] < 0) | (full > best[window]))
        owner[window][wins] = n
        best[window][wins] = full[wins]
    kept = [n for n in range(len(logits)) if (owner == n).any()]
    masks = np.stack([owner == n for n in kept]) if kept else np.zeros((0, height, width), bool)
    return InstanceMasks(
        tuple(ids[n] for n in kept), masks, tuple(round(scores[n], 4) for n in kept)
    )


def _enlarge(logits: np.ndarray, size: tuple[int, int], window: tuple[slice, slice]) -> np.ndarray:
    """Bilinear enlargement of a grid to ``size``, only the window of it."""
    rows, columns = window
    sy, sx = logits.shape[0] / size[0], logits.shape[1] / size[1]
    y = (np.arange(rows.start, rows.stop) + 0.5) * sy - 0.5
    x = (np.arange(columns.start, columns.stop) + 0.5) * sx - 0.5
    map_x, map_y = np.meshgrid(x.astype(np.float32), y.astype(np.float32))
    return np.asarray(
        cv2.remap(logits, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    )


def _reach(box: np.ndarray, slack: float, height: int, width: int) -> tuple[slice, slice]:
    """Pixels that the box grown by its slack touches."""
    x0, y0, x1, y1 = box
    dx, dy = slack * (x1 - x0), slack * (y1 - y0)
    low = np.floor([y0 - dy, x0 - dx])
    high = np.ceil([y1 + dy, x1 + dx])
    low, high = np.clip(low, 0, [height, width]), np.clip(high, 0, [height, width])
    return slice(int(low[0]), int(high[0])), slice(int(low[1]), int(high[1]))


def predict(
    session: Session,
    *,
    video: str | Path | None = None,
    frames: tuple[int, int] | None = None,
    device: str = "auto",
) -> Iterator[PredictProgress]:
    """Predict into a session with its newest run: its own video, or another beside it.

    Raises
    ------
    InputError
        When the session has no finished run, the frames do not exist, or the video is at fault.
    """
    run = session.latest_run()
    if run is None:
        raise InputError(
            f"{session.path} has no fine-tuned run to predict with. "
            f"Run: maskfree finetune --session {session.path}"
        )
    where = resolve_device(device)
    model, config, _, track_ids = load_model(run.weights_path, where)
    own = video is None
    source = session.open_video() if own else open_video(video, config=config.video)
    with source:
        first, last = _range(frames, len(source))
        store = session.mask_store(None if own else source_name(source))
        log = session.predict_log
        log.clear()
        log.append({"status": "running", "run": run.name, "pid": os.getpid()})
        results = predict_video(
            source,
            session.boxes if own else None,
            model,
            config,
            track_ids=track_ids,
            device=where,
            frames=(first, last),
        )
        status, message = "stopped", ""
        started, total = time.monotonic(), last - first
        try:
            for done, (frame, masks) in enumerate(results, 1):
                store.write(frame, masks)
                left = (time.monotonic() - started) / done * (total - done)
                progress = PredictProgress(frame, done, total, round(left, 1))
                log.append(dataclasses.asdict(progress))
                yield progress
            status = "done"
        except Exception as error:
            status, message = "failed", str(error)
            raise
        finally:
            log.append({"status": status, "message": message})


def source_name(video: Video) -> str:
    """Return the name under which masks of another video are kept."""
    return Path(video.source).stem if video.source else "array"


def _range(frames: tuple[int, int] | None, total: int) -> tuple[int, int]:
    if frames is None:
        return 0, total
    first, last = frames
    if not 0 <= first < last <= total:
        raise InputError(
            f"--frames {first}:{last} does not lie within the video's frames 0:{total}. "
            "Give A:B with 0 <= A < B; B itself is not predicted."
        )
    return first, last
