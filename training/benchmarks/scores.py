"""Does a score say how good a mask is? Its rank correlation with the true J."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import spearmanr

from maskfree.metrics import region_similarity
from maskfree.truth_masks import match_names, read_truth

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from maskfree.types import InstanceMasks

__all__ = ["ScoredMask", "scored_masks", "spearman"]

ScoredMask = tuple[float, float]
"""Score and true J of one track in one frame, both in [0, 1]."""

FEWEST = 3
"""Fewer pairs than this have no rank correlation worth the name."""
DECIMALS = 4
"""Scores and Js are rounded to this many: equal ones must stay equal in a file."""


def scored_masks(
    read_prediction: Callable[[int], InstanceMasks | None],
    masks: Path,
    names: Sequence[str],
    *,
    ignored: Callable[[int], np.ndarray | None] = lambda frame: None,
) -> list[ScoredMask]:
    """Return score and J of every track in every frame whose truth holds it.

    Where the track was not predicted both are 0: that is what a person is shown there. ``ignored``
    gives the pixels of a frame that do not count, None where all do.
    """
    truth = read_truth(masks)
    pairs: list[ScoredMask] = []
    for frame, name in match_names(truth, names).items():
        ids, prediction, hidden = truth.ids(name), read_prediction(frame), ignored(frame)
        ids = ids if hidden is None else np.where(hidden, 0, ids)
        found = prediction.track_ids if prediction is not None else ()
        for track_id in sorted(set(ids[ids > 0].tolist())):
            if prediction is None or track_id not in found:
                pairs.append((0.0, 0.0))
                continue
            n = found.index(track_id)
            j = region_similarity(prediction.masks[n], ids == track_id, hidden)
            pairs.append((round(float(prediction.scores[n]), DECIMALS), round(j, DECIMALS)))
    return pairs


def spearman(pairs: Iterable[ScoredMask]) -> float | None:
    """Return Spearman's rho of scores and Js, ties by their mean rank.

    None where there is none: fewer than three pairs, or all scores or all Js are the same.
    """
    scores, js = [list(column) for column in zip(*pairs, strict=True)] or [[], []]
    if len(scores) < FEWEST or min(scores) == max(scores) or min(js) == max(js):
        return None
    return float(spearmanr(scores, js).statistic)
