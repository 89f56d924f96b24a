"""The backbone: a ResNet or a Swin, with fresh weights or with pretrained ones.

Pretrained weights come from a hub or a folder; they are used where they can be fetched and are
never needed. How much better masks get with them was not measured: the machines that we build on
have no network.
"""

from __future__ import annotations

import json
import operator
from typing import TYPE_CHECKING

import torch
from transformers import ResNetBackbone, ResNetConfig, SwinBackbone, SwinConfig

from maskfree.errors import InputError
from maskfree.model.hub_folder import (
    CONFIG,
    WEIGHTS,
    Wanted,
    check_weights,
    find_folder,
    first_line,
    quiet,
    read_about,
    safe_weights,
)

if TYPE_CHECKING:
    from pathlib import Path

    from maskfree.config import ModelConfig

__all__ = ["backbone_config", "pretrained_backbone"]

_STAGES = 4
_OUT = ["stage1", "stage2", "stage3", "stage4"]
_REDUCTION = 4
"""A bottleneck's inner width is its outer one divided by this, fixed in the library."""
_DECISIVE = {
    "resnet": (
        "num_channels",
        "embedding_size",
        "hidden_sizes",
        "depths",
        "layer_type",
        "hidden_act",
        "downsample_in_first_stage",
        "downsample_in_bottleneck",
    ),
    "swin": (
        "num_channels",
        "patch_size",
        "embed_dim",
        "depths",
        "num_heads",
        "window_size",
        "mlp_ratio",
        "qkv_bias",
        "hidden_act",
        "use_absolute_embeddings",
    ),
}
"""What makes a backbone the same function of its weights."""
_KINDS = {"resnet": "ResNet", "swin": "Swin"}
_SIZES = {
    "resnet": "model.backbone_sizes, model.backbone_depths and model.backbone_layer",
    "swin": "model.backbone_sizes, model.backbone_depths, model.backbone_heads and "
    "model.backbone_window",
}
_OWN = ("num_batches_tracked", "hidden_states_norms")
"""In names of what a checkpoint need not have: a batch norm's counter, which nothing reads, and
the norms behind a Swin's stages, which only a backbone has (fresh in Mask2Former, too)."""


def backbone_config(config: ModelConfig) -> ResNetConfig | SwinConfig:
    """Return transformers' configuration of the backbone.

    A ResNet's stem is as wide as the first stage, of bottlenecks as its inner width: 64 in the
    published ones. A Swin's stages are each twice as wide as the one before.

    Raises
    ------
    InputError
        For sizes that make no such backbone.
    """
    for name in ("backbone_sizes", "backbone_depths"):
        values = getattr(config, name)
        if len(values) != _STAGES or min(values) < 1:
            raise InputError(
                f"model.{name} must be {_STAGES} numbers above 0, one for each stage, got "
                f"{','.join(map(str, values))}."
            )
    return _swin(config) if config.backbone == "swin" else _resnet(config)


def _resnet(config: ModelConfig) -> ResNetConfig:
    inner = _REDUCTION if config.backbone_layer == "bottleneck" else 1
    if any(size % inner for size in config.backbone_sizes):
        raise InputError(
            f"model.backbone_sizes must be multiples of {inner} with bottlenecks, got "
            f"{','.join(map(str, config.backbone_sizes))}."
        )
    return ResNetConfig(
        embedding_size=config.backbone_sizes[0] // inner,
        hidden_sizes=list(config.backbone_sizes),
        depths=list(config.backbone_depths),
        layer_type=config.backbone_layer,
        out_features=_OUT,
    )


def _swin(config: ModelConfig) -> SwinConfig:
    sizes, heads = config.backbone_sizes, config.backbone_heads
    doubled = tuple(sizes[0] << stage for stage in range(_STAGES))
    if sizes != doubled:
        raise InputError(
            "model.backbone_sizes of a Swin must double from stage to stage, got "
            f"{','.join(map(str, sizes))}. Take {','.join(map(str, doubled))}."
        )
    if len(heads) != _STAGES or min(heads) < 1 or any(map(operator.mod, sizes, heads)):
        raise InputError(
            f"model.backbone_heads of a Swin must be {_STAGES} numbers that divide "
            f"model.backbone_sizes ({','.join(map(str, sizes))}), got {','.join(map(str, heads))}."
        )
    return SwinConfig(
        embed_dim=sizes[0],
        depths=list(config.backbone_depths),
        num_heads=list(heads),
        window_size=config.backbone_window,
        drop_path_rate=config.drop_path,
        out_features=_OUT,
    )


def pretrained_backbone(config: ModelConfig) -> dict[str, torch.Tensor]:
    """Return the backbone's pretrained weights by name, running statistics included.

    Empty where ``config.backbone_weights`` names none, and, with an InputWarning, where it names
    some that cannot be fetched, for whatever reason. No code of a file is run.

    Raises
    ------
    InputError
        For a folder that is missing, damaged or of another network, and for a name that the hub
        does not know or the system cannot look up.
    """
    if not config.backbone_weights:
        return {}
    expected = backbone_config(config)
    wanted = Wanted("model.backbone_weights", "The backbone", f"a {_KINDS[expected.model_type]}")
    with quiet():
        folder = find_folder(config.backbone_weights, wanted)
        if folder is None:
            return {}
        _check(folder, expected, wanted)
        return _read(folder, expected)


def _check(folder: Path, expected: ResNetConfig | SwinConfig, wanted: Wanted) -> None:
    """Check that ``folder`` says it holds the backbone ``expected``."""
    about, kind = read_about(folder, wanted), expected.model_type
    found = about.get("model_type")
    if found != kind:
        raise InputError(
            f'{folder} should hold {wanted.kind} for transformers (model_type "{kind}"), got '
            f'"{found}". Give the folder of {wanted.kind}.'
        )
    usual = json.loads(type(expected)().to_json_string(use_diff=False))
    is_said = {key: _plain(about.get(key, usual[key])) for key in _DECISIVE[kind]}
    is_set = {key: _plain(getattr(expected, key)) for key in _DECISIVE[kind]}
    differ = [f"{k} {is_said[k]}, not {is_set[k]}" for k in is_set if is_said[k] != is_set[k]]
    if differ:
        raise InputError(
            f"{folder} holds another {_KINDS[kind]} than the settings describe: "
            f"{'; '.join(differ)}. Set {_SIZES[kind]} to fit, or give other weights."
        )


def _plain(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value


def _read(folder: Path, expected: ResNetConfig | SwinConfig) -> dict[str, torch.Tensor]:
    check_weights(folder)
    kind = SwinBackbone if isinstance(expected, SwinConfig) else ResNetBackbone
    try:
        with safe_weights(folder) as safe:
            backbone, told = kind.from_pretrained(
                safe,
                config=expected,
                dtype=torch.float32,
                local_files_only=True,
                ignore_mismatched_sizes=True,
                output_loading_info=True,
            )
    except Exception as error:
        if isinstance(error, MemoryError):
            raise
        raise InputError(
            f"The weights in {folder} cannot be read ({first_line(error)}): they are damaged, "
            f"incomplete or more than weights. Download {WEIGHTS[0]} again."
        ) from error
    wrong = sorted(key for key in told["missing_keys"] if not any(own in key for own in _OWN))
    wrong += sorted(key for key, *_ in told["mismatched_keys"])
    if wrong:
        raise InputError(
            f"The weights in {folder} are not those that its {CONFIG} describes ({len(wrong)} "
            f"tensors are missing or of another size, first {wrong[0]}). Download both again."
        )
    weights: dict[str, torch.Tensor] = backbone.state_dict()
    return weights
