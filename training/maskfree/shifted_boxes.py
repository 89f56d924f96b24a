"""Boxes and notes of a video whose frames have other numbers now: every frame so many further on.

All functions are pure.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from maskfree.tracks import box_at, keyframe_at
from maskfree.types import Keyframe

if TYPE_CHECKING:
    from collections.abc import Iterable

    from maskfree.types import BoxTracks, IgnoreRegion, Track

__all__ = ["shifted_boxes", "shifted_frames"]


def shifted_frames(frames: Iterable[int], offset: int, num_frames: int) -> list[int]:
    """Return the frames that are still there, with their new numbers, in order."""
    return sorted(f + offset for f in frames if 0 <= f + offset < num_frames)


def shifted_boxes(
    boxes: BoxTracks, offset: int, num_frames: int, fps: float | None = None
) -> BoxTracks:
    """Return the boxes with every frame ``offset`` further on, for a video of ``num_frames``.

    In each frame that is still there a track is where it was: where a keyframe falls away that its
    first or last frames were interpolated from, they get one. A track whose keyframes all fall away
    stays without any. ``fps``: that of the video now, None to keep it.
    """
    first, last = -offset, num_frames - 1 - offset
    return dataclasses.replace(
        boxes,
        num_frames=num_frames,
        fps=boxes.fps if fps is None else fps,
        tracks=tuple(_track(track, first, last) for track in boxes.tracks),
        ignore=tuple(r for each in boxes.ignore if (r := _region(each, first, last)) is not None),
    )


def _track(track: Track, first: int, last: int) -> Track:
    """Return a track of the frames ``first`` to ``last``, which count from 0 then."""
    kept = [k for k in track.keyframes if first <= k.frame <= last]
    starts = [k for k in track.keyframes if k.frame <= first]
    ends = [k for k in track.keyframes if k.frame > last]
    if starts and keyframe_at(track, first) is None:
        kept = [*_drawn(track, first), *kept]
    if ends and ends[0].xyxy is not None and keyframe_at(track, last) is None and last > first:
        kept += _drawn(track, last)
    moved = (dataclasses.replace(k, frame=k.frame - first) for k in kept)
    return dataclasses.replace(track, keyframes=tuple(moved))


def _drawn(track: Track, frame: int) -> list[Keyframe]:
    """Return the box of a frame between keyframes as a keyframe of its own; none where absent."""
    state = box_at(track, frame)
    if state is None:
        return []
    return [Keyframe(frame, state.xyxy, occluded=state.occluded)]


def _region(region: IgnoreRegion, first: int, last: int) -> IgnoreRegion | None:
    until = last if region.until is None else min(region.until, last)
    if region.frame > last or until < first:
        return None
    return dataclasses.replace(
        region,
        frame=max(region.frame, first) - first,
        until=None if region.until is None else until - first,
    )
