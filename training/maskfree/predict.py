"""Masks for a whole video, clip by clip, every instance keeping its id."""

from __future__ import annotations

import dataclasses
import functools
import os
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from maskfree.ahead import ahead
from maskfree.box_pixels import box_pixels
from maskfree.compose import compose, floor_logit, masks_of_boxes, refined
from maskfree.confidence import stability
from maskfree.consensus import Consensus
from maskfree.consensus_memory import ConsensusMemory
from maskfree.device import resolve_device
from maskfree.errors import InputError, InputWarning
from maskfree.frame_check import require_frames
from maskfree.hand_pixels import HandPixels
from maskfree.ignore_masks import IgnoreMasks, without_ignored
from maskfree.kept_masks import keep_masks, shown_run
from maskfree.kept_tubes import KeptTubes
from maskfree.masks_lock import masks_lock
from maskfree.model.checkpoint import load_model
from maskfree.network_pass import KeptLogits, network_pass
from maskfree.told_frames import MasksNote
from maskfree.tube import kept_tube
from maskfree.video import open_video

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import torch

    from maskfree.config import Config
    from maskfree.corrections import Correction
    from maskfree.model.mask2former_video import Mask2FormerVideo
    from maskfree.network_pass import GridFrame
    from maskfree.run import Run
    from maskfree.session import Session
    from maskfree.types import BoxTracks, InstanceMasks
    from maskfree.video import Video

__all__ = ["PredictProgress", "boxed_masks", "predict", "predict_video"]


@dataclasses.dataclass(frozen=True)
class PredictProgress:
    """One finished frame: its number, how many of how many are done, seconds left."""

    frame: int
    done: int
    total: int
    seconds_left: float


def predict_video(
    video: Video,
    tracks: BoxTracks | None,
    model: Mask2FormerVideo,
    config: Config,
    *,
    track_ids: list[int],
    device: torch.device,
    frames: tuple[int, int] | None = None,
    memory: ConsensusMemory | None = None,
    tubes: KeptTubes | None = None,
    corrections: Mapping[int, Mapping[int, Correction]] | None = None,
) -> Iterator[tuple[int, InstanceMasks]]:
    """Predict frame after frame; memory holds two clips.

    The network looks at the next clip while the masks of the one before are refined.

    Parameters
    ----------
    video, tracks
        The video, and its boxes; None for a video without boxes, whose instances then come from
        the queries' scores.
    track_ids
        The track that each of the first queries is bound to; empty when they are not bound.
    frames
        Half-open range of frames; None for all.
    memory
        What the run learnt about this video, to refine the masks with; None: the network alone.
    tubes
        The boxes that the run was trained with; None: they are made anew.
    corrections
        What a person said about masks, by frame and track id: the refinement keeps to it, but for
        what is gold.

    Yields
    ------
    tuple
        Frame number and its masks at the video's size.
    """
    size = video.shape[1:3]
    look = functools.partial(
        network_pass,
        video,
        tracks,
        model,
        config,
        track_ids=track_ids,
        device=device,
        frames=frames,
    )
    if tracks is None:
        for grid in look():
            yield grid.frame, _free(grid, size, config)
        return
    known = tubes or KeptTubes({}, {}, {})
    boxes, slack = tube = kept_tube(known, video, tracks, config, frames=frames)
    grids = look(tube=tube)
    ids, ignore = [t.id for t in tracks.tracks], IgnoreMasks(tracks)
    consensus = None
    if memory is not None and memory.fits(len(video)):
        hand = HandPixels.of(corrections or {}, tracks, video)
        consensus = Consensus.recall(
            without_ignored(video, ignore, config),
            boxes,
            slack,
            ids,
            memory,
            config=config.consensus,
            hand=hand,
            ignore=ignore,
        )
    for grid in ahead(grids, _room(config)):
        ignored = ignore.at(grid.frame)
        yield grid.frame, boxed_masks(grid, tube, ids, ignored, size, config, consensus)


