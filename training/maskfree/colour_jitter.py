"""Random changes of a clip's colours, the same in all of its frames."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    import numpy as np

__all__ = ["jittered"]


def jittered(rgb: torch.Tensor, amount: float, rng: np.random.Generator) -> torch.Tensor:
    """Change brightness, contrast and saturation by up to ``amount`` (0 to 0.9) each.

    ``rgb``: float ``(T, 3, H, W)`` in [0, 1]; so is what is returned.
    """
    brightness, contrast, saturation = 1 + rng.uniform(-amount, amount, 3)
    grey = rgb.mean(1, keepdim=True)
    rgb = grey + (rgb - grey) * saturation
    rgb = (rgb - rgb.mean()) * contrast + rgb.mean()
    return torch.clamp(rgb * brightness, 0, 1)
