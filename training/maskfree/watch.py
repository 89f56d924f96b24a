"""How far a long look at a video is: who watches is told after each piece, and may end it.

A watch is called with what is being done, how many pieces of it are finished and how many there
are. What it raises ends the work, so a watch that finds that nobody waits any longer raises.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from maskfree.run import Run

__all__ = ["RunWatch", "StopAsked", "Ticks", "Watch", "unwatched"]

Watch = Callable[[str, int, int], None]

_EVERY = 0.5
"""Seconds between two looks at a run's folder."""


class StopAsked(Exception):
    """Somebody asked the run to stop while it looked at its video."""


def unwatched(_what: str, _done: int, _total: int) -> None:
    """Tell nobody."""


class Ticks:
    """Counts the finished pieces of one job; the watch hears of each, and of the start.

    Of a job without pieces it hears nothing.
    """

    def __init__(self, watch: Watch, what: str, total: int) -> None:
        self._watch, self._what, self._total = watch, what, total
        self._done = 0
        if total:
            watch(what, 0, total)

    def __call__(self, pieces: int = 1) -> None:
        """Say that so many more are finished."""
        if pieces:
            self._done += pieces
            self._watch(self._what, self._done, self._total)


class RunWatch:
    """Writes into a run's metrics how far it is before its first step, at most twice a second.

    Parameters
    ----------
    run
        Its metrics get ``{"preparing": what, "done": …, "total": …}``; its stop file is heeded.
    also
        Another watch, told every time.

    Raises
    ------
    StopAsked
        From a call, once the stop file is there.
    """

    def __init__(self, run: Run, also: Watch = unwatched) -> None:
        self._run, self._also = run, also
        self._told = -math.inf

    def __call__(self, what: str, done: int, total: int) -> None:
        """Hear of a finished piece."""
        self._also(what, done, total)
        now = time.monotonic()
        if now - self._told < _EVERY:
            return
        self._told = now
        if self._run.stop_requested:
            raise StopAsked
        self._run.append({"preparing": what, "done": done, "total": total})
