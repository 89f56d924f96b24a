"""The boxes that the engine works with: a track's box in every frame, and how far it may be off."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from maskfree.follow import follow_boxes
from maskfree.targets import loose_tube
from maskfree.working import WorkingFrames, working_scale

if TYPE_CHECKING:
    from maskfree.config import Config
    from maskfree.types import BoxTracks
    from maskfree.video import Video

__all__ = ["followed_tube"]


def followed_tube(
    video: Video, tracks: BoxTracks, config: Config, *, frames: tuple[int, int] | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return every track's box in every frame, those between keyframes moved with the picture.

    Parameters
    ----------
    frames
        Half-open range: spans between keyframes that lie outside it stay interpolated; None: all.

    Returns
    -------
    tuple
        ``boxes`` float ``(N, T, 4)``, xyxy in the video's pixels, NaN where absent; ``slack`` float
        ``(N, T)``, how far they may be wrong, as a part of their size.
    """
    boxes, slack = loose_tube(tracks, range(len(video)), config=config.sampling)
    if not config.follow.between or not np.isfinite(boxes).any():
        return boxes, slack
    scale = working_scale(boxes, *video.shape[1:3], config=config.sampling)
    working = WorkingFrames(video, scale, cache_bytes=config.video.cache_bytes)
    moved, followed = follow_boxes(
        working, tracks, working.to_working(boxes), within=frames, config=config.follow
    )
    surer = dataclasses.replace(config.sampling, slack_per_travel=config.follow.slack_per_travel)
    _, less = loose_tube(tracks, range(len(video)), config=surer)
    sy, sx = working.scale_yx
    return (
        np.where(followed[..., None], moved / np.array([sx, sy, sx, sy]), boxes),
        np.where(followed, less, slack),
    )
