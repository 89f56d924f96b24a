"""A sampler of training clips over plain frames, and frames of noise."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from maskfree.config import AugmentConfig, SamplingConfig
from maskfree.sampling import ClipSampler
from maskfree.video import open_video
from maskfree.working import WorkingFrames

if TYPE_CHECKING:
    from maskfree.types import BoxTracks

STILL = AugmentConfig(flip=False, scale_jitter=0.0, colour_jitter=0.0)
SHAKEN = AugmentConfig(flip=True, scale_jitter=0.3, colour_jitter=0.0)


def make_sampler(
    frames: np.ndarray,
    tracks: BoxTracks,
    *,
    scale: float = 1.0,
    evidence: np.ndarray | None = None,
    consensus: Any = None,
    augment: AugmentConfig = STILL,
    seed: int = 0,
    **settings: Any,
) -> ClipSampler:
    plain = {"clip_length": 2, "max_gap": 1, "frame_area": 64 * 96, "contrast": 0.0}
    config = SamplingConfig(**{**plain, **settings})
    return ClipSampler(
        WorkingFrames(open_video(frames), scale, cache_bytes=2**20),
        tracks,
        evidence,
        consensus,
        sampling=config,
        augment=augment,
        rng=np.random.default_rng(seed),
    )


def noise(length: int = 6, height: int = 64, width: int = 96) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (length, height, width, 3), dtype=np.uint8)
