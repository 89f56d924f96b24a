"""The loss of a batch of clips, whoever computes which of them.

Every clip has a weight in the batch's mean, which depends on all clips of the batch and on no
process; the points that a clip's matching draws come from its number. So the sum over processes is
the loss of the whole batch, up to rounding.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from maskfree.model.mask2former_video import VideoOutput

if TYPE_CHECKING:
    from collections.abc import Sequence

    from maskfree.config import Config
    from maskfree.objective import Objective
    from maskfree.sampling import TrainingClip

__all__ = ["clip_losses", "instances_in", "mixed_seed", "weigh"]

_CLASS = "class"
"""The one term that is a mean over queries, those without an object weighing less."""
_POSITIVE = 2**63 - 1


def mixed_seed(*words: int) -> int:
    """Return a seed of its own for every combination of whole numbers of at least 0."""
    return int(np.random.SeedSequence(words).generate_state(1, np.uint64)[0]) & _POSITIVE


def instances_in(clip: TrainingClip) -> int:
    """Return how many of a clip's instances have a box in it."""
    return int(clip.targets.box_masks.flatten(1).any(1).sum())


def clip_losses(
    output: VideoOutput,
    clips: Sequence[TrainingClip],
    numbers: Sequence[int],
    objective: Objective,
    *,
    seed: int,
    step: int,
    steps: int,
) -> list[dict[str, torch.Tensor]]:
    """Return the weighted losses of each clip of a network's output, by name.

    Parameters
    ----------
    output
        Of all of the clips, in their order.
    numbers
        The clips' numbers: with ``seed`` they say which points are drawn.
    """
    found = []
    for i, (clip, number) in enumerate(zip(clips, numbers, strict=True)):
        own = VideoOutput(
            tuple(each[i : i + 1] for each in output.class_logits),
            tuple(each[i : i + 1] for each in output.mask_logits),
        )
        own_points = torch.Generator().manual_seed(mixed_seed(seed, number))
        objective.rng_state = own_points.get_state()
        found.append(objective(own, clip, step=step, steps=steps))
    return found


def weigh(
    losses: dict[str, torch.Tensor],
    instances: int,
    *,
    clips_of_all: int,
    instances_of_all: int,
    config: Config,
    mean: str,
) -> dict[str, torch.Tensor]:
    """Return a clip's part of the losses of its batch.

    Parameters
    ----------
    instances
        The clip's.
    clips_of_all, instances_of_all
        Those of the whole batch.
    mean
        "clip": every clip counts as much; "instance": every instance does, as in Mask2Former, which
        divides the mask losses by the number of masks of all processes and the class loss by the
        weights of all queries (there of one process, here of the whole batch). What is a sum over
        instances and no mean (TK-Loss as Algorithm 1 has it) is a mean over clips in either case.
    """
    term = config.temporal
    by_grid = term.normaliser == "grid" and term.method != "pairwise3d"  # that is a mean over pairs
    summed = {"temporal"} if by_grid and not config.objective.temporal_mean else set()
    by_clip = 1 / clips_of_all
    if mean == "clip":
        return {name: value * by_clip for name, value in losses.items()}
    by_instance = instances / instances_of_all if instances_of_all else 0.0
    nothing, queries = config.objective.no_object_weight, config.model.num_queries
    own = instances + nothing * (queries - instances)
    everyone = instances_of_all + nothing * (queries * clips_of_all - instances_of_all)
    parts = {_CLASS: own / everyone if everyone else by_clip, **dict.fromkeys(summed, by_clip)}
    return {name: value * parts.get(name, by_instance) for name, value in losses.items()}
