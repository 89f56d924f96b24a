"""A running mean of a network's weights, which often predicts better than the last of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import nn

__all__ = ["AveragedWeights"]

_BEGIN = 10
"""At step s the decay is at most (1 + s) / (10 + s): the fresh weights are soon forgotten."""


class AveragedWeights:
    """Exponential mean of weights: ``mean = decay mean + (1 - decay) weights`` after a step.

    Parameters
    ----------
    model
        The network, whose weights it begins with.
    decay
        The part of the mean that stays, see ``ScheduleConfig.ema_decay``.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self._decay = decay
        self.weights = {name: value.detach().clone() for name, value in model.state_dict().items()}

    @torch.no_grad()
    def follow(self, model: nn.Module, step: int) -> None:
        """Take in the weights after step ``step``, from 0; what is no float is taken as it is."""
        decay = min(self._decay, (1 + step) / (_BEGIN + step))
        for name, value in model.state_dict().items():
            mean = self.weights[name]
            if mean.is_floating_point():
                mean.lerp_(value.to(mean), 1 - decay)
            else:
                mean.copy_(value)

    def restore(self, weights: Mapping[str, torch.Tensor]) -> None:
        """Take up the mean that was saved."""
        for name, mean in self.weights.items():
            mean.copy_(weights[name])
