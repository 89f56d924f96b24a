"""What the previews of a run are scored by.

*gold*: J on gold frames that the run was not told of, where there are such. *confidence*: without
any truth, the mean score of the network's own masks, how stable they are times how well they fit
their boxes (:mod:`maskfree.confidence`); a boxed track without a mask counts as 0. Refined masks
are sure of themselves from the first steps on, whatever the network has learnt.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from maskfree.evenly import evenly
from maskfree.gold_scores import compared, gold_frames, is_scored
from maskfree.ignore_masks import IgnoreMasks
from maskfree.metrics import region_similarity
from maskfree.preview_files import Measure
from maskfree.told_frames import trained_frames

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from maskfree.corrections import Correction
    from maskfree.run import Run
    from maskfree.types import BoxTracks, InstanceMasks

    Corrections = Mapping[int, Mapping[int, Correction]]

__all__ = ["choose_measure", "is_measurable", "score_preview"]


def choose_measure(
    run: Run, corrections: Corrections, frames: Sequence[int], *, most_gold: int
) -> Measure:
    """Say what a run's previews are scored by: gold frames where there are, else ``frames``."""
    told = trained_frames(run)
    gold = [frame for frame in gold_frames(corrections) if frame not in told]
    if gold:
        return Measure("gold", tuple(evenly(gold, most_gold)))
    return Measure("confidence", tuple(frames))


def is_measurable(measure: Measure, run: Run, corrections: Corrections, num_frames: int) -> bool:
    """Whether previews can still be scored by a measure that was chosen before."""
    if measure.kind == "gold":
        untold = set(gold_frames(corrections)) - set(trained_frames(run))
        return set(measure.frames) <= untold
    return all(frame < num_frames for frame in measure.frames)


def score_preview(
    measure: Measure,
    masks: Mapping[int, InstanceMasks],
    corrections: Corrections,
    tracks: BoxTracks,
    boxed: Mapping[int, Sequence[int]],
) -> float | None:
    """Score the masks of the measure's frames, in [0, 1]; None where there is nothing to score.

    Parameters
    ----------
    masks
        By frame, at the video's size.
    boxed
        The ids of the tracks that have a box, by frame.
    """
    if measure.kind == "gold":
        return _gold(measure, masks, corrections, tracks)
    found = []
    for frame in measure.frames:
        scores = dict(zip(masks[frame].track_ids, masks[frame].scores, strict=True))
        found += [scores.get(track_id, 0.0) for track_id in boxed[frame]]
    return float(np.mean(found)) if found else None


def _gold(
    measure: Measure,
    masks: Mapping[int, InstanceMasks],
    corrections: Corrections,
    tracks: BoxTracks,
) -> float | None:
    """Return J: the mean over each track's frames, then over the tracks."""
    by_track: dict[int, list[float]] = {}
    ignore = IgnoreMasks(tracks)
    for frame in measure.frames:
        truth = {i: own for i, own in corrections[frame].items() if own.gold}
        pairs = compared(masks[frame], truth, tracks, frame, ignore.at(frame))
        for track_id, mask, true, hidden in pairs:
            if is_scored(mask, true, hidden):
                by_track.setdefault(track_id, []).append(region_similarity(mask, true, hidden))
    return float(np.mean([np.mean(own) for own in by_track.values()])) if by_track else None
