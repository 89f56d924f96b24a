"""Clips drawn from a small data set, and their comparison."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import torch

from maskfree.config import DataConfig, SamplingConfig
from maskfree.datasets.clips import DatasetClips
from small_datasets import HEIGHT

if TYPE_CHECKING:
    from maskfree.datasets.types import VideoDataset
    from maskfree.sampling import TrainingClip

PLAIN = DataConfig(
    clip_length=2, frame_range=2, shuffle=False, short_sides=(HEIGHT,), long_side=1000, flip=False
)
SAMPLING = SamplingConfig()


def clips(data_set: VideoDataset, seed: int = 0, **changes: Any) -> DatasetClips:
    return DatasetClips(data_set, dataclasses.replace(PLAIN, **changes), SAMPLING, seed=seed)


def tensors(clip: TrainingClip) -> list[torch.Tensor]:
    own = [clip.clip.rgb, clip.clip.lab, clip.labels, clip.hand, clip.ignored, clip.classes]
    targets = [getattr(clip.targets, field.name) for field in dataclasses.fields(clip.targets)]
    return [each for each in own + targets if each is not None]


def same(one: TrainingClip, other: TrainingClip) -> bool:
    pairs = zip(tensors(one), tensors(other), strict=True)
    return one.clip.frames == other.clip.frames and all(torch.equal(a, b) for a, b in pairs)
