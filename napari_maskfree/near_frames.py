"""Working frames around the shown one: read beside the window, at hand in the main thread."""

from __future__ import annotations

import collections
import dataclasses
import functools
from typing import TYPE_CHECKING, Any

from maskfree.matching_grid import compared_video, grid_of_run
from napari_maskfree.constants import NEAR_FRAMES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy as np

    from maskfree.config import Config
    from maskfree.matching_grid import MatchingGrid
    from maskfree.types import BoxTracks
    from maskfree.video import Video

__all__ = ["MatchedVideo", "NearFrames"]


@dataclasses.dataclass(frozen=True)
class MatchedVideo:
    """What the grid follows from; ``of`` says in words whose settings they are."""

    video: Video
    tracks: BoxTracks | None
    config: Config
    of: str


class NearFrames:
    """Keeps the frames that were asked for last, and the grid that they are compared on.

    ``run(work, done, failed)`` calls ``work`` beside the window; ``source`` says what is to be read
    (None: it cannot be, and the person knows), ``ready`` is called when what was wanted is there,
    ``failed`` with what went wrong. Only the main thread may call; one reading is under way at a
    time, and the latest wish counts.
    """

    def __init__(
        self,
        run: Callable[..., Any],
        *,
        source: Callable[[], MatchedVideo | None],
        ready: Callable[[], None],
        failed: Callable[[str], None],
    ) -> None:
        self._run, self._source, self._ready, self._fail = run, source, ready, failed
        self.grid: MatchingGrid | None = None
        self.matched: MatchedVideo | None = None
        self._frames: collections.OrderedDict[int, np.ndarray] = collections.OrderedDict()
        self._wishes: dict[str, tuple[int, ...]] = {}
        self._outdated = False
        self._reading = False
        self._era = 0

    @property
    def frames(self) -> Mapping[int, np.ndarray]:
        """The frames at hand, by number: uint8 RGB at the working size."""
        return self._frames

    @property
    def reading(self) -> bool:
        """Whether frames are being read."""
        return self._reading

    def forget(self) -> None:
        """Drop everything: it is about another video."""
        self._era += 1
        self.grid = self.matched = None
        self._frames.clear()
        self._wishes.clear()
        self._outdated = False

    def renew(self) -> None:
        """Look anew, when frames are wanted next, at which size the run compares them."""
        self._outdated = self.matched is not None or self._reading

    def want(self, who: str, frames: Sequence[int]) -> bool:
        """Say whether these frames are at hand; what is missing is read, then ``ready`` called.

        ``who`` wants nothing else any more.
        """
        self._wishes[who] = tuple(frames)
        there = self.grid is not None and all(t in self._frames for t in frames)
        if (not there or self._outdated) and not self._reading:
            self._read()
        for frame in frames:
            if frame in self._frames:
                self._frames.move_to_end(frame)
        return there

    def _wanted(self) -> list[int]:
        return list(dict.fromkeys(t for wish in self._wishes.values() for t in wish))

    def _missing(self) -> bool:
        return any(t not in self._frames for t in self._wanted())

    def _read(self) -> None:
        matched, renewed = self.matched, False
        if matched is None or self._outdated:
            found = self._source()
            if found is None:
                self._wishes.clear()
                return
            if matched is not None:  # the same video, with its cache
                found = dataclasses.replace(found, video=matched.video)
            matched, renewed, self._outdated = found, True, False
        self._reading = True
        grid = None if renewed else self.grid
        known = frozenset(self._frames)
        self._run(
            functools.partial(_read, matched, grid, self.grid, self._wanted(), known),
            functools.partial(self._done, self._era, matched),
            functools.partial(self._failed, self._era, renewed),
        )

    def _done(
        self, era: int, matched: MatchedVideo, result: tuple[MatchingGrid, dict[int, np.ndarray]]
    ) -> None:
        self._reading = False
        if era != self._era:
            if self._wishes:
                self._read()
            return
        grid, frames = result
        if grid != self.grid:
            self._frames.clear()
        self.grid, self.matched = grid, matched  # what is said of the grid is about this one
        self._frames.update(frames)
        wanted = self._wanted()
        while len(self._frames) > max(NEAR_FRAMES, len(wanted)):
            del self._frames[next(t for t in self._frames if t not in wanted)]
        if self._missing() or self._outdated:
            self._read()
        self._ready()

    def _failed(self, era: int, renewed: bool, text: str) -> None:
        self._reading = False
        if era != self._era:
            if self._wishes:
                self._read()
            return
        self._outdated = renewed and self.matched is not None  # looked at anew with the next wish
        self._wishes.clear()
        self._fail(text)


def _read(
    matched: MatchedVideo,
    grid: MatchingGrid | None,
    shown: MatchingGrid | None,
    wanted: Sequence[int],
    known: frozenset[int],
) -> tuple[MatchingGrid, dict[int, np.ndarray]]:
    """Return the grid, found first where it is None, and the wanted frames that are not known."""
    if grid is None:
        grid = grid_of_run(matched.video, matched.tracks, matched.config)
        known = known if grid == shown else frozenset()
    video = compared_video(matched.video, matched.tracks, matched.config)
    return grid, {t: grid.frame(video[t]) for t in wanted if t not in known}
