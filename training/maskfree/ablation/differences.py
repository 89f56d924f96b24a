"""Is one setting better than another? Paired differences with an interval, and what it means."""

from __future__ import annotations

import dataclasses
import math
import statistics
from typing import TYPE_CHECKING

from scipy.stats import t as student

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["Difference", "mean_over_clips", "paired_difference", "verdict"]

Pair = tuple[str, int]
"""Clip and seed of a job."""


@dataclasses.dataclass(frozen=True)
class Difference:
    """A mean difference and its interval; None where a single number tells no spread.

    ``pairs``: jobs on either side; ``units``: what the spread is taken over, clips or seeds;
    ``median``: of these; ``higher``: how many of them lie above nothing; ``clips``: how many clips
    have a pair; ``equal``: those whose every pair is the same to the last bit.
    """

    mean: float
    low: float | None
    high: float | None
    pairs: int
    units: int
    median: float
    higher: int
    clips: int
    equal: tuple[str, ...] = ()


def paired_difference(
    values: Mapping[Pair, float], reference: Mapping[Pair, float], confidence: float
) -> Difference | None:
    """Return how far values lie above a reference, over the pairs that both have; None: no pair.

    The seeds of a clip are no clips of their own: each clip counts once, with the mean of its
    seeds' differences, and the interval is Student's t over these. Of a single clip it is over its
    seeds, and speaks of that clip alone.

    Parameters
    ----------
    values, reference
        A number by clip and seed.
    confidence
        Of the interval, as 0.95.
    """
    both = [pair for pair in values if pair in reference]
    if not both:
        return None
    clips: dict[str, list[float]] = {}
    for clip, seed in both:
        clips.setdefault(clip, []).append(values[clip, seed] - reference[clip, seed])
    units = [statistics.mean(own) for own in clips.values()]
    if len(units) == 1:
        units = next(iter(clips.values()))
    mean = statistics.mean(units)
    low = high = None
    if len(units) > 1:
        error = statistics.stdev(units) / math.sqrt(len(units))
        reach = float(student.ppf((1 + confidence) / 2, len(units) - 1)) * error
        low, high = mean - reach, mean + reach
    return Difference(
        mean=mean,
        low=low,
        high=high,
        pairs=len(both),
        units=len(units),
        median=statistics.median(units),
        higher=sum(each > 0 for each in units),
        clips=len(clips),
        equal=tuple(sorted(clip for clip, own in clips.items() if not any(own))),
    )


def verdict(difference: Difference | None, expected: str, same: float) -> str:
    """Return whether the paper's order is seen: "agrees", "disagrees" or "not told apart".

    Parameters
    ----------
    expected
        "below": the reference is better; "above": it is worse; "same": both are as good as each
        other; "": the paper says nothing, and nor does this, as where there is no difference yet.
    same
        Differences within this are none.
    """
    if not expected or difference is None:
        return ""
    if difference.low is None or difference.high is None:
        return "not told apart"
    low, high = difference.low, difference.high
    if expected == "same":
        if -same <= low and high <= same:
            return "agrees"
        return "disagrees" if low > same or high < -same else "not told apart"
    if expected == "above":
        low, high = -high, -low
    if high < 0:
        return "agrees"
    return "disagrees" if low > 0 else "not told apart"


def mean_over_clips(
    values: Mapping[Pair, float], clips: Sequence[str]
) -> tuple[float | None, dict[str, float | None]]:
    """Return the mean of the clips' means, and the mean over seeds of each clip; None: no number.

    The overall mean is None where a clip has none: it would be that of other clips.
    """
    by_clip: dict[str, float | None] = {}
    for clip in clips:
        own = [value for (name, _), value in values.items() if name == clip]
        by_clip[clip] = statistics.mean(own) if own else None
    known = [value for value in by_clip.values() if value is not None]
    whole = bool(known) and len(known) == len(by_clip)
    return (statistics.mean(known) if whole else None), by_clip
