"""The timeline as arrays: what a track is in each column, and the picture of the lanes. No Qt.

A *column* is one pixel across. Where several frames share one it shows the first frame's box, any
keyframe, and the lowest score: what wants looking at is never hidden by zooming out.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from maskfree.colours import track_colour
from napari_maskfree.constants import (
    ACCEPTED_COLOUR,
    CHANGED_COLOUR,
    GOLD_COLOUR,
    SCORE_COLOURS,
    SCORE_RANGE,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from maskfree.types import Track

RGB = tuple[int, int, int]

__all__ = ["LANE", "Columns", "Lane", "paint_lanes", "score_colours"]

LANE = 18
"""Pixels from one lane to the next."""
_GOLD, _HAND, _BOX, _SCORE = slice(0, 4), slice(1, 3), slice(5, 10), slice(13, 16)
_CHANGED = slice(15, 18)
_MARK_ROW, _MARK = 7, 4
_HATCH = 5
_WIDE = 6.0
"""Pixels a frame from which on keyframes are diamonds; below they are strokes."""


class Lane:
    """One track's keyframes as arrays.

    ``frames``: int64 (K,); ``boxed``, ``occluded``: bool (K,), whether there is a box from that
    keyframe on, and whether something hides the object.
    """

    def __init__(self, track: Track) -> None:
        self.track = track
        self.frames = np.array([k.frame for k in track.keyframes], np.int64)
        self.boxed = np.array([not k.outside for k in track.keyframes], bool)
        self.occluded = np.array([k.occluded for k in track.keyframes], bool)

    def at(self, frames: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return of each frame whether it has a box, a held one, an occluded one: bool (F,) each.

        *Held*: nothing is drawn after it, or the object goes outside next.
        """
        if not len(self.frames):
            none = np.zeros(len(frames), bool)
            return none, none, none
        last = np.searchsorted(self.frames, frames, "right") - 1
        boxed = (last >= 0) & self.boxed[last]
        follows = np.append(self.boxed[1:], False)
        on_keyframe = self.frames[last] == frames
        return boxed, boxed & ~follows[last] & ~on_keyframe, boxed & self.occluded[last]


@dataclasses.dataclass(frozen=True)
class Columns:
    """Which frames the columns show: ``width`` of them from frame ``first``, ``zoom`` px a frame.

    ``first`` may lie between two frames; columns past ``num_frames`` are empty.
    """

    first: float
    zoom: float
    width: int
    num_frames: int

    def frames(self) -> np.ndarray:
        """Return the first frame of each column that has one: int64, at most ``width``."""
        frames = np.floor(self.first + np.arange(self.width) / self.zoom).astype(np.int64)
        return frames[frames < self.num_frames]

    def x(self, frame: float) -> float:
        """Return where the middle of a frame lies, in pixels."""
        return (frame + 0.5 - self.first) * self.zoom

    def frame(self, x: float) -> int:
        """Return the frame at a place, the nearest one beside the video."""
        return int(min(max(np.floor(self.first + x / self.zoom), 0), self.num_frames - 1))

    def seen(self, frames: np.ndarray, *, reach: float = 0.0) -> slice:
        """Return which of some frames, in order, may be seen in the columns.

        ``reach``: pixels that a mark goes beyond its frame.
        """
        beyond = 1 + reach / self.zoom
        first, last = self.first - beyond, self.first + self.width / self.zoom + beyond
        return slice(*np.searchsorted(frames, [np.floor(first), np.ceil(last)]))

    def worst(self, scores: np.ndarray) -> np.ndarray:
        """Return the lowest score in each column that has a frame, NaN where there is no mask."""
        starts = self.frames()
        if not len(starts):
            return np.zeros(0, scores.dtype)
        end = int(np.ceil(self.first + self.width / self.zoom))
        return np.fmin.reduceat(scores[: max(end, int(starts[-1]) + 1)], starts)


def score_colours(scores: np.ndarray) -> np.ndarray:
    """Return uint8 (…, 3) for scores (…): two hues that everybody tells apart, pale between."""
    low, high = SCORE_RANGE
    part = np.clip((scores - low) / (high - low), 0, 1)
    stops = np.array(SCORE_COLOURS, np.float32)
    places = np.linspace(0, 1, len(stops))
    return np.stack([np.interp(part, places, stops[:, c]) for c in range(3)], -1).astype(np.uint8)


