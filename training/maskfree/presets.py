"""Named starting points for a config.

``tiny``, ``paper``, ``released`` and ``boxinst`` need no weights; the others begin with pretrained
ones where the hub, its cache, a folder or a file has them: ``resnet18`` and ``resnet50`` with a
backbone, the published sizes ``r50`` to ``swin-l`` with a backbone or a whole network
(``model.weights``). No quality was measured with those: the machines that we build on have no
network.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import TYPE_CHECKING

from maskfree.config import (
    PUBLISHED,
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

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["PRESETS", "names_weights", "preset"]

_BACKBONES = {
    "r50": "ResNet-50",
    "r101": "ResNet-101",
    "swin-t": "Swin-T",
    "swin-s": "Swin-S",
    "swin-b": "Swin-B",
    "swin-l": "Swin-L",
}
_WORDS = (
    "the paper's network with a {}, to begin with weights that somebody trained (--weights FILE; "
    "in the window under Advanced). For a GPU; no quality was measured with it."
)
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
    **{name: _WORDS.format(backbone) for name, backbone in _BACKBONES.items()},
}


_MODELS: dict[str, Callable[[], ModelConfig]] = {
    "resnet18": ModelConfig.resnet18,
    "resnet50": ModelConfig.resnet50,
    **{name: functools.partial(ModelConfig.published, name) for name in PUBLISHED},
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
    if name in _MODELS:
        model = _MODELS[name]()
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
        sampling=SamplingConfig(clip_length=3, contrast=0.0, shuffle=released),
        follow=FollowConfig(between=False, held_passes=0),
        augment=AugmentConfig(scale_jitter=0.2),
        optimiser=OptimiserConfig(steps=300, learning_rate=1e-3, norm_clips=0),
        predict=PredictConfig(mirror=True, middle_scale=False),
    )


def names_weights(config: Config) -> bool:
    """Whether somebody named a whole network to begin with, other than the preset's own."""
    own = preset(config.preset).model.weights if config.preset in PRESETS else ""
    return config.model.weights not in ("", own)
