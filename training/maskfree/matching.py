"""Which query answers for which annotated tube.

*bound*: track i is query i. *tube*: the paper's spatio-temporal box-mask matching: each predicted
mask is thresholded and turned into its box mask over the clip, compared with the annotated tubes
by dice on sampled points, plus a class cost; the assignment is Hungarian. Cross-entropy is left
out on purpose: it scales with the object's size. *frame*: boxes compared frame by frame, L1 + GIoU.
*mask*: the masks themselves compared with true ones, by dice and cross-entropy (Mask2Former).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch.nn import functional

if TYPE_CHECKING:
    from maskfree.config import MatchingConfig

__all__ = ["assign_queries", "box_masks_of"]

_EPSILON = 1e-5


@torch.no_grad()
def assign_queries(
    class_logits: torch.Tensor,
    mask_logits: torch.Tensor,
    box_masks: torch.Tensor,
    labels: torch.Tensor,
    tracks: torch.Tensor,
    *,
    config: MatchingConfig,
    generator: torch.Generator,
    ignored: torch.Tensor | None = None,
    masks: torch.Tensor | None = None,
) -> torch.Tensor:
    """Return the query of each instance: long ``(N,)``.

    Parameters
    ----------
    class_logits, mask_logits
        ``(Q, C + 1)`` and ``(Q, T, H4, W4)`` of one clip.
    box_masks, labels, tracks
        ``(N, T, H4, W4)`` box-mask tubes, ``(N,)`` classes and ``(N,)`` positions of the instances
        among all annotated tracks (the query that each is bound to).
    generator
        Draws the points.
    ignored
        Bool ``(T, H4, W4)``: cells that are neither in a mask nor in a box. None: there are none.
    masks
        ``(N, T, H4, W4)``, true masks from -1 to 1, 0 where nothing is known: for the mode mask.

    Raises
    ------
    ValueError
        When there are more instances than queries, or no masks where they are to be compared.
    """
    count, queries = len(box_masks), len(mask_logits)
    if count > queries:
        raise ValueError(f"{count} instances need at least as many queries, got {queries}.")
    if config.mode == "bound":
        return tracks.to(mask_logits.device)
    cost = -config.class_cost * class_logits.softmax(-1)[:, labels]
    if config.mode == "mask":
        if masks is None:
            raise ValueError("masks must be the instances' true masks, got none. Pass them.")
        told = masks if ignored is None else masks.masked_fill(ignored, 0)
        cost = cost + _mask_cost(mask_logits, told, config, generator)
    else:
        cost = cost + config.dice_cost * _box_cost(
            mask_logits > 0, box_masks, config, generator, ignored
        )
    finite = torch.nan_to_num(cost.float())  # where training went wrong, the loss says so
    rows, columns = linear_sum_assignment(finite.cpu().numpy())
    out = np.empty(count, np.int64)
    out[columns] = rows
    return torch.from_numpy(out).to(mask_logits.device)


def box_masks_of(masks: torch.Tensor) -> torch.Tensor:
    """Fill the bounding box of each mask: bool ``(..., H, W)`` to bool ``(..., H, W)``."""
    rows, columns = masks.any(-1), masks.any(-2)
    return _span(rows)[..., :, None] & _span(columns)[..., None, :]


def _span(line: torch.Tensor) -> torch.Tensor:
    """Fill between the first and the last True of each line."""
    forward = line.int().cummax(-1).values
    backward = line.flip(-1).int().cummax(-1).values.flip(-1)
    return (forward & backward).bool()


def _box_cost(
    masks: torch.Tensor,
    box_masks: torch.Tensor,
    config: MatchingConfig,
    generator: torch.Generator,
    ignored: torch.Tensor | None,
) -> torch.Tensor:
    """How far predicted masks, bool ``(Q, T, H4, W4)``, are from the boxes: ``(Q, N)``."""
    if ignored is not None:
        masks, box_masks = masks & ~ignored, box_masks.masked_fill(ignored, 0)
    if config.mode == "frame":
        return _frame_cost(masks, box_masks)
    tubes = box_masks_of(masks)
    tubes = tubes if ignored is None else tubes & ~ignored
    return _tube_cost(tubes, box_masks, config, generator)


def _mask_cost(
    mask_logits: torch.Tensor,
    masks: torch.Tensor,
    config: MatchingConfig,
    generator: torch.Generator,
) -> torch.Tensor:
    """Weighted cross-entropy and 1 - dice on shared random points of what is known: ``(Q, N)``."""
    known = (masks != 0).any(0).flatten().nonzero()[:, 0]
    if not len(known):
        return mask_logits.new_zeros(len(mask_logits), len(masks))
    points = torch.randint(len(known), (config.num_points,), generator=generator)
    points = known[points.to(known.device)]
    x, told = mask_logits.flatten(1)[:, points].float(), masks.flatten(1)[:, points].float()
    foreground, background = told.clamp_min(0), (-told).clamp_min(0)
    weight = foreground + background
    cost = functional.softplus(-x) @ foreground.T + functional.softplus(x) @ background.T
    entropy = cost / weight.sum(1).clamp_min(1)
    p = x.sigmoid()
    dice = 1 - (2 * p @ foreground.T + 1) / (p @ weight.T + foreground.sum(1) + 1)
    return config.mask_cost * entropy + config.dice_cost * dice


def _tube_cost(
    tubes: torch.Tensor,
    box_masks: torch.Tensor,
    config: MatchingConfig,
    generator: torch.Generator,
) -> torch.Tensor:
    """1 - dice of box-mask tubes on shared random points: ``(Q, N)``."""
    predicted = tubes.flatten(1).float()
    annotated = box_masks.flatten(1).float()
    points = torch.randint(predicted.shape[1], (config.num_points,), generator=generator)
    points = points.to(predicted.device)
    p, g = predicted[:, points], annotated[:, points]
    overlap = 2 * p @ g.T
    return 1 - (overlap + 1) / (p.sum(1)[:, None] + g.sum(1)[None] + 1)


def _frame_cost(masks: torch.Tensor, box_masks: torch.Tensor) -> torch.Tensor:
    """L1 + (1 - GIoU) of the boxes in each frame where the instance is, averaged: ``(Q, N)``."""
    predicted, _ = _boxes(masks)
    annotated, present = _boxes(box_masks > 0)
    p, g = predicted[:, None], annotated[None]
    distance = (p - g).abs().sum(-1) + 1 - _giou(p, g)
    weight = present[None].float()
    return (distance * weight).sum(-1) / weight.sum(-1).clamp_min(1)


def _boxes(masks: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Normalised xyxy ``(N, T, 4)`` of bool masks, and where there is any."""
    height, width = masks.shape[-2:]
    edges = []
    for axis, size in ((-2, width), (-1, height)):
        line = masks.any(axis).float()
        low = line.argmax(-1)
        high = size - line.flip(-1).argmax(-1)
        edges.append((low / size, high / size))
    (x0, x1), (y0, y1) = edges
    present = masks.flatten(2).any(2)
    return torch.stack([x0, y0, x1, y1], -1) * present[..., None], present


def _giou(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    low, high = torch.maximum(a[..., :2], b[..., :2]), torch.minimum(a[..., 2:], b[..., 2:])
    overlap = (high - low).clamp_min(0).prod(-1)
    union = _area(a) + _area(b) - overlap
    hull = torch.maximum(a[..., 2:], b[..., 2:]) - torch.minimum(a[..., :2], b[..., :2])
    hull_area = hull.clamp_min(0).prod(-1)
    iou = overlap / union.clamp_min(_EPSILON)
    return iou - (hull_area - union) / hull_area.clamp_min(_EPSILON)


def _area(boxes: torch.Tensor) -> torch.Tensor:
    return (boxes[..., 2:] - boxes[..., :2]).clamp_min(0).prod(-1)
