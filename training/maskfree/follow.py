"""Boxes between keyframes follow the picture: points in them, from frame to frame, both ways.

From each of two neighbouring keyframes the box goes with the points inside its ellipse (pyramidal
Lucas-Kanade there and back, a similarity by RANSAC; MedianFlow, Kalal and others, ICPR 2010, moves
a box alike). What it misses at the other keyframe is spread evenly over the way, so that both
chains meet both keyframes; the box is their mean, each the heavier the nearer it began. Where the
points are lost the box stays interpolated. A person's keyframe never moves.
"""

from __future__ import annotations

import dataclasses
import itertools
from typing import TYPE_CHECKING

import cv2
import numpy as np

from maskfree.watch import Ticks, Watch, unwatched

if TYPE_CHECKING:
    from collections.abc import Sequence

    from maskfree.config import FollowConfig
    from maskfree.ignore_masks import IgnoreMasks
    from maskfree.types import BoxTracks

__all__ = ["follow_boxes", "moved_boxes"]

_LEAST_SIDE = 4.0
"""Pixels: a box that shows less of itself has nothing to follow."""
_MOST_GROWTH = 1.1
"""A box grows or shrinks by no more than this factor from a frame to the next."""


@dataclasses.dataclass(frozen=True)
class _Span:
    """Row of a track and the frames of two neighbouring keyframes, both with a box."""

    row: int
    first: int
    last: int


def follow_boxes(
    frames: Sequence[np.ndarray],
    tracks: BoxTracks,
    boxes: np.ndarray,
    *,
    within: tuple[int, int] | None = None,
    config: FollowConfig,
    ignore: IgnoreMasks | None = None,
    watch: Watch = unwatched,
) -> tuple[np.ndarray, np.ndarray]:
    """Move the boxes between keyframes to where the picture went.

    Reads the frames once, in order; memory holds the longest span between two keyframes.

    Parameters
    ----------
    frames
        T frames, uint8 RGB ``(H, W, 3)``.
    tracks
        Where the keyframes are.
    boxes
        float ``(N, T, 4)``, xyxy in pixels of these frames, interpolated, NaN where absent.
    within
        Half-open range of frames whose boxes are wanted; None: all.
    ignore
        Pixels that no box goes with.
    watch
        Told after each frame.

    Returns
    -------
    tuple
        The boxes, float ``(N, T, 4)``, and which of them were moved, bool ``(N, T)``.
    """
    out, followed = boxes.copy(), np.zeros(boxes.shape[:2], bool)
    ending: dict[int, list[_Span]] = {}
    low, high = within or (0, len(frames))
    for span in _spans(tracks, len(frames), config.most_gap):
        if span.first < high and span.last >= low:
            ending.setdefault(span.last, []).append(span)
    needed = np.zeros(len(frames), bool)
    for span in (s for spans in ending.values() for s in spans):
        needed[span.first : span.last + 1] = True
    greys: dict[int, np.ndarray] = {}
    tick = Ticks(watch, "boxes between keyframes", int(needed.sum()))
    for t in np.flatnonzero(needed).tolist():
        greys[t] = cv2.cvtColor(np.ascontiguousarray(frames[t]), cv2.COLOR_RGB2GRAY)
        spans = ending.pop(t, [])
        for first in sorted({s.first for s in spans}):
            rows = [s.row for s in spans if s.first == first]
            moved = _between(greys, boxes[rows], first, t, config, ignore or None)
            found = np.isfinite(moved).all(-1)
            followed[rows, first + 1 : t] = found
            out[rows, first + 1 : t] = np.where(found[..., None], moved, boxes[rows, first + 1 : t])
        oldest = min((s.first for left in ending.values() for s in left), default=t)
        for old in [frame for frame in greys if frame < oldest]:
            del greys[old]
        tick()
    return out, followed


def moved_boxes(
    here: np.ndarray,
    there: np.ndarray,
    boxes: np.ndarray,
    points: Sequence[np.ndarray],
    *,
    config: FollowConfig,
) -> np.ndarray:
    """Move boxes with their points from one frame to another.

    Parameters
    ----------
    here, there
        The frames, grey uint8 ``(H, W)``.
    boxes
        float ``(N, 4)``, xyxy in pixels.
    points
        For each box the points that it goes with, float ``(P, 2)`` xy.

    Returns
    -------
    numpy.ndarray
        float ``(N, 4)``, NaN where too few points were found again or agree.
    """
    out = np.full(boxes.shape, np.nan)
    start = np.concatenate(points).astype(np.float32) if len(points) else np.zeros((0, 2))
    if not len(start):
        return out
    places, good = _found_again(here, there, start, config)
    ends = np.cumsum([len(p) for p in points])
    for n, (low, high) in enumerate(zip(np.r_[0, ends], ends, strict=False)):
        part = good[low:high]
        if part.sum() < config.least_points:
            continue
        matrix, agree = cv2.estimateAffinePartial2D(
            start[low:high][part],
            places[low:high][part],
            method=cv2.RANSAC,
            ransacReprojThreshold=config.ransac_threshold,
        )
        enough = max(config.least_points, config.least_agreement * part.sum())
        if matrix is not None and agree.sum() >= enough:
            out[n] = _moved(boxes[n], matrix)
    return out


