"""Where the frames of one video are in another: the same, shifted, cut, or other ones.

Of the one there are prints (:mod:`maskfree.frame_prints`), the other is looked at. A print and a
frame differ by the mean square of their squares' difference, brightness aside, as a part of their
variance: 0 for the same picture, about 1 for pictures that have nothing in common. An *offset* is
what is added to a frame's number in the one video to get its number in the other: a video whose
first 7 frames were cut off has the offset -7.
"""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Literal

import numpy as np

from maskfree.config import FramePrintsConfig
from maskfree.evenly import evenly
from maskfree.frame_prints import grey_of, pixels_of
from maskfree.watch import Ticks, unwatched

if TYPE_CHECKING:
    from collections.abc import Sequence

    from maskfree.frame_prints import FramePrints
    from maskfree.video import Video
    from maskfree.watch import Watch

__all__ = ["FrameMatch", "match_frames"]

Kind = Literal["same", "shifted", "cut", "rate", "unclear", "unfound", "other"]

_FEWEST = 3
"""Prints that must fit an offset."""
_RATE_SLACK = 2
"""Frames by which a frame may lie beside its time where the frame rate was changed."""
_WHAT = "looking for the frames"


@dataclasses.dataclass(frozen=True)
class FrameMatch:
    """What became of the frames.

    ``kind``
        same: as many frames, each the same (pixel by pixel where ``exact``); shifted: all of them
        ``offset`` further on, as far as there are so many; cut: so until frame ``before`` at least,
        from frame ``after`` on they are ``then`` further on; rate: the same pictures, but another
        number of them; unclear: they look too much alike to tell; unfound: not near where they
        were, and the video is too long to look through it unasked; other: other pictures.
    ``num_frames``, ``height``, ``width``, ``fps``
        Of the video that was looked at.
    """

    kind: Kind
    num_frames: int
    height: int
    width: int
    fps: float | None
    exact: bool = False
    offset: int = 0
    then: int = 0
    before: int = 0
    after: int = 0


def match_frames(
    prints: FramePrints,
    video: Video,
    *,
    config: FramePrintsConfig | None = None,
    whole: bool = False,
    watch: Watch = unwatched,
) -> FrameMatch:
    """Look for the frames of ``prints`` in a video.

    Parameters
    ----------
    video
        Is read from; one that a window shows as well is better opened twice.
    whole
        Look through all of it, however long it is.
    watch
        Told how many frames were looked at; an error that it raises ends the work.

    Raises
    ------
    InputError
        Where a frame cannot be decoded.
    """
    config = FramePrintsConfig() if config is None else config
    found = FrameMatch("other", *video.shape[:3], video.fps)
    if len(video) == prints.num_frames and _exactly(prints, video, config):
        return dataclasses.replace(found, kind="same", exact=True)
    near = len(video) > config.whole and not whole
    grid = _Grid(prints, video, config, watch, near=near)
    offset, is_clear, stays = grid.offset()
    if offset is not None:
        if len(video) == prints.num_frames and stays:
            return dataclasses.replace(found, kind="same")
        kind: Kind = "shifted" if is_clear else "unclear"
        return dataclasses.replace(found, kind=kind, offset=offset if is_clear else 0)
    if near:
        return dataclasses.replace(found, kind="unfound")
    if grid.has_other_rate():
        return dataclasses.replace(found, kind="rate")
    return grid.cut(found)


def _exactly(prints: FramePrints, video: Video, config: FramePrintsConfig) -> bool:
    """Whether the video has the very pixels of some of the prints, at the same frames."""
    some = evenly(prints.prints, config.looks)
    return all(p.frame < len(video) and pixels_of(video[p.frame]) == p.pixels for p in some)


