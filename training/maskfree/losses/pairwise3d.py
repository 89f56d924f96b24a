"""Colour-pairwise loss between frames: masks agree at neighbouring places of like colour."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F

from maskfree.losses.agreement import Pairs, agreement, true_places
from maskfree.losses.checks import check_box_masks, check_ignored, check_lab, check_mask_logits

if TYPE_CHECKING:
    from collections.abc import Sequence

    from maskfree.config import PairwiseConfig

__all__ = ["pairwise3d_loss"]

_CELLS = tuple(itertools.product((-1, 0, 1), repeat=2))
"""(dy, dx) of the 9 cells in a neighbouring frame, row by row."""


def pairwise3d_loss(
    mask_logits: torch.Tensor,
    box_masks: torch.Tensor,
    lab: torch.Tensor,
    frames: Sequence[tuple[int, int]],
    *,
    config: PairwiseConfig,
    ignored: torch.Tensor | None = None,
) -> torch.Tensor:
    """Mean of ``-log(m_p m_q + (1 - m_p)(1 - m_q))`` over the like pairs of neighbouring frames.

    A pair counts where p lies inside the instance's box in its frame, q is the same cell of a
    neighbouring frame or one of that cell's 8 neighbours at the config's dilation, and their
    colours are similar enough. With a frame before and one after that is the 3 x 3 x 3
    neighbourhood without the part in p's own frame, which
    :func:`maskfree.losses.pairwise_loss` has.

    Parameters
    ----------
    mask_logits
        Real ``(N, T, H4, W4)``.
    box_masks
        ``(N, T, H4, W4)``; a cell is inside where its value is above 0.
    lab
        ``(T, 3, H4, W4)``, see :func:`maskfree.lab.to_lab`.
    frames
        Which frames are neighbours, see :func:`maskfree.correspondence.frame_pairs`; each is the
        other's, however often and in whichever order a pair is named.
    config
        Dilation, bandwidth, threshold, and what is outside the image.
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
    The 3D pairwise baseline that MaskFreeVIS compares TK-Loss with: BoxInst's pairwise term
    (CVPR 2021, equation 8) over space and time.
    """
    check_mask_logits(mask_logits)
    check_box_masks(box_masks, mask_logits)
    check_lab(lab, mask_logits)
    if ignored is not None:
        check_ignored(ignored, mask_logits)
    neighbours = sorted({tuple(sorted(pair)) for pair in frames})
    cells, steps = lab[0, 0].numel(), [config.dilation * (y * lab.shape[-1] + x) for y, x in _CELLS]
    found, size = [], torch.zeros((), dtype=torch.long, device=lab.device)
    for one, other in neighbours:
        for p, q in ((one, other), (other, one)):
            like, counted = _like(lab[p], lab[q], config)
            if ignored is not None:
                free = ~(ignored[p] | _shifted(ignored[q], config.dilation))
                like, counted = like & free, counted & free
            place = true_places(box_masks[:, p] > 0)
            row, cell = place // cells * (cells * len(lab)), place % cells
            size = size + counted.flatten(1)[:, cell].sum()
            hit = true_places(like.flatten(1)[:, cell])
            which = hit % max(1, len(place))
            step = torch.tensor(steps, device=lab.device)[hit // max(1, len(place))]
            first = row[which] + cell[which]
            found.append((first + p * cells, first + step + q * cells))
    weight = 1 / size.clamp_min(1).to(mask_logits.dtype)
    return agreement(mask_logits, [Pairs(first, second, weight) for first, second in found])


def _like(
    here: torch.Tensor, there: torch.Tensor, config: PairwiseConfig
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return which of the 9 cells are like each cell and in the image, and which count.

    ``here``, ``there``: Lab ``(3, H4, W4)``; bool ``(9, H4, W4)`` each. Beyond the image all is
    black.
    """
    distance = torch.linalg.vector_norm(here - _shifted(there, config.dilation), dim=1)
    like = (-distance / config.colour_bandwidth).exp() >= config.similarity_threshold
    inside = _shifted(torch.ones_like(here[0], dtype=torch.bool), config.dilation)
    return like & inside, like if config.outside_counts else like & inside


def _shifted(image: torch.Tensor, dilation: int) -> torch.Tensor:
    """Return each of the 9 cells' values at each cell, ``(9, ..., H4, W4)``; 0 beyond the image."""
    height, width = image.shape[-2:]
    padded = F.pad(image, (dilation,) * 4)
    return torch.stack(
        [
            padded[..., dilation * (1 + y) :, dilation * (1 + x) :][..., :height, :width]
            for y, x in _CELLS
        ]
    )
