"""``maskfree train``: a recipe on a data set, by one process or by those that were launched."""

from __future__ import annotations

import dataclasses
import time
import warnings
from typing import TYPE_CHECKING, Any

from maskfree.config import RecipeConfig
from maskfree.datasets.mixed import MixedClips
from maskfree.device import resolve_device
from maskfree.distributed.beginning import begin_network
from maskfree.distributed.checkpoints import Checkpoints
from maskfree.distributed.data import open_data
from maskfree.distributed.dry_run import dry_run
from maskfree.distributed.learner import Learner
from maskfree.distributed.loop import train_steps
from maskfree.distributed.run_folder import RunFolder
from maskfree.distributed.team import Team, need_accelerate
from maskfree.errors import InputError, InputWarning
from maskfree.interrupts import Interrupts
from maskfree.out_of_memory import is_out_of_memory
from maskfree.recipes.recipe import load_recipe
from maskfree.settings import changes
from maskfree.supervision import by_masks, check_supervision
from maskfree.terminal import ProgressBar, clock

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from maskfree.datasets.clips import DatasetClips
    from maskfree.distributed.data import RunData
    from maskfree.distributed.learner import StepReport
    from maskfree.model.mask2former_video import Mask2FormerVideo

__all__ = ["TrainJob", "check_same", "train_dataset"]

_NO_MEMORY = (
    "There is not enough memory for a process's clips. Have them computed one after the other "
    "(--set schedule.accumulate=4), parts of the network twice (schedule.gradient_checkpointing="
    "true), or take more processes; a run that has a checkpoint goes on with these: --resume. "
    "--dry-run says what a clip takes; smaller ones: data.short_sides."
)
_OWN = {
    *(f"schedule.{name}" for name in ("workers", "read_ahead", "accumulate")),
    *("schedule.gradient_checkpointing", "temporal.flow_weights", "model.backbone_weights"),
}
"""Settings that each machine may have of its own: what it has room for, and where its files lie."""
_PATIENCE = 10.0
"""Seconds in which a launcher passes on a signal that its processes got already."""


@dataclasses.dataclass(frozen=True)
class TrainJob:
    """What ``maskfree train`` is asked for.

    ``recipe``: a name or a file; ``data``, ``extra_data``: folders of data sets; ``out``: the run's
    folder; ``weights``: what the network begins with; ``settings``: by dotted key, as text.
    """

    recipe: str
    data: str
    out: str | None = None
    extra_data: str | None = None
    weights: str | None = None
    device: str = "auto"
    seed: int = 0
    settings: Mapping[str, str] = dataclasses.field(default_factory=dict)
    resume: bool = False
    dry_run: bool = False


def train_dataset(
    job: TrainJob,
    *,
    evaluate: Callable[[Mask2FormerVideo], Mapping[str, float]] | None = None,
) -> tuple[dict[str, Any], str]:
    """Train, or say what that would take; return the result, and the same in words.

    In processes other than the first both are empty: they say nothing.

    Parameters
    ----------
    evaluate
        Scores the network while it trains, see ``schedule.evaluate_every``.

    Raises
    ------
    InputError
        Where the recipe, the data, the disk or the settings are at fault.
    Interrupted
        When it was stopped on request; a checkpoint is written.
    """
    recipe = load_recipe(job.recipe, job.settings)
    _check(job, recipe)
    need_accelerate()
    team = Team(resolve_device(job.device), recipe.schedule.precision)
    try:
        check_same(recipe, job, team)
        data = open_data(
            recipe, job.data, job.extra_data, masks=by_masks(recipe.config()), team=team
        )
        if job.dry_run:
            return dry_run(recipe, data, team=team, seed=job.seed)
        return _train(job, recipe, data, team, evaluate)
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        raise InputError(_NO_MEMORY) from error
    finally:
        team.leave()


def _check(job: TrainJob, recipe: RecipeConfig) -> None:
    if recipe.matching.mode == "bound":
        raise InputError(
            "matching.mode=bound gives each track of one video a query of its own. On a data set "
            "take matching.mode=tube."
        )
    check_supervision(recipe.config())
    if job.out is None and not job.dry_run:
        raise InputError("The run needs a folder: --out DIR (or --dry-run, which writes nothing).")
    if job.resume and job.weights is not None:
        raise InputError("--resume goes on with the run's own weights. Leave --weights out.")


def check_same(recipe: RecipeConfig, job: TrainJob, team: Team) -> None:
    """Check that every process was asked for the same run.

    Raises
    ------
    InputError
        In every process, where one has another recipe, seed or way to begin than the first.
    """
    plain = RecipeConfig()
    own = {each for each in changes(plain, recipe) if each.partition("=")[0] not in _OWN}
    own |= {f"--seed {job.seed}", f"--resume: {job.resume}"}
    seen = team.gather(own)
    for rank, each in enumerate(seen):
        if each != seen[0]:
            told = [
                ", ".join(sorted(a - b)) or "nothing" for a, b in ((each, seen[0]), (seen[0], each))
            ]
            raise InputError(
                f"rank {rank} was asked for another run than rank 0: it alone has {told[0]}; rank "
                f"0 alone has {told[1]}. Give every machine the same recipe and the same words."
            )


