"""What is printed under a series of runs: a Markdown table, its notes, the machine in words."""

from __future__ import annotations

import os
import platform
import statistics
from typing import TYPE_CHECKING

import torch

from scores import spearman

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from job import Result

__all__ = ["machine", "markdown", "notes", "table"]

NOTHING = "–"
"""Stands where there is no number."""
HEADER = ["clip", "tracks", "frames", "box filled in J", "**J**", "F", "J&F", "network alone J"]
ORACLE = ["oracle J", "retention"]
LAST = ["rho", "train s", "predict s"]


def table(results: Sequence[Result]) -> str:
    """Write Markdown: a row a clip, the median over its seeds, and their spread.

    With results of oracles among them, two more columns: the oracle's J and the retention.
    """
    runs = [r for r in results if r.kind != "oracle"]
    oracles = [r for r in results if r.kind == "oracle"]
    rows, totals = [], []
    for clip in dict.fromkeys(r.clip for r in runs):
        own = [r for r in runs if r.clip == clip]
        best = [r for r in oracles if r.clip == clip]
        row, numbers = _row(own, best)
        rows.append(row)
        totals.append(numbers)
    means = [_mean([numbers[n] for numbers in totals]) for n in range(len(totals[0]))]
    box, j, f, alone, top, kept = means
    mean = ["**mean**", "", "", _number(box), f"**{_number(j)}**", _number(f), _number(_half(j, f))]
    mean.append(_number(alone))
    if oracles:
        mean += [_number(top), _number(kept)]
    rows.append([*mean, _number(_pooled(runs)), "", ""])
    return markdown([*HEADER, *(ORACLE if oracles else []), *LAST], rows)


def _row(own: Sequence[Result], best: Sequence[Result]) -> tuple[list[str], list[float | None]]:
    """Return a clip's cells, and its box J, J, F, the network's own J, oracle J and retention."""
    first = own[0]

    def median(of: Callable[[Result], float | None], among: Sequence[Result] = own) -> float | None:
        found = [value for value in map(of, among) if value is not None]
        return statistics.median(found) if found else None

    box, j, f = median(lambda r: r.box_j), median(lambda r: r.j), median(lambda r: r.f)
    alone, top = median(lambda r: r.alone_j), median(lambda r: r.j, best)
    kept = j / top if j is not None and top else None
    spread = f" ({min(r.j for r in own):.3f} to {max(r.j for r in own):.3f})"
    bold = f"**{_number(j)}**{spread if len(own) > 1 else ''}"
    cells = [first.clip, str(first.tracks), str(first.frames), _number(box), bold, _number(f)]
    cells += [_number(_half(j, f)), _number(alone)]
    if best:
        cells += [_number(top), _number(kept)]
    seconds = (median(lambda r: r.train_seconds), median(lambda r: r.predict_seconds))
    cells += [_number(median(lambda r: r.rho)), *(_number(s, 0) for s in seconds)]
    return cells, [box, j, f, alone, top, kept]


def _pooled(runs: Sequence[Result]) -> float | None:
    """Rank correlation over the masks of all clips together; the median over the seeds."""
    seeds = {r.seed for r in runs}
    found = [spearman([p for r in runs if r.seed == seed for p in r.scored]) for seed in seeds]
    known = [rho for rho in found if rho is not None]
    return statistics.median(known) if known else None


def _half(j: float | None, f: float | None) -> float | None:
    return None if j is None or f is None else (j + f) / 2


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.mean(known) if known else None


def _number(value: float | None, decimals: int = 3) -> str:
    return NOTHING if value is None else f"{value:.{decimals}f}"


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]], *, words: int = 1) -> str:
    """Write a Markdown table: the first ``words`` columns to the left, numbers to the right."""
    rule = [*["---"] * words, *["---:"] * (len(header) - words)]
    return "\n".join(f"| {' | '.join(line)} |" for line in [header, rule, *rows])


def notes(results: Sequence[Result]) -> str:
    """Say under the table what its columns are."""
    lines = [
        "J: overlap with the true masks; F: agreement of boundaries (DAVIS); box filled in: the "
        "boxes taken as masks, interpolated where there is no keyframe.",
        "network alone: J of the network's own masks, without the consensus' refinement.",
        "rho: Spearman's rank correlation of a mask's score with its true J over every track and "
        "frame with truth; in the last row over all clips together.",
    ]
    if any(r.kind == "oracle" for r in results):
        lines.append(
            "oracle: the same network and steps, trained on the true masks; "
            "retention: J from boxes / J of the oracle; in the last row the mean over the clips."
        )
    if len({r.seed for r in results}) > 1:
        lines.append("Medians over the seeds, in brackets the smallest and the largest J.")
    return "\n".join(lines)


def machine() -> str:
    """Return in words what the numbers were made on."""
    where = f"{platform.machine()}, {os.cpu_count()} cores"
    return f"torch {torch.__version__}, {torch.get_num_threads()} threads, {where}"
