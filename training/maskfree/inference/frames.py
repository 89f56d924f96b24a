"""The frames of one video of a data set, as the network sees them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image

from maskfree.datasets.pictures import read_frame
from maskfree.model.mask2former_video import SIZE_MULTIPLE

if TYPE_CHECKING:
    from pathlib import Path

    from maskfree.config import InferenceConfig
    from maskfree.datasets.types import DataVideo

__all__ = ["VideoFrames", "network_size"]

_LARGEST = 255


def network_size(height: int, width: int, config: InferenceConfig) -> tuple[int, int]:
    """Return the size at which the network sees frames of ``height`` and ``width``.

    The shorter side becomes ``short_side``, or less where the longer one would exceed
    ``long_side``; rounded as detectron2's ``ResizeShortestEdge`` does.
    """
    scale = config.short_side / min(height, width)
    scale = min(scale, config.long_side / max(height, width))
    return max(1, int(height * scale + 0.5)), max(1, int(width * scale + 0.5))


class VideoFrames:
    """Reads frames when they are asked for; none is kept.

    ``size``: height and width of the resized frames; ``padded``: the next multiples of 32, zeros
    to the right and below once the colours are normalised.

    Parameters
    ----------
    root
        The folder that the video's files are relative to.
    padding
        The colour that normalises to zero, float ``(3,)`` in [0, 1].
    """

    def __init__(
        self, video: DataVideo, root: Path, config: InferenceConfig, padding: torch.Tensor
    ) -> None:
        self._video, self._root, self._padding = video, root, padding.reshape(3, 1, 1).cpu()
        self.size = network_size(video.height, video.width, config)
        height, width = (math.ceil(side / SIZE_MULTIPLE) * SIZE_MULTIPLE for side in self.size)
        self.padded = (height, width)

    def __len__(self) -> int:
        return len(self._video.files)

    def read(self, span: range) -> torch.Tensor:
        """Return frames, float ``(T, 3, H, W)`` in [0, 1], of the padded size.

        Raises
        ------
        InputError
            Where a picture is missing, damaged, or not of the video's size.
        """
        rgb = self._padding.expand(len(span), -1, *self.padded).clone()
        height, width = self.size
        for place, frame in enumerate(span):
            # Pillow's bilinear filter is the one of detectron2's test transform
            small = Image.fromarray(read_frame(self._root, self._video, frame)).resize(
                (width, height), Image.Resampling.BILINEAR
            )
            pixels = torch.from_numpy(np.asarray(small, np.float32) / _LARGEST)
            rgb[place, :, :height, :width] = pixels.permute(2, 0, 1)
        return rgb