def _train(
    job: TrainJob,
    recipe: RecipeConfig,
    data: RunData,
    team: Team,
    evaluate: Callable[[Mask2FormerVideo], Mapping[str, float]] | None,
) -> tuple[dict[str, Any], str]:
    folder = RunFolder(str(job.out))
    try:
        team.together(lambda: _open_folder(job, recipe, data, team, folder))
        try:
            return _run(job, recipe, data, team, folder, evaluate)
        except Exception:
            if team.main and not job.resume and not folder.metrics.records():
                folder.take_back()
            raise
    finally:
        folder.release()


def _run(
    job: TrainJob,
    recipe: RecipeConfig,
    data: RunData,
    team: Team,
    folder: RunFolder,
    evaluate: Callable[[Mask2FormerVideo], Mapping[str, float]] | None,
) -> tuple[dict[str, Any], str]:
    saved = Checkpoints(folder.checkpoints_path)
    if evaluate is None and recipe.schedule.evaluate_every:
        evaluate = team.together(lambda: _evaluator(job, recipe, data, team))
    going_on = job.resume and bool(saved.steps())
    weights = job.weights
    if job.resume and not going_on:  # it ended before its first checkpoint
        weights = team.together(folder.weights)
    clips = data.clips(recipe, seed=job.seed)
    if not job.resume:
        team.together(lambda: _note_unused(team, folder, clips))
    model = begin_network(
        recipe.model,
        data.classes,
        weights=weights,
        seed=job.seed,
        going_on=going_on,
        team=team,
    )
    learner = Learner(model, recipe, seed=job.seed, team=team)
    first = team.together(lambda: saved.restore(learner)) if going_on else 0
    if len(set(team.gather(first))) > 1:
        raise InputError(
            f"The processes found different checkpoints in {folder.path}. Give every machine the "
            "same folder in --out: it lies on a disk that they share."
        )
    started = time.monotonic()
    try:
        team.together(lambda: _open_logs(team, folder, first))
        with Interrupts(patience=_PATIENCE if team.size > 1 else 0.0) as interrupts:
            with ProgressBar("training", "step") as bar:

                def report(done: int, found: StepReport, left: float) -> None:
                    total = sum(found.losses.values())
                    bar.update(
                        done, recipe.schedule.steps, seconds_left=left, note=f"loss {total:.3f}"
                    )

                done = train_steps(
                    learner,
                    clips,
                    folder,
                    first,
                    classes=data.classes,
                    interrupts=interrupts,
                    evaluate=evaluate,
                    report=report,
                )
    finally:
        folder.close()
    if not team.main:
        return {}, ""
    seconds = time.monotonic() - started
    losses = done.losses or folder.last_losses()
    result = {
        "run": str(folder.path),
        "recipe": recipe.name,
        "steps": done.steps,
        "begun_at": first,
        "loss": sum(losses.values()),
        "losses": losses,
        "checkpoint": done.checkpoint,
        "processes": team.size,
        "seconds": round(seconds, 1),
    }
    text = (
        f"{recipe.name}: {done.steps} steps, loss {result['loss']:.3f}, "
        f"{clock(seconds)}, in {done.checkpoint}"
    )
    return result, text


def _note_unused(team: Team, folder: RunFolder, clips: DatasetClips | MixedClips) -> None:
    """Write down which videos of the part that is used cannot be drawn, and warn of them."""
    if not team.main:
        return
    for source in clips.sources if isinstance(clips, MixedClips) else (clips,):
        name, items = source.dataset.name, source.skipped
        folder.note_skipped({"dataset": name, "what": i.what, "why": i.why} for i in items)
        if items:
            warnings.warn(
                f"{name}: {len(items)} of the {len(items) + len(source)} videos of the part that "
                f"is used are not drawn, first {items[0].what}: {items[0].why}.",
                InputWarning,
                stacklevel=2,
            )


def _open_logs(team: Team, folder: RunFolder, first: int) -> None:
    if team.main:
        folder.rewind(first)
        folder.open_board(first)


def _evaluator(
    job: TrainJob, recipe: RecipeConfig, data: RunData, team: Team
) -> Callable[[Mask2FormerVideo], Mapping[str, float]]:
    """Return what scores the network on the recipe's ``inference.split``; one process does."""
    if not team.main:
        return lambda _: {}
    from maskfree.inference.dataset_inference import evaluator

    return evaluator(recipe, job.data, data.datasets[0].classes, device=team.device)


def _open_folder(
    job: TrainJob, recipe: RecipeConfig, data: RunData, team: Team, folder: RunFolder
) -> None:
    if not team.main:
        return
    if job.resume:
        folder.check(recipe, data.facts, seed=job.seed)
        folder.hold()
        return
    folder.begin(recipe, data.facts, seed=job.seed, processes=team.size, weights=job.weights)
    folder.note_skipped(
        {"dataset": dataset.name, "what": each.what, "why": each.why}
        for dataset in data.datasets
        for each in dataset.skipped
    )
