"""Some frames of an annotated video, as a video of its own with the boxes that they have."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from maskfree.belief import Belief
from maskfree.kept_tubes import KeptTubes
from maskfree.loose_tube import loose_tube
from maskfree.tracks import box_at
from maskfree.types import Keyframe
from maskfree.video import Video
from maskfree.video_source import FrameSource

if TYPE_CHECKING:
    from maskfree.config import Config
    from maskfree.types import BoxTracks, IgnoreRegion, Track

__all__ = ["fullest_span", "part_of_belief", "part_of_tracks", "part_of_tubes", "part_of_video"]


class _Part(FrameSource):
    """Frames ``first`` to ``last - 1`` of another video, which keeps them."""

    cheap = True

    def __init__(self, video: Video, first: int, last: int) -> None:
        self._video, self._first = video, first
        self.size = (last - first, *video.shape[1:3])
        self.names = list(video.names[first:last])
        self.fps = video.fps

    def read(self, index: int) -> np.ndarray:
        """Return frame ``index`` as uint8 RGB ``(H, W, 3)``."""
        return self._video[self._first + index]


def part_of_video(video: Video, first: int, last: int, config: Config) -> Video:
    """Return the frames ``first`` to ``last - 1``; ``video`` must stay open."""
    return Video(_Part(video, first, last), config.video)


def part_of_tracks(tracks: BoxTracks, first: int, last: int) -> BoxTracks:
    """Return the boxes of the frames ``first`` to ``last - 1``.

    Every box is where it is in the whole video. A track that goes on after its last keyframe does
    so here too, and one without a box in these frames has no keyframe.
    """
    return dataclasses.replace(
        tracks,
        num_frames=last - first,
        tracks=tuple(_part_of_track(track, first, last) for track in tracks.tracks),
        ignore=tuple(_moved(r, first, last) for r in tracks.ignore if _is_in(r, first, last)),
    )


def part_of_tubes(
    tubes: KeptTubes | None, tracks: BoxTracks, first: int, last: int
) -> KeptTubes | None:
    """Return the kept boxes of the frames ``first`` to ``last - 1``; ``tracks``: the whole ones.

    None where any of the tracks is not kept as it is now: a run then follows all of them anew.
    """
    kept = tubes is not None and all(tubes.knows(t, tracks.num_frames) for t in tracks.tracks)
    if tubes is None or not kept:
        return None
    ids = [track.id for track in tracks.tracks]
    boxes, slack = (np.stack([each[i] for i in ids]) for each in (tubes.boxes, tubes.slack))
    part = part_of_tracks(tracks, first, last)
    return KeptTubes.of(part, boxes[:, first:last], slack[:, first:last])


def part_of_belief(belief: Belief | None, first: int, last: int) -> Belief | None:
    """Return what is believed of the frames ``first`` to ``last - 1``; None where nothing is."""
    if belief is None:
        return None
    return Belief.of(np.stack([belief[t] for t in range(first, last)]))


def _is_in(region: IgnoreRegion, first: int, last: int) -> bool:
    return region.frame < last and (region.until is None or region.until >= first)


def _moved(region: IgnoreRegion, first: int, last: int) -> IgnoreRegion:
    until = None if region.until is None else min(region.until, last - 1) - first
    return dataclasses.replace(region, frame=max(region.frame - first, 0), until=until)


def _part_of_track(track: Track, first: int, last: int) -> Track:
    kept = {k.frame: k for k in track.keyframes if first <= k.frame < last}
    goes_on = any(k.frame >= last and k.xyxy is not None for k in track.keyframes)
    for frame in (first, last - 1) if goes_on else (first,):
        now = box_at(track, frame)
        if frame not in kept and now is not None:
            kept[frame] = Keyframe(frame, now.xyxy, occluded=now.occluded)
    moved = (dataclasses.replace(kept[f], frame=f - first) for f in sorted(kept))
    return dataclasses.replace(track, keyframes=tuple(moved))


def fullest_span(tracks: BoxTracks, num_frames: int, length: int, config: Config) -> int:
    """Return where the ``length`` frames with the most boxes begin; of several, the last."""
    boxes, _ = loose_tube(tracks, range(num_frames), config=config.sampling)
    counts = np.isfinite(boxes).all(-1).sum(0)
    sums = np.convolve(counts, np.ones(length, int), mode="valid")
    return int(len(sums) - 1 - sums[::-1].argmax())
