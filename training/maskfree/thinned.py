"""Numbers of a whole video in bounded memory."""

from __future__ import annotations

import numpy as np

__all__ = ["Thinned"]


class Thinned:
    """All numbers that were added, or of too many evenly every 2nd, 4th, 8th and so on.

    Parameters
    ----------
    most
        So many are kept; of more at least half as many.
    """

    def __init__(self, most: int) -> None:
        self._kept = np.empty(most, np.float32)
        self._step = 1
        self._added = 0

    def add(self, values: np.ndarray) -> None:
        """Take float ``(M,)``; they follow what was added before."""
        added = self._added + len(values)
        while _count(added, self._step) > len(self._kept):
            half = self.values[::2].copy()
            self._kept[: len(half)] = half
            self._step *= 2
        first = self._added
        self._added = added
        self.values[_count(first, self._step) :] = values[-first % self._step :: self._step]

    @property
    def values(self) -> np.ndarray:
        """What is kept, float32, in order; a view, good until more is added."""
        return self._kept[: _count(self._added, self._step)]


def _count(added: int, step: int) -> int:
    """How many of 0, step, 2 step, ... are below ``added``."""
    return -(-added // step)
