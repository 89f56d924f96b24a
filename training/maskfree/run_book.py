"""What a session's runs were and how good their masks are, for a list to choose from."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from maskfree.errors import InputError
from maskfree.kept_masks import run_masks, shown_run
from maskfree.score_index import ScoreIndex
from maskfree.told_frames import untrained_frames

if TYPE_CHECKING:
    from collections.abc import Callable

    from maskfree.run import Run
    from maskfree.session import Session

__all__ = ["RunBook", "RunSummary"]


@dataclasses.dataclass(frozen=True)
class RunSummary:
    """One run.

    ``started``: seconds since 1970, None where the disk does not say. ``preset``: "unknown" for a
    run of another version. ``steps``: finished ones, of ``planned`` (None where that is unknown).
    ``frames``: how many have masks; ``untrained``: how many of them first masks, made before any
    training. ``score``: mean over its masks as they were predicted, in
    [0, 1], None without masks. ``shown``: its masks are the session's.
    """

    name: str
    started: float | None
    preset: str
    steps: int
    planned: int | None
    frames: int
    untrained: int
    score: float | None
    shown: bool


class RunBook:
    """Summaries of a session's runs; `refresh` reads only what has changed since.

    One object belongs to one thread.

    Parameters
    ----------
    session
        Whose runs.
    num_frames
        Frames of its video.
    """

    def __init__(self, session: Session, num_frames: int) -> None:
        self.session, self.num_frames = session, num_frames
        self._runs: dict[str, Run] = {}
        self._scores: dict[str, ScoreIndex] = {}

    def refresh(self, watch: Callable[[], None] | None = None) -> list[RunSummary]:
        """Return the runs, oldest first.

        Parameters
        ----------
        watch
            Called now and then; an error that it raises ends the work.
        """
        shown = shown_run(self.session)
        found = {run.name: run for run in self.session.runs()}
        self._runs = {name: self._runs.get(name, run) for name, run in found.items()}
        return [self._summary(run, shown, watch) for run in self._runs.values()]

    def _summary(self, run: Run, shown: str | None, watch: Callable[[], None] | None) -> RunSummary:
        if watch is not None:
            watch()
        store = run_masks(self.session, run, shown)
        index = self._scores.setdefault(run.name, ScoreIndex(store, self.num_frames))
        index.store = store  # linked files have the same stamps: they are not read again
        rows = list(index.refresh(watch).values())
        scores = np.concatenate(rows) if rows else np.array([np.nan])
        preset, planned = "unknown", None
        try:
            preset, planned = run.config.preset, run.config.optimiser.steps
        except InputError:  # made by another version: still worth listing
            pass
        frames = store.frames()
        return RunSummary(
            name=run.name,
            started=_started(run),
            preset=preset,
            steps=run.steps_done,
            planned=planned,
            frames=len(frames),
            untrained=len(untrained_frames(run).intersection(frames)),
            score=None if np.isnan(scores).all() else float(np.nanmean(scores)),
            shown=run.name == shown,
        )


def _started(run: Run) -> float | None:
    """Return when the run's folder got its settings, which are written once."""
    try:
        return run.config_path.stat().st_mtime
    except OSError:
        return None
