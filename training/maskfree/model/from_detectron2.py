"""Checkpoints of Mask2Former and MaskFreeVIS in detectron2's form, as weights of the network here.

Nothing is passed over in silence: every tensor of the file is used, is of use for training alone,
or is named as left over; and every one that the network needs is there, or is named as missing.
"""

from __future__ import annotations

import dataclasses
import math
import re
from typing import TYPE_CHECKING

import torch
from transformers import Mask2FormerConfig, ResNetConfig, SwinConfig

from maskfree.errors import InputError
from maskfree.formats.base import list_names
from maskfree.model.build import quiet_about_backbones
from maskfree.model.class_names import read_classes
from maskfree.model.detectron2_names import BACKBONE, HEAD, TRAINING_ONLY, renamed
from maskfree.model.mask2former_video import Mask2FormerVideo

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["UNUSED", "Converted", "architecture_of", "from_detectron2", "shapes_of"]

_OUT = ["stage1", "stage2", "stage3", "stage4"]
_PREDICTOR, _PIXELS = f"{HEAD}predictor.", f"{HEAD}pixel_decoder."
_POINTS, _LEVELS = 4, 3
"""Of deformable attention, fixed in Mask2Former."""
_MOST_LAYERS = 200
"""Of one kind in a network; a network of as many as a name claims would be made otherwise."""
UNUSED = re.compile(r".*\.num_batches_tracked|.*\.encoder\.swin\.layernorm\.(weight|bias)")
"""Of the network here, but read by nothing: a counter, and a norm behind the last stage's own."""


@dataclasses.dataclass(frozen=True)
class Converted:
    """The weights by our names, and what became of the file's tensors.

    ``config``: of the network that they are of; ``classes``: COCO's where there are as many, else
    empty, since such a checkpoint does not name them; ``used``: how many of the file's tensors are
    in ``weights``; ``training_only``: names of those that only a loss or a picture needs, and
    ``left_over``: of those that have no place here; ``missing``: our names of what the file lacks.
    """

    config: Mask2FormerConfig
    weights: dict[str, torch.Tensor]
    classes: tuple[str, ...]
    used: int
    training_only: tuple[str, ...]
    left_over: tuple[str, ...]
    missing: tuple[str, ...]

    def report(self) -> str:
        """Return in words what became of the file's tensors."""
        backbone = self.config.backbone_config.model_type
        told = [
            f"Mask2Former of detectron2 with a {backbone}, {self.config.num_queries} queries and "
            f"{self.config.num_labels} classes: {self.used} tensors used, "
            f"{len(self.training_only)} for training alone left out"
        ]
        for what, names in (("no place here", self.left_over), ("missing", self.missing)):
            if names:
                told.append(f"{what}: {list_names(names)} ({len(names)})")
        return "; ".join(told)


def from_detectron2(tensors: Mapping[str, torch.Tensor]) -> Converted:
    """Rename a checkpoint's tensors, and take apart those that are packed there.

    Raises
    ------
    InputError
        Where the network cannot be told from them, a tensor is of another shape than that network
        has or not finite, or two have one place.
    """
    try:
        config = architecture_of(tensors)
        own = shapes_of(config)
    except (ValueError, ArithmeticError, RuntimeError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            "The sizes of the checkpoint's tensors make no Mask2Former "
            f"({' '.join(str(error).split())}). It is damaged, or of another network."
        ) from error
    weights: dict[str, torch.Tensor] = {}
    training, left = list[str](), list[str]()
    for name, tensor in tensors.items():
        if TRAINING_ONLY.fullmatch(name):
            training.append(name)
            continue
        names = renamed(name) or ()
        if not names or any(each not in own for each in names):
            left.append(name)
            continue
        if tensor.is_complex() or tensor.dtype == torch.bool:
            raise InputError(
                f'"{name}" of the checkpoint must hold real numbers, got {tensor.dtype}. It is '
                "damaged, or of another network than Mask2Former."
            )
        if not tensor.ndim or tensor.shape[0] % len(names):
            raise _misshapen(name, tensor, f"a multiple of {len(names)} rows")
        for each, part in zip(names, tensor.chunk(len(names)), strict=True):
            if tuple(part.shape) != own[each]:
                raise _misshapen(name, tensor, f"{len(names)} times {own[each]}")
            if not part.is_meta and not part.isfinite().all():
                raise InputError(
                    f'"{name}" of the checkpoint holds numbers that are none (NaN or infinite). It '
                    "was saved after a training that failed; give an earlier one."
                )
            if each in weights:
                raise InputError(
                    f'The checkpoint has two tensors for one place, the second is "{name}". Leave '
                    "one of them out."
                )
            weights[each] = part.float() if part.is_floating_point() else part.clone()
    missing = tuple(each for each in own if each not in weights and not UNUSED.fullmatch(each))
    used = len(tensors) - len(training) - len(left)
    classes = read_classes("coco")
    if config.num_labels != len(classes):
        classes = ()
    return Converted(config, weights, classes, used, tuple(training), tuple(left), missing)


