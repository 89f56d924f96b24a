"""The boxes that the engine works with: a track's box in every frame, and how far it may be off.

They are the person's keyframes and, in the frames between and after those, what the picture says of
where the object went. A run keeps them, so that prediction works with the boxes of the training.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from maskfree.follow import follow_boxes
from maskfree.ignore_masks import IgnoreMasks, without_ignored
from maskfree.loose_tube import loose_tube
from maskfree.watch import Watch, unwatched
from maskfree.working import WorkingFrames, working_scale

if TYPE_CHECKING:
    from maskfree.config import Config
    from maskfree.kept_tubes import KeptTubes
    from maskfree.types import BoxTracks
    from maskfree.video import Video

__all__ = ["followed_tube", "kept_tube", "tracks_scale"]


def tracks_scale(video: Video, tracks: BoxTracks, config: Config) -> float:
    """Return the working scale of an annotated video.

    It follows from the boxes as they were drawn, so that training and prediction agree on it.
    """
    drawn, _ = loose_tube(tracks, range(len(video)), config=config.sampling)
    return working_scale(drawn, *video.shape[1:3], config=config.sampling)


def followed_tube(
    video: Video,
    tracks: BoxTracks,
    config: Config,
    *,
    frames: tuple[int, int] | None = None,
    watch: Watch = unwatched,
) -> tuple[np.ndarray, np.ndarray]:
    """Return every track's box in every frame, those between keyframes moved with the picture.

    Parameters
    ----------
    frames
        Half-open range: spans between keyframes that lie outside it stay interpolated; None: all.
    watch
        Told after each frame.

    Returns
    -------
    tuple
        ``boxes`` float ``(N, T, 4)``, xyxy in the video's pixels, NaN where absent; ``slack`` float
        ``(N, T)``, how far they may be wrong, as a part of their size.
    """
    boxes, slack = loose_tube(tracks, range(len(video)), config=config.sampling)
    if not config.follow.between or not np.isfinite(boxes).any():
        return boxes, slack
    scale = tracks_scale(video, tracks, config)
    ignore = IgnoreMasks(tracks)
    video = without_ignored(video, ignore, config)
    working = WorkingFrames(video, scale, cache_bytes=config.video.working_bytes)
    drawn = working.to_working(boxes)
    moved, followed = follow_boxes(
        working,
        tracks,
        drawn,
        within=frames,
        config=config.follow,
        ignore=ignore,
        watch=watch,
    )
    surer = dataclasses.replace(config.sampling, slack_per_travel=config.follow.slack_per_travel)
    _, less = loose_tube(tracks, range(len(video)), config=surer)
    sy, sx = working.scale_yx
    return (
        np.where(followed[..., None], moved / np.array([sx, sy, sx, sy]), boxes),
        np.where(followed, less, slack),
    )


def kept_tube(
    tubes: KeptTubes,
    video: Video,
    tracks: BoxTracks,
    config: Config,
    *,
    frames: tuple[int, int] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the tracks' boxes and slack: as kept, or where they changed by `followed_tube`.

    A track that changed stays, after its last keyframe, where it was drawn.
    """
    known = [tubes.knows(track, len(video)) for track in tracks.tracks]
    boxes, slack = loose_tube(tracks, range(len(video)), config=config.sampling)
    if not all(known):
        changed = np.flatnonzero(~np.array(known))
        some = dataclasses.replace(tracks, tracks=tuple(tracks.tracks[n] for n in changed))
        boxes[changed], slack[changed] = followed_tube(video, some, config, frames=frames)
    for n in np.flatnonzero(known).tolist():
        track_id = tracks.tracks[n].id
        boxes[n], slack[n] = tubes.boxes[track_id], tubes.slack[track_id]
    return boxes, slack