def _spans(tracks: BoxTracks, num_frames: int, most_gap: int) -> list[_Span]:
    spans = []
    for row, track in enumerate(tracks.tracks):
        for start, end in itertools.pairwise(track.keyframes):
            known = start.xyxy is not None and end.xyxy is not None
            if known and 1 < end.frame - start.frame <= most_gap and end.frame < num_frames:
                spans.append(_Span(row, start.frame, end.frame))
    return spans


def _between(
    greys: dict[int, np.ndarray],
    boxes: np.ndarray,
    first: int,
    last: int,
    config: FollowConfig,
    ignore: IgnoreMasks | None,
) -> np.ndarray:
    """Boxes ``(N, last - first - 1, 4)`` of the frames between two keyframes; NaN where lost."""
    way = list(range(first, last + 1))
    part = np.linspace(0, 1, len(way))[:, None]
    total = np.zeros((len(boxes), len(way), 4))
    weight = np.zeros((len(boxes), len(way), 1))
    for frames, share in ((way, 1 - part), (way[::-1], part)):
        chain = _chain(greys, boxes[:, frames[0]], frames, config, ignore)
        far = boxes[:, frames[-1]]
        missed = far - chain[:, -1]
        chain = chain + np.linspace(0, 1, len(way))[:, None] * missed[:, None]
        chain = chain if frames is way else chain[:, ::-1]
        near = np.abs(missed / np.tile(far[:, 2:] - far[:, :2], 2)).max(1) <= config.most_drift
        found = np.isfinite(chain).all(-1) & near[:, None]
        total += np.where(found[..., None], chain, 0) * share
        weight += found[..., None] * share
    out = np.where(weight > 0, total / np.maximum(weight, 1e-9), np.nan)
    return np.asarray(out[:, 1:-1])


def _chain(
    greys: dict[int, np.ndarray],
    boxes: np.ndarray,
    frames: Sequence[int],
    config: FollowConfig,
    ignore: IgnoreMasks | None,
) -> np.ndarray:
    """Boxes ``(N, len(frames), 4)`` followed from the first of ``frames``; NaN once lost."""
    out = [boxes]
    for here, there in itertools.pairwise(frames):
        shape = greys[here].shape
        points = [_grid(box, shape, config.points) for box in out[-1]]
        if ignore is not None:
            points = [ignore.outside(own, here, shape) for own in points]
        out.append(moved_boxes(greys[here], greys[there], out[-1], points, config=config))
    return np.stack(out, 1)


def _grid(box: np.ndarray, shape: tuple[int, ...], count: int) -> np.ndarray:
    """Points ``(P, 2)`` spread over what the frame shows of the box's ellipse."""
    if not np.isfinite(box).all():
        return np.zeros((0, 2), np.float32)
    x0, y0, x1, y1 = box
    low = np.maximum(box[:2], 0)
    high = np.minimum(box[2:], [shape[1] - 1, shape[0] - 1])
    if (high - low < _LEAST_SIDE).any():
        return np.zeros((0, 2), np.float32)
    part = (np.arange(count) + 0.5) / count
    x, y = np.meshgrid(low[0] + part * (high - low)[0], low[1] + part * (high - low)[1])
    inside = np.hypot((2 * x - x0 - x1) / (x1 - x0), (2 * y - y0 - y1) / (y1 - y0)) < 1
    return np.stack([x[inside], y[inside]], 1).astype(np.float32)


def _found_again(
    here: np.ndarray, there: np.ndarray, points: np.ndarray, config: FollowConfig
) -> tuple[np.ndarray, np.ndarray]:
    """Where points ``(P, 2)`` went, and which of them came back to where they were."""
    start = points[:, None]
    size = (config.window, config.window)
    places, found, _ = cv2.calcOpticalFlowPyrLK(here, there, start, None, winSize=size)
    back, found_back, _ = cv2.calcOpticalFlowPyrLK(there, here, places, None, winSize=size)
    missed = np.linalg.norm((back - start)[:, 0], axis=1)
    good = (found[:, 0] == 1) & (found_back[:, 0] == 1) & (missed < config.most_return)
    return places[:, 0], good


def _moved(box: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """The box after a similarity ``(2, 3)``: its centre moves, its size follows, its sides stay."""
    growth = np.hypot(matrix[0, 0], matrix[1, 0])
    half = (box[2:] - box[:2]) / 2 * np.clip(growth, 1 / _MOST_GROWTH, _MOST_GROWTH)
    centre = matrix[:, :2] @ ((box[:2] + box[2:]) / 2) + matrix[:, 2]
    return np.concatenate([centre - half, centre + half])
