"""Draw once: a box is proposed in the frames after or before it, until the object is lost.

The box goes with the points of its object and half of the way to what that spans (`held.py`). Which
pixels are the object's, a consensus says that knows the track's colours from its keyframes; no
network, and no look at the rest of the video.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from maskfree.consensus import Consensus
from maskfree.contrast import lab_stretch
from maskfree.enough_boxes import enough_boxes
from maskfree.errors import InputError
from maskfree.held import follow_from
from maskfree.ignore_masks import IgnoreMasks, without_ignored
from maskfree.tracks import find_track, set_keyframe
from maskfree.tube import tracks_scale
from maskfree.types import Keyframe
from maskfree.working import WorkingFrames

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from maskfree.config import Config, ProposalConfig
    from maskfree.types import Box, BoxTracks, Track
    from maskfree.video import Video

__all__ = ["propagate_box", "with_proposed"]


def propagate_box(
    video: Video, tracks: BoxTracks, track_id: int, frame: int, *, forward: bool, config: Config
) -> Iterator[tuple[int, Box]]:
    """Yield frame and box ``xyxy`` in pixels, frame by frame away from a keyframe.

    Ends where the object is lost, at the track's next keyframe in that direction, at the end of
    the video, and after ``follow.most_held`` frames.

    Raises
    ------
    InputError
        For an id that no track has, or a frame in which it has no keyframe with a box.
    """
    track = find_track(tracks, track_id)
    known = {k.frame: k.xyxy for k in track.keyframes if k.xyxy is not None}
    if frame not in known:
        raise InputError(
            f"Track {track_id} has no box drawn in frame {frame} to go on from. Draw one there."
        )
    scale = tracks_scale(video, tracks, config)
    ignore = IgnoreMasks(tracks)
    video = without_ignored(video, ignore, config)
    frames = WorkingFrames(video, scale, cache_bytes=config.video.working_bytes)
    boxes = np.full((1, len(video), 4), np.nan)
    for at, xyxy in known.items():
        boxes[0, at] = xyxy
    consensus = Consensus(
        video,
        boxes,
        np.zeros((1, len(video))),
        None,
        stretch=lab_stretch(frames, config=config.sampling),
        config=config.consensus,
        ignore=ignore,
    )
    consensus.fit()
    span = _span(track, frame, len(video), config.follow.most_held, forward=forward)
    way = follow_from(
        frames, consensus, np.array(known[frame], float), span, config=config, ignore=ignore
    )
    for at, box in zip(span[1:], way, strict=False):
        x0, y0, x1, y1 = (float(v) for v in box)
        yield at, (x0, y0, x1, y1)


def with_proposed(
    tracks: BoxTracks,
    track_id: int,
    frame: int,
    boxes: Mapping[int, Box],
    *,
    config: ProposalConfig,
) -> tuple[BoxTracks, list[int]]:
    """Return the tracks with as many proposed boxes made keyframes as are needed, and which.

    Parameters
    ----------
    frame
        The keyframe that the boxes were proposed from; something that hides it there hides it on.
    boxes
        ``xyxy`` by frame, as :func:`propagate_box` yields them.

    Raises
    ------
    InputError
        For an id that no track has.
    """
    start = next((k for k in find_track(tracks, track_id).keyframes if k.frame == frame), None)
    whole = dict(boxes)
    if start is not None and start.xyxy is not None:
        whole[frame] = start.xyxy
    chosen = [f for f in enough_boxes(whole, config.tolerance) if f in boxes]
    occluded = start is not None and start.occluded
    for at in chosen:
        tracks = set_keyframe(tracks, track_id, Keyframe(at, boxes[at], occluded=occluded))
    return tracks, chosen


def _span(track: Track, frame: int, count: int, most: int, *, forward: bool) -> range:
    """Return the frames to go through, the first one included."""
    others = [k.frame for k in track.keyframes]
    if forward:
        end = min([f for f in others if f > frame] + [count, frame + 1 + most])
        return range(frame, end)
    start = max([f for f in others if f < frame] + [-1, frame - 1 - most])
    return range(frame, start, -1)