def _misshapen(name: str, tensor: torch.Tensor, wanted: str) -> InputError:
    return InputError(
        f'"{name}" of the checkpoint has the shape {tuple(tensor.shape)}, expected {wanted}. It is '
        "damaged, or of another network than Mask2Former."
    )


def architecture_of(tensors: Mapping[str, torch.Tensor]) -> Mask2FormerConfig:
    """Tell from a checkpoint's names and shapes which network it is of.

    Raises
    ------
    InputError
        Where what tells it is missing.
    """
    classes, hidden = _shape(tensors, f"{_PREDICTOR}class_embed.weight", 2)[:2]
    offsets = _shape(
        tensors, f"{_PIXELS}transformer.encoder.layers.0.self_attn.sampling_offsets.weight"
    )[0]
    if f"{BACKBONE}patch_embed.proj.weight" in tensors:
        backbone: ResNetConfig | SwinConfig = _swin(tensors)
    else:
        backbone = _resnet(tensors)
    return Mask2FormerConfig(
        backbone_config=backbone,
        feature_size=hidden,
        mask_feature_size=_shape(tensors, f"{_PIXELS}mask_features.weight")[0],
        hidden_dim=hidden,
        num_attention_heads=max(1, offsets // (_LEVELS * _POINTS * 2)),
        encoder_layers=_count(tensors, rf"{_PIXELS}transformer\.encoder\.layers\.(\d+)\."),
        encoder_feedforward_dim=_shape(
            tensors, f"{_PIXELS}transformer.encoder.layers.0.linear1.weight"
        )[0],
        # The one on the query features is no layer.
        decoder_layers=_count(tensors, rf"{_PREDICTOR}transformer_ffn_layers\.(\d+)\.") + 1,
        dim_feedforward=_shape(tensors, f"{_PREDICTOR}transformer_ffn_layers.0.linear1.weight")[0],
        num_queries=_shape(tensors, f"{_PREDICTOR}query_embed.weight")[0],
        num_labels=classes - 1,
    )


def _resnet(tensors: Mapping[str, torch.Tensor]) -> ResNetConfig:
    stages = range(2, 6)
    widths = [_shape(tensors, f"{BACKBONE}res{n}.0.shortcut.weight")[0] for n in stages]
    return ResNetConfig(
        embedding_size=_shape(tensors, f"{BACKBONE}stem.conv1.weight")[0],
        hidden_sizes=widths,
        depths=[_count(tensors, rf"{BACKBONE}res{n}\.(\d+)\.") for n in stages],
        layer_type="bottleneck",
        out_features=_OUT,
    )


def _swin(tensors: Mapping[str, torch.Tensor]) -> SwinConfig:
    levels = range(_count(tensors, rf"{BACKBONE}layers\.(\d+)\."))
    tables = [
        _shape(tensors, f"{BACKBONE}layers.{n}.blocks.0.attn.relative_position_bias_table", 2)[:2]
        for n in levels
    ]
    width = _shape(tensors, f"{BACKBONE}patch_embed.proj.weight")[0]
    inner = _shape(tensors, f"{BACKBONE}layers.0.blocks.0.mlp.fc1.weight")[0]
    return SwinConfig(
        embed_dim=width,
        depths=[_count(tensors, rf"{BACKBONE}layers\.{n}\.blocks\.(\d+)\.") for n in levels],
        num_heads=[heads for _, heads in tables],
        window_size=(math.isqrt(tables[0][0]) + 1) // 2,
        mlp_ratio=inner / width,
        out_features=_OUT[: len(levels)],
    )


def _shape(tensors: Mapping[str, torch.Tensor], name: str, dims: int = 1) -> tuple[int, ...]:
    if name not in tensors:
        raise InputError(
            f'The checkpoint has no "{name}", so its network cannot be told. Give a whole '
            "Mask2Former or MaskFreeVIS checkpoint of detectron2, with a ResNet or a Swin."
        )
    shape = tuple(tensors[name].shape)
    if len(shape) < dims:
        raise _misshapen(name, tensors[name], f"{dims} dimensions at least")
    return shape


def _count(tensors: Mapping[str, torch.Tensor], pattern: str) -> int:
    numbers = (found for name in tensors if (found := re.match(pattern, name)))
    count = max((int(found[1]) for found in numbers), default=-1) + 1
    if count > _MOST_LAYERS:
        raise InputError(
            f"The checkpoint names a layer number {count - 1}, and no Mask2Former has more than "
            f"{_MOST_LAYERS} of a kind. It is damaged, or of another network."
        )
    return count


def shapes_of(config: Mask2FormerConfig) -> dict[str, tuple[int, ...]]:
    """Return the names and shapes of a network's parameters and buffers, without making them."""
    with quiet_about_backbones(), torch.device("meta"):
        model = Mask2FormerVideo(config)
    return {name: tuple(value.shape) for name, value in model.state_dict().items()}
