"""Every track's box in every frame as it was drawn, and how far it may be wrong. No torch here."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from maskfree.tracks import box_at, travel_at

if TYPE_CHECKING:
    from collections.abc import Sequence

    from maskfree.config import SamplingConfig
    from maskfree.types import BoxTracks

__all__ = ["loose_tube"]


def loose_tube(
    tracks: BoxTracks, frames: Sequence[int], *, config: SamplingConfig
) -> tuple[np.ndarray, np.ndarray]:
    """Return boxes and how far each may be wrong.

    A box on a keyframe is exact; one between keyframes may be wrong by ``slack_per_frame`` of its
    size for each frame to the nearest keyframe and by ``slack_per_travel`` of how far it travels
    between its keyframes, at most ``max_slack``.

    Returns
    -------
    tuple
        ``boxes`` float ``(N, T, 4)`` in pixels of the video, NaN where absent, and ``slack`` float
        ``(N, T)``, as a part of the box's size.
    """
    boxes = np.full((len(tracks.tracks), len(frames), 4), np.nan)
    slack = np.zeros(boxes.shape[:2])
    for n, track in enumerate(tracks.tracks):
        for i, frame in enumerate(frames):
            state = box_at(track, frame)
            if state is not None:
                boxes[n, i] = state.xyxy
                travel = config.slack_per_travel * travel_at(track, frame)
                loose = config.slack_per_frame * state.gap + travel
                slack[n, i] = 0.0 if state.keyframe else min(config.max_slack, loose)
    return boxes, slack
