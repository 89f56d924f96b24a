"""Bringing training clips to one size: padded at the right and at the bottom, and ignored there."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from maskfree.lab import GRID_STRIDE, to_lab
from maskfree.targets import BoxTargets
from maskfree.types import Clip

if TYPE_CHECKING:
    from collections.abc import Sequence

    from maskfree.sampling import TrainingClip

__all__ = ["FILL", "SIZE_MULTIPLE", "pad_clips", "padded_pixels", "whole_size"]

FILL = (0.485, 0.456, 0.406)
"""RGB of padding: ImageNet's mean, which the network takes as 0 (released: padded once that mean is
taken off)."""
SIZE_MULTIPLE = 32
"""Sides of a clip are multiples of it: the backbone's coarsest grid."""


def whole_size(height: int, width: int) -> tuple[int, int]:
    """Return the next multiples of 32 from a size on."""
    return -height % SIZE_MULTIPLE + height, -width % SIZE_MULTIPLE + width


def padded_pixels(rgb: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Return ``(T, 3, H, W)`` padded to ``size`` with the mean colour."""
    height, width = rgb.shape[-2:]
    out = rgb.new_tensor(FILL)[None, :, None, None].repeat(len(rgb), 1, *size)
    out[:, :, :height, :width] = rgb
    return out


def pad_clips(
    clips: Sequence[TrainingClip], size: tuple[int, int] | None = None
) -> list[TrainingClip]:
    """Return the clips padded at the right and at the bottom to one size.

    Parameters
    ----------
    clips
        Their sides are multiples of 32; their frames may differ in number.
    size
        ``(H, W)``, multiples of 32, none smaller than a clip's; None: the largest of the clips'.

    Returns
    -------
    list[TrainingClip]
        What was added is of the mean colour, ``ignored``, and nothing is said of it. A clip that
        has that size already is returned as it is.

    Raises
    ------
    ValueError
        For a size that is no multiple of 32, or smaller than a clip.
    """
    sizes = [clip.clip.rgb.shape[-2:] for clip in clips]
    if size is None:
        size = max((h for h, _ in sizes), default=0), max((w for _, w in sizes), default=0)
    short = any(h > size[0] or w > size[1] for h, w in sizes)
    if short or any(side % SIZE_MULTIPLE for side in size):
        raise ValueError(
            f"size must be multiples of {SIZE_MULTIPLE} and no smaller than the clips, got "
            f"{tuple(size)} for clips of {[tuple(each) for each in sizes]}. Give a larger one."
        )
    return [_padded(clip, size) for clip in clips]


def _padded(clip: TrainingClip, size: tuple[int, int]) -> TrainingClip:
    rgb = clip.clip.rgb
    if tuple(rgb.shape[-2:]) == tuple(size):
        return clip
    added = (
        size[1] // GRID_STRIDE - clip.clip.lab.shape[-1],
        size[0] // GRID_STRIDE - clip.clip.lab.shape[-2],
    )

    def grown(values: torch.Tensor, value: float) -> torch.Tensor:
        return functional.pad(values, (0, added[0], 0, added[1]), value=value)

    fill = to_lab(rgb.new_tensor(FILL)[None, :, None, None].repeat(1, 1, GRID_STRIDE, GRID_STRIDE))
    lab = torch.cat([grown(clip.clip.lab[:, n : n + 1], float(fill[0, n])) for n in range(3)], 1)
    targets = clip.targets
    ignored = clip.ignored
    if ignored is None:
        ignored = torch.zeros(targets.certain_background.shape, dtype=torch.bool, device=rgb.device)
    return dataclasses.replace(
        clip,
        clip=Clip(padded_pixels(rgb, size), lab, clip.clip.frames),
        targets=BoxTargets(
            box_masks=grown(targets.box_masks, 0),
            reach=grown(targets.reach, False),
            certain_background=grown(targets.certain_background, True),
            radius=grown(targets.radius, torch.inf),
            trust=targets.trust,
        ),
        labels=grown(clip.labels, 0),
        hand=None if clip.hand is None else grown(clip.hand, 0),
        ignored=grown(ignored, True),
    )
