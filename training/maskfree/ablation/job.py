"""One job: a clip, a recipe and a seed become boxes, a trained network, masks and a score.

All of it goes through the engine's public functions. The true masks serve the boxes and the score
alone, except for the oracle, which learns from them; it, too, is scored on the network's own masks.
"""

from __future__ import annotations

import dataclasses
import time
import warnings
from typing import TYPE_CHECKING, Self

import numpy as np

from maskfree.ablation.clips import FRAMES, MASKS, shared_boxes, true_ids
from maskfree.ablation.groups import BASE, PRESET
from maskfree.corrections import Correction
from maskfree.errors import InputError, InputWarning
from maskfree.json_checks import as_number, as_object, as_whole, show
from maskfree.metrics import evaluate
from maskfree.presets import preset
from maskfree.session import Session
from maskfree.settings import override
from maskfree.tracks import boxes_at
from maskfree.types import InstanceMasks

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from maskfree.ablation.clips import AblationClip
    from maskfree.ablation.groups import Recipe
    from maskfree.config import Config, ModelConfig
    from maskfree.types import BoxTracks

__all__ = ["Job", "JobResult", "run_job"]

_UNTOLD = tuple(f"{key}=" for key in (*BASE, "optimiser.steps"))
"""Settings that all jobs share, or that only repeat what other words say."""


@dataclasses.dataclass(frozen=True)
class Job:
    """What is run: a recipe of :data:`maskfree.ablation.groups.PRESET` on a clip, with a seed."""

    clip: AblationClip
    recipe: Recipe
    seed: int
    device: str = "auto"

    def __str__(self) -> str:
        told = [word for word in self.recipe.settings if not word.startswith(_UNTOLD)]
        told += [f"boxes in {self.recipe.share:.0%}"] if self.recipe.share < 1 else []
        return ", ".join([self.clip.name, *told, f"seed {self.seed}"])


@dataclasses.dataclass(frozen=True)
class JobResult:
    """What came of a job.

    ``j``, ``f``: means over the tracks, in [0, 1]; ``box_j``: J of the job's own boxes filled in;
    ``train_seconds``, ``predict_seconds``: by the clock; ``loss_bytes``: the most that the tensors
    of the temporal loss of one step take, see :mod:`maskfree.ablation.loss_memory`.
    """

    j: float
    f: float
    box_j: float
    train_seconds: float
    predict_seconds: float
    loss_bytes: int

    @classmethod
    def from_json(cls, data: object, where: str) -> Self:
        """Make a result from what `dataclasses.asdict` made of one and JSON kept.

        Raises
        ------
        InputError
            Where it is none; ``where`` begins the message.
        """
        fields = as_object(data, where, "a job's result", "j")
        numbers: dict[str, float] = {}
        for name in ("j", "f", "box_j", "train_seconds", "predict_seconds"):
            number = as_number(fields.get(name))
            if number is None or number < 0 or (name in ("j", "f", "box_j") and number > 1):
                raise InputError(f"{where}: {name} is {show(fields.get(name))}. Run the job again.")
            numbers[name] = number
        size = as_whole(fields.get("loss_bytes"), where, "loss_bytes", low=0)
        return cls(**numbers, loss_bytes=size)


def run_job(job: Job, folder: Path, tell: Callable[[int, int], None]) -> JobResult:
    """Do the whole job; its session is made in ``folder``, which must be free.

    ``tell`` is called after every step and every frame with how many of how many are done.

    Raises
    ------
    InputError
        Where the clip or a setting is at fault.
    """
    from maskfree.ablation.loss_memory import temporal_bytes

    config = override(preset(PRESET), dict(word.split("=", 1) for word in job.recipe.settings))
    _check_weights(config.model)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InputWarning)  # of missing predictions, which count as 0
        session, truth = _make_session(job, folder)
        started = time.monotonic()
        _train(session, config, job, tell)
        trained = time.monotonic()
        _predict(session, job, truth, tell)
        predicted = time.monotonic()
        with session.open_video() as video:
            names = list(video.names)
            count = min(len(video), config.sampling.clip_length)
            frames = np.stack([video[t] for t in range(count)])
        tracks = session.boxes
        # the corrections are the truth itself: what the network says lies in the store below them
        scores = evaluate(session.mask_store().read, job.clip.folder / MASKS, names)
        filled = evaluate(lambda t: _filled(tracks, t), job.clip.folder / MASKS, names)
    size = temporal_bytes(frames, len(tracks.tracks), config, job.device)
    return JobResult(scores.j, scores.f, filled.j, trained - started, predicted - trained, size)


def _check_weights(model: ModelConfig) -> None:
    """Check that what the settings name is there: a run would begin with fresh weights instead."""
    if not (model.weights or model.backbone_weights):
        return
    from maskfree.model.initial import find_pretrained

    if find_pretrained(model).kind != ("whole" if model.weights else "backbone"):
        raise InputError(
            f"{model.weights or model.backbone_weights} cannot be had here. Download it, and name "
            "its folder."
        )


def _make_session(job: Job, folder: Path) -> tuple[Session, dict[int, np.ndarray]]:
    from maskfree.video import open_video

    source = job.clip.folder / FRAMES
    with open_video(source) as video:
        count, height, width, _ = video.shape
        truth = true_ids(job.clip.folder, video.names)
    tracks = shared_boxes(truth, job.recipe.share, (count, height, width))
    if not tracks.tracks:
        raise InputError(f"{job.clip.folder / MASKS}: no mask holds an object. Leave the clip out.")
    session = Session.create(folder, video_source=source, boxes=tracks)
    if job.recipe.oracle:
        for frame, ids in truth.items():
            whole = {each.id: Correction.whole(ids == each.id) for each in tracks.tracks}
            session.corrections.write(frame, whole)
    return session, truth


def _train(session: Session, config: Config, job: Job, tell: Callable[[int, int], None]) -> None:
    from maskfree.train import finetune

    for step in finetune(session, config, device=job.device, seed=job.seed, start="fresh"):
        tell(step.step, step.steps)


def _predict(
    session: Session,
    job: Job,
    truth: Mapping[int, np.ndarray],
    tell: Callable[[int, int], None],
) -> None:
    from maskfree.predict import predict

    frames = min(truth), max(truth) + 1
    for done in predict(session, frames=frames, device=job.device):
        tell(done.done, done.total)


def _filled(tracks: BoxTracks, frame: int) -> InstanceMasks:
    """Take each box, interpolated where there is no keyframe, as its mask."""
    states = boxes_at(tracks, frame)
    masks = np.zeros((len(states), tracks.height, tracks.width), bool)
    for mask, state in zip(masks, states.values(), strict=True):
        x0, y0, x1, y1 = (round(v) for v in state.xyxy)
        mask[y0:y1, x0:x1] = True
    return InstanceMasks(tuple(states), masks, (1.0,) * len(states))
