"""The optimiser of a run: the backbone learns at a rate of its own, or stays as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from maskfree.config import OptimiserConfig
    from maskfree.model.mask2former_video import Mask2FormerVideo

__all__ = ["make_optimiser"]


def make_optimiser(
    model: Mask2FormerVideo, config: OptimiserConfig, *, backbone_multiplier: float
) -> torch.optim.Optimizer:
    """Return AdamW over the network's parameters.

    With a ``backbone_multiplier`` of 0 the backbone is frozen: its parameters ask for no gradient
    and the optimiser knows nothing of them, which saves memory and time. Its batch norms still
    follow the clips.
    """
    backbone = list(model.model.pixel_level_module.encoder.parameters())
    for parameter in backbone:
        parameter.requires_grad_(backbone_multiplier > 0)
    known = {id(p) for p in backbone}
    rest = [p for p in model.parameters() if id(p) not in known]
    groups = [{"params": rest, "multiplier": 1.0}]
    if backbone_multiplier > 0:
        groups.append({"params": backbone, "multiplier": backbone_multiplier})
    return torch.optim.AdamW(
        groups, lr=config.learning_rate, weight_decay=config.weight_decay, fused=True
    )
