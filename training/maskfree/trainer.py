"""A run's network, optimiser and clips: one optimiser step after the other."""

from __future__ import annotations

import contextlib
import io
from typing import TYPE_CHECKING

import numpy as np
import torch

from maskfree.device import has_bfloat16
from maskfree.errors import InputError
from maskfree.kept_tubes import KeptTubes
from maskfree.model.build import build_model
from maskfree.model.checkpoint import save_model
from maskfree.model.initial import Pretrained, chosen_pretrained
from maskfree.network_pass import KeptLogits, network_pass
from maskfree.objective import Objective
from maskfree.optimiser import learning_rate, make_optimiser
from maskfree.prepare import learns, prepare, settles
from maskfree.sampling import ClipSampler
from maskfree.storage import atomic_write
from maskfree.supervision import by_masks
from maskfree.train_state import load_state, plain_rng, wide_rng
from maskfree.watch import Watch, unwatched

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from maskfree.config import Config
    from maskfree.consensus_memory import ConsensusMemory
    from maskfree.prepare import Prepared
    from maskfree.run import Run
    from maskfree.types import BoxTracks
    from maskfree.video import Video

__all__ = ["Trainer"]


class Trainer:
    """Model, optimiser and clips of one run; :meth:`step` takes one optimiser step.

    Parameters
    ----------
    video, tracks
        What to learn from. At least one box.
    config
        All hyper-parameters.
    device, seed
        Where, and which of the possible runs: the same seed gives the same result on one machine.
    resumed
        The weights come from :meth:`restore`, and how fast the backbone learns; no pretrained ones
        are looked for.
    weights
        What the network begins with, by parameter name; None: fresh or pretrained ones.
    pretrained
        What the network begins with beside chance; None: what the settings name, where it begins
        afresh.
    began
        How much of a network that is taken up began with such weights, see `Pretrained.kind`.
    prepared
        What the video shows without a network; None: it is looked at now.
    watch
        Told how far that look is.

    Raises
    ------
    InputError
        For settings or pretrained weights that make no network.
    """

    def __init__(
        self,
        video: Video,
        tracks: BoxTracks,
        config: Config,
        *,
        device: torch.device,
        seed: int,
        resumed: bool = False,
        weights: Mapping[str, torch.Tensor] | None = None,
        pretrained: Pretrained | None = None,
        began: str = "backbone",
        prepared: Prepared | None = None,
        watch: Watch = unwatched,
    ) -> None:
        begun = resumed or weights is not None
        if pretrained is None:
            pretrained = Pretrained() if begun else chosen_pretrained(config)
        self.track_ids = [t.id for t in tracks.tracks]
        prepared = prepared or prepare(video, tracks, config, watch=watch)
        torch.manual_seed(seed)
        self.config, self.device, self._seed = config, device, seed
        self.classes = sorted({t.label for t in tracks.tracks})
        self._rng = np.random.default_rng(seed)
        self._video, self._tracks = video, tracks
        self.tube = self._boxes, self._slack = prepared.boxes, prepared.slack
        self._consensus = prepared.consensus
        self._teacher: KeptLogits | None = None
        self._sampler = ClipSampler(
            prepared.frames,
            tracks,
            prepared.evidence,
            self._consensus if learns(config) else None,
            sampling=config.sampling,
            augment=config.augment,
            rng=self._rng,
            tube=(prepared.boxes, prepared.slack),
            hand=prepared.hand if config.corrections.weight or by_masks(config) else None,
            hand_share=1.0 if by_masks(config) else config.corrections.share,
            ignore=prepared.ignore,
            seen=prepared.seen,
        )
        self.model = build_model(
            config.model, num_classes=len(self.classes), num_queries=len(tracks.tracks)
        )
        self.begins = pretrained.into(self.model, self.classes)
        if weights is not None:
            self.model.load_state_dict(weights)
        self.model.to(device)
        labels = [self.classes.index(t.label) for t in tracks.tracks]
        self._objective = Objective(config, labels, seed=seed)
        self.began = began = began if begun else pretrained.kind
        named = config.model.backbone_weights or config.model.weights
        fresh = bool(named) and began == "fresh"
        if fresh:
            self.model.frozen_norms = False
        self._rate = config.optimiser.weights_multiplier if began == "whole" else 1.0
        multiplier = 1.0 if fresh else config.optimiser.backbone_multiplier
        self._optimiser = make_optimiser(
            self.model, config.optimiser, backbone_multiplier=multiplier
        )
        half = torch.float16 if not has_bfloat16(device) else torch.bfloat16
        self._half = half if config.optimiser.amp and device.type == "cuda" else None
        self._scaler = torch.amp.GradScaler(device.type, enabled=self._half == torch.float16)

    def step(self, index: int) -> dict[str, float]:
        """Take optimiser step ``index`` (from 0); return the losses by name.

        Raises
        ------
        InputError
            When a loss is not finite.
        """
        steps = self.config.optimiser.steps
        if index == round(self.config.consensus.teacher_at * steps):
            self._teach()
        rate = self._rate * learning_rate(index, self.config.optimiser)
        for group in self._optimiser.param_groups:
            group["lr"] = rate * group["multiplier"]
        sample = self._sampler.draw().to(self.device)
        self.model.train()
        bound = self.config.matching.mode == "bound"
        prompted = bound and self._rng.random() >= self.config.matching.unprompted
        prompts = sample.targets.reach[None] if prompted else None
        enabled = self._half is not None
        with torch.autocast(self.device.type, dtype=self._half, enabled=enabled):
            output = self.model(sample.clip.rgb[None], prompts, rows=len(self.bound_ids) or None)
        losses = self._objective(output, sample, step=index, steps=steps)
        total = torch.stack(list(losses.values())).sum()
        if not torch.isfinite(total):
            raise InputError(
                f"The loss is {total.item()} at step {index + 1}. Lower optimiser.learning_rate "
                f"(now {self.config.optimiser.learning_rate}) or try another --seed."
            )
        self._optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(self._scaler.scale(total))
        self._scaler.unscale_(self._optimiser)
        if self.config.optimiser.clip_norm:
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.config.optimiser.clip_norm)
        self._scaler.step(self._optimiser)
        self._scaler.update()
        return {name: float(value.detach()) for name, value in losses.items()}

    def _teach(self) -> None:
        """Let the network's own masks, corrected by the picture, into the labels."""
        if not settles(self.config):
            return
        self.measure_norms()
        self._teacher = KeptLogits(self._video.shape[1:3])
        for grid in network_pass(
            self._video,
            self._tracks,
            self.model,
            self.config,
            track_ids=self.bound_ids,
            device=self.device,
            most_clips=self.config.consensus.teacher_clips,
            mirror=False,
            tube=(self._boxes, self._slack),
        ):
            self._teacher.add(grid, self._boxes[:, grid.frame], self._slack[:, grid.frame])
        self._consensus.fit(self._teacher)

    def measure_norms(self) -> None:
        """Let the batch norms see clips as the weights are now: the same ones for a seed."""
        if count := self.config.optimiser.norm_clips:
            with contextlib.closing(self._sampler.pictures(count, self._seed)) as clips:
                self.model.measure_norms(clips)

    @property
    def tubes(self) -> KeptTubes:
        """The boxes that it trains with."""
        return KeptTubes.of(self._tracks, self._boxes, self._slack)

    @property
    def memory(self) -> ConsensusMemory:
        """What it learnt about the video beside the network's weights."""
        return self._consensus.memory(self.track_ids)

    @property
    def bound_ids(self) -> list[int]:
        """The track that each of the first queries is bound to; empty when they are not bound."""
        return self.track_ids if self.config.matching.mode == "bound" else []

    def save_best(self, run: Run) -> None:
        """Write what a prediction needs to be made as now, as the best of the run."""
        self._save_for_predicting(run.best_path, run.best_tube_path, run.best_memory_path)

    def _save_for_predicting(self, weights: Path, tube: Path, memory: Path) -> None:
        atomic_write(tube, self.tubes.to_bytes())
        if self.config.consensus.refine:
            atomic_write(memory, self.memory.to_bytes())
        save_model(weights, self.model, self.config, classes=self.classes, track_ids=self.bound_ids)

    def save(self, run: Run, step: int) -> None:
        """Write weights, and the state that resuming after ``step`` finished steps needs.

        After the last step nothing needs it: there are the weights alone.
        """
        self.measure_norms()
        self._save_for_predicting(run.weights_path, run.tube_path, run.memory_path)
        if step >= self.config.optimiser.steps:
            return
        state = {
            "step": step,
            "classes": self.classes,
            "track_ids": self.track_ids,
            "model": self.model.state_dict(),
            "optimiser": self._optimiser.state_dict(),
            "scaler": self._scaler.state_dict(),
            "torch_rng": torch.get_rng_state(),
            "objective_rng": self._objective.rng_state,
            "numpy_rng": plain_rng(self._rng),
            "teacher": None if self._teacher is None else self._teacher.state(),
        }
        content = io.BytesIO()
        torch.save(state, content)
        atomic_write(run.state_path, content.getvalue())

    def restore(self, path: Path) -> int:
        """Take up the state written by :meth:`save`; return the number of finished steps.

        Raises
        ------
        InputError
            When the file is damaged, or is the state of other tracks or another network.
        """
        state = load_state(path)
        try:
            if (state["track_ids"], state["classes"]) != (self.track_ids, self.classes):
                raise ValueError("other tracks or labels")
            self.model.load_state_dict(state["model"])
            groups = len(state["optimiser"]["param_groups"])
            if groups != len(self._optimiser.param_groups):  # it began with fresh weights, or older
                self._optimiser = make_optimiser(
                    self.model, self.config.optimiser, backbone_multiplier=float(groups > 1)
                )
            self._optimiser.load_state_dict(state["optimiser"])
            self._scaler.load_state_dict(state["scaler"])
            torch.set_rng_state(state["torch_rng"].cpu())
            self._objective.rng_state = state["objective_rng"].cpu()
            self._rng.bit_generator.state = wide_rng(state["numpy_rng"])
            if state["teacher"] is not None:
                self._teacher = KeptLogits(self._video.shape[1:3])
                self._teacher.restore(state["teacher"])
                self._consensus.fit(self._teacher)
            return int(state["step"])
        except (RuntimeError, KeyError, ValueError, TypeError, AttributeError) as error:
            raise InputError(
                f"{path} cannot be resumed: the tracks or their labels have changed since, or it "
                "is the state of another network. Fine-tune without --resume."
            ) from error
