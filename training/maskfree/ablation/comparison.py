"""From finished jobs to the rows of the report: means, differences, verdicts."""

from __future__ import annotations

import dataclasses
import statistics
from typing import TYPE_CHECKING, Any

from maskfree.ablation.differences import (
    Difference,
    mean_over_clips,
    paired_difference,
    verdict,
)
from maskfree.ablation.groups import recipe_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from maskfree.ablation.groups import Group, Recipe, Variant
    from maskfree.ablation.job import JobResult
    from maskfree.ablation.runner import Results
    from maskfree.config import AblationConfig

__all__ = ["Compared", "Pairing", "Row", "compare"]


@dataclasses.dataclass(frozen=True)
class Row:
    """A variant: what came of its jobs; None where a number is not known.

    ``j``: mean J over clips and seeds, ``by_clip``: that of each clip, ``filled``: that of the
    boxes filled in that the jobs had; ``difference``: to the group's reference; ``retention``: J as
    a part of the reference's, less nothing; ``seconds``: mean of the training; ``loss_bytes``:
    largest temporal loss, and ``loss_ratio`` its mean size beside the reference's of the same clip
    and seed; ``done`` of ``jobs`` are finished, ``failed`` says why others came to nothing, each
    once.
    """

    name: str
    j: float | None
    by_clip: dict[str, float | None]
    filled: dict[str, float | None]
    difference: Difference | None
    verdict: str
    retention: Difference | None
    seconds: float | None
    loss_bytes: int | None
    loss_ratio: float | None
    done: int
    jobs: int
    failed: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return dataclasses.asdict(self)


@dataclasses.dataclass(frozen=True)
class Pairing:
    """One setting beside another that is not the reference."""

    name: str
    other: str
    difference: Difference | None
    verdict: str

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return dataclasses.asdict(self)


@dataclasses.dataclass(frozen=True)
class Compared:
    """A group and its rows, the reference first, and what else was compared."""

    group: Group
    rows: tuple[Row, ...]
    beside: tuple[Pairing, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "group": self.group.key,
            "title": self.group.title,
            "claim": self.group.claim,
            "reference": self.rows[0].name,
            "rows": [row.to_json() for row in self.rows],
            "beside": [each.to_json() for each in self.beside],
        }


def compare(
    group: Group, results: Results, clips: Sequence[str], jobs: int, config: AblationConfig
) -> Compared:
    """Return the rows of a group; ``jobs``: clips times seeds, the jobs of each variant.

    Parameters
    ----------
    clips
        Names of the clips, in the order of the columns.
    config
        ``steps``, ``confidence`` and ``same``.
    """
    reference = _of(results, recipe_of(group.reference, config.steps))
    rows = (_row(group, v, results, reference, clips, jobs, config) for v in group.variants)
    named = {each.name: recipe_of(each, config.steps) for each in group.variants}
    beside = []
    for each in group.beside:
        own, other = (_js(_of(results, named[name])) for name in (each.name, each.other))
        found = paired_difference(own, other, config.confidence)
        said = _verdict(found, each.expected, clips, config)
        beside.append(Pairing(each.name, each.other, found, said))
    return Compared(group, tuple(rows), tuple(beside))


def _js(results: dict[tuple[str, int], JobResult]) -> dict[tuple[str, int], float]:
    return {pair: result.j for pair, result in results.items()}


def _verdict(
    found: Difference | None, expected: str, clips: Sequence[str], config: AblationConfig
) -> str:
    """Return what a difference says of the paper's order: nothing yet where a clip has no pair."""
    if expected and found is not None and found.clips < len(clips):
        return "not whole"
    return verdict(found, expected, config.same)


def _of(results: Results, recipe: Recipe) -> dict[tuple[str, int], JobResult]:
    """Return the results of a recipe by clip and seed."""
    return {
        (job.clip.name, job.seed): kept.result
        for job, kept in results.kept.items()
        if job.recipe == recipe
    }


def _row(
    group: Group,
    variant: Variant,
    results: Results,
    reference: dict[tuple[str, int], JobResult],
    clips: Sequence[str],
    jobs: int,
    config: AblationConfig,
) -> Row:
    recipe = recipe_of(variant, config.steps)
    own = _of(results, recipe)
    j, base = _js(own), _js(reference)
    mean, by_clip = mean_over_clips(j, clips)
    difference = None
    if variant is not group.reference:
        difference = paired_difference(j, base, config.confidence)
    retention = None
    if group.retention:
        kept = {pair: j[pair] / base[pair] for pair in j if base.get(pair)}
        found = paired_difference(kept, dict.fromkeys(kept, 0.0), config.confidence)
        retention = found if found is not None and found.clips == len(clips) else None
    ratios = {
        pair: each.loss_bytes / reference[pair].loss_bytes
        for pair, each in own.items()
        if pair in reference and reference[pair].loss_bytes
    }
    failed = {why for job, why in results.failed.items() if job.recipe == recipe}
    return Row(
        name=variant.name,
        j=mean,
        by_clip=by_clip,
        filled=mean_over_clips({pair: each.box_j for pair, each in own.items()}, clips)[1],
        difference=difference,
        verdict=_verdict(difference, variant.expected, clips, config),
        retention=retention,
        seconds=statistics.mean(r.train_seconds for r in own.values()) if own else None,
        loss_bytes=max((r.loss_bytes for r in own.values()), default=None),
        loss_ratio=mean_over_clips(ratios, clips)[0],
        done=len(own),
        jobs=jobs,
        failed=tuple(sorted(failed)),
    )
