"""The optimiser of a run and its rate; the backbone learns at one of its own, or stays as it is."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from maskfree.config import OptimiserConfig
    from maskfree.model.mask2former_video import Mask2FormerVideo

__all__ = ["learning_rate", "make_optimiser"]


def make_optimiser(
    model: Mask2FormerVideo, config: OptimiserConfig, *, backbone_multiplier: float
) -> torch.optim.Optimizer:
    """Return AdamW over the network's parameters.

    With a ``backbone_multiplier`` of 0 the backbone is frozen: its parameters ask for no gradient
    and the optimiser knows nothing of them, which saves memory and time. Its batch norms still
    follow the clips, unless they are frozen: those never learn.
    """
    backbone = list(model.model.pixel_level_module.encoder.parameters())
    for parameter in backbone:
        parameter.requires_grad_(backbone_multiplier > 0)
    known = {id(p) for p in backbone}
    if model.frozen_norms:
        for parameter in (p for norm in model.norms() for p in norm.parameters()):
            parameter.requires_grad_(False)
        backbone = [p for p in backbone if p.requires_grad or not backbone_multiplier]
    rest = [p for p in model.parameters() if id(p) not in known]
    groups = [{"params": rest, "multiplier": 1.0}]
    if backbone_multiplier > 0:
        groups.append({"params": backbone, "multiplier": backbone_multiplier})
    return torch.optim.AdamW(
        groups, lr=config.learning_rate, weight_decay=config.weight_decay, fused=True
    )


def learning_rate(step: int, config: OptimiserConfig) -> float:
    """Return the learning rate of a step: one-cycle (linear up, cosine down) or constant."""
    if config.schedule == "constant":
        return config.learning_rate
    warm = max(1.0, config.warmup * config.steps)
    if step < warm:
        return config.learning_rate * min(1.0, (step + 1) / warm)
    done = (step - warm) / max(1.0, config.steps - warm)
    return config.learning_rate * 0.5 * (1 + math.cos(math.pi * min(1.0, done)))
