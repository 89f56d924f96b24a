"""Colour-pairwise loss: masks agree at neighbouring places of like colour."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import nn

from maskfree.losses.agreement import Pairs, agreement, true_places
from maskfree.losses.checks import check_box_masks, check_ignored, check_lab, check_mask_logits

if TYPE_CHECKING:
    from maskfree.config import PairwiseConfig

__all__ = ["PairwiseLoss", "colour_similarity", "pairwise_loss"]

_BACKWARD = ((-1, -1), (-1, 0), (-1, 1), (0, -1))
_FORWARD = ((0, 1), (1, -1), (1, 0), (1, 1))
_NEIGHBOURS = _BACKWARD + _FORWARD
"""(dy, dx) of the 8 neighbours, row by row; the k-th from the end is the k-th turned around."""


def colour_similarity(lab: torch.Tensor, config: PairwiseConfig) -> torch.Tensor:
    """Similarity ``exp(-|Lab_p - Lab_q| / bandwidth)`` of each cell p to its 8 neighbours q.

    Parameters
    ----------
    lab
        ``(T, 3, H4, W4)``.
    config
        Dilation and bandwidth.

    Returns
    -------
    torch.Tensor
        ``(T, 8, H4, W4)`` in (0, 1]; neighbours row by row from the upper left. A neighbour outside
        the image has Lab 0 (black), as in the released code (zero padding).
    """
    d = config.dilation
    height, width = lab.shape[-2:]
    padded = F.pad(lab, (d,) * 4)
    similarity = lab.new_empty(len(lab), len(_NEIGHBOURS), height, width)
    for k, (dy, dx) in enumerate(_FORWARD, start=len(_BACKWARD)):
        y, x = d * dy, d * dx
        left, right = max(0, -x), width + 2 * d - max(0, x)
        here = padded[..., : height + 2 * d - y, left:right]
        there = padded[..., y:, left + x : right + x]
        squared = (here - there).square_().sum(1)
        like = squared.sqrt_().div_(-config.colour_bandwidth).exp_()
        column = d - left
        turned = len(_NEIGHBOURS) - 1 - k
        similarity[:, k] = like[:, d : d + height, column : column + width]
        similarity[:, turned] = like[:, d - y :, column - x :][:, :height, :width]
    return similarity


def pairwise_loss(
    mask_logits: torch.Tensor,
    box_masks: torch.Tensor,
    lab: torch.Tensor,
    *,
    config: PairwiseConfig,
    similarity: torch.Tensor | None = None,
    ignored: torch.Tensor | None = None,
) -> torch.Tensor:
    """Mean of ``-log(m_p m_q + (1 - m_p)(1 - m_q))`` over the pairs of like colour in the boxes.

    A pair counts where p lies inside the instance's box in that frame, q is one of the 8 neighbours
    of p at the config's dilation, and their colours are similar enough. The mean is over the pairs
    of all instances and frames together.

    Parameters
    ----------
    mask_logits
        Real ``(N, T, H4, W4)``.
    box_masks
        ``(N, T, H4, W4)``; a cell is inside where its value is above 0.
    lab
        ``(T, 3, H4, W4)``, see :func:`maskfree.lab.to_lab`.
    config
        Dilation, bandwidth, threshold.
    similarity
        What :func:`colour_similarity` makes of ``lab`` with the same config, where the caller has
        it already (the decoder layers share it).
    ignored
        Bool ``(T, H4, W4)``: a pair with one end or both in it does not count. None: all may.

    Returns
    -------
    torch.Tensor
        Scalar, unweighted. Zero, with a graph, where no pair counts.

    Raises
    ------
    ValueError
        For shapes that do not fit together.

    Notes
    -----
    BoxInst (CVPR 2021) equation 8 and the released code of MaskFreeVIS. Both directions of a pair
    have the same term, so it is computed once, with weight 2 where both ends are inside.
    """
    check_mask_logits(mask_logits)
    check_box_masks(box_masks, mask_logits)
    check_lab(lab, mask_logits)
    if similarity is None:
        similarity = colour_similarity(lab, config)
    _check_similarity(similarity, mask_logits)
    if ignored is not None:
        check_ignored(ignored, mask_logits)
        similarity = similarity.masked_fill(_either(ignored, config.dilation), -torch.inf)
    return agreement(mask_logits, [_list_pairs(box_masks > 0, similarity, config)])


def _list_pairs(inside: torch.Tensor, similarity: torch.Tensor, config: PairwiseConfig) -> Pairs:
    """List the pairs that count, each once, with its weight over the number of those that do."""
    like = similarity.transpose(0, 1) >= config.similarity_threshold
    in_image = like & _in_image(like, config.dilation)[:, None]
    place = true_places(inside)
    cell = place % like[0].numel()
    size = (like if config.outside_counts else in_image).flatten(1)[:, cell].sum()

    width = like.shape[-1]
    steps = [config.dilation * (dy * width + dx) for dy, dx in _NEIGHBOURS]
    neighbour = place + torch.tensor(steps, device=place.device)[:, None]
    both = inside.flatten()[neighbour.clamp_(0, inside.numel() - 1)]
    once = in_image.flatten(1)[:, cell]
    once[: len(_BACKWARD)] &= ~both[: len(_BACKWARD)]  # listed from the other end
    entry = true_places(once)
    return Pairs(
        first=place.expand_as(neighbour).flatten()[entry],
        second=neighbour.flatten()[entry],
        weight=(1 + both.flatten()[entry].to(similarity.dtype)) / size,
    )


def _either(ignored: torch.Tensor, dilation: int) -> torch.Tensor:
    """Whether a cell or its neighbour is ignored: bool ``(T, 8, H4, W4)`` of ``(T, H4, W4)``."""
    height, width = ignored.shape[-2:]
    padded = F.pad(ignored, (dilation,) * 4)
    return torch.stack(
        [
            ignored | padded[:, dilation * (1 + dy) :, dilation * (1 + dx) :][:, :height, :width]
            for dy, dx in _NEIGHBOURS
        ],
        1,
    )


def _in_image(like: torch.Tensor, dilation: int) -> torch.Tensor:
    """Return bool ``(8, H4, W4)``: whether each cell has that neighbour in the image."""
    height, width = like.shape[-2:]
    rows = torch.arange(height, device=like.device)
    columns = torch.arange(width, device=like.device)
    offsets = torch.tensor(_NEIGHBOURS, device=like.device) * dilation
    y, x = rows + offsets[:, :1], columns + offsets[:, 1:]
    inside_y, inside_x = (y >= 0) & (y < height), (x >= 0) & (x < width)
    return inside_y[:, :, None] & inside_x[:, None, :]


def _check_similarity(similarity: torch.Tensor, mask_logits: torch.Tensor) -> None:
    _, num_frames, height, width = mask_logits.shape
    expected = (num_frames, len(_NEIGHBOURS), height, width)
    if similarity.shape != expected:
        raise ValueError(
            f"similarity must be (T, 8, H, W) = {expected} to go with mask_logits, "
            f"got {tuple(similarity.shape)}. Make it with colour_similarity from this clip's lab."
        )


class PairwiseLoss(nn.Module):
    """:func:`pairwise_loss` with its config, as a module."""

    def __init__(self, config: PairwiseConfig) -> None:
        super().__init__()
        self.config = config

    def forward(
        self,
        mask_logits: torch.Tensor,
        box_masks: torch.Tensor,
        lab: torch.Tensor,
        similarity: torch.Tensor | None = None,
        ignored: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Return the loss, a scalar."""
        return pairwise_loss(
            mask_logits,
            box_masks,
            lab,
            config=self.config,
            similarity=similarity,
            ignored=ignored,
        )
