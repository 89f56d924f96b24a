"""Named starting points for a config.

``tiny``, ``paper``, ``released`` and ``boxinst`` need no weights; ``resnet18`` and ``resnet50``
begin with a pretrained backbone where the hub, its cache or a folder has one. No quality was
measured with the last two: the machines that we build on have no network.
"""

from __future__ import annotations

import dataclasses

from maskfree.config import (
    AugmentConfig,
    Config,
    ConsensusConfig,
    EvidenceConfig,
    FollowConfig,
    MatchingConfig,
    ModelConfig,
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
    "boxinst": "the same network with the paper's spatial terms alone, as BoxInst: each frame for "
    "itself, a baseline",
    "resnet18": "tiny with a ResNet-18, pretrained where its weights can be fetched, else with "
    "fresh ones. No quality was measured with it.",
    "resnet50": "tiny with a ResNet-50, pretrained where its weights can be fetched, else with "
    "fresh ones. Slow on a CPU; no quality was measured with it.",
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
    if name.startswith("resnet"):
        model = ModelConfig.resnet18() if name == "resnet18" else ModelConfig.resnet50()
        gently = OptimiserConfig(steps=180, learning_rate=1e-3, backbone_multiplier=0.1)
        sampling = SamplingConfig(clip_length=3)
        return dataclasses.replace(
            Config(), preset=name, model=model, sampling=sampling, optimiser=gently
        )
    released = name == "released"
    temporal = TemporalKNNConfig.released() if released else TemporalKNNConfig.paper()
    if name == "boxinst":
        temporal = dataclasses.replace(temporal, method="none")
    return dataclasses.replace(
        Config(),
        preset=name,
        pairwise=PairwiseConfig.released() if released else PairwiseConfig.paper(),
        temporal=temporal,
        objective=ObjectiveConfig(outside_weight=0.0, temporal_mean=False),
        evidence=EvidenceConfig(seek=False, weight=0.0),
        consensus=ConsensusConfig(train=False, refine=False),
        prior=PriorConfig(weight=0.0),
        matching=MatchingConfig(mode="tube"),
        sampling=SamplingConfig(clip_length=3, contrast=0.0),
        follow=FollowConfig(between=False, held_passes=0),
        augment=AugmentConfig(scale_jitter=0.2),
        optimiser=OptimiserConfig(steps=300, learning_rate=1e-3, norm_clips=0),
        predict=PredictConfig(mirror=True, middle_scale=False),
    )
