"""Which masks are still to be looked at, the least sure first. No Qt here."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from napari_maskfree.constants import REVIEW_APART

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_maskfree.correction_book import CorrectionBook

__all__ = ["Item", "Review", "reviewed_tracks"]


@dataclasses.dataclass(frozen=True)
class Item:
    """One track's mask in one frame, and its score."""

    track_id: int
    frame: int
    score: float


class Review:
    """The queue of one pass through the masks.

    A mask is reviewed when a person accepted it or painted some of it. Masks next to one that was
    just shown look like it, so they come later in the pass.
    """

    def __init__(self) -> None:
        self._seen: dict[int, list[int]] = {}

    def restart(self) -> None:
        """Begin a new pass: what was skipped comes again."""
        self._seen.clear()

    def next(self, scores: Mapping[int, np.ndarray], corrections: CorrectionBook) -> Item | None:
        """Return the mask with the lowest score that was not reviewed; None: all were.

        When all that are left lie next to one shown in this pass, a new pass begins.

        Parameters
        ----------
        scores
            By track id: float (frames,), NaN where there is no mask.
        """
        open_ = self._open(scores, corrections)
        fresh = {i: self._away(i, row) for i, row in open_.items()}
        found = _lowest(fresh)
        if found is None and self._seen:
            self.restart()
            found = _lowest(open_)
        if found is not None:
            self._seen.setdefault(found.track_id, []).append(found.frame)
        return found

    @staticmethod
    def progress(scores: Mapping[int, np.ndarray], corrections: CorrectionBook) -> tuple[int, int]:
        """Return how many masks were reviewed, and how many there are."""
        total = int(sum(np.isfinite(row).sum() for row in scores.values()))
        done = sum(
            i in scores and frame < len(scores[i]) and bool(np.isfinite(scores[i][frame]))
            for frame in corrections
            for i in reviewed_tracks(corrections, frame)
        )
        return int(done), total

    @staticmethod
    def _open(
        scores: Mapping[int, np.ndarray], corrections: CorrectionBook
    ) -> dict[int, np.ndarray]:
        """Return the scores with NaN where a person has been."""
        found = {i: row.copy() for i, row in scores.items()}
        for frame in corrections:
            for track_id in reviewed_tracks(corrections, frame):
                if track_id in found and frame < len(found[track_id]):
                    found[track_id][frame] = np.nan
        return found

    def _away(self, track_id: int, row: np.ndarray) -> np.ndarray:
        """Return the scores with NaN next to what was shown in this pass."""
        row = row.copy()
        for frame in self._seen.get(track_id, ()):
            row[max(0, frame - REVIEW_APART + 1) : frame + REVIEW_APART] = np.nan
        return row


def reviewed_tracks(corrections: CorrectionBook, frame: int) -> list[int]:
    """Return the tracks of a frame that were reviewed.

    Those that lost pixels to another were not, and those into which a correction was carried.
    """
    known = corrections[frame].items()
    return [i for i, own in known if own.is_reviewed]


def _lowest(scores: Mapping[int, np.ndarray]) -> Item | None:
    best: Item | None = None
    for track_id, row in scores.items():
        if not np.isfinite(row).any():
            continue
        frame = int(np.nanargmin(row))
        if best is None or row[frame] < best.score:
            best = Item(track_id, frame, float(row[frame]))
    return best
