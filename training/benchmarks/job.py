"""One job: a clip, a setting and a seed become boxes, a trained network, masks and scores.

All of it goes through the public API. The masks serve the boxes and the scores alone; training
never sees them, except the oracle's.
"""

from __future__ import annotations

import dataclasses
import shutil
import sys
import time
import warnings
from typing import TYPE_CHECKING, Any, Self

import imageio.v3 as imageio

from clips import boxes_from_masks, filled_boxes, first_only, jittered, true_ids
from maskfree.contact_sheet import contact_sheet
from maskfree.errors import InputWarning
from maskfree.ignore_masks import IgnoreMasks
from maskfree.metrics import evaluate
from maskfree.predict import predict
from maskfree.session import Session
from maskfree.storage import make_folder
from maskfree.train import finetune
from oracle import train_on_masks
from refinement import refined_boxes
from scores import ScoredMask, scored_masks, spearman

if TYPE_CHECKING:
    from pathlib import Path

    from maskfree.config import Config
    from maskfree.types import BoxTracks

__all__ = ["KINDS", "Job", "Result", "draw_session", "make_boxes", "run_job"]

KINDS = {
    "train": "fine-tuned on the boxes",
    "oracle": "trained on the true masks",
    "filled": "no network: the refinement, applied to the filled boxes",
}
"""What makes the masks."""


@dataclasses.dataclass(frozen=True)
class Job:
    """What is run: a clip's folder, how its boxes are made, how its masks are made."""

    clip: Path
    config: Config
    every: int = 5
    jitter: float = 0.0
    first_only: bool = False
    kind: str = "train"
    seed: int = 0
    device: str = "auto"

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"kind must be one of {', '.join(KINDS)}, got {self.kind}.")

    def __str__(self) -> str:
        kind = "" if self.kind == "train" else f" {self.kind}"
        return f"{self.clip.name}{kind} seed {self.seed}"


@dataclasses.dataclass(frozen=True)
class Result:
    """What came out: J and F in [0, 1], wall-clock seconds, score and J of every true mask.

    ``box_j``: J of the boxes filled in, interpolated where there is no keyframe; ``alone_j``: J of
    the network's own masks, None where nothing has refined them.
    """

    clip: str
    kind: str
    seed: int
    tracks: int
    frames: int
    j: float
    f: float
    box_j: float
    train_seconds: float
    predict_seconds: float
    scored: tuple[ScoredMask, ...] = ()
    alone_j: float | None = None

    @property
    def rho(self) -> float | None:
        """Spearman's rank correlation of the masks' scores with their true J."""
        return spearman(self.scored)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """Make a result from what ``dataclasses.asdict`` made of one and JSON kept."""
        scored = tuple((score, j) for score, j in data["scored"])
        return cls(**{**data, "scored": scored})

    def summary(self) -> dict[str, Any]:
        """Return the numbers, with rho in place of what it was computed from."""
        fields = dataclasses.asdict(self)
        del fields["scored"]
        return {**fields, "rho": self.rho}


def make_boxes(job: Job) -> BoxTracks:
    """Make the boxes that the job is given."""
    tracks = boxes_from_masks(job.clip, job.every)
    if job.first_only:
        tracks = first_only(tracks)
    return jittered(tracks, job.jitter, seed=job.seed) if job.jitter else tracks


def run_job(job: Job, folder: Path) -> Result:
    """Do the whole job and score it; its session is made in ``folder``, which must be free.

    Raises
    ------
    InputError
        Where the clip or a setting is at fault.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InputWarning)  # of missing predictions, which count as 0
        tracks = make_boxes(job)
        session = Session.create(folder, video_source=job.clip / "frames", boxes=tracks)
        started = time.monotonic()
        _train(job, session)
        trained = time.monotonic()
        _predict(job, session)
        predicted = time.monotonic()
        result = _scored(job, session, trained - started, predicted - trained)
        return dataclasses.replace(result, alone_j=_alone(job, session))


def _train(job: Job, session: Session) -> None:
    if job.kind == "filled":
        return
    if job.kind == "oracle":
        with session.open_video() as video:
            truth = true_ids(job.clip, video.names)
        steps = train_on_masks(session, job.config, truth, device=job.device, seed=job.seed)
    else:
        steps = finetune(session, job.config, device=job.device, seed=job.seed)
    for progress in steps:
        _say(f"{job}: step {progress.step}/{progress.steps}")
    _say("")


def _predict(job: Job, session: Session) -> None:
    if job.kind == "filled":
        store = session.mask_store()
        with session.open_video() as video:
            for frame, masks in refined_boxes(video, session.boxes, job.config):
                store.write(frame, masks)
        return
    for done in predict(session, device=job.device):
        _say(f"{job}: frame {done.done}/{done.total}")
    _say("")


def _scored(job: Job, session: Session, train_seconds: float, predict_seconds: float) -> Result:
    tracks, read, truth = session.boxes, session.mask_store().read, job.clip / "masks"
    with session.open_video() as video:
        names = video.names
    ignored = IgnoreMasks(tracks).at
    scores = evaluate(read, truth, names, ignored=ignored)
    return Result(
        clip=job.clip.name,
        kind=job.kind,
        seed=job.seed,
        tracks=len(tracks.tracks),
        frames=tracks.num_frames,
        j=scores.j,
        f=scores.f,
        box_j=evaluate(lambda t: filled_boxes(tracks, t), truth, names, ignored=ignored).j,
        train_seconds=train_seconds,
        predict_seconds=predict_seconds,
        scored=tuple(scored_masks(read, truth, names, ignored=ignored)),
    )


def _alone(job: Job, session: Session) -> float | None:
    """Return J of the network's masks as they are; None where these are not refined anyway.

    The session stays as it is: a copy of it loses what its refinement stands on.
    """
    run = session.latest_run()
    if job.kind != "train" or run is None or not run.memory_path.is_file():
        return None
    folder = session.path.with_name(f"{session.path.name}-alone")
    shutil.copytree(session.path, folder)
    try:
        copy = Session.open(folder)
        for each in copy.runs():
            each.memory_path.unlink(missing_ok=True)
        _predict(job, copy)
        with copy.open_video() as video:
            ignored = IgnoreMasks(copy.boxes).at
            truth = job.clip / "masks"
            return evaluate(copy.mask_store().read, truth, video.names, ignored=ignored).j
    finally:
        shutil.rmtree(folder)


def draw_session(folder: Path, path: Path) -> None:
    """Write a contact sheet of a session's boxes and masks."""
    session = Session.open(folder)
    make_folder(path.parent)
    with session.open_video() as video:
        imageio.imwrite(path, contact_sheet(video, session.boxes, session.mask_store().read))


def _say(text: str) -> None:
    if sys.stderr.isatty():
        print(f"\r{text}\x1b[K", end="", file=sys.stderr, flush=True)