def paint_lanes(
    lanes: Sequence[Lane],
    columns: Columns,
    scores: Mapping[int, np.ndarray],
    hand: Mapping[int, tuple[np.ndarray, np.ndarray]],
    *,
    colour: Callable[[int], RGB] = track_colour,
    selected: int | None,
    ground: RGB,
    raised: RGB,
    mark: RGB,
    gold: Mapping[int, np.ndarray] | None = None,
    changed: Mapping[int, np.ndarray] | None = None,
) -> np.ndarray:
    """Return the lanes as uint8 (len(lanes) * LANE, width, 3), RGB.

    A lane: the box as a bar in the track's colour (pale where it is held, hatched where occluded,
    diamonds at keyframes), under it the mask's score as colour, and above it a notch where a person
    corrected the mask, a framed one where it is gold; lowest a line where a correction changed it.

    Parameters
    ----------
    scores
        By track id: float (num_frames,), NaN where there is no mask; of other lengths: not shown.
    hand
        By track id: the frames that a person corrected, int64 (K,), in order, and whether the whole
        mask was accepted, bool (K,).
    colour
        RGB of a track by its id.
    selected
        Id of the track whose lane is ``raised``.
    ground, raised, mark
        RGB colours of the lanes, of the selected one, and of what a person corrected.
    gold
        By track id: the frames in which it is gold, int64 (K,), in order.
    changed
        By track id: the frames that a correction elsewhere changed, int64 (K,), in order.
    """
    picture = np.empty((len(lanes), LANE, columns.width, 3), np.uint8)
    frames = columns.frames()
    hatch = np.add.outer(np.arange(LANE), np.arange(columns.width)) % _HATCH < 2
    for lane, rows in zip(lanes, picture, strict=True):
        track_id = lane.track.id
        back = np.array(raised if track_id == selected else ground)
        rows[:] = back
        own = np.array(colour(track_id))
        _paint_box(rows[:, : len(frames)], lane, frames, back, own, hatch[:, : len(frames)])
        _paint_marks(rows, lane, columns, back, own)
        if len(frames) and len(scores.get(track_id, ())) == columns.num_frames:
            worst = columns.worst(scores[track_id])
            known = ~np.isnan(worst)
            rows[_SCORE, : len(frames)][:, known] = score_colours(worst[known])
        if track_id in hand:
            seen = columns.seen(hand[track_id][0])
            said, accepted = (each[seen] for each in hand[track_id])
            _paint_notches(rows[_HAND], columns, said[~accepted], mark)
            _paint_notches(rows[_HAND], columns, said[accepted], ACCEPTED_COLOUR)
        if gold and track_id in gold:
            _paint_notches(rows[_GOLD], columns, gold[track_id], mark)
            _paint_notches(rows[_HAND], columns, gold[track_id], GOLD_COLOUR)
        if changed and track_id in changed:
            _paint_notches(rows[_CHANGED], columns, changed[track_id], CHANGED_COLOUR)
    return picture.reshape(-1, columns.width, 3)


def _mix(back: np.ndarray, own: np.ndarray, part: float) -> np.ndarray:
    return np.round(back * (1 - part) + own * part).astype(np.uint8)


def _paint_box(
    rows: np.ndarray,
    lane: Lane,
    frames: np.ndarray,
    back: np.ndarray,
    own: np.ndarray,
    hatch: np.ndarray,
) -> None:
    boxed, held, occluded = lane.at(frames)
    colours = np.empty((len(frames), 3), np.uint8)
    colours[boxed] = _mix(back, own, 0.6)
    colours[held] = _mix(back, own, 0.3)
    bar = rows[_BOX]
    bar[:, boxed] = colours[boxed]
    if occluded.any():
        bar[hatch[_BOX] & occluded] = back


def _paint_notches(rows: np.ndarray, columns: Columns, frames: np.ndarray, colour: RGB) -> None:
    half = max(1, round(columns.zoom / 2) - 1)
    frames = frames[columns.seen(frames)]
    middle = np.floor((frames + 0.5 - columns.first) * columns.zoom).astype(np.int64)
    x = np.add.outer(middle, np.arange(-half, half + 1)).ravel()
    rows[:, x[(x >= 0) & (x < columns.width)]] = colour


def _paint_marks(
    rows: np.ndarray, lane: Lane, columns: Columns, back: np.ndarray, own: np.ndarray
) -> None:
    seen = columns.seen(lane.frames)
    x = np.floor((lane.frames[seen] + 0.5 - columns.first) * columns.zoom).astype(np.int64)
    boxed = lane.boxed[seen]
    if columns.zoom < _WIDE:
        inside = (x >= 0) & (x < columns.width)
        rows[_BOX.start - 2 : _BOX.stop + 2, x[inside]] = own
        return
    for offset in range(-_MARK, _MARK + 1):
        half = _MARK - abs(offset)
        for step in range(-half, half + 1):
            rim = abs(step) == half
            for drawn in (x,) if rim else (x[boxed],):
                place = drawn + step
                rows[_MARK_ROW + offset, place[(place >= 0) & (place < columns.width)]] = own
            if not rim:
                place = x[~boxed] + step
                rows[_MARK_ROW + offset, place[(place >= 0) & (place < columns.width)]] = back
