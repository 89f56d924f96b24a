"""Networks from settings: transformers' configuration of one, and one with fresh weights."""

from __future__ import annotations

import contextlib
import math
from typing import TYPE_CHECKING

from transformers import Mask2FormerConfig
from transformers.utils import logging as transformers_logging

from maskfree.errors import InputError
from maskfree.kernels.deformable import use_fastest
from maskfree.model.backbone import backbone_config
from maskfree.model.mask2former_video import Mask2FormerVideo

if TYPE_CHECKING:
    from collections.abc import Iterator

    from maskfree.config import ModelConfig

__all__ = ["build_model", "network_config", "quiet_about_backbones"]

_NORM_GROUPS = 32
"""Groups of the pixel decoder's group norms, fixed in the library."""


def build_model(config: ModelConfig, *, num_classes: int, num_queries: int) -> Mask2FormerVideo:
    """Make a model with fresh weights.

    ``num_queries`` overrides the config's when it is larger (a video with more tracks than slots).

    Raises
    ------
    InputError
        For sizes that make no network.
    """
    full = network_config(config, num_classes=num_classes, num_queries=num_queries)
    use_fastest()
    with quiet_about_backbones():
        return Mask2FormerVideo(full, frozen_norms=config.frozen_norms)


def network_config(config: ModelConfig, *, num_classes: int, num_queries: int) -> Mask2FormerConfig:
    """Return transformers' configuration of the network that :func:`build_model` makes.

    Raises
    ------
    InputError
        For sizes that make no network.
    """
    backbone = backbone_config(config)
    _check_sizes(config)
    with quiet_about_backbones():
        return Mask2FormerConfig(
            backbone_config=backbone,
            feature_size=config.hidden_size,
            mask_feature_size=config.hidden_size,
            hidden_dim=config.hidden_size,
            encoder_feedforward_dim=config.encoder_feedforward_size or config.feedforward_size,
            dim_feedforward=config.feedforward_size,
            num_attention_heads=config.num_heads,
            encoder_layers=config.encoder_layers,
            decoder_layers=config.decoder_layers,
            num_queries=max(num_queries, config.num_queries),
            num_labels=num_classes,
        )


@contextlib.contextmanager
def quiet_about_backbones() -> Iterator[None]:
    """Keep transformers from warning of every backbone other than Swin."""
    verbosity = transformers_logging.get_verbosity()
    transformers_logging.set_verbosity_error()
    try:
        yield
    finally:
        transformers_logging.set_verbosity(verbosity)


def _check_sizes(config: ModelConfig) -> None:
    for divisor, what in (
        (_NORM_GROUPS, "the groups of its norms"),
        (config.num_heads, "num_heads"),
    ):
        if config.hidden_size % divisor:
            raise InputError(
                f"model.hidden_size must be a multiple of {divisor} ({what}), got "
                f"{config.hidden_size}. Take {math.lcm(_NORM_GROUPS, config.num_heads)}."
            )
