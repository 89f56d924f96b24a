"""Where a run begins: with fresh weights, or with those of the run before it. No torch here.

After a correction most of what a network knows still holds. A run that goes on from the one before
takes a part of the steps, and neither follows the boxes again nor looks for background again.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
from typing import TYPE_CHECKING, Literal

from maskfree.config import Config, ModelConfig
from maskfree.errors import InputError, nearest
from maskfree.kept_tubes import KeptTubes
from maskfree.presets import PRESETS, names_weights, preset
from maskfree.settings import from_dict
from maskfree.told_frames import taught_digest, told_digest

if TYPE_CHECKING:
    from pathlib import Path

    from maskfree.belief import Belief
    from maskfree.run import Run
    from maskfree.session import Session
    from maskfree.types import BoxTracks

__all__ = ["Start", "StartFrom", "asked_settings", "plan_start", "read_tubes", "shortened"]

StartFrom = Literal["auto", "last", "fresh"]
_STARTS = ("auto", "last", "fresh")
_LEAST_RATE = 1e-8
"""The least learning rate that a run may have."""


@dataclasses.dataclass(frozen=True)
class Start:
    """``run``: the one whose weights a run begins with, None: fresh ones; ``config``: its own."""

    run: Run | None
    config: Config

    @property
    def seen(self) -> Run | None:
        """The run whose boxes and background it takes over; None: it looks for them itself."""
        if self.run is None:
            return None
        return self.run if _sees_the_same(self.run.config, self.config) else None

    def tubes(self) -> KeptTubes | None:
        """Return the boxes that it takes over; None: they are to be followed anew."""
        return None if self.seen is None else read_tubes(self.seen.kept_tube_path)

    def evidence(self) -> Belief | None:
        """Return the background that it takes over; None: it is to be looked for anew."""
        if self.seen is None:
            return None
        from maskfree.consensus_memory import read_belief  # its SciPy takes a while

        try:
            return read_belief(self.seen.kept_memory_path)
        except InputError:
            return None


def read_tubes(path: Path) -> KeptTubes | None:
    """Return the boxes that a run was trained with; None: they are not there, or damaged."""
    try:
        return KeptTubes.from_file(path)
    except (InputError, FileNotFoundError):
        return None


def shortened(config: Config) -> Config:
    """Return the settings of a run that goes on from another with the settings ``config``.

    Fewer steps at a lower rate; the network's masks were in its labels already, and the prior has
    done its work.
    """
    restart = config.restart
    return dataclasses.replace(
        config,
        optimiser=dataclasses.replace(
            config.optimiser,
            steps=min(restart.steps, config.optimiser.steps),
            learning_rate=max(_LEAST_RATE, restart.learning_rate * config.optimiser.learning_rate),
        ),
        consensus=dataclasses.replace(config.consensus, teacher_at=1.0),
        prior=dataclasses.replace(config.prior, until=0.0),
    )


def asked_settings(session: Session) -> Config | None:
    """Return the settings that a session's newest run was asked for; None: it has no run.

    Of a run that went on from another, what `shortened` changes is that of the run with fresh
    weights that it all began with, so that `plan_start` shortens no settings twice; where that run
    is gone or cannot be read, the preset's.

    Raises
    ------
    InputError
        Where the newest run's ``config.json`` is missing or broken.
    """
    runs = session.runs()
    if not runs:
        return None
    config = runs[-1].config
    if runs[-1].start is None:
        return config
    first = _first_of(runs)
    if first is None:
        first = preset(config.preset) if config.preset in PRESETS else config
    return _lengthened(config, first)


def _first_of(runs: list[Run]) -> Config | None:
    """Return the settings of the run with fresh weights that the newest goes back to, if known."""
    by_name = {each.name: each for each in runs}
    run: Run | None = runs[-1]
    with contextlib.suppress(InputError):
        while run is not None and run.start is not None:
            run = by_name.pop(run.start, None)
        return None if run is None else run.config
    return None


def _lengthened(config: Config, first: Config) -> Config:
    """Undo `shortened` with the settings of the run that it all began with."""
    optimiser = dataclasses.replace(
        config.optimiser,
        steps=first.optimiser.steps,
        learning_rate=first.optimiser.learning_rate,
    )
    return dataclasses.replace(
        config,
        optimiser=optimiser,
        consensus=dataclasses.replace(config.consensus, teacher_at=first.consensus.teacher_at),
        prior=dataclasses.replace(config.prior, until=first.prior.until),
    )


def plan_start(
    session: Session,
    config: Config,
    start: StartFrom = "auto",
    *,
    boxes: BoxTracks | None = None,
) -> Start:
    """Say what the next run of a session begins with.

    Parameters
    ----------
    config
        The settings of a run with fresh weights.
    start
        "fresh"; "last": from the newest run; "auto": from the newest run where it was made with
        these settings and boxes and somebody corrected masks since, else fresh.
    boxes
        Those of the next run; None: the session's.

    Raises
    ------
    InputError
        For another word, and with "last" where there is no run, it does not fit, or other weights
        are named.
    """
    if start not in _STARTS:
        hint = nearest(start, _STARTS)
        raise InputError(f'--start must be one of {", ".join(_STARTS)}, got "{start}".{hint}')
    if start == "fresh":
        return Start(None, config)
    boxes = session.boxes if boxes is None else boxes
    run = session.latest_run()
    why = "there is no finished run" if run is None else _why_not(run, config, boxes)
    if run is not None and not why:
        if start == "last":
            _check_weights(run, config)
        if start == "last" or _is_worth_it(session, run, config, boxes):
            return Start(run, shortened(_with_its_weights(config, run.config)))
    if start == "last":
        raise InputError(
            f"The next run of {session.path} cannot go on from the newest: {why}. Leave --start "
            "out, or begin with fresh weights: --start fresh"
        )
    return Start(None, config)


def _sees_the_same(one: Config, other: Config) -> bool:
    """Whether runs with these settings find the same boxes and the same background."""
    return all(
        getattr(one, part) == getattr(other, part) for part in ("follow", "evidence", "sampling")
    )


def _why_not(run: Run, config: Config, boxes: BoxTracks) -> str:
    """Say why a run's network cannot be taken up; nothing: it can."""
    tracks = boxes.tracks
    try:
        about = json.loads(run.kept_weights_path.with_suffix(".json").read_text(encoding="utf-8"))
        ids, classes = list(about["track_ids"]), list(about["classes"])
        queries = int(about["num_queries"])
        network = from_dict(Config, about["config"], kept=True).model
    except (OSError, ValueError, KeyError, TypeError, InputError):
        return f"run {run.name} does not say what its network is"
    if _sizes(network) != _sizes(config.model):
        return f"run {run.name} has another network"
    bound = [t.id for t in tracks] if config.matching.mode == "bound" else []
    if ids != bound or classes != sorted({t.label for t in tracks}):
        return f"tracks or labels have changed since run {run.name}"
    if queries != max(len(tracks), config.model.num_queries):
        return f"run {run.name} has another number of queries"
    return ""


