"""The processes that a job is made of: what is started, and where each tells how far it is.

A :class:`Stage` only describes one; :class:`~.worker.Job` starts it. No Qt here.
"""

from __future__ import annotations

import dataclasses
import sys
from typing import TYPE_CHECKING

from napari_maskfree.attached import working_on

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    import psutil

__all__ = ["Stage", "finetune_stage", "predict_stage", "preflight_stage", "running_stages"]


@dataclasses.dataclass(frozen=True)
class Stage:
    """One process of a job: its name, its command and the file that tells how far it is.

    ``log`` is looked up at every poll, because a run's folder is made by the process itself.
    ``stop`` asks the process to end by itself, None where it cannot be asked; ``keep_best`` asks it
    to end with its best weights. ``attached`` is a process that runs already, started by a window
    that is closed by now.
    """

    name: str
    command: tuple[str, ...]
    log: Callable[[], Path | None]
    stop: Callable[[], object] | None = None
    attached: psutil.Process | None = None
    keep_best: Callable[[], bool] | None = None


def _engine() -> list[str]:
    return [sys.executable, "-m", "maskfree"]


def finetune_stage(
    folder: Path,
    *,
    preset: str,
    steps: int,
    device: str,
    seed: int,
    start: str = "auto",
    extra: Sequence[str] = (),
    previews: Sequence[int] = (),
) -> Stage:
    """Return the process that fine-tunes a new run of the session at ``folder``.

    ``start``: what it begins with, see :mod:`maskfree.start`; ``previews``: the frames that it
    redraws meanwhile.
    """
    runs = folder / "runs"
    before = {p.name for p in runs.iterdir()} if runs.is_dir() else set()

    def run_folder() -> Path | None:
        new = [p for p in runs.iterdir() if p.name not in before] if runs.is_dir() else []
        return max(new, key=lambda p: p.name) if new else None

    def log() -> Path | None:
        found = run_folder()
        return found / "metrics.jsonl" if found else None

    def stop(keep_best: bool = False) -> bool:
        from maskfree.session import Session

        found = run_folder()
        runs = [r for r in Session.open(folder).runs() if r.name == found.name] if found else []
        for run in runs:
            run.request_stop(keep_best=keep_best)
        return bool(runs)

    command = [*_engine(), "finetune", "--session", str(folder), "--preset", preset]
    command += ["--steps", str(steps), "--device", device, "--seed", str(seed)]
    command += [*(() if start == "auto" else ("--start", start)), *extra]
    if previews:
        command += ["--preview", ",".join(map(str, previews))]
    return Stage("finetune", tuple(command), log, stop, keep_best=lambda: stop(True))


def running_stages(folder: Path) -> list[Stage]:
    """Return the processes that still work on a session, left by a window that was closed."""
    found = working_on(folder, ("finetune", "predict"))
    stages = []
    if "finetune" in found:
        from maskfree.run import Run

        runs = sorted(p for p in (folder / "runs").glob("*") if p.name.isdigit())
        newest = runs[-1] if runs else folder
        run, log = Run(newest), newest / "metrics.jsonl"

        def best() -> bool:
            run.request_stop(keep_best=True)
            return True

        stages.append(Stage("finetune", (), lambda: log, run.request_stop, found["finetune"], best))
    if "predict" in found:
        stages.append(
            Stage("predict", (), lambda: folder / "predict.jsonl", attached=found["predict"])
        )
    return stages


def predict_stage(folder: Path, *, device: str) -> Stage:
    """Return the process that predicts the masks of every frame into the session."""
    command = (*_engine(), "predict", str(folder), "--device", device)
    return Stage("predict", command, lambda: folder / "predict.jsonl")


def preflight_stage(
    folder: Path,
    log: Path,
    *,
    preset: str,
    steps: int,
    device: str,
    order: Sequence[str],
    start: str = "auto",
    settings: Sequence[str] = (),
) -> Stage:
    """Return the process that measures a step of the session at ``folder`` and writes ``log``.

    ``start``: what the run begins with, see :mod:`maskfree.start`.
    """
    command = [*_engine(), "preflight", str(folder), "--preset", preset, "--steps", str(steps)]
    command += ["--device", device, "--fallbacks", ",".join(order) or "none", "--log", str(log)]
    command += [*(() if start == "auto" else ("--start", start))]
    changed = ("--set", *settings) if settings else ()
    return Stage("preflight", (*command, *changed), lambda: log)
