"""What parameters of Mask2Former and MaskFreeVIS are called in detectron2's checkpoints, and here.

Facts about both namings; the released models' own lists of names and shapes are held against them
in the tests. One of their tensors may be several of ours: query, key and value are packed there.
"""

from __future__ import annotations

import re
from typing import NamedTuple

__all__ = ["BACKBONE", "HEAD", "TRAINING_ONLY", "Rule", "is_detectron2", "renamed"]

HEAD, BACKBONE = "sem_seg_head.", "backbone."
TRAINING_ONLY = re.compile(r"criterion\..*|pixel_(mean|std)|backbone\..*\.relative_position_index")
"""Of no use here: what the loss counts, the means of pictures, and indices that are made anew."""

_N = r"(\d+)"
_PIXELS = "model.pixel_level_module.decoder."
_QUERIES = "model.transformer_module."
_ENCODER = "model.pixel_level_module.encoder."
_RESNET, _SWIN = _ENCODER, f"{_ENCODER}swin."


class Rule(NamedTuple):
    """A foreign name, as a regular expression, and ours with its groups; several: equal parts.

    ``less``: a number that is taken off each group, for those that are counted from another one.
    """

    name: str
    ours: tuple[str, ...]
    less: tuple[int, ...] = ()


def _rule(name: str, *ours: str, less: tuple[int, ...] = ()) -> Rule:
    return Rule(name.replace(".", r"\.").replace("#", _N).replace("@", "(weight|bias)"), ours, less)


def _norm(name: str, ours: str, less: tuple[int, ...] = ()) -> Rule:
    """Return the rule of a batch norm, frozen there; its running statistics come along."""
    pattern = name.replace(".", r"\.").replace("#", _N)
    groups = len(re.findall("#", name))
    field = f"{{{groups}}}"
    return Rule(rf"{pattern}\.(weight|bias|running_mean|running_var)", (f"{ours}.{field}",), less)


_MHA = f"{_QUERIES}decoder.layers.{{0}}."
_BLOCK = f"{_SWIN}encoder.layers.{{0}}.blocks.{{1}}."
_LAYER = f"{_PIXELS}encoder.layers.{{0}}."
_STAGE = f"{_RESNET}encoder.stages.{{0}}.layers.{{1}}."
_PIXEL_DECODER, _PREDICTOR = f"{HEAD}pixel_decoder.", f"{HEAD}predictor."
_DEFORMABLE = f"{_PIXEL_DECODER}transformer.encoder.layers.#."

