"""``maskfree ablate``: checks, runs what is missing, writes the report."""

from __future__ import annotations

import collections
import dataclasses
import shlex
import statistics
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from maskfree.ablation.cache import Cache
from maskfree.ablation.child import Children
from maskfree.ablation.clips import find_clips, read_clip
from maskfree.ablation.comparison import compare
from maskfree.ablation.groups import chosen_groups
from maskfree.ablation.plot import plot_compared
from maskfree.ablation.reasons import read_reasons
from maskfree.ablation.report import Facts, as_json, as_markdown
from maskfree.ablation.runner import jobs_of, kept_results, run_jobs
from maskfree.ablation.scene import write_generated
from maskfree.config import AblationConfig
from maskfree.device import resolve_device
from maskfree.errors import InputError, InputWarning
from maskfree.storage import atomic_write, make_folder
from maskfree.terminal import ProgressBar

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Mapping, Sequence

    from maskfree.ablation.clips import AblationClip
    from maskfree.ablation.groups import Group
    from maskfree.ablation.job import Job, JobResult
    from maskfree.ablation.runner import Results

__all__ = ["ablate"]

PAGE, PICTURE = "ablation.md", "ablation.png"


def ablate(
    args: argparse.Namespace,
    settings: Mapping[str, str],
    run: Callable[[Job], JobResult] | None = None,
) -> tuple[dict[str, Any], str]:
    """Run what is missing and write the report; return it as plain values, and as text.

    Parameters
    ----------
    args
        See `maskfree.ablation.parser.add_ablate`.
    settings
        What every job changes of the base, as text by dotted key.
    run
        Does a job; by default each has a process of its own. For tests.

    Raises
    ------
    InputError
        Where the input is at fault.
    Interrupted
        When it was stopped on request; the report of what is finished is written all the same.
    """
    config, seeds = _config(args)
    groups = _changed(chosen_groups(args.only), settings)
    reasons = {} if args.reasons is None else read_reasons(args.reasons)
    if args.jobs < 1:
        raise InputError(f"--jobs must be 1 or more, got {args.jobs}. Leave it out for one.")
    out = Path(args.out)
    make_folder(out)
    clips = _clips(args, out, config)
    device = resolve_device(args.device).type
    jobs = jobs_of(groups, clips, seeds, config.steps, args.device)
    folder = Path(args.cache) if args.cache is not None else out / "cache"
    cache = Cache(folder, device, any_commit=args.any_commit)
    results = kept_results(jobs, cache)

    def write() -> tuple[dict[str, Any], str]:
        facts = _facts(args, settings, jobs, clips, seeds, config, results, device)
        facts = dataclasses.replace(facts, reasons=reasons)
        return _write(groups, results, facts, out)

    if not args.report:
        try:
            _run(jobs, results, cache, config, args.jobs, run)
        except KeyboardInterrupt as stop:
            write()
            stop.add_note(
                f"{len(results.kept)} of {len(jobs)} jobs are finished and kept in {folder}; the "
                "same command goes on from here"
            )
            raise
    return write()


def _config(args: argparse.Namespace) -> tuple[AblationConfig, tuple[int, ...]]:
    """Return the settings, and the seeds without repetitions."""
    config = AblationConfig()
    if args.steps is not None:
        config = dataclasses.replace(config, steps=args.steps)
    if args.seeds is not None:
        config = dataclasses.replace(config, seeds=tuple(args.seeds))
    return config, tuple(dict.fromkeys(config.seeds))


def _changed(groups: Sequence[Group], settings: Mapping[str, str]) -> list[Group]:
    """Return the groups with these settings in every row, below what the row itself is about."""
    if (steps := "optimiser.steps") in settings:
        raise InputError(f"--set {steps} says what --steps is for. Give --steps {settings[steps]}.")
    return [
        dataclasses.replace(
            group,
            variants=tuple(
                dataclasses.replace(each, settings={**settings, **each.settings})
                for each in group.variants
            ),
        )
        for group in groups
    ]


