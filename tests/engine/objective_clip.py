"""A clip of boxes in grid cells and what the objective says of masks there."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import torch

from maskfree.config import (
    Config,
    EvidenceConfig,
    MatchingConfig,
    ObjectiveConfig,
    PairwiseConfig,
    PriorConfig,
    SamplingConfig,
    TemporalKNNConfig,
)
from maskfree.model.mask2former_video import VideoOutput
from maskfree.objective import Objective
from maskfree.sampling import TrainingClip
from maskfree.targets import box_targets
from maskfree.types import Clip

SIDE = 4
CONFIG = Config(
    pairwise=PairwiseConfig(dilation=1, weight=0.5, similarity_threshold=0.1),
    temporal=TemporalKNNConfig(search_radius=1, num_neighbors=2, max_distance=60.0, weight=0.25),
    objective=ObjectiveConfig(
        class_weight=2.0,
        mask_weight=5.0,
        no_object_weight=0.1,
        projection_weight=0.75,
        outside_weight=1.5,
        other_box_weight=0.2,
    ),
    evidence=EvidenceConfig(weight=0.8, least_share=0.0),
    prior=PriorConfig(weight=1.2, centre=0.5, corner=1.1, silence=0.25, until=0.5, floor=0.0),
    matching=MatchingConfig(mode="bound"),
)
OTHERS_OFF = {
    "pairwise": {"weight": 0.0},
    "temporal": {"weight": 0.0},
    "objective": {"projection_weight": 0.0, "outside_weight": 0.0},
    "evidence": {"weight": 0.0},
    "prior": {"weight": 0.0},
}


def changed(config: Config, sections: dict[str, dict[str, Any]]) -> Config:
    for name, values in sections.items():
        section = dataclasses.replace(getattr(config, name), **values)
        config = dataclasses.replace(config, **{name: section})
    return config


def make_sample(
    boxes: Any,
    *,
    slack: float = 0.0,
    said: Any = None,
    lab: torch.Tensor | None = None,
    height: int = SIDE,
    width: int = SIDE,
) -> TrainingClip:
    """A clip of N boxes (N, T, 4) in grid cells; colours that differ from cell to cell.

    ``said``: labels (T, H, W) of all instances, or (N, T, H, W).
    """
    array = np.array(boxes, float).reshape(len(boxes), -1, 4)
    length = array.shape[1]
    if lab is None:
        lab = torch.rand(length, 3, height, width, generator=torch.Generator().manual_seed(0)) * 3
    targets = box_targets(
        array, np.full(array.shape[:2], slack), height, width, config=SamplingConfig()
    )
    labels = np.zeros((height, width)) if said is None else np.array(said)
    labels = np.broadcast_to(labels, (len(array), length, height, width)).astype(np.float32)
    clip = Clip(torch.zeros(length, 3, height * 4, width * 4), lab, tuple(range(length)))
    return TrainingClip(clip, targets, torch.from_numpy(labels))


def make_output(mask_logits: torch.Tensor, class_logits: torch.Tensor | None = None) -> VideoOutput:
    """One decoder output, of logits (Q, T, H, W)."""
    if class_logits is None:
        class_logits = torch.zeros(len(mask_logits), 2)
    return VideoOutput((class_logits[None],), (mask_logits[None],))


def noise(queries: int, frames: int, height: int = SIDE, width: int = SIDE, seed: int = 1) -> Any:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(queries, frames, height, width, generator=generator) * 2


def losses_of(
    config: Config,
    output: VideoOutput,
    sample: TrainingClip,
    *,
    labels: list[int] | None = None,
    step: int = 0,
    steps: int = 10,
    seed: int = 0,
) -> dict[str, float]:
    objective = Objective(config, labels or [0] * len(sample.targets.trust), seed=seed)
    losses = objective(output, sample, step=step, steps=steps)
    return {name: float(value) for name, value in losses.items()}


def softplus(x: float) -> float:
    return math.log1p(math.exp(x))


BOX = [[1, 1, 3, 3]]  # the four cells in the middle
