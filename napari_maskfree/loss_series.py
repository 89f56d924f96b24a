"""The losses of a run as curves: smoothed as they come, thinned to what a picture can show."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["TERMS", "TOTAL", "Series", "Term", "log_range", "thin"]

TOTAL = "total"
_SMOOTH = 0.85
_DECADES = 4
"""A term that is smaller than the largest value by more than this many powers of ten is cut off."""


@dataclasses.dataclass(frozen=True)
class Term:
    """A loss term: its colour (RGB) and what it asks for, in plain words."""

    colour: tuple[int, int, int]
    words: str


TERMS: Mapping[str, Term] = {
    "class": Term((68, 119, 170), "Each object is found, and given its label"),
    "projection": Term((102, 204, 238), "A mask reaches all four sides of its box"),
    "pairwise": Term((34, 136, 51), "Neighbouring pixels of one colour belong together"),
    "temporal": Term((204, 187, 68), "What looks alike in the next frames belongs together"),
    "outside": Term((153, 153, 153), "Outside its box a pixel is not the object"),
    "evidence": Term((238, 102, 119), "What the other frames show: background seen elsewhere"),
    "prior": Term((170, 51, 119), "At first: the middle of a box is object, its corners are not"),
    "corrections": Term((190, 110, 40), "What you painted or accepted"),
    "cross-entropy": Term((102, 204, 238), "Every pixel is what your corrected masks say"),
    "dice": Term((34, 136, 51), "A mask overlaps with the one that you corrected"),
}
"""Colours that people who see colours differently tell apart: P. Tol's *bright* scheme, and one."""
OTHER = Term((153, 153, 153), "A loss of this run")


class Series:
    """One loss, step by step, with the running mean that forgets: older values count less."""

    def __init__(self) -> None:
        self.values: list[float] = []
        self.smooth: list[float] = []
        self._mean = self._weight = 0.0

    def extend(self, values: Sequence[float], length: int) -> None:
        """Take over what ``values`` has more than last time, NaN up to ``length`` values."""
        for n in range(len(self.values), length):
            value = values[n] if n < len(values) else math.nan
            self.values.append(value)
            if math.isfinite(value):
                self._mean = self._mean * _SMOOTH + value
                self._weight = self._weight * _SMOOTH + 1
                value = self._mean / self._weight
            self.smooth.append(value)


def thin(steps: np.ndarray, values: np.ndarray, *, total: int, columns: int) -> np.ndarray:
    """Return points (n, 2): share of ``total`` steps, value; at most one for each of ``columns``.

    Values of one column are averaged; those that are not finite are left out.
    """
    good = np.isfinite(values)
    steps, values = steps[good], values[good]
    if not len(steps):
        return np.empty((0, 2))
    column = np.minimum(steps * columns // max(total, 1), columns - 1)
    starts = np.flatnonzero(np.diff(column, prepend=-1))
    counts = np.diff(starts, append=len(column))
    x = np.add.reduceat(steps.astype(float), starts) / counts / max(total, 1)
    return np.column_stack((np.minimum(x, 1), np.add.reduceat(values, starts) / counts))


def log_range(curves: Sequence[np.ndarray]) -> tuple[float, float]:
    """Return the lowest and highest log10 of the curves' positive values, a little apart."""
    values = np.concatenate([c[:, 1] for c in curves]) if curves else np.empty(0)
    logs = np.log10(values[values > 0])
    if not len(logs):
        return -1.0, 0.0
    high = float(logs.max())
    low = max(float(logs.min()), high - _DECADES)
    return (low, high) if high - low > 1e-3 else (low - 0.05, high + 0.05)