class _Grid:
    """How much each print differs from each frame that was looked at."""

    def __init__(
        self,
        prints: FramePrints,
        video: Video,
        config: FramePrintsConfig,
        watch: Watch,
        *,
        near: bool,
    ) -> None:
        self.prints, self.config = prints, config
        self.length, self._seconds = len(video), video.seconds
        own = [each.frame for each in prints.prints]
        rows, looked = list(range(len(own))), np.arange(len(video))
        # the offsets that bring any print into the video
        self.offsets = np.unique(looked[None] - np.array(own)[:, None])
        if near:
            rows = evenly(rows, config.anchors)
            self.offsets = np.arange(-config.near, config.near + 1)
            looked = np.unique(np.array(own)[rows, None] + self.offsets)
            looked = looked[(looked >= 0) & (looked < len(video))]
        self.frames = np.array([own[n] for n in rows])
        self._place = np.full(len(video), -1)
        self._place[looked] = np.arange(len(looked))
        self._values = self._compare(prints.greys[rows], video, looked.tolist(), watch)
        self.table = np.stack([self._at(n, f + self.offsets) for n, f in enumerate(self.frames)])

    def _compare(
        self, greys: np.ndarray, video: Video, looked: Sequence[int], watch: Watch
    ) -> np.ndarray:
        """Return float32 ``(P, L)``: each print against each frame that is looked at."""
        own, variance = _centred(greys)
        values = np.empty((len(greys), len(looked)), np.float32)
        tick = Ticks(watch, _WHAT, len(looked))
        for n, frame in enumerate(looked):
            other, spread = _centred(grey_of(video[frame], greys.shape[-1])[None])
            scale = (variance + spread) / 2 + self.config.floor
            values[:, n] = np.square(own - other).mean(1) / scale
            tick()
        return values

    def _at(self, row: int, frames: np.ndarray) -> np.ndarray:
        """Return how much a print differs from these frames; NaN where there was no look."""
        place = np.where(
            (frames >= 0) & (frames < self.length), self._place[frames.clip(0, self.length - 1)], -1
        )
        return np.where(place >= 0, self._values[row, place], np.nan)

    def offset(self) -> tuple[int | None, bool, bool]:
        """Return the offset that fits, None where none does; whether no other does as well.

        Last, whether 0 fits about as well: what a video of the same length is taken for.
        """
        table, seen = self.table, np.isfinite(self.table)
        count = seen.sum(0)
        fits = (table <= self.config.same).sum(0)
        good = (count >= min(_FEWEST, len(table))) & (fits >= self.config.agree * count)
        if not good.any():
            return None, False, False
        good &= 2 * count >= count[good].max()
        mean = np.where(good, np.nansum(table, axis=0) / np.maximum(count, 1), np.inf)
        best = int(np.lexsort((np.abs(self.offsets), -count, mean))[0])
        is_clear, stays = True, False
        for other in np.flatnonzero(good):
            both = seen[:, best] & seen[:, other]
            if not both.any():
                continue
            ours, theirs = table[both, best].mean(), table[both, other].mean()
            rivals = theirs <= ours * self.config.clear + self.config.faint
            is_clear &= other == best or not rivals
            if self.offsets[other] == 0:
                stays = theirs <= ours * self.config.clear + self.config.doubt
        return int(self.offsets[best]), bool(is_clear), bool(stays)

    def has_other_rate(self) -> bool:
        """Whether the prints are found at their times, though not at their numbers."""
        ends = self._seconds(self.length - 1)
        if ends is None or self.length < 2 or any(p.seconds is None for p in self.prints.prints):
            return False
        own, count = np.array([p.frame for p in self.prints.prints]), self.prints.num_frames
        times = np.array([p.seconds for p in self.prints.prints], float)
        by_time = times * (self.length - 1) / ends if ends else times
        by_count = own * (self.length - 1) / max(1, count - 1)
        return any(self._found_at(np.rint(each).astype(int)) for each in (by_time, by_count))

    def _found_at(self, there: np.ndarray) -> bool:
        """Whether most of the prints are found at these frames, or right beside."""
        slack = np.arange(-_RATE_SLACK, _RATE_SLACK + 1)
        least = [np.nanmin(self._padded(n, f + slack)) for n, f in enumerate(there)]
        found = [value <= self.config.same for value in least if math.isfinite(value)]
        left = min(1.0, self.length / self.prints.num_frames)  # the others were dropped
        return len(found) >= _FEWEST and sum(found) >= self.config.agree * left * len(found)

    def _padded(self, row: int, frames: np.ndarray) -> np.ndarray:
        return np.append(self._at(row, frames), np.inf)

    def cut(self, found: FrameMatch) -> FrameMatch:
        """Return ``found``, or with what there is to say of one offset and then another."""
        count = len(self.table)
        cost = np.minimum(np.where(np.isfinite(self.table), self.table, 1.0), 1.0)
        sums = np.concatenate([np.zeros((1, cost.shape[1])), np.cumsum(cost, axis=0)])
        totals = [float(sums[s].min() + (sums[-1] - sums[s]).min()) for s in range(count + 1)]
        place = int(np.argmin(totals))
        first, second = int(sums[place].argmin()), int((sums[-1] - sums[place]).argmin())
        fits = (
            np.concatenate([self.table[:place, first], self.table[place:, second]])
            <= self.config.same
        )
        before, after = np.flatnonzero(fits[:place]), place + np.flatnonzero(fits[place:])
        enough = fits.sum() >= self.config.pieces * count and min(len(before), len(after)) >= 2
        if first == second or not enough:
            return found
        return dataclasses.replace(
            found,
            kind="cut",
            offset=int(self.offsets[first]),
            then=int(self.offsets[second]),
            before=int(self.frames[before[-1]]),
            after=int(self.frames[after[0]]),
        )


def _centred(greys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return squares ``(P, S, S)`` less their mean, float32 ``(P, S * S)``, and their variance."""
    flat = greys.reshape(len(greys), -1).astype(np.float32)
    flat = flat - flat.mean(1, keepdims=True)
    return flat, np.square(flat).mean(1)
