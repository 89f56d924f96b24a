"""Clips from several data sets at once, each with its part of the numbers (joint training)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from maskfree.datasets.clips import DatasetClips
    from maskfree.datasets.types import Skipped
    from maskfree.sampling import TrainingClip

__all__ = ["LEAST_SHARE", "MixedClips"]

_BLOCK = 1000
"""Of so many numbers in a row each data set has its exact part."""
LEAST_SHARE = 1 / _BLOCK
"""Smallest part of the clips that a data set can have."""


class MixedClips:
    """Clips drawn from several data sets, by number: the same as `DatasetClips` to its caller.

    Each block of 1000 numbers holds as many clips of a data set as its weight says, in an order
    drawn anew for the block; each data set's own numbers go on without a gap.

    Parameters
    ----------
    sources
        Data sets of the same classes; see :mod:`maskfree.datasets.class_names`. The first one's
        seed is that of the order.
    weights
        One for each, above 0: its part of the clips is its weight over their sum.

    Raises
    ------
    ValueError
        For another number of weights, one that is not above 0 or too small for a clip in a block,
        and classes that differ.
    """

    def __init__(self, sources: Sequence[DatasetClips], weights: Sequence[float]) -> None:
        if not sources or len(sources) != len(weights) or min(weights) <= 0:
            raise ValueError(
                f"weights must be {len(sources)} numbers above 0, one for each data set, got "
                f"{list(weights)}. Leave out what is not drawn from."
            )
        classes = [source.dataset.classes for source in sources]
        if any(each != classes[0] for each in classes):
            names = ", ".join(source.dataset.name for source in sources)
            raise ValueError(f"{names} have different classes. Map them to the same ones first.")
        self.sources = tuple(sources)
        self._quotas = _quotas(np.array(weights, float))
        if not self._quotas.all():
            raise ValueError(
                f"A weight of {min(weights)} in {list(weights)} is less than one clip in {_BLOCK}. "
                "Give a larger one."
            )
        self._order: tuple[int, np.ndarray] = (-1, np.empty(0, np.int64))

    def __len__(self) -> int:
        """Return how many videos are drawn from, of all data sets."""
        return sum(len(source) for source in self.sources)

    def clip(self, number: int) -> TrainingClip:
        """Return clip ``number``, from 0 on."""
        return self.draw(number)[0]

    def draw(self, number: int) -> tuple[TrainingClip, tuple[Skipped, ...]]:
        """Return clip ``number``, and which pictures could not be read on the way to it."""
        source, own = self.place(number)
        return self.sources[source].draw(own)

    def place(self, number: int) -> tuple[int, int]:
        """Return which data set clip ``number`` comes from, and its number there."""
        block, at = divmod(number, _BLOCK)
        if self._order[0] != block:
            rng = np.random.default_rng([self.sources[0].seed, block])
            order = np.repeat(np.arange(len(self._quotas)), self._quotas)
            self._order = block, rng.permutation(order)
        source = int(self._order[1][at])
        before = int((self._order[1][:at] == source).sum())
        return source, block * int(self._quotas[source]) + before


def _quotas(weights: np.ndarray) -> np.ndarray:
    """Return how many of a block's numbers each has: whole, the largest remainders rounded up."""
    exact = weights / weights.sum() * _BLOCK
    quotas = np.floor(exact).astype(np.int64)
    largest = np.argsort(quotas - exact, kind="stable")[: _BLOCK - quotas.sum()]
    quotas[largest] += 1
    return np.asarray(quotas)
