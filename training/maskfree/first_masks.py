"""Masks before any training: of all cues but the network, seconds after the boxes. No torch here.

A run writes them once it has looked at its video, before the network is so much as imported; the
prediction after it takes their place.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

import numpy as np

from maskfree.compose import masks_of_boxes, refined
from maskfree.errors import InputError
from maskfree.evenly import evenly
from maskfree.kept_masks import keep_masks, show_run, shown_run
from maskfree.masks_lock import masks_lock
from maskfree.prepare import prepare, settles
from maskfree.told_frames import MasksNote, untrained_masks
from maskfree.watch import Ticks, Watch, unwatched

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from maskfree.config import Config
    from maskfree.corrections import Correction
    from maskfree.prepare import Prepared
    from maskfree.run import Run
    from maskfree.session import Session
    from maskfree.types import BoxTracks, InstanceMasks
    from maskfree.video import Video

__all__ = [
    "first_frames",
    "remove_first_masks",
    "settle_video",
    "wants_first_masks",
    "write_first_masks",
]


def settle_video(
    video: Video, tracks: BoxTracks, config: Config
) -> Iterator[tuple[int, InstanceMasks]]:
    """Yield every frame's number and its masks of all cues but the network.

    Raises
    ------
    InputError
        When there is no box.
    """
    prepared = prepare(video, tracks, config)
    yield from _settled(prepared, tracks, video.shape[1:3], config, range(len(video)))


def wants_first_masks(session: Session | None, config: Config) -> bool:
    """Whether a new run shows masks before it trains: where there are none but such already.

    ``session``: None where it is yet to be made.
    """
    if not (config.consensus.first_boxes and config.consensus.refine and settles(config)):
        return False
    return session is None or _are_first(session)


def first_frames(boxes: np.ndarray, most: int) -> list[int]:
    """Return the frames with a box, all or some that are spread, with about ``most`` boxes.

    Parameters
    ----------
    boxes
        float ``(N, T, 4)``, NaN where absent.
    """
    count = np.isfinite(boxes).all(-1).sum(0)
    boxed = np.flatnonzero(count).tolist()
    some = len(boxed) * most // max(most, int(count.sum()), 1)
    return sorted(evenly(boxed, max(1, some)))


def write_first_masks(
    session: Session,
    run: Run,
    prepared: Prepared,
    tracks: BoxTracks,
    config: Config,
    *,
    corrections: Mapping[int, Mapping[int, Correction]],
    watch: Watch = unwatched,
) -> int:
    """Write the masks of a run that is about to train into its session; return of how many frames.

    Of a video with more boxes than ``consensus.first_boxes``, some frames that are spread over it;
    none where there are masks of a trained run by now.

    Raises
    ------
    InputError
        Where another process is writing masks, the disk is full or the folder may not be written.
    """
    frames = first_frames(prepared.boxes, config.consensus.first_boxes)
    size = (tracks.height, tracks.width)
    with masks_lock(session):
        if not _are_first(session):
            return 0
        if shown_run(session) != run.name:
            keep_masks(session)
        store, log = session.mask_store(), session.predict_log
        store.clear()
        log.clear()
        log.append({"status": "running", "run": run.name, "pid": os.getpid()})
        note = MasksNote(session, run, tracks, corrections, first=frames)
        status, tick = "stopped", Ticks(watch, "first masks", len(frames))
        try:
            for frame, masks in _settled(prepared, tracks, size, config, frames):
                store.write(frame, masks)
                note.add(frame)
                tick()
            status = "done"
        finally:
            note.close()
            log.append({"status": status, "message": ""})
    run.append({"first_masks": len(frames)})
    return len(frames)


def remove_first_masks(session: Session, run: Run, before: str | None) -> None:
    """Leave nothing of the first masks of a run that came to nothing.

    Masks that another run, or another process, has put there since stay.

    Parameters
    ----------
    before
        The run whose masks were shown before, which are shown again.
    """
    with contextlib.suppress(OSError, InputError):
        with masks_lock(session):
            if shown_run(session) != run.name or not _are_first(session):
                return
            session.mask_store().clear()
            session.predict_log.clear()
            session.mask_store().path.rmdir()
        if before is not None:
            show_run(session, before)


def _are_first(session: Session) -> bool:
    """Whether all masks that the session shows, if any, are of before any training."""
    return len(untrained_masks(session)) == len(session.mask_store().frames())


def _settled(
    prepared: Prepared,
    tracks: BoxTracks,
    size: tuple[int, int],
    config: Config,
    frames: Iterable[int],
) -> Iterator[tuple[int, InstanceMasks]]:
    ids = [track.id for track in tracks.tracks]
    for frame in frames:
        found = {n: refined(prepared.consensus, n, frame) for n in range(len(ids))}
        parts = {n: part for n, part in found.items() if part is not None}
        boxes, ignored = prepared.boxes[:, frame], prepared.ignore.at(frame)
        yield frame, masks_of_boxes(parts, boxes, ids, ignored, size, config)
