"""The network, its optimiser and one step of a batch, of which this process computes its share."""

from __future__ import annotations

import contextlib
import dataclasses
import math
from typing import TYPE_CHECKING

import torch

from maskfree.datasets.padding import pad_clips
from maskfree.distributed.adamw import make_adamw, rate_at
from maskfree.distributed.averaged import AveragedWeights
from maskfree.distributed.batch_loss import clip_losses, instances_in, mixed_seed, weigh
from maskfree.distributed.norms import share_norms
from maskfree.distributed.recompute import recompute
from maskfree.errors import InputError
from maskfree.objective import Objective

if TYPE_CHECKING:
    from collections.abc import Sequence

    from maskfree.config import RecipeConfig
    from maskfree.datasets.types import Skipped
    from maskfree.distributed.shares import Share
    from maskfree.distributed.team import Team
    from maskfree.model.mask2former_video import Mask2FormerVideo
    from maskfree.sampling import TrainingClip

__all__ = ["Learner", "StepReport", "check_share"]

_NAMED = 8
"""Clips that an error names."""
_LEAST_SCALE = 1.0
"""Of fp16's losses: where gradients are not finite even below, no scale makes them so."""


@dataclasses.dataclass(frozen=True)
class StepReport:
    """One step of the whole batch: losses by name (their sum is what is minimised), and more.

    ``norm``: of the gradient before it was clipped; ``rate``: the learning rate; ``size``: height
    and width that the clips were padded to; ``instances``: of all clips; ``asked``: the exit code
    with which some process was asked to end, 0 where none was; ``damaged``: what could not be read,
    and why, in all processes.
    """

    losses: dict[str, float]
    norm: float
    rate: float
    size: tuple[int, int]
    instances: int
    asked: int
    damaged: list[Skipped]


@dataclasses.dataclass(frozen=True)
class _Told:
    """What a process tells the others of its share: largest sides, lengths, instances by clip."""

    fault: str
    asked: int
    damaged: tuple[Skipped, ...]
    height: int
    width: int
    lengths: frozenset[int]
    instances: tuple[int, ...]

    @classmethod
    def of(cls, share: Share, asked: int) -> _Told:
        shapes = [clip.clip.rgb.shape for clip in share.clips]
        return cls(
            share.fault,
            asked,
            share.damaged,
            max((shape[2] for shape in shapes), default=0),
            max((shape[3] for shape in shapes), default=0),
            frozenset(shape[0] for shape in shapes),
            tuple(map(instances_in, share.clips)),
        )


def check_share(recipe: RecipeConfig, team: Team) -> None:
    """Check that each process has a clip of every batch.

    Raises
    ------
    InputError
        For more processes than clips.
    """
    if (clips := recipe.schedule.batch_size) < team.size:
        raise InputError(
            f"schedule.batch_size is {clips}, which {team.size} processes cannot share. Take "
            f"{team.size} at least, or fewer processes."
        )


