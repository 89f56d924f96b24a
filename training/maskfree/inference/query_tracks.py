"""Queries of clips that follow each other become tracks of a video.

The released code sends a whole video through the network, so that a query is a track. A longer
video goes through clip by clip; a query then goes on with the track whose mask it overlaps in the
frames that both clips show, one to one, or begins a track of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import linear_sum_assignment

if TYPE_CHECKING:
    import torch

__all__ = ["QueryTracks", "surest", "top_pairs"]


def top_pairs(scores: np.ndarray, most: int) -> list[tuple[int, int]]:
    """Return the ``most`` largest of ``scores (N, C)`` as (row, column), the largest first."""
    order = np.argsort(-scores, axis=None, kind="stable")[:most]
    rows, columns = np.unravel_index(order, scores.shape)
    return list(zip(rows.tolist(), columns.tolist(), strict=True))


class QueryTracks:
    """Links the queries of one clip after the other.

    Parameters
    ----------
    overlap
        Least IoU in the shared frames of what is one track.
    threshold
        Mask logit above which a cell is object.
    """

    def __init__(self, overlap: float, threshold: float) -> None:
        self._least, self._threshold = overlap, threshold
        self._sums: list[np.ndarray] = []
        self._counts: list[int] = []
        self._rows: list[int] = []
        self._masks: torch.Tensor | None = None

    def add(self, classes: np.ndarray, masks: torch.Tensor, *, shared: int) -> list[int]:
        """Take a clip in and return the track of each of its queries.

        Parameters
        ----------
        classes
            Float ``(N, C)``, the queries' class probabilities.
        masks
            Float ``(N, T, H4, W4)``, their mask logits.
        shared
            How many frames the clip has in common with the one before. Clips that share none are
            compared by the last frame before and the first one now.
        """
        found = masks > self._threshold
        rows = self._linked(found[:, : max(1, shared)], max(1, shared))
        for place, row in enumerate(rows):
            if row < 0:
                rows[place] = len(self._sums)
                self._sums.append(np.zeros(classes.shape[1]))
                self._counts.append(0)
            self._sums[rows[place]] += classes[place]
            self._counts[rows[place]] += 1
        self._rows, self._masks = rows, found
        return rows

    def scores(self) -> np.ndarray:
        """Return each track's class probabilities, the mean over its clips: ``(tracks, C)``."""
        means = [total / count for total, count in zip(self._sums, self._counts, strict=True)]
        return np.array(means)

    def _linked(self, head: torch.Tensor, shared: int) -> list[int]:
        """Return the known track of each query, -1 where it has none."""
        rows = [-1] * len(head)
        if self._masks is None or not len(head) or not len(self._masks):
            return rows
        overlap = _overlaps(head, self._masks[:, -shared:])
        for i, j in zip(*linear_sum_assignment(-overlap), strict=True):
            if overlap[i, j] >= self._least and overlap[i, j] > 0:
                rows[i] = self._rows[j]
        return rows


def _overlaps(first: torch.Tensor, second: torch.Tensor) -> np.ndarray:
    """Return IoU ``(N, M)`` of bool masks ``(N, T, h, w)`` and ``(M, T, h, w)``; of none 0."""
    a, b = first.flatten(1).float(), second.flatten(1).float()
    both = a @ b.T
    either = a.sum(1)[:, None] + b.sum(1)[None] - both
    return np.asarray((both / either.clamp_min(1)).cpu())


def surest(classes: np.ndarray, most: int) -> list[int]:
    """Return the rows of ``classes (Q, C)`` with the largest best probability, the surest first."""
    order = np.argsort(-classes.max(1), kind="stable")[:most]
    found: list[int] = order.tolist()
    return found