def _sizes(model: ModelConfig) -> ModelConfig:
    """Return what makes the network; not what it began with, nor how it is trained."""
    plain = ModelConfig()
    named = ("weights", "backbone_weights", "frozen_norms", "drop_path")
    return dataclasses.replace(model, **{name: getattr(plain, name) for name in named})


def _with_its_weights(config: Config, then: Config) -> Config:
    """Return the settings with the weights that a run began with, where they name no others."""
    if config.preset != then.preset or config.model.weights != preset(config.preset).model.weights:
        return config
    model = dataclasses.replace(config.model, weights=then.model.weights)
    return dataclasses.replace(config, model=model)


def _check_weights(run: Run, config: Config) -> None:
    """Check that nobody names weights for a run that goes on with those of another."""
    named = config.model.weights
    if names_weights(config) and named != run.config.model.weights:
        raise InputError(
            f"The next run goes on from run {run.name}, and is to begin with the weights of "
            f"{named}. Leave one of the two out: --start last or --weights (in the window "
            "Advanced, Begin with or Weights)."
        )


def _is_worth_it(session: Session, run: Run, config: Config, boxes: BoxTracks) -> bool:
    """Whether only corrections are new since a run that was trained to its end."""
    try:
        then, tubes = run.config, read_tubes(run.kept_tube_path)
    except InputError:
        return False
    config = _with_its_weights(config, then)
    same = then == (shortened(config) if run.start else config)
    drawn = tubes is not None and all(tubes.knows(t, boxes.num_frames) for t in boxes.tracks)
    told = told_digest(run)
    new = told is not None and told != taught_digest(session.corrections.read_all())
    return run.status == "done" and same and drawn and new