class Learner:
    """Takes the steps of a run.

    Parameters
    ----------
    model
        The network on the CPU, the same in every process.
    recipe, seed
        All hyper-parameters, and which of the possible runs.
    team
        The processes.

    Raises
    ------
    InputError
        For more processes than clips in a batch, or batch norms that the processes cannot share.
    """

    def __init__(
        self, model: Mask2FormerVideo, recipe: RecipeConfig, *, seed: int, team: Team
    ) -> None:
        schedule = recipe.schedule
        check_share(recipe, team)
        if schedule.gradient_checkpointing:
            recompute(model)
        self.model = share_norms(model, team).to(team.device)
        self.recipe, self.team = recipe, team
        self._config, self._seed = recipe.config(), seed
        self._objective = team.together(lambda: Objective(self._config, None, seed=seed))
        self.model.decoder_in_single = team.precision != "no"
        optimiser = make_adamw(self.model, schedule)
        self._parameters = [p for group in optimiser.param_groups for p in group["params"]]
        self._shared, self.optimiser = team.prepare(self.model, optimiser)
        self.averaged: AveragedWeights | None = None
        if schedule.ema_decay and team.main:
            self.averaged = AveragedWeights(self.model, schedule.ema_decay)

    def step(self, index: int, share: Share, *, asked: int = 0) -> StepReport:
        """Take optimiser step ``index`` (from 0) with this process's share of the batch.

        Parameters
        ----------
        asked
            The exit code with which this process was asked to end: every process then knows it.

        Raises
        ------
        InputError
            In every process, where one could not read its clips, or a loss or a gradient is not
            finite; the weights are then those of the step before.
        """
        schedule, team = self.recipe.schedule, self.team
        rate = rate_at(index, schedule)
        for group in self.optimiser.param_groups:
            group["lr"] = rate * group["multiplier"]
        told = team.gather(_Told.of(share, asked))
        self._check(told)
        size = max(each.height for each in told), max(each.width for each in told)
        instances = sum(sum(each.instances) for each in told)
        # Anew for every step: what is random in a network needs no state to go on from.
        torch.manual_seed(mixed_seed(self._seed, index, team.rank))
        self.model.train()
        self.optimiser.zero_grad(set_to_none=True)
        clips = pad_clips(share.clips, size)
        sums, bad = self._gradients(index, clips, share.numbers, instances)
        everyone = team.gather((sums, bad))
        losses: dict[str, float] = {}
        for part, _ in everyone:
            for name, value in part.items():
                losses[name] = losses.get(name, 0.0) + value
        self._stop_where_not_finite(index, [number for _, part in everyone for number in part])
        norm = team.clip(self._parameters, schedule.clip_norm or math.inf)
        self._check_norm(index, norm)
        self.optimiser.step()
        if self.averaged is not None:
            self.averaged.follow(self.model, index)
        damaged = [found for each in told for found in each.damaged]
        wanted = max(each.asked for each in told)
        return StepReport(losses, norm, rate, size, instances, wanted, damaged)

    def _check(self, told: Sequence[_Told]) -> None:
        fault = next((each.fault for each in told if each.fault), "")
        if fault:
            raise InputError(fault)
        most = max(count for each in told for count in each.instances)
        queries = self.recipe.model.num_queries
        if most > queries:
            raise InputError(
                f"A clip shows {most} instances, and the network has {queries} queries. Give it as "
                f"many at least: --set model.num_queries={most}"
            )
        lengths = {length for each in told for length in each.lengths}
        if len(lengths) > 1:
            raise InputError(
                f"The clips of one batch have {' and '.join(map(str, sorted(lengths)))} frames. "
                "Set data.clip_length (data.pseudo_frames of pictures) and extra's to the same "
                "number."
            )

    def _gradients(
        self, index: int, clips: Sequence[TrainingClip], numbers: Sequence[int], instances: int
    ) -> tuple[dict[str, float], list[int]]:
        """Compute the gradients of this share, part by part.

        Returns its part of the batch's losses, and the numbers of the clips that are not finite.
        """
        schedule, team = self.recipe.schedule, self.team
        parts = min(schedule.accumulate, len(clips))
        edges = [len(clips) * k // parts for k in range(parts + 1)]
        found: list[dict[str, torch.Tensor]] = []
        for k in range(parts):
            own = [clip.to(team.device) for clip in clips[edges[k] : edges[k + 1]]]
            last = k == parts - 1
            with contextlib.nullcontext() if last else team.alone(self._shared):
                output = self._shared(torch.stack([clip.clip.rgb for clip in own]))
                losses = clip_losses(
                    output,
                    own,
                    numbers[edges[k] : edges[k + 1]],
                    self._objective,
                    seed=self._seed,
                    step=index,
                    steps=schedule.steps,
                )
                weighted = [
                    weigh(
                        each,
                        instances_in(clip),
                        clips_of_all=schedule.batch_size,
                        instances_of_all=instances,
                        config=self._config,
                        mean=schedule.batch_mean,
                    )
                    for each, clip in zip(losses, own, strict=True)
                ]
                total = torch.stack([value for each in weighted for value in each.values()]).sum()
                # What is in no loss of these clips, masks where there is no object, takes part all
                # the same: the processes wait for each other's gradients of every parameter. (In
                # half precision such a sum may be infinite, and 0 times that is no number.)
                outputs = (*output.class_logits, *output.mask_logits)
                everything = torch.stack([each.sum(dtype=torch.float32) for each in outputs])
                total = total + everything.sum() * 0
                team.backward(total * team.size)  # the processes' gradients are averaged
            found += [{name: value.detach() for name, value in each.items()} for each in weighted]
        sums: dict[str, float] = {}
        bad = []
        for each, number in zip(found, numbers, strict=True):
            values = {name: float(value) for name, value in each.items()}
            if not all(map(math.isfinite, values.values())):
                bad.append(number)
            for name, value in values.items():
                sums[name] = sums.get(name, 0.0) + value
        return sums, bad

    def _check_norm(self, index: int, norm: float) -> None:
        """Stop at a gradient that is not finite; fp16 leaves such steps out, but not for ever."""
        scaler = self.team.scaler
        if math.isfinite(norm) or (scaler is not None and scaler.get_scale() >= _LEAST_SCALE):
            return
        raise InputError(
            f"The gradient of step {index + 1} is not finite (its norm is {norm}). {self._anew()}"
        )

    def _anew(self) -> str:
        """What to do where a run learns nothing more."""
        return (
            f"Lower schedule.learning_rate (now {self.recipe.schedule.learning_rate}) or take "
            "schedule.precision=no, in a run that begins with the last checkpoint: --out NEW "
            "--weights RUN/checkpoints/NUMBER --set …"
        )

    def _stop_where_not_finite(self, index: int, numbers: list[int]) -> None:
        if numbers:
            named = ", ".join(map(str, numbers[:_NAMED])) + (" …" if len(numbers) > _NAMED else "")
            raise InputError(
                f"The loss of step {index + 1} is not finite, in the clips with the numbers "
                f"{named}; the last checkpoint is as it was. {self._anew()}"
            )
