"""Box projection loss: a mask's extent along each axis is its box's."""

from __future__ import annotations

import torch
from torch import nn

from maskfree.losses.checks import (
    check_box_masks,
    check_ignored,
    check_mask_logits,
    full_precision,
)

__all__ = ["ProjectionLoss", "projection_loss"]

_EPSILON = 1e-5
"""Keeps the dice finite where mask and box are both empty (released code); no unit."""


def projection_loss(
    mask_logits: torch.Tensor,
    box_masks: torch.Tensor,
    weights: torch.Tensor | None = None,
    ignored: torch.Tensor | None = None,
) -> torch.Tensor:
    """Dice loss of the mask's and the box's maxima over y, plus that of their maxima over x.

    ``sum over both axes of 1 - 2 sum(p g) / (sum(p^2) + sum(g^2) + 1e-5)``, with p the maximum of
    the mask probabilities along the axis and g that of the box; the mean over instances and frames.

    Parameters
    ----------
    mask_logits
        Real ``(N, T, H4, W4)``; half precision is summed in float32.
    box_masks
        ``(N, T, H4, W4)``, 1 inside the box; any dtype.
    weights
        ``(N, T)``, at least 0: how much each instance and frame counts in the mean. None: all the
        same.
    ignored
        Bool ``(T, H4, W4)``: cells that are passed over in both maxima. A frame whose whole box is
        ignored has no weight. None: there are none.

    Returns
    -------
    torch.Tensor
        Scalar in [0, 2]. Zero, with a graph, where there is no instance or no weight.

    Raises
    ------
    ValueError
        For shapes that do not fit together.

    Notes
    -----
    BoxInst (CVPR 2021) equation 3 and the released code of MaskFreeVIS. Where an instance is absent
    in a frame (an all-zero box mask) the term is the constant 2 and its gradient is zero, whatever
    the mask: it shifts the mean and teaches nothing. Give such frames the weight 0, and say that
    the mask is empty there by another term.
    """
    check_mask_logits(mask_logits)
    check_box_masks(box_masks, mask_logits)
    mask_logits = full_precision(mask_logits)
    if weights is None:
        weights = torch.ones_like(mask_logits[:, :, 0, 0])
    _check_weights(weights, mask_logits)
    if ignored is not None:
        check_ignored(ignored, mask_logits)
        left = box_masks.masked_fill(ignored, 0)
        weights = weights * (left.flatten(2).any(-1) | ~box_masks.flatten(2).any(-1))
        box_masks, mask_logits = left, mask_logits.masked_fill(ignored, -torch.inf)
    total = torch.zeros_like(weights, dtype=mask_logits.dtype)
    for axis in (-1, -2):
        # the sigmoid is monotone: the maximum of the logits is that of the probabilities
        total = total + _dice_loss(
            mask_logits.amax(axis).sigmoid(), box_masks.amax(axis).to(total.dtype)
        )
    mass = weights.sum()
    return (total * weights).sum() / torch.where(mass > 0, mass, torch.ones_like(mass))


def _dice_loss(probs: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    overlap = (probs * target).sum(-1)
    return 1 - 2 * overlap / (probs.square().sum(-1) + target.square().sum(-1) + _EPSILON)


def _check_weights(weights: torch.Tensor, mask_logits: torch.Tensor) -> None:
    if weights.shape != mask_logits.shape[:2]:
        raise ValueError(
            f"weights must be (N, T) = {tuple(mask_logits.shape[:2])} to go with mask_logits, "
            f"got {tuple(weights.shape)}. Give one weight for each instance and frame."
        )


class ProjectionLoss(nn.Module):
    """:func:`projection_loss` as a module."""

    def forward(
        self,
        mask_logits: torch.Tensor,
        box_masks: torch.Tensor,
        weights: torch.Tensor | None = None,
        ignored: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Return the loss, a scalar."""
        return projection_loss(mask_logits, box_masks, weights, ignored)
