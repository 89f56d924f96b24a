"""Named starting points for a config: ``tiny``, ``paper``, ``released``."""

from __future__ import annotations

import dataclasses

from maskfree.config import (
    AugmentConfig,
    Config,
    ConsensusConfig,
    EvidenceConfig,
    FollowConfig,
    MatchingConfig,
    ObjectiveConfig,
    OptimiserConfig,
    PairwiseConfig,
    PredictConfig,
    PriorConfig,
    SamplingConfig,
    TemporalKNNConfig,
)
from maskfree.errors import InputError, nearest

__all__ = ["PRESETS", "preset"]

PRESETS = {
    "tiny": "0.8 M parameters, from scratch, on one video: the paper's losses plus what makes a "
    "start without weights reliable. Runs on a CPU in minutes.",
    "paper": "the same network with the paper's objective and matching alone",
    "released": "the same network with the released code's objective",
}


def preset(name: str) -> Config:
    """Return the config of a preset.

    Raises
    ------
    InputError
        For an unknown name, with the nearest valid one.
    """
    if name not in PRESETS:
        raise InputError(
            f'preset must be one of {", ".join(PRESETS)}, got "{name}".{nearest(name, PRESETS)}'
        )
    if name == "tiny":
        return Config()
    released = name == "released"
    return dataclasses.replace(
        Config(),
        preset=name,
        pairwise=PairwiseConfig.released() if released else PairwiseConfig.paper(),
        temporal=TemporalKNNConfig.released() if released else TemporalKNNConfig.paper(),
        objective=ObjectiveConfig(outside_weight=0.0, temporal_mean=False),
        evidence=EvidenceConfig(seek=False, weight=0.0),
        consensus=ConsensusConfig(train=False, refine=False),
        prior=PriorConfig(weight=0.0),
        matching=MatchingConfig(mode="tube"),
        sampling=SamplingConfig(contrast=0.0),
        follow=FollowConfig(between=False, held_passes=0),
        augment=AugmentConfig(scale_jitter=0.2),
        optimiser=OptimiserConfig(norm_clips=0),
        predict=PredictConfig(middle_scale=False),
    )