def boxed_masks(
    grid: GridFrame,
    tube: tuple[np.ndarray, np.ndarray],
    ids: Sequence[int],
    ignored: np.ndarray | None,
    size: tuple[int, int],
    config: Config,
    consensus: Consensus | None = None,
) -> InstanceMasks:
    """Turn what the network says about a frame with boxes into masks.

    Parameters
    ----------
    tube
        float ``(N, T, 4)`` boxes in the video's pixels, NaN where absent; ``(N, T)`` slack.
    ids
        The tracks' ids, in the boxes' order.
    ignored
        Pixels of the frame that have no part in the scores: bool ``(H, W)``, None: there are none.
    size
        Height and width of the frame.
    consensus
        Refines them, and has heard of this frame alone afterwards; None: the network's own.
    """
    boxes, slack = tube
    here, loose = boxes[:, grid.frame], slack[:, grid.frame]
    if consensus is not None:
        heard = KeptLogits(size)
        heard.add(grid, here, loose)
        consensus.hear(heard)
    parts = {}
    for n in np.flatnonzero(np.isfinite(here).all(1)).tolist():
        part = refined(consensus, n, grid.frame)
        if part is None:
            window = _reach(here[n], loose[n], *size)
            part = window, _enlarge(grid.logits[n], size, window)
        parts[n] = part
    return masks_of_boxes(parts, here, ids, ignored, size, config)


def _room(config: Config) -> int:
    """Return how many frames the network is ahead of the masks: the new ones of a clip."""
    return max(1, config.predict.clip_length - config.predict.overlap)


def _free(grid: GridFrame, size: tuple[int, int], config: Config) -> InstanceMasks:
    """Masks of a frame without boxes."""
    whole = (slice(0, size[0]), slice(0, size[1]))
    parts = [(whole, _enlarge(logits, size, whole)) for logits in grid.logits]
    margin = config.predict.stability_margin
    floor = floor_logit(config)
    scores = [
        s * stability(logits - floor, margin)
        for s, (_, logits) in zip(grid.scores, parts, strict=True)
    ]
    return compose(parts, grid.ids, scores, size, config)


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
    return box_pixels((x0 - dx, y0 - dy, x1 + dx, y1 + dy), height, width)


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
        When the session has no finished run, the frames do not exist, the video is at fault, or
        another process predicts in this session.
    """
    run = session.latest_run()
    if run is None:
        raise InputError(
            f"{session.path} has no fine-tuned run to predict with. "
            f"Run: maskfree finetune --session {session.path}"
        )
    where = resolve_device(device)
    model, config, _, track_ids = load_model(run.kept_weights_path, where)
    own = video is None
    read = config.video.for_run()
    source = session.open_video(read) if own else open_video(video, config=read)
    with source, masks_lock(session):
        if own:
            _check_frames(session, source)
        first, last = _range(frames, len(source))
        # what the network has read beyond the frame whose masks are made
        source.keep_at_most(config.predict.clip_length + _room(config) + 1)
        store = session.mask_store(None if own else source_name(source))
        log = session.predict_log
        boxes = session.boxes if own else None
        corrections = session.corrections.read_all() if own else {}
        note = MasksNote(session, run, boxes, corrections) if boxes is not None else None
        shown = shown_run(session)
        if own and shown != run.name:
            keep_masks(session)
        log.clear()
        # of another video it is not the run whose masks the session shows
        owner = run.name if own else shown
        log.append({"status": "running", "run": owner, "pid": os.getpid()})
        results = predict_video(
            source,
            boxes,
            model,
            config,
            track_ids=track_ids,
            device=where,
            frames=(first, last),
            memory=_memory(run, config) if own else None,
            tubes=_tubes(run) if own else None,
            corrections=corrections,
        )
        status, message = "stopped", ""
        started, total = time.monotonic(), last - first
        try:
            for done, (frame, masks) in enumerate(results, 1):
                store.write(frame, masks)
                if note is not None:
                    note.add(frame)
                left = (time.monotonic() - started) / done * (total - done)
                progress = PredictProgress(frame, done, total, round(left, 1))
                log.append(dataclasses.asdict(progress))
                yield progress
            status = "done"
        except Exception as error:
            status, message = "failed", str(error)
            raise
        finally:
            if note is not None:
                note.close()
            log.append({"status": status, "message": message})


def _check_frames(session: Session, video: Video) -> None:
    """Check that it shows what the session's boxes were drawn on, as far as that is known."""
    if words := require_frames(session, video):
        warnings.warn(words, InputWarning, stacklevel=3)


def _memory(run: Run, config: Config) -> ConsensusMemory | None:
    if not config.consensus.refine or not run.kept_memory_path.is_file():
        return None
    return ConsensusMemory.from_file(run.kept_memory_path, config.consensus)


def _tubes(run: Run) -> KeptTubes | None:
    path = run.kept_tube_path
    return KeptTubes.from_file(path) if path.is_file() else None


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
