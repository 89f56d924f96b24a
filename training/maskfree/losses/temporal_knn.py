"""Temporal KNN-patch loss (TK-Loss): masks agree where the patches of two frames match."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from maskfree.correspondence import drop_ignored, match_clip
from maskfree.losses.agreement import Pairs, agreement, true_places
from maskfree.losses.checks import check_box_masks, check_ignored, check_lab, check_mask_logits

if TYPE_CHECKING:
    from collections.abc import Sequence

    from maskfree.config import TemporalKNNConfig
    from maskfree.types import Matches

__all__ = ["TemporalKNNLoss", "list_pairs", "matched_loss", "temporal_knn_loss"]


def temporal_knn_loss(
    mask_logits: torch.Tensor,
    lab: torch.Tensor,
    box_masks: torch.Tensor | None = None,
    *,
    config: TemporalKNNConfig,
    matches: Sequence[tuple[tuple[int, int], Matches]] | None = None,
    ignored: torch.Tensor | None = None,
) -> torch.Tensor:
    """TK-Loss: every instance's masks agree over the 1:K matches between frames.

    ``weight * sum over frame pairs of (1 / Z) sum_n sum_p sum_k -log(m_p m_k + (1-m_p)(1-m_k))``
    with ``m_k`` the mask at the k-th match of p, over the matches that are valid.

    Parameters
    ----------
    mask_logits
        Real ``(N, T, H4, W4)``.
    lab
        ``(T, 3, H4, W4)``, see :func:`maskfree.lab.to_lab`.
    box_masks
        ``(N, T, H4, W4)``. An instance then counts only where p lies in the union of its boxes
        over the clip (a cell is in a box where its value is above 0). None: everywhere.
    config
        Which frames are paired, what is a match, and Z: the cells of the grid (``grid``), or the
        number of instances' matches that count (``matches``), which is pooled over the instances.
    matches
        What :func:`maskfree.correspondence.match_clip` makes of ``lab`` with the same config, where
        the caller has it already (the decoder layers share it).
    ignored
        Bool ``(T, H4, W4)``: a match from such a cell or into one does not count, neither in the
        sum nor in the number of matches. None: all may.

    Returns
    -------
    torch.Tensor
        Scalar. With no instance, no frame pair or no match it is zero and still has a graph.

    Raises
    ------
    ValueError
        For shapes that do not fit together.

    Notes
    -----
    MaskFreeVIS section 3.3 and Algorithm 1. With the ``grid`` normaliser the sum over the instances
    is not divided by their number, as there.
    """
    check_mask_logits(mask_logits)
    check_lab(lab, mask_logits)
    if box_masks is not None:
        check_box_masks(box_masks, mask_logits)
    if matches is None:
        matches = match_clip(lab, config=config)
    return matched_loss(mask_logits, matches, box_masks, config=config, ignored=ignored)


def matched_loss(
    mask_logits: torch.Tensor,
    matches: Sequence[tuple[tuple[int, int], Matches]],
    box_masks: torch.Tensor | None = None,
    *,
    config: TemporalKNNConfig,
    ignored: torch.Tensor | None = None,
) -> torch.Tensor:
    """The sum of :func:`temporal_knn_loss` over given matches, however they were found.

    Parameters, result and errors are as there; ``matches`` may have any number for each cell.
    """
    check_mask_logits(mask_logits)
    if box_masks is not None:
        check_box_masks(box_masks, mask_logits)
    if ignored is not None:
        check_ignored(ignored, mask_logits)
    inside = None if box_masks is None else (box_masks > 0).any(1)
    lists = []
    for frames, match in matches:
        _check_match(match, frames, mask_logits)
        if ignored is not None:
            match = drop_ignored(match, ignored[frames[0]], ignored[frames[1]])
        lists.append(list_pairs(match, frames, mask_logits, inside, config))
    return agreement(mask_logits, lists)


def list_pairs(
    match: Matches,
    frames: tuple[int, int],
    mask_logits: torch.Tensor,
    inside: torch.Tensor | None,
    config: TemporalKNNConfig,
) -> Pairs:
    """List the matches of one frame pair that count, each with the weight ``config.weight / Z``.

    ``inside``: bool ``(N, H4, W4)``, the cells that count for each instance, or None for all.
    """
    num_instances, num_frames, height, width = mask_logits.shape
    cells = height * width
    valid = counted = match.valid.flatten(1)
    if config.outside_counts:  # beside the valid ones those outside, whose term is zero
        counted = (match.distance <= config.limit).flatten(1)
    if inside is None:
        entry = true_places(valid)
        clip = torch.zeros_like(entry)
        size = counted.sum() * num_instances
    else:
        place = true_places(inside)
        cell = place % cells
        hit = true_places(valid[:, cell])
        neighbour, which = hit // max(1, len(place)), hit % max(1, len(place))
        entry = neighbour * cells + cell[which]
        clip = place[which] // cells * (num_frames * cells)
        size = counted.sum(0)[cell].sum()
    target = (match.target_yx[..., 0] * width + match.target_yx[..., 1]).flatten()
    normaliser = torch.full_like(size, cells) if config.normaliser == "grid" else size.clamp_min(1)
    return Pairs(
        first=clip + frames[0] * cells + entry % cells,
        second=clip + frames[1] * cells + target[entry],
        weight=config.weight / normaliser.to(mask_logits.dtype),
        shared=inside is None,
    )


def _check_match(match: Matches, frames: tuple[int, int], mask_logits: torch.Tensor) -> None:
    num_frames, *grid = mask_logits.shape[1:]
    made = list(match.valid.shape[1:])
    if made != grid or max(frames) >= num_frames:
        raise ValueError(
            f"matches must be of frames below {num_frames} on a {tuple(grid)} grid like "
            f"mask_logits, got frames {frames} on {tuple(made)}. "
            "Make them with match_clip from this clip's lab."
        )


class TemporalKNNLoss(nn.Module):
    """:func:`temporal_knn_loss` with its config, as a module."""

    def __init__(self, config: TemporalKNNConfig) -> None:
        super().__init__()
        self.config = config

    def forward(
        self,
        mask_logits: torch.Tensor,
        lab: torch.Tensor,
        box_masks: torch.Tensor | None = None,
        matches: Sequence[tuple[tuple[int, int], Matches]] | None = None,
        ignored: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Return the loss, a scalar."""
        return temporal_knn_loss(
            mask_logits, lab, box_masks, config=self.config, matches=matches, ignored=ignored
        )
