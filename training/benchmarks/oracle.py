"""The oracle: the same network, trained on the true masks. What its capacity allows.

The model, the number of steps, the crops, the prompts (the boxes' reach) and the binding of tracks
to queries are those of the boxes' run; the objective differs: cross-entropy and dice against the
true masks, on every decoder output. So do the settings that keep boxes from misleading a network,
and only hold back one that is never misled: in training and prediction it sees no mirror images, in
training no changed colours, and it is told its boxes in every step. Since every frame has its true
mask, its clips are longer, so that as many steps teach it more. So J from boxes / J of the oracle
says how much of the network's ability the supervision by boxes keeps.

This yardstick is older than the engine's own (`objective.supervision=masks`, whose masks are a
session's corrections) and stays what README's figures were measured with. In a clip, true masks
stand where `maskfree.sampling` puts its labels; the sampler hands over the very crop,
zoom and flip that it made of the frames.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn import functional

from maskfree.device import resolve_device
from maskfree.errors import InputError
from maskfree.lab import GRID_STRIDE
from maskfree.objective import Objective
from maskfree.sampling import ClipSampler
from maskfree.settings import override
from maskfree.train import Progress
from maskfree.trainer import Trainer

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from maskfree.config import Config
    from maskfree.model.mask2former_video import VideoOutput
    from maskfree.sampling import TrainingClip
    from maskfree.session import Session
    from maskfree.targets import BoxTargets
    from maskfree.types import BoxTracks
    from maskfree.video import Video

__all__ = ["OVERRIDES", "MaskObjective", "OracleTrainer", "TruthSampler", "train_on_masks"]

OVERRIDES = {
    "matching.mode": "bound",
    "matching.unprompted": 0.0,
    "augment.flip": False,
    "augment.colour_jitter": 0.0,
    "sampling.clip_length": 8,
    "evidence.seek": False,
    "evidence.weight": 0.0,
    "consensus.train": False,
    "consensus.refine": False,
}
"""Settings of every oracle: tracks bound to queries, always prompted; no mirror images, the colours
as they are, eight frames a clip (measured at 180 steps: of three frames with changed colours its J
was .011 and .012 lower on two clips); no time spent on evidence that nobody reads; the network's
masks as they are."""

UNKNOWN, BACKGROUND, FIRST = 0, 1, 2
"""Labels of a cell: unannotated (also beyond the frame's edge), background, track n is 2 + n."""
MOST_TRACKS = 256 - FIRST
"""As many tracks as 8-bit labels tell apart."""
SMOOTH = 1.0
"""Added to both sides of the dice ratio (Mask2Former)."""


def truth_labels(truth: Mapping[int, np.ndarray], tracks: BoxTracks) -> np.ndarray:
    """Return uint8 ``(T, H, W)``: the label of every pixel.

    Raises
    ------
    InputError
        For more tracks than 8-bit labels tell apart.
    """
    if len(tracks.tracks) > MOST_TRACKS:
        raise InputError(
            f"The oracle tells {MOST_TRACKS} tracks apart, got {len(tracks.tracks)}. Take a clip "
            "with fewer."
        )
    labels = np.full((tracks.num_frames, tracks.height, tracks.width), UNKNOWN, np.uint8)
    for frame, ids in truth.items():
        labels[frame] = BACKGROUND
        for n, track in enumerate(tracks.tracks):
            labels[frame][ids == track.id] = FIRST + n
    return labels


class TruthSampler(ClipSampler):
    """Draws the clips of the boxes' run, each frame moved to the nearest annotated one.

    Of the same length, these are the same clips (without their mirror images) where every frame has
    masks. Its clips' labels come from ``labels``, uint8 ``(T, H, W)`` of the whole video, see
    :func:`truth_labels`.
    """

    labels: np.ndarray

    @functools.cached_property
    def _annotated(self) -> np.ndarray:
        return np.flatnonzero((self.labels != UNKNOWN).any(axis=(1, 2)))

    def _draw_frames(self) -> list[int]:
        drawn = super()._draw_frames()
        return [int(self._annotated[np.abs(self._annotated - t).argmin()]) for t in drawn]

    def _labels(self, indices: list[int], matrix: np.ndarray, targets: BoxTargets) -> torch.Tensor:
        """Return what is true at the middle of each cell: float ``(N, T, H4, W4)``.

        1 on the track, -1 beside it, 0 where nothing is annotated. ``matrix``: the affine
        ``(2, 3)`` map from working pixels to the clip's pixels.
        """
        count, _, *grid = targets.box_masks.shape
        height, width = self.labels.shape[1:]
        cells = np.indices(grid)[::-1] * GRID_STRIDE + (GRID_STRIDE - 1) / 2
        x, y = np.linalg.solve(matrix[:, :2], cells.reshape(2, -1) - matrix[:, 2:])
        columns = np.floor((x + 0.5) * width / self.frames.width).astype(int)
        rows = np.floor((y + 0.5) * height / self.frames.height).astype(int)
        inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
        found = np.full((len(indices), inside.size), UNKNOWN, np.uint8)
        found[:, inside] = self.labels[np.array(indices)[:, None], rows[inside], columns[inside]]
        found = found.reshape(len(indices), *grid)
        mine = found == FIRST + np.arange(count)[:, None, None, None]
        out = np.where(mine, 1.0, np.where(found == UNKNOWN, 0.0, -1.0))
        return torch.from_numpy(out.astype(np.float32))


class MaskObjective(Objective):
    """Cross-entropy and dice against the labels, and the classes, over every decoder output.

    Only a track's reach is asked: beyond it prediction lets no mask stand.
    """

    def __call__(
        self, output: VideoOutput, sample: TrainingClip, *, step: int, steps: int
    ) -> dict[str, torch.Tensor]:
        """Return the weighted losses by name; their sum is what is minimised."""
        weights = self.config.objective
        labels = sample.labels
        truth = labels > 0
        present = truth.flatten(1).any(1).nonzero()[:, 0]
        layers = list(zip(output.class_logits, output.mask_logits, strict=True))
        if not weights.deep_supervision:
            layers = layers[-1:]
        classes = self._classes(sample).to(present.device)[present]
        class_loss = torch.stack([self._class_loss(c[0], present, classes) for c, _ in layers])
        losses = {"class": weights.class_weight * class_loss.sum()}
        if len(present):
            logits = torch.cat([m[0][present] for _, m in layers]).float()
            wanted = truth[present].repeat(len(layers), 1, 1, 1).float()
            asked = sample.targets.reach[present] & (labels[0] != 0)
            asked = asked.repeat(len(layers), 1, 1, 1).float()
            scale = weights.mask_weight * len(layers)
            losses["cross-entropy"] = scale * cross_entropy(logits, wanted, asked)
            losses["dice"] = scale * dice(logits, wanted, asked)
        return losses


def cross_entropy(logits: torch.Tensor, truth: torch.Tensor, asked: torch.Tensor) -> torch.Tensor:
    """Mean binary cross-entropy over the cells that are asked; all ``(N, T, H4, W4)``, float."""
    cost = functional.binary_cross_entropy_with_logits(logits, truth, reduction="none")
    return (cost * asked).sum() / asked.sum().clamp_min(1)


def dice(logits: torch.Tensor, truth: torch.Tensor, asked: torch.Tensor) -> torch.Tensor:
    """Mean over N of ``1 - (2 Σpg + 1) / (Σp + Σg + 1)`` over the cells that are asked."""
    probs, truth = logits.sigmoid() * asked, truth * asked
    both, either = (probs * truth).flatten(1).sum(1), (probs + truth).flatten(1).sum(1)
    return (1 - (2 * both + SMOOTH) / (either + SMOOTH)).mean()


class OracleTrainer(Trainer):
    """A trainer whose clips carry true masks and whose objective compares with them."""

    def __init__(
        self,
        video: Video,
        tracks: BoxTracks,
        config: Config,
        *,
        device: torch.device,
        seed: int,
        truth: Mapping[int, np.ndarray],
    ) -> None:
        super().__init__(video, tracks, config, device=device, seed=seed)
        sampler = TruthSampler(
            self._sampler.frames,
            tracks,
            None,
            sampling=config.sampling,
            augment=config.augment,
            rng=self._sampler.rng,
            tube=(self._boxes, self._slack),
        )
        sampler.labels = truth_labels(truth, tracks)
        self._sampler = sampler
        classes = [self.classes.index(each.label) for each in tracks.tracks]
        self._objective = MaskObjective(config, classes, seed=seed)


def train_on_masks(
    session: Session,
    config: Config,
    truth: Mapping[int, np.ndarray],
    *,
    device: str = "auto",
    seed: int = 0,
) -> Iterator[Progress]:
    """Train a run of ``session`` on the ids ``(H, W)`` of its annotated frames, by frame number.

    Yields
    ------
    maskfree.train.Progress
        After each optimiser step.
    """
    config = override(config, OVERRIDES)
    steps = config.optimiser.steps
    with session.open_video() as video:
        trainer = OracleTrainer(
            video, session.boxes, config, device=resolve_device(device), seed=seed, truth=truth
        )
        run = session.new_run(config, seed=seed)
        for index in range(steps):
            yield Progress(index + 1, steps, trainer.step(index), 0.0)
        trainer.save(run, steps)
