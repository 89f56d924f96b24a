"""Beyond its last keyframe a box follows its object, until that is lost.

From frame to frame the box goes with the points of its mask (see `follow.py`), then half of the way
to what its mask spans in the new frame: points alone drift onto the ground. The masks are those of
a consensus that knows the track's colours from its keyframes, and what goes on outside the box.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import cv2
import numpy as np

from maskfree.consensus import Consensus
from maskfree.follow import moved_boxes
from maskfree.ignore_masks import IgnoreMasks
from maskfree.watch import Ticks, Watch, unwatched

if TYPE_CHECKING:
    from collections.abc import Iterator

    from maskfree.belief import Belief
    from maskfree.config import Config
    from maskfree.crop import Crop
    from maskfree.types import BoxTracks, Track
    from maskfree.working import WorkingFrames

__all__ = ["follow_from", "follow_held", "is_held"]

_LEAST_SIDE = 4.0
"""Pixels of the video: a box that has become smaller is lost."""
_FEWEST = 8
"""Points: a mask with fewer is not what the box goes with."""
_SPECK = 0.05
"""Parts of a mask that are smaller than this part of its largest do not widen the box."""


def follow_held(
    frames: WorkingFrames,
    tracks: BoxTracks,
    boxes: np.ndarray,
    slack: np.ndarray,
    *,
    evidence: Belief | None,
    stretch: float,
    config: Config,
    watch: Watch = unwatched,
) -> np.ndarray:
    """Move the boxes beyond each track's last keyframe; once lost, a box stays.

    Parameters
    ----------
    frames
        The video at its working scale, what is ignored painted over.
    tracks
        Where the keyframes are, and what is ignored.
    boxes, slack
        float ``(N, T, 4)`` xyxy in the video's pixels, NaN where absent; ``(N, T)``.
    evidence
        ``(T, h, w)``, see :mod:`maskfree.evidence`, or None where there is none yet.
    stretch
        By how much the clip's contrast is stretched, see `contrast.lab_stretch`.
    watch
        Told after each frame of each track.

    Returns
    -------
    numpy.ndarray
        The boxes, float ``(N, T, 4)``.
    """
    out, ignore = boxes.copy(), IgnoreMasks(tracks)
    ends = {
        n: min(len(frames), track.keyframes[-1].frame + 1 + config.follow.most_held)
        for n, track in enumerate(tracks.tracks)
        if _held(track, len(frames))
    }
    asked = sum(end - tracks.tracks[n].keyframes[-1].frame - 1 for n, end in ends.items())
    tick = Ticks(watch, "boxes after the last keyframe", asked)
    for n, end in ends.items():
        last = tracks.tracks[n].keyframes[-1]
        known = boxes[n : n + 1].copy()
        known[:, last.frame + 1 :] = np.nan
        consensus = Consensus(
            frames.video,
            known,
            slack[n : n + 1].copy(),
            evidence,
            stretch=stretch,
            config=config.consensus,
            ignore=ignore,
        )
        consensus.fit()
        span = range(last.frame, end)
        way = []
        for box in follow_from(
            frames, consensus, out[n, last.frame], span, config=config, ignore=ignore
        ):
            way.append(box)
            tick()
        tick(len(span) - 1 - len(way))
        stop = last.frame + 1 + len(way)
        out[n, last.frame + 1 : stop] = np.array(way).reshape(-1, 4)
        out[n, stop:] = out[n, stop - 1]
    return out


def is_held(tracks: BoxTracks, num_frames: int) -> bool:
    """Whether any track goes on after its last keyframe."""
    return any(_held(track, num_frames) for track in tracks.tracks)


def _held(track: Track, num_frames: int) -> bool:
    last = track.keyframes[-1] if track.keyframes else None
    return last is not None and last.xyxy is not None and last.frame + 1 < num_frames


def follow_from(
    frames: WorkingFrames,
    consensus: Consensus,
    box: np.ndarray,
    span: range,
    *,
    config: Config,
    ignore: IgnoreMasks | None = None,
) -> Iterator[np.ndarray]:
    """Yield the box in each frame of ``span`` after its first, up to where it is lost.

    Parameters
    ----------
    consensus
        Of this track alone; its box is placed in it on the way.
    box
        float ``(4,)``, xyxy in the video's pixels, where it is in the first frame of ``span``.
    span
        Frames in the order in which they are gone through, forward or backward.
    ignore
        Pixels that the box does not go with.
    """
    scale = np.tile(frames.scale_yx[::-1], 2)
    grey = _grey(frames, span[0])
    limits = np.array(frames.video.shape[2:0:-1] * 2, float)
    for here, there in itertools.pairwise(span):
        points = _points(consensus.crop(0, here), box, config.follow.points)
        if ignore:
            points = ignore.outside(points, here, frames.video.shape[1:3])
        before, grey = grey, _grey(frames, there)
        moved = moved_boxes(
            before, grey, box[None] * scale, [points * scale[:2]], config=config.follow
        )
        moved = moved[0] / scale
        if not np.isfinite(moved).all():
            return
        reach = config.follow.held_reach
        consensus.place(0, there, moved, reach)
        spanned = _spanned(consensus.crop(0, there))
        if spanned is None:
            return
        most = reach * np.tile(moved[2:] - moved[:2], 2)
        moved = moved + config.follow.held_pull * np.clip(spanned - moved, -most, most)
        box = np.clip(moved, 0, limits)
        if (box[2:] - box[:2] < _LEAST_SIDE).any():
            return
        consensus.place(0, there, box, 0.0)
        yield box


def _grey(frames: WorkingFrames, t: int) -> np.ndarray:
    return np.asarray(cv2.cvtColor(frames[t], cv2.COLOR_RGB2GRAY))


def _points(crop: Crop | None, box: np.ndarray, count: int) -> np.ndarray:
    """Points of the box that its mask holds, or all of them where the mask is next to nothing."""
    part = (np.arange(count) + 0.5) / count
    (x0, y0), (across, down) = box[:2], box[2:] - box[:2]
    x, y = np.meshgrid(x0 + part * across, y0 + part * down)
    points = np.stack([x.ravel(), y.ravel()], 1).astype(np.float32)
    if crop is None:
        return points
    mine = crop.at(x.astype(np.float32), y.astype(np.float32), outside=-1.0).ravel() > 0
    return points[mine] if mine.sum() >= _FEWEST else points


def _spanned(crop: Crop | None) -> np.ndarray | None:
    """The box around a mask, specks left out: xyxy in the video's pixels; None: no mask."""
    if crop is None:
        return None
    count, _, stats, _ = cv2.connectedComponentsWithStats((crop.full() > 0).astype(np.uint8))
    if count < 2:
        return None
    areas = stats[1:, cv2.CC_STAT_AREA]
    kept = stats[1:][areas >= _SPECK * areas.max()]
    x, y = kept[:, cv2.CC_STAT_LEFT], kept[:, cv2.CC_STAT_TOP]
    right = (x + kept[:, cv2.CC_STAT_WIDTH]).max() + crop.columns.start
    bottom = (y + kept[:, cv2.CC_STAT_HEIGHT]).max() + crop.rows.start
    return np.array([x.min() + crop.columns.start, y.min() + crop.rows.start, right, bottom], float)
