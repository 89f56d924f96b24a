"""``maskfree runs``: every run of a session, and the way back to one of them."""

from __future__ import annotations

import dataclasses
import datetime
from typing import TYPE_CHECKING, Any

from maskfree.kept_masks import show_run
from maskfree.run_book import RunBook
from maskfree.session import Session
from maskfree.terminal import table

if TYPE_CHECKING:
    from maskfree.run_book import RunSummary

__all__ = ["runs_of"]

_NONE = "no run yet; next: maskfree finetune --session {}"


def runs_of(folder: str, show: str | None = None) -> tuple[list[dict[str, Any]], str]:
    """Return the runs of the session in ``folder``, oldest first: as plain values, and as text.

    The values are those of :class:`~maskfree.run_book.RunSummary`.

    Parameters
    ----------
    show
        The run whose masks become those of the session first; None: as it is.

    Raises
    ------
    InputError
        Where there is no session, or no such run with masks.
    """
    session = Session.open(folder)
    if show is not None:
        show_run(session, show)
    runs = RunBook(session, session.boxes.num_frames).refresh()
    head = ["", "run", "started", "preset", "steps", "masks", "score"]
    text = table(head, [_row(run) for run in runs]) if runs else _NONE.format(folder)
    return [dataclasses.asdict(run) for run in runs], text


def _row(run: RunSummary) -> list[Any]:
    started = "unknown"
    if run.started is not None:
        started = f"{datetime.datetime.fromtimestamp(run.started):%Y-%m-%d %H:%M}"
    steps = f"{run.steps}" if run.planned in (None, run.steps) else f"{run.steps} of {run.planned}"
    score = "" if run.score is None else f"{run.score:.2f}"
    masks = f"{run.frames}{f', {run.untrained} first' * bool(run.untrained)}"
    return ["*" if run.shown else "", run.name, started, run.preset, steps, masks, score]
