"""How sure each mask of a frame is, with what a person did to it, in numbers and words. No Qt."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from maskfree.corrections import ACCEPTED_SCORE, CARRIED_SCORE
from napari_maskfree.review import reviewed_tracks

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from maskfree.corrections import Correction
    from napari_maskfree.correction_book import CorrectionBook

__all__ = ["FrameScore", "frame_scores", "open_scores", "score_words"]


@dataclasses.dataclass(frozen=True)
class FrameScore:
    """One track's mask in a frame: score, and ``accepted``, ``corrected``, ``carried`` or empty."""

    track_id: int
    score: float
    by_hand: str = ""


def frame_scores(
    scores: Mapping[int, np.ndarray],
    corrections: Mapping[int, Correction],
    frame: int,
    *,
    left: Collection[int] | None = None,
) -> list[FrameScore]:
    """Return the masks of a frame, the least sure first.

    The scores are those that the masks are exported with: 1 for what a person accepted, or painted
    where nothing was predicted (0: carried there), else the prediction's.

    Parameters
    ----------
    scores
        By track id: float (frames,), NaN where no mask was predicted.
    corrections
        Of this frame, by track id.
    left
        Tracks that have a pixel left, where it is known: the others have no mask.
    """
    found = {
        i: FrameScore(i, float(row[frame]))
        for i, row in scores.items()
        if frame < len(row) and np.isfinite(row[frame])
    }
    for track_id, own in corrections.items():
        if own.accepted or (track_id not in found and own.has_object):
            score = ACCEPTED_SCORE if own.carried is None else CARRIED_SCORE
            found[track_id] = FrameScore(track_id, score)
        if track_id not in found:
            continue
        word = "accepted" if own.accepted else "corrected" if own.carried is None else "carried"
        found[track_id] = dataclasses.replace(found[track_id], by_hand=word)
        if not own.has_object and (own.accepted or (left is not None and track_id not in left)):
            del found[track_id]
    return sorted(found.values(), key=lambda f: (f.score, f.track_id))


def open_scores(scores: Mapping[int, np.ndarray], corrections: CorrectionBook) -> np.ndarray:
    """Return the scores of all masks that were not reviewed yet, float (K,); NaN: none there."""
    left = {i: row.copy() for i, row in scores.items()}
    for frame in corrections:
        for track_id in reviewed_tracks(corrections, frame):
            if track_id in left and frame < len(left[track_id]):
                left[track_id][frame] = np.nan
    return np.concatenate([*left.values(), np.zeros(0, np.float32)])


def score_words(
    found: Sequence[FrameScore],
    frame: int,
    name: Callable[[int], str],
    before: Callable[[float], int],
) -> str:
    """Return what the frame's scores say, in a sentence or two.

    Parameters
    ----------
    name
        What a track is called.
    before
        How many masks that are to be reviewed have a lower score, see :func:`open_scores`.
    """
    if not found:
        return f"Frame {frame} has no masks."
    open_ = [f for f in found if f.by_hand in ("", "carried")]
    if not open_:
        return f"Frame {frame}: every mask was corrected or accepted by hand."
    worst = open_[0]
    says = "is the least sure," if len(found) > 1 else "has the score"
    text = f"Frame {frame}: {name(worst.track_id)} {says} {worst.score:.2f}. "
    count = before(worst.score)
    if not count:
        return text + "No mask that is still to be reviewed is less sure."
    masks = "mask that is" if count == 1 else "masks that are"
    return text + f"{count} {masks} still to be reviewed {'is' if count == 1 else 'are'} less sure."
