"""All jobs of a grid: those that are kept are taken, the others run, a few side by side."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import time
from typing import TYPE_CHECKING

from maskfree.ablation.child import JobFailed
from maskfree.ablation.groups import recipe_of
from maskfree.ablation.job import Job
from maskfree.terminal import one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from maskfree.ablation.cache import Cache, Kept
    from maskfree.ablation.clips import AblationClip
    from maskfree.ablation.groups import Group
    from maskfree.ablation.job import JobResult

__all__ = ["Results", "jobs_of", "kept_results", "run_jobs"]


@dataclasses.dataclass
class Results:
    """What is known: the kept results by job, and why others failed."""

    kept: dict[Job, Kept] = dataclasses.field(default_factory=dict)
    failed: dict[Job, str] = dataclasses.field(default_factory=dict)


def jobs_of(
    groups: Sequence[Group],
    clips: Sequence[AblationClip],
    seeds: Sequence[int],
    steps: int,
    device: str,
) -> list[Job]:
    """Return the jobs, each once, those of the first seed first: half a grid is of some use.

    Raises
    ------
    InputError
        For a setting that does not exist or a value that does not fit.
    """
    recipes = dict.fromkeys(recipe_of(v, steps) for group in groups for v in group.variants)
    return [
        Job(clip, recipe, seed, device) for seed in seeds for clip in clips for recipe in recipes
    ]


def kept_results(jobs: Sequence[Job], cache: Cache) -> Results:
    """Return what is kept of the jobs."""
    found = ((job, cache.read(job)) for job in jobs)
    return Results({job: kept for job, kept in found if kept is not None})


def run_jobs(
    jobs: Sequence[Job],
    results: Results,
    cache: Cache,
    run: Callable[[Job], JobResult],
    *,
    side_by_side: int,
    report: Callable[[int, int, float, str], None],
) -> None:
    """Run the jobs that ``results`` lacks and put into it what comes of them.

    Parameters
    ----------
    run
        Does a job, or raises `JobFailed`; called in ``side_by_side`` threads.
    report
        Called after each job: how many of how many are done, seconds left, what came of it.

    Raises
    ------
    InputError
        Where a result cannot be kept.
    """
    waiting = [job for job in jobs if job not in results.kept]
    started = time.monotonic()
    pool = concurrent.futures.ThreadPoolExecutor(side_by_side)
    try:
        futures = {pool.submit(run, job): job for job in waiting}
        for done, future in enumerate(concurrent.futures.as_completed(futures), 1):
            job = futures[future]
            try:
                kept = cache.write(job, future.result())
            except JobFailed as error:
                results.failed[job] = one_line(error)
                said = f"{job}: failed: {results.failed[job]}"
            else:
                results.kept[job] = kept
                said = f"{job}: J {kept.result.j:.3f}"
            left = (time.monotonic() - started) / done * (len(waiting) - done)
            report(len(jobs) - len(waiting) + done, len(jobs), left, said)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
