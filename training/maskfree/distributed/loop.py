"""The steps of a training run, one after the other: noted, evaluated, saved, stopped on request."""

from __future__ import annotations

import dataclasses
import functools
import math
import time
import warnings
from typing import TYPE_CHECKING, Any

from maskfree.distributed.checkpoints import Checkpoints
from maskfree.distributed.shares import Share, StepShares, read_shares
from maskfree.errors import InputError, InputWarning
from maskfree.interrupts import Interrupted
from maskfree.out_of_memory import is_out_of_memory

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from maskfree.config import ScheduleConfig
    from maskfree.distributed.learner import Learner, StepReport
    from maskfree.distributed.run_folder import RunFolder
    from maskfree.distributed.shares import Clips
    from maskfree.interrupts import Interrupts
    from maskfree.model.mask2former_video import Mask2FormerVideo

__all__ = ["Finished", "train_steps"]


_NO_MEMORY = (
    "There is not enough memory to score the network on whole videos. What was learnt is kept: go "
    "on with --resume and --set inference.clip_length=20 inference.overlap=5, or without scoring: "
    "--set schedule.evaluate_every=0."
)


@dataclasses.dataclass(frozen=True)
class Finished:
    """What came of a run: steps done, its last losses, the folder of its last checkpoint."""

    steps: int
    losses: dict[str, float]
    checkpoint: str


def train_steps(
    learner: Learner,
    clips: Clips,
    folder: RunFolder,
    first: int,
    *,
    classes: list[str],
    interrupts: Interrupts,
    evaluate: Callable[[Mask2FormerVideo], Mapping[str, float]] | None = None,
    report: Callable[[int, StepReport, float], None] | None = None,
) -> Finished:
    """Take the steps of a run from number ``first`` on.

    Parameters
    ----------
    classes
        Names of the class outputs, which the checkpoints say.
    interrupts
        Who asks to end: the step in progress is finished in every process, and a checkpoint
        written.
    evaluate
        Scores the network by name; called by one process, while the others wait.
    report
        Told of every step, in the process that speaks: steps done, what came of it, and how many
        seconds are left.

    Raises
    ------
    InputError
        Where the data, a loss or the disk are at fault; the newest checkpoint is as it was.
    Interrupted
        When it was stopped on request.
    """
    schedule, team = learner.recipe.schedule, learner.team
    saved = Checkpoints(folder.checkpoints_path)
    config = learner.recipe.config()
    rows = StepShares(clips, schedule.batch_size, team.rank, team.size)
    waiting = read_shares(rows, range(first, schedule.steps), schedule)
    began, losses, path = time.monotonic(), {}, saved.path(first)
    warned, fault = False, ""

    def save(step: int, fault: str) -> Path:
        if not team.main:
            return saved.path(step)
        kept = saved.save(learner, config, step, classes=classes, keep=schedule.keep)
        if fault:
            raise InputError(fault)
        return kept

    interrupts.armed = True
    if evaluate is not None and first and _is_due(first, schedule):
        known = team.together(lambda: team.main and folder.evaluated(first))
        if not team.gather(known)[0]:  # it was ended before that
            _evaluate(learner, folder, evaluate, first)
    for index in range(first, schedule.steps):
        share = _next(waiting, interrupts)
        share = dataclasses.replace(share, fault=fault or share.fault)
        start = time.monotonic()
        found = learner.step(index, share, asked=interrupts.code)
        done, losses = index + 1, found.losses
        now = time.monotonic()
        left = (now - began) / (done - first) * (schedule.steps - done)
        if team.main:
            try:
                warned = _note_damaged(folder, found, done, warned)
                _note(folder, found, done, schedule.steps, now - start, left)
            except InputError as error:  # the others hear of it with the next step, or below
                fault = str(error)
            if report is not None:
                report(done, found, left)
        over = done == schedule.steps
        due = evaluate is not None and _is_due(done, schedule)
        if over or found.asked or due or done % schedule.checkpoint_every == 0:
            path = team.together(functools.partial(save, done, fault))
        if found.asked:
            raise _stopped(found.asked, path, done, schedule.steps)
        if evaluate is not None and due:
            _evaluate(learner, folder, evaluate, done)
    return Finished(schedule.steps, losses, str(path))


def _note_damaged(folder: RunFolder, found: StepReport, done: int, warned: bool) -> bool:
    """Write down what was damaged; warn of the first. Return whether somebody was warned."""
    folder.note_skipped({"step": done, **dataclasses.asdict(each)} for each in found.damaged)
    if not found.damaged or warned:
        return warned
    first = found.damaged[0]
    warnings.warn(
        f"{first.what} could not be read ({first.why}): something else is taken in its place. "
        f"{folder.path / 'skipped.jsonl'} names this and what follows.",
        InputWarning,
        stacklevel=3,
    )
    return True


def _next(waiting: Any, interrupts: Interrupts) -> Share:
    """Return the next share; whoever ended the processes that read may mean all of us.

    Where they ended by themselves the share says so: every process must hear of it.
    """
    try:
        share: Share = next(waiting)
        return share
    except RuntimeError as error:
        interrupts.check()
        fault = (
            f"A process that reads clips has ended ({' '.join(str(error).split())}). There may be "
            "too little memory, or too little shared memory (/dev/shm): take fewer of them with "
            "--set schedule.workers=0, then --resume."
        )
        return Share((), fault=fault)


def _stopped(code: int, path: object, done: int, steps: int) -> Interrupted:
    stop = Interrupted(code)
    stop.add_note(f"what was learnt in {done} of {steps} steps is kept in {path}. Go on: --resume")
    return stop


def _is_due(done: int, schedule: ScheduleConfig) -> bool:
    """Whether the network is scored after so many steps."""
    every = schedule.evaluate_every
    return done == schedule.steps or (bool(every) and done % every == 0)


def _evaluate(
    learner: Learner,
    folder: RunFolder,
    evaluate: Callable[[Mask2FormerVideo], Mapping[str, float]],
    done: int,
) -> None:
    def score() -> None:
        if learner.team.main:
            learner.model.eval()
            try:
                found = dict(evaluate(learner.model))
            except (MemoryError, RuntimeError) as error:
                if not is_out_of_memory(error):
                    raise
                raise InputError(_NO_MEMORY) from error
            named = {f"evaluation/{name}": value for name, value in found.items()}
            folder.log({"step": done, "evaluation": found}, named, done)

    learner.team.together(score)


def _note(
    folder: RunFolder, found: StepReport, done: int, steps: int, seconds: float, left: float
) -> None:
    """Write down a step; a norm that is not finite, of a step that fp16 leaves out, is null."""
    total = sum(found.losses.values())
    record = {
        "step": done,
        "steps": steps,
        "losses": found.losses,
        "total": total,
        "learning_rate": found.rate,
        "gradient_norm": found.norm if math.isfinite(found.norm) else None,
        "size": list(found.size),
        "instances": found.instances,
        "seconds": round(seconds, 3),
        "seconds_left": round(left, 1),
    }
    figures = {f"loss/{name}": value for name, value in found.losses.items()}
    figures |= {
        "loss/total": total,
        "learning_rate": found.rate,
        "gradient_norm": found.norm,
        "seconds": seconds,
    }
    folder.log(record, figures, done)
