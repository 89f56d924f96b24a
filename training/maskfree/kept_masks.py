"""Every run keeps the masks that it predicted: one may go back to them, and compare.

The session's masks are those of one run. Before another run's take their place they are linked
into the folder of the run that made them, which takes next to no room on the disk.
"""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

from maskfree.errors import InputError
from maskfree.mask_store import MaskStore
from maskfree.masks_lock import masks_lock
from maskfree.storage import make_folder, writing

if TYPE_CHECKING:
    from pathlib import Path

    from maskfree.run import Run
    from maskfree.session import Session

__all__ = [
    "keep_masks",
    "kept_masks",
    "run_before",
    "run_masks",
    "runs_with_masks",
    "show_run",
    "shown_run",
]

_BEFORE = "masks.before"


def shown_run(session: Session) -> str | None:
    """Return the name of the run whose masks the session shows; None where that is not known."""
    names = [r["run"] for r in session.predict_log.records() if isinstance(r.get("run"), str)]
    return names[0] if names else None


def kept_masks(run: Run) -> MaskStore:
    """Return the masks that a run keeps while another's are shown."""
    return MaskStore(run.path / "masks")


def run_masks(session: Session, run: Run, shown: str | None) -> MaskStore:
    """Return where a run's masks are now; ``shown`` is the run whose masks the session shows."""
    return session.mask_store() if run.name == shown else kept_masks(run)


def runs_with_masks(session: Session) -> list[str]:
    """Return the names of the runs whose masks can be shown, oldest first."""
    shown = shown_run(session)
    return [run.name for run in session.runs() if run_masks(session, run, shown).frames()]


def run_before(session: Session) -> Run | None:
    """Return the newest run with masks before the one whose masks are shown; None: there is none.

    None too where it is not known whose masks are shown.
    """
    shown, before = shown_run(session), None
    for run in session.runs():
        if run.name == shown:
            return before
        if run_masks(session, run, shown).frames():
            before = run
    return None


def keep_masks(session: Session) -> None:
    """Link the session's masks into the folder of the run that made them.

    Masks that no known run made, as of an earlier version or of a run whose folder was removed,
    are kept beside: ``masks.before``, then ``masks.before-2`` and so on.

    Raises
    ------
    InputError
        Where the disk is full or the folder may not be written.
    """
    if not session.mask_store().frames():
        return
    name = shown_run(session)
    run = next((r for r in session.runs() if r.name == name), None)
    target = _free(session.path / _BEFORE) if run is None else kept_masks(run).path
    _replace(session.mask_store().path, target)


def show_run(session: Session, name: str) -> None:
    """Make the masks that a run keeps those of the session; the ones shown now are kept.

    Raises
    ------
    InputError
        Where there is no such run, or it has no masks; while another process predicts.
    """
    with masks_lock(session):
        _show_run(session, name)


def _show_run(session: Session, name: str) -> None:
    run = next((r for r in session.runs() if r.name == name), None)
    known = runs_with_masks(session)
    if run is None or name not in known:
        listed = ", ".join(known) or "none"
        raise InputError(
            f'{session.path} has no masks of a run "{name}". Runs with masks: {listed}. '
            "Predict with the newest run: maskfree predict DIR"
        )
    if name == shown_run(session):
        return
    keep_masks(session)
    _replace(kept_masks(run).path, session.mask_store().path)
    log = session.predict_log
    log.clear()
    log.append({"status": "done", "run": name, "message": ""})


def _free(path: Path) -> Path:
    """Return ``path``, or with -2, -3, … added where that is taken."""
    number, found = 1, path
    while found.exists():
        number += 1
        found = path.with_name(f"{path.name}-{number}")
    return found


def _replace(source: Path, target: Path) -> None:
    """Make ``target`` a folder with the same files as ``source``; whole or not at all."""
    new, old = (target.with_name(target.name + ending) for ending in (".new", ".old"))
    with writing(target):
        for folder in (new, old):
            shutil.rmtree(folder, ignore_errors=True)
        make_folder(new)
        for path in sorted(source.iterdir()):
            _link(path, new / path.name)
        if target.exists():
            target.rename(old)
        new.rename(target)
        shutil.rmtree(old, ignore_errors=True)


def _link(source: Path, target: Path) -> None:
    """Give a file a second name; a copy where the disk has no links."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
