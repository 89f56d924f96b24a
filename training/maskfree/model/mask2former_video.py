"""Mask2Former-video: one query, one object, over all frames of a clip.

transformers' Mask2Former does the work per frame (backbone, deformable pixel decoder); the video
part runs its transformer decoder on the tokens of all T frames with 3-D sine positions, and takes
one mask embedding a query against the pixel features of every frame (Mask2Former for video
instance segmentation, arXiv 2112.10764). Parameter names stay the library's, so its checkpoints
load as they are. Frames first meet in the decoder: what is seen in each serves every clip that it
is part of.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional
from transformers.models.mask2former.modeling_mask2former import Mask2FormerModel

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Self

    from transformers import Mask2FormerConfig

__all__ = ["FrameFeatures", "Mask2FormerVideo", "VideoOutput"]

STRIDE = 4
"""Frame pixels per cell of the mask grid (the pixel decoder's finest level)."""
SIZE_MULTIPLE = 32
"""Frame sides are multiples of this (the backbone's coarsest stride)."""
_MEAN = (0.485, 0.456, 0.406)
_STD = (0.229, 0.224, 0.225)
_TEMPERATURE = 10000.0


@dataclasses.dataclass(frozen=True)
class FrameFeatures:
    """What the network sees in the T frames of B clips, in each by itself.

    ``fine``: float ``(B, T, C, H4, W4)``, what masks are made of; ``levels``: three, coarse to
    fine, ``(B, T, C, h, w)``, what queries look at.
    """

    fine: torch.Tensor
    levels: tuple[torch.Tensor, ...]

    def frames(self, part: slice) -> FrameFeatures:
        """Return those of some of the frames."""
        return FrameFeatures(self.fine[:, part], tuple(level[:, part] for level in self.levels))

    @classmethod
    def joined(cls, parts: Sequence[FrameFeatures]) -> FrameFeatures:
        """Put stretches of frames one after the other."""
        if len(parts) == 1:
            return parts[0]
        levels = zip(*(part.levels for part in parts), strict=True)
        fine = torch.cat([part.fine for part in parts], 1)
        return cls(fine, tuple(torch.cat(level, 1) for level in levels))


@dataclasses.dataclass(frozen=True)
class VideoOutput:
    """Predictions of the decoder's outputs, the last one last.

    ``class_logits``: L tensors ``(B, Q, C + 1)``, the last class is "no object"; ``mask_logits``: L
    tensors ``(B, Q, T, H4, W4)``, or of the first queries alone.
    """

    class_logits: tuple[torch.Tensor, ...]
    mask_logits: tuple[torch.Tensor, ...]


class Mask2FormerVideo(nn.Module):
    """Mask2Former on clips.

    Parameters
    ----------
    config
        transformers' configuration; ``num_labels`` is the number of classes C.
    frozen_norms
        The backbone's batch norms stay as they are: they neither follow the clips nor learn.

    Notes
    -----
    ``decoder_in_single``: under mixed precision the pixel decoder computes in single precision all
    the same, as Mask2Former's does (its ``forward_features`` is outside of autocast).
    """

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, config: Mask2FormerConfig, *, frozen_norms: bool = False) -> None:
        super().__init__()
        self.config, self.frozen_norms = config, frozen_norms
        self.model = Mask2FormerModel(config)
        self.class_predictor = nn.Linear(config.hidden_dim, config.num_labels + 1)
        if frozen_norms:
            for norm in self.norms():
                norm.requires_grad_(False)
        swin = getattr(self.model.pixel_level_module.encoder, "swin", None)
        if swin is not None:  # nothing reads it, and processes would wait for its gradient
            swin.layernorm.requires_grad_(False)
        self.decoder_in_single = False
        self.register_buffer("mean", torch.tensor(_MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(_STD).view(1, 3, 1, 1), persistent=False)

    def forward(
        self, rgb: torch.Tensor, box_masks: torch.Tensor | None = None, *, rows: int | None = None
    ) -> VideoOutput:
        """Predict classes and mask logits for every query, by every output of the decoder.

        Parameters
        ----------
        rgb
            See :meth:`features`.
        box_masks, rows
            See :meth:`decode`.

        Raises
        ------
        ValueError
            When a shape is not as described.
        """
        return self.decode(self.features(rgb), box_masks, rows=rows)

    def features(self, rgb: torch.Tensor) -> FrameFeatures:
        """Look at each frame by itself: the backbone and the pixel decoder.

        Parameters
        ----------
        rgb
            float ``(B, T, 3, H, W)`` in [0, 1]; H and W multiples of 32.

        Raises
        ------
        ValueError
            When the shape is not as described.
        """
        if rgb.ndim != 5 or rgb.shape[2] != 3:
            raise ValueError(f"rgb must be (B, T, 3, H, W), got {tuple(rgb.shape)}.")
        height, width = rgb.shape[3:]
        if height % SIZE_MULTIPLE or width % SIZE_MULTIPLE:
            raise ValueError(
                f"Frame sides must be multiples of {SIZE_MULTIPLE}, got {height}x{width}. "
                "Pad or resize the clip."
            )
        pixels = self._pixels((rgb.flatten(0, 1) - self.mean) / self.std)
        batch, length = rgb.shape[:2]
        fine, *levels = (each.reshape(batch, length, *each.shape[1:]) for each in pixels)
        return FrameFeatures(
            fine, tuple(levels[: self.model.transformer_module.num_feature_levels])
        )

    def _pixels(self, normed: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return the finest features of pictures ``(N, 3, H, W)``, then those by level."""
        module = self.model.pixel_level_module
        maps = module.encoder(normed).feature_maps
        single = torch.autocast(normed.device.type, enabled=False)
        with single if self.decoder_in_single else contextlib.nullcontext():
            maps = [each.float() for each in maps] if self.decoder_in_single else maps
            found = module.decoder(maps, output_hidden_states=True)
        return found.mask_features, *found.multi_scale_features

    def decode(
        self,
        features: FrameFeatures,
        box_masks: torch.Tensor | None = None,
        *,
        rows: int | None = None,
        deep: bool = True,
    ) -> VideoOutput:
        """Let the queries look at a clip.

        Parameters
        ----------
        box_masks
            bool ``(B, N, T, H4, W4)`` or None: the boxes of the tracks bound to the first N
            queries. Such a query starts from the features in its boxes, and attends only inside
            them (an empty tube: everywhere).
        rows
            Masks of so many queries, the first, are wanted; None: of all.
        deep
            Every output of the decoder is wanted; else the last one alone.
        """
        module = self.model.transformer_module
        decoder = module.decoder
        batch = features.fine.shape[0]
        tokens, positions = self._tokens(features)
        sizes = [(level.shape[-2], level.shape[-1]) for level in features.levels]
        coarse = [_shrunk(features.fine.detach(), size) for size in sizes]
        query_positions = module.queries_embedder.weight[:, None].expand(-1, batch, -1)
        hidden = module.queries_features.weight[:, None].expand(-1, batch, -1)
        if box_masks is not None and box_masks.shape[1]:
            hidden, query_positions = _prompt(hidden, query_positions, features.fine, box_masks)
        classes, masks = [], []
        for index in range(len(decoder.layers) + 1):
            level = index % len(sizes)
            last = index == len(decoder.layers)
            normed = decoder.layernorm(hidden).transpose(0, 1)
            embedding = decoder.mask_predictor.mask_embedder(normed)
            if deep or last:
                masks.append(_mask_logits(embedding[:, :rows], features.fine))
                classes.append(self.class_predictor(normed))
            if last:
                break
            blocked = self._blocked(_mask_logits(embedding.detach(), coarse[level]), box_masks)
            hidden = decoder.layers[index](
                hidden,
                level,
                None,
                positions,
                query_positions,
                tokens,
                encoder_attention_mask=blocked,
                output_attentions=False,
            )[0]
        return VideoOutput(tuple(classes), tuple(masks))

    def train(self, mode: bool = True) -> Self:
        """Switch to training or out of it; norms that are frozen are never switched to it."""
        super().train(mode)
        if self.frozen_norms:
            for norm in self.norms():
                norm.eval()
        return self

    def norms(self) -> list[nn.BatchNorm2d]:
        """Return the batch norms, all of them the backbone's."""
        return [module for module in self.modules() if isinstance(module, nn.BatchNorm2d)]

    @torch.no_grad()
    def measure_norms(self, clips: Iterable[torch.Tensor]) -> None:
        """Set the batch norms' statistics to their means over ``clips``, ``(T, 3, H, W)`` each.

        Running means lag behind the weights that they were taken with (Wu and Johnson, Rethinking
        "Batch" in BatchNorm, 2021). Frozen ones keep theirs.
        """
        norms = self.norms()
        if not norms or self.frozen_norms:
            return
        momenta = [norm.momentum for norm in norms]
        training = self.training
        self.train()
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = None  # a plain mean over the batches
        for rgb in clips:
            device = self.mean.device
            self.model.pixel_level_module.encoder((rgb.to(device) - self.mean[0]) / self.std[0])
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
        self.train(training)

    def _tokens(self, features: FrameFeatures) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
        """Flatten each level over time and space: tokens ``(T h w, B, C)`` and their positions."""
        module = self.model.transformer_module
        tokens, positions = [], []
        for i, level in enumerate(features.levels):
            batch, frames, _, height, width = level.shape
            projected = module.input_projections[i](level.flatten(0, 1)).flatten(2)
            projected = projected + module.level_embed.weight[i][None, :, None]
            grid = projected.unflatten(0, (batch, frames)).permute(1, 3, 0, 2).flatten(0, 1)
            plane = module.position_embedder(
                torch.Size((1, projected.shape[1], height, width)), level.device, level.dtype, None
            )
            time = _time_positions(frames, projected.shape[1]).to(level)
            place = plane.flatten(2).transpose(1, 2) + time[:, None, :]
            tokens.append(grid)
            positions.append(place.flatten(0, 1)[:, None, :].expand(-1, batch, -1))
        return tokens, positions

    def _blocked(self, logits: torch.Tensor, box_masks: torch.Tensor | None) -> torch.Tensor:
        """Tokens that each query must not attend to: bool ``(B heads, Q, T h w)``.

        ``logits``: ``(B, Q, T, h, w)``, the queries' masks at the size of the tokens' level.
        """
        size = logits.shape[-2:]
        allowed = logits >= 0
        if box_masks is not None and box_masks.shape[1]:
            bound = box_masks.shape[1]
            boxes = functional.adaptive_max_pool2d(box_masks.flatten(0, 1).float(), size) > 0
            boxes = boxes.view(*box_masks.shape[:3], *size)
            boxes = boxes | ~boxes.flatten(2).any(2)[:, :, None, None, None]
            inside = allowed[:, :bound] & boxes
            empty = ~inside.flatten(2).any(2)[:, :, None, None, None]
            allowed = torch.cat([torch.where(empty, boxes, inside), allowed[:, bound:]], 1)
        flat = allowed.flatten(2)
        flat = flat | ~flat.any(2, keepdim=True)
        heads: int = self.config.num_attention_heads
        return (~flat)[:, None].expand(-1, heads, -1, -1).flatten(0, 1)


def _mask_logits(embedding: torch.Tensor, features: torch.Tensor) -> torch.Tensor:
    """Return ``(B, Q, T, h, w)`` of ``(B, Q, C)`` and ``(B, T, C, h, w)``."""
    return torch.einsum("bqc,btchw->bqthw", embedding, features)


def _shrunk(features: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Resize mask features ``(B, T, C, H4, W4)``: a mask made of them is the resized mask.

    Both are linear, so that no query's mask has to be made at full size to be made small.
    """
    resized = functional.interpolate(
        features.flatten(0, 1), size=size, mode="bilinear", align_corners=False
    )
    return resized.view(*features.shape[:3], *size)


def _prompt(
    hidden: torch.Tensor,
    positions: torch.Tensor,
    mask_features: torch.Tensor,
    box_masks: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Start the bound queries from what is in their boxes: ``(Q, B, C)`` each.

    A bound query is the mean of all queries plus the mean mask feature in its tube, so that what is
    learnt from one object serves all of them; which one it is follows from its box.
    """
    bound = box_masks.shape[1]
    with torch.autocast(mask_features.device.type, enabled=False):  # a half's sum would overflow
        inside = box_masks.float()
        total = torch.einsum("bnthw,btchw->nbc", inside, mask_features.float())
        pooled = total / inside.flatten(2).sum(2).clamp_min(1).T[:, :, None]
    started = hidden.mean(0, keepdim=True) + pooled.to(hidden.dtype)
    shared = positions.mean(0, keepdim=True).expand(bound, -1, -1)
    return torch.cat([started, hidden[bound:]]), torch.cat([shared, positions[bound:]])


def _time_positions(frames: int, channels: int) -> torch.Tensor:
    """Sine positions of T frames: ``(T, channels)``, t normalised to (0, 2 pi]."""
    time = torch.arange(1, frames + 1, dtype=torch.float32) / frames * 2 * math.pi
    exponent = torch.arange(channels).div(2, rounding_mode="floor") * 2 / channels
    angle = time[:, None] / _TEMPERATURE**exponent
    return torch.stack([angle[:, 0::2].sin(), angle[:, 1::2].cos()], 2).flatten(1)