_RULES = (
    # The pixel decoder: levels go from coarse to fine in both.
    _rule(f"{_PIXEL_DECODER}transformer.level_embed", f"{_PIXELS}level_embed"),
    _rule(f"{_PIXEL_DECODER}input_proj.#.#.@", f"{_PIXELS}input_projections.{{0}}.{{1}}.{{2}}"),
    *(
        _rule(f"{_DEFORMABLE}self_attn.{part}.@", f"{_LAYER}self_attn.{part}.{{1}}")
        for part in ("sampling_offsets", "attention_weights", "value_proj", "output_proj")
    ),
    _rule(f"{_DEFORMABLE}norm1.@", f"{_LAYER}self_attn_layer_norm.{{1}}"),
    _rule(f"{_DEFORMABLE}linear#.@", f"{_LAYER}fc{{1}}.{{2}}"),
    _rule(f"{_DEFORMABLE}norm2.@", f"{_LAYER}final_layer_norm.{{1}}"),
    _rule(f"{_PIXEL_DECODER}mask_features.@", f"{_PIXELS}mask_projection.{{0}}"),
    _rule(f"{_PIXEL_DECODER}adapter_#.weight", f"{_PIXELS}adapter_{{0}}.0.weight"),
    _rule(f"{_PIXEL_DECODER}adapter_#.norm.@", f"{_PIXELS}adapter_{{0}}.1.{{1}}"),
    _rule(f"{_PIXEL_DECODER}layer_#.weight", f"{_PIXELS}layer_{{0}}.0.weight"),
    _rule(f"{_PIXEL_DECODER}layer_#.norm.@", f"{_PIXELS}layer_{{0}}.1.{{1}}"),
    # The transformer decoder: self-attention is packed there alone, cross-attention here as well.
    *(
        _rule(
            f"{_PREDICTOR}transformer_self_attention_layers.#.self_attn.in_proj_{part}",
            *(f"{_MHA}self_attn.{each}_proj.{part}" for each in "qkv"),
        )
        for part in ("weight", "bias")
    ),
    _rule(
        f"{_PREDICTOR}transformer_self_attention_layers.#.self_attn.out_proj.@",
        f"{_MHA}self_attn.out_proj.{{1}}",
    ),
    _rule(
        f"{_PREDICTOR}transformer_self_attention_layers.#.norm.@",
        f"{_MHA}self_attn_layer_norm.{{1}}",
    ),
    _rule(
        f"{_PREDICTOR}transformer_cross_attention_layers.#.multihead_attn.in_proj_@",
        f"{_MHA}cross_attn.in_proj_{{1}}",
    ),
    _rule(
        f"{_PREDICTOR}transformer_cross_attention_layers.#.multihead_attn.out_proj.@",
        f"{_MHA}cross_attn.out_proj.{{1}}",
    ),
    _rule(
        f"{_PREDICTOR}transformer_cross_attention_layers.#.norm.@",
        f"{_MHA}cross_attn_layer_norm.{{1}}",
    ),
    _rule(f"{_PREDICTOR}transformer_ffn_layers.#.linear#.@", f"{_MHA}fc{{1}}.{{2}}"),
    _rule(f"{_PREDICTOR}transformer_ffn_layers.#.norm.@", f"{_MHA}final_layer_norm.{{1}}"),
    _rule(f"{_PREDICTOR}decoder_norm.@", f"{_QUERIES}decoder.layernorm.{{0}}"),
    _rule(f"{_PREDICTOR}query_feat.weight", f"{_QUERIES}queries_features.weight"),
    _rule(f"{_PREDICTOR}static_query.weight", f"{_QUERIES}queries_features.weight"),
    _rule(f"{_PREDICTOR}query_embed.weight", f"{_QUERIES}queries_embedder.weight"),
    _rule(f"{_PREDICTOR}level_embed.weight", f"{_QUERIES}level_embed.weight"),
    _rule(f"{_PREDICTOR}class_embed.@", "class_predictor.{0}"),
    _rule(
        f"{_PREDICTOR}mask_embed.layers.#.@",
        f"{_QUERIES}decoder.mask_predictor.mask_embedder.{{0}}.0.{{1}}",
    ),
    # ResNets: stages 2 to 5 there, 0 to 3 here; convolutions 1 to 3 there, 0 to 2 here.
    _rule(f"{BACKBONE}stem.conv1.weight", f"{_RESNET}embedder.embedder.convolution.weight"),
    _norm(f"{BACKBONE}stem.conv1.norm", f"{_RESNET}embedder.embedder.normalization"),
    _rule(f"{BACKBONE}res#.#.shortcut.weight", f"{_STAGE}shortcut.convolution.weight", less=(2,)),
    _norm(f"{BACKBONE}res#.#.shortcut.norm", f"{_STAGE}shortcut.normalization", less=(2,)),
    _rule(
        f"{BACKBONE}res#.#.conv#.weight", f"{_STAGE}layer.{{2}}.convolution.weight", less=(2, 0, 1)
    ),
    _norm(f"{BACKBONE}res#.#.conv#.norm", f"{_STAGE}layer.{{2}}.normalization", less=(2, 0, 1)),
    # Swin: query, key and value are packed there.
    _rule(f"{BACKBONE}patch_embed.proj.@", f"{_SWIN}embeddings.patch_embeddings.projection.{{0}}"),
    _rule(f"{BACKBONE}patch_embed.norm.@", f"{_SWIN}embeddings.norm.{{0}}"),
    _rule(f"{BACKBONE}layers.#.blocks.#.norm1.@", f"{_BLOCK}layernorm_before.{{2}}"),
    _rule(
        f"{BACKBONE}layers.#.blocks.#.attn.relative_position_bias_table",
        f"{_BLOCK}attention.relative_position_bias.relative_position_bias_table",
    ),
    *(
        _rule(
            f"{BACKBONE}layers.#.blocks.#.attn.qkv.{part}",
            *(f"{_BLOCK}attention.{each}_proj.{part}" for each in "qkv"),
        )
        for part in ("weight", "bias")
    ),
    _rule(f"{BACKBONE}layers.#.blocks.#.attn.proj.@", f"{_BLOCK}attention.o_proj.{{2}}"),
    _rule(f"{BACKBONE}layers.#.blocks.#.norm2.@", f"{_BLOCK}layernorm_after.{{2}}"),
    _rule(f"{BACKBONE}layers.#.blocks.#.mlp.fc#.@", f"{_BLOCK}mlp.fc{{2}}.{{3}}"),
    _rule(
        f"{BACKBONE}layers.#.downsample.reduction.weight",
        f"{_SWIN}encoder.layers.{{0}}.downsample.reduction.weight",
    ),
    _rule(
        f"{BACKBONE}layers.#.downsample.norm.@",
        f"{_SWIN}encoder.layers.{{0}}.downsample.norm.{{1}}",
    ),
    _rule(f"{BACKBONE}norm#.@", f"{_ENCODER}hidden_states_norms.stage{{0}}.{{1}}", less=(-1,)),
)
_COMPILED = [(re.compile(rule.name), rule) for rule in _RULES]


def is_detectron2(names: set[str]) -> bool:
    """Return whether these are the names of a Mask2Former checkpoint of detectron2."""
    return any(name.startswith(f"{HEAD}predictor.") for name in names)


def renamed(name: str) -> tuple[str, ...] | None:
    """Return what a tensor of a detectron2 checkpoint is called here; None: it has no place.

    Several names: it is their tensors one below the other, in equal parts.
    """
    for pattern, rule in _COMPILED:
        if found := pattern.fullmatch(name):
            parts = [
                str(int(each) - (rule.less[n] if n < len(rule.less) else 0))
                if each.isdecimal()
                else each
                for n, each in enumerate(found.groups())
            ]
            return tuple(ours.format(*parts) for ours in rule.ours)
    return None
