"""Cross-entropy and dice against what is known of single cells: true, told, or believed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch.nn import functional

if TYPE_CHECKING:
    import torch

__all__ = ["cross_entropy_and_dice", "masks_loss"]


def cross_entropy_and_dice(
    logits: torch.Tensor, foreground: torch.Tensor, background: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the mean cross-entropy over all cells, and the instances' mean dice loss.

    ``sum(f log(1 + e^-x) + b log(1 + e^x)) / sum(f + b)``, and the mean over N of
    ``1 - (2 sum(p w [f > 0]) + 1) / (sum(p w + f) + 1)`` with ``w = f + b``.

    Parameters
    ----------
    logits, foreground, background
        Real ``(N, T, H4, W4)``; f and b, at least 0, say how much each cell counts as object and as
        something else. A cell of which nothing is known has 0 in both.

    Returns
    -------
    tuple
        Two scalars.

    Notes
    -----
    The terms of Mask2Former (Cheng and others, CVPR 2022), with soft labels, over all cells rather
    than sampled points: on a grid of stride 4 there are few enough.
    """
    cost = functional.softplus(-logits) * foreground + functional.softplus(logits) * background
    weight = foreground + background
    probability = logits.sigmoid() * weight
    both = (probability * (foreground > 0)).flatten(1).sum(1)
    either = (probability + foreground).flatten(1).sum(1)
    dice = 1 - (2 * both + 1) / (either + 1)
    return cost.sum() / weight.sum().clamp_min(1), dice.mean()


def masks_loss(
    logits: torch.Tensor, masks: torch.Tensor, asked: torch.Tensor | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the same two terms against masks.

    Parameters
    ----------
    logits, masks
        Real ``(N, T, H4, W4)``; a mask is 1 on the instance, -1 beside it, 0 where nothing is
        known, and between them on its edge.
    asked
        Bool, same shape: other cells do not count. None: all may.

    Returns
    -------
    tuple
        Cross-entropy and dice, over the instances of which anything is known; zero, with a graph,
        where there is none.
    """
    masks = masks if asked is None else masks * asked
    some = masks.flatten(1).any(1)
    if not some.any():
        nothing = logits.sum() * 0
        return nothing, nothing
    masks = masks[some]
    return cross_entropy_and_dice(logits[some], masks.clamp_min(0), (-masks).clamp_min(0))
