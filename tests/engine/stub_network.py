"""A network that a test makes up: it says what `forward` says, of the pictures themselves."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from maskfree.model.mask2former_video import FrameFeatures


class StubNetwork(nn.Module):
    """What it sees in a frame is the frame; ``forward(rgb, prompts)`` decodes a clip."""

    def features(self, rgb: torch.Tensor) -> FrameFeatures:
        return FrameFeatures(rgb, ())

    def decode(
        self, features: FrameFeatures, prompts: torch.Tensor | None = None, **_: object
    ) -> Any:
        return self(features.fine, prompts)