def _clips(args: argparse.Namespace, out: Path, config: AblationConfig) -> list[AblationClip]:
    """Return the clips that are named, then those that are generated."""
    if args.clips_folder is None and not args.generated:
        raise InputError(
            "maskfree ablate needs clips. Name a folder of them, or have some made with "
            "--generated 4."
        )
    if args.clips is not None and args.clips_folder is None:
        raise InputError("--clips names clips of a folder. Give the folder as well.")
    clips = []
    if args.clips_folder is not None:
        clips += find_clips(Path(args.clips_folder), args.clips)
    made = write_generated(out / "generated", args.generated, config)
    clips += [read_clip(place) for place in made]
    if len({clip.name for clip in clips}) < len(clips):
        raise InputError(
            "A clip has the name of a generated one, generated-0 and so on. Rename its folder."
        )
    return clips


def _run(
    jobs: Sequence[Job],
    results: Results,
    cache: Cache,
    config: AblationConfig,
    side_by_side: int,
    run: Callable[[Job], JobResult] | None,
) -> None:
    with ProgressBar("ablation", "job") as bar, Children(config.threads) as children:

        def report(done: int, total: int, left: float, said: str) -> None:
            bar.update(done, total, seconds_left=left, note=said)

        options: dict[str, Any] = {"side_by_side": side_by_side, "report": report}
        run_jobs(jobs, results, cache, run or children.run, **options)


def _facts(
    args: argparse.Namespace,
    settings: Mapping[str, str],
    jobs: Sequence[Job],
    clips: Sequence[AblationClip],
    seeds: Sequence[int],
    config: AblationConfig,
    results: Results,
    device: str,
) -> Facts:
    boxes: dict[str, float | None] = {}
    for clip in clips:
        filled = [
            kept.result.box_j
            for job, kept in results.kept.items()
            if job.clip == clip and job.recipe.share == 1
        ]
        boxes[clip.name] = statistics.mean(filled) if filled else None
    commits = collections.Counter(kept.commit for kept in results.kept.values())
    done, failed = len(results.kept), len(results.failed)
    return Facts(
        clips=boxes,
        seeds=seeds,
        config=config,
        settings=settings,
        commits=dict(commits),
        device=device,
        command=_command(args, config),
        done=done,
        jobs=len(jobs),
        failed=failed,
    )


def _command(args: argparse.Namespace, config: AblationConfig) -> str:
    """Return the command that makes the same page, with folders by their names alone."""
    words = ["maskfree", "ablate"]
    if args.clips_folder is not None:
        words.append(Path(args.clips_folder).name or "CLIPS")
    words += ["--out", Path(args.out).name or "DIR"]
    for flag, values in (("--clips", args.clips), ("--only", args.only), ("--set", args.set)):
        words += [flag, *values] if values else []
    words += ["--steps", str(config.steps), "--seeds", *map(str, config.seeds)]
    words += ["--generated", str(args.generated)] if args.generated else []
    words += ["--cache", Path(args.cache).name] if args.cache is not None else []
    words += ["--device", args.device] if args.device != "auto" else []
    words += ["--any-commit"] if args.any_commit else []
    words += ["--reasons", Path(args.reasons).name] if args.reasons is not None else []
    return shlex.join(words)


def _write(
    groups: Sequence[Group], results: Results, facts: Facts, out: Path
) -> tuple[dict[str, Any], str]:
    names = list(facts.clips)
    jobs = len(names) * len(facts.seeds)
    compared = [compare(group, results, names, jobs, facts.config) for group in groups]
    try:
        plot_compared(compared, out / PICTURE)
        facts = dataclasses.replace(facts, drawn=PICTURE)
    except InputError as error:
        warnings.warn(str(error), InputWarning, stacklevel=2)
    page = as_markdown(compared, facts)
    atomic_write(out / PAGE, page)
    return as_json(compared, facts), page
