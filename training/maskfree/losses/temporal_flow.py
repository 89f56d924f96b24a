"""Temporal loss by optical flow: masks agree at a cell and at where the flow takes it."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from maskfree.flow_matches import match_flow
from maskfree.losses.temporal_knn import matched_loss

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch

    from maskfree.config import TemporalKNNConfig
    from maskfree.types import Matches

__all__ = ["temporal_flow_loss"]


def temporal_flow_loss(
    mask_logits: torch.Tensor,
    rgb: torch.Tensor | None,
    box_masks: torch.Tensor | None = None,
    *,
    config: TemporalKNNConfig,
    matches: Sequence[tuple[tuple[int, int], Matches]] | None = None,
    ignored: torch.Tensor | None = None,
) -> torch.Tensor:
    """Every instance's masks agree over the one-to-one matches of a dense flow.

    The sum of :func:`maskfree.losses.temporal_knn_loss`, with one match a cell, the one of
    :func:`maskfree.flow_matches.match_flow`; only cells whose way there and back closes count.

    Parameters
    ----------
    mask_logits
        Real ``(N, T, H4, W4)``.
    rgb
        Float ``(T, 3, H, W)`` in [0, 1], the frames at four times the grid; not looked at where
        ``matches`` are given.
    box_masks
        ``(N, T, H4, W4)``: only cells in the union of an instance's boxes count. None: all.
    config
        Which frames are paired, the normaliser and the weight, as there.
    matches
        What `match_flow` makes of ``rgb``, where the caller has it: it is the same for all decoder
        layers.
    ignored
        Bool ``(T, H4, W4)``: a match from such a cell or into one does not count.

    Returns
    -------
    torch.Tensor
        Scalar. Without a match it is zero and still has a graph.

    Raises
    ------
    ValueError
        For shapes that do not fit together, and where there are neither frames nor matches.

    Notes
    -----
    The flow baseline that MaskFreeVIS compares TK-Loss with; there the flow is RAFT's.
    """
    if matches is None:
        if rgb is None:
            raise ValueError("rgb must be the clip's frames, got none and no matches. Pass either.")
        matches = match_flow(rgb, config=config)
    inside_alone = dataclasses.replace(config, outside_counts=False)
    return matched_loss(mask_logits, matches, box_masks, config=inside_alone, ignored=ignored)
