"""AdamW over a network as Mask2Former has it, and its rate by step.

Norms, embeddings and tables of relative positions have no weight decay (SOLVER.WEIGHT_DECAY_NORM
and _EMBED 0); the backbone learns at a rate of its own; the rate falls by steps.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import nn

if TYPE_CHECKING:
    from maskfree.config import ScheduleConfig
    from maskfree.model.mask2former_video import Mask2FormerVideo

__all__ = ["make_adamw", "rate_at"]

_NORMS = (
    nn.LayerNorm,
    nn.GroupNorm,
    nn.LocalResponseNorm,
    nn.modules.batchnorm._BatchNorm,
    nn.modules.instancenorm._InstanceNorm,
)
_TABLES = ("relative_position_bias_table", "absolute_pos_embed", "position_embeddings")
"""Parameters that are tables of places."""


def make_adamw(model: Mask2FormerVideo, schedule: ScheduleConfig) -> torch.optim.Optimizer:
    """Return AdamW over the parameters that learn; each group knows its ``multiplier``.

    With a backbone multiplier of 0 the backbone is frozen; batch norms that are frozen never learn.
    """
    backbone = model.model.pixel_level_module.encoder
    if model.frozen_norms:
        for norm in model.norms():
            norm.requires_grad_(False)
    if schedule.backbone_multiplier == 0:
        backbone.requires_grad_(False)
    inside = {id(each) for each in backbone.parameters()}
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    seen: set[int] = set()
    for module in model.modules():
        still = isinstance(module, (*_NORMS, nn.Embedding))
        for name, parameter in module.named_parameters(recurse=False):
            if not parameter.requires_grad or id(parameter) in seen:
                continue
            seen.add(id(parameter))
            decay = 0.0 if still or name in _TABLES else schedule.weight_decay
            multiplier = schedule.backbone_multiplier if id(parameter) in inside else 1.0
            groups.setdefault((multiplier, decay), []).append(parameter)
    listed: list[dict[str, Any]] = [
        {"params": parameters, "multiplier": multiplier, "weight_decay": decay}
        for (multiplier, decay), parameters in sorted(groups.items(), key=lambda each: each[0])
    ]
    return torch.optim.AdamW(listed, lr=schedule.learning_rate, fused=True)


def rate_at(step: int, schedule: ScheduleConfig) -> float:
    """Return the learning rate of a step, from 0: linear warm-up, and a fall after each decay step.

    At warm-up step s of W the rate has the part ``f (1 - s / W) + s / W`` of itself, f being the
    warm-up factor (detectron2's WarmupMultiStepLR).
    """
    rate = schedule.learning_rate
    rate *= schedule.decay_factor ** sum(step >= each for each in schedule.decay_steps)
    if step < schedule.warmup_steps:
        done = step / schedule.warmup_steps
        rate *= schedule.warmup_factor * (1 - done) + done
    return rate
