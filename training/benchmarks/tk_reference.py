"""TK-Loss as it is usually written: every place of the window unfolded, for every instance.

The same mathematics as `maskfree.losses.temporal_knn_loss`, straight from the formulas; nothing is
shared with the engine but the frame pairs. It is the oracle for the values, and what `tk_loss.py`
measures against. The Lab patches of all candidates lie in memory at once, and so do the masks of
all candidates of all instances, whether they are among the K nearest or not; autograd does the
rest.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from maskfree.correspondence import frame_pairs

if TYPE_CHECKING:
    from maskfree.config import TemporalKNNConfig

__all__ = ["matches_kept", "tk_reference"]


def tk_reference(
    mask_logits: torch.Tensor,
    lab: torch.Tensor,
    box_masks: torch.Tensor | None = None,
    *,
    config: TemporalKNNConfig,
) -> torch.Tensor:
    """Return what ``temporal_knn_loss`` returns; the arguments are the same."""
    cells = mask_logits[0, 0].numel()
    union = torch.ones(len(mask_logits), 1, cells, dtype=torch.bool)
    if box_masks is not None:
        union = (box_masks > 0).any(1).flatten(1)[:, None]
    total = mask_logits.sum() * 0
    for centre, other in _pairs(len(lab), config):
        kept, inside = _kept(lab[centre], lab[other], config)
        same = _log_same(mask_logits[:, centre], mask_logits[:, other], config)
        counted = (kept if config.outside_counts else kept & inside) & union
        size = cells if config.normaliser == "grid" else counted.sum().clamp_min(1)
        total = total - (same * (counted & inside)).sum() / size
    return config.weight * total


def matches_kept(lab: torch.Tensor, *, config: TemporalKNNConfig) -> float:
    """Return the share of the K matches of all cells and frame pairs that are near enough."""
    shares = [
        float((kept & inside).sum()) / (config.num_neighbors * kept.shape[1])
        for kept, inside in (_kept(lab[a], lab[b], config) for a, b in _pairs(len(lab), config))
    ]
    return sum(shares) / len(shares)


def _pairs(num_frames: int, config: TemporalKNNConfig) -> list[tuple[int, int]]:
    pairs = frame_pairs(num_frames, config.tube)
    return pairs if config.centre_frame == "source" else [(b, a) for a, b in pairs]


def _kept(
    source: torch.Tensor, target: torch.Tensor, config: TemporalKNNConfig
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return which of P places are a cell's matches and which are in the image: ``(P, H W)``."""
    size, reach = config.patch_size, _reach(config)
    half = size // 2
    here = functional.unfold(source[None], size, padding=half)[0]
    height, width = source.shape[-2:]
    there = functional.unfold(target[None], size, padding=half + reach)
    there = there.view(1, -1, height + 2 * reach, width + 2 * reach)
    candidates = _places(there, config).view(len(here), -1, height * width)
    distance = (candidates - here[:, None]).square().sum(0).sqrt()
    ones = functional.pad(torch.ones(1, 1, height, width), (reach,) * 4)
    inside = _places(ones, config)[0] > 0
    if not config.outside_counts:
        distance = distance.masked_fill(~inside, math.inf)
    nearest, index = distance.topk(config.num_neighbors, 0, largest=False)
    near = nearest <= config.max_distance
    return torch.zeros_like(inside).scatter(0, index, near), inside


def _log_same(
    source: torch.Tensor, target: torch.Tensor, config: TemporalKNNConfig
) -> torch.Tensor:
    """Return ``log(p q + (1 - p)(1 - q))`` of each cell and place: ``(N, P, H W)``."""
    padding = (_reach(config),) * 4
    log_p, log_not_p = functional.logsigmoid(source), functional.logsigmoid(-source)
    log_q, log_not_q = (
        _places(functional.pad(functional.logsigmoid(x), padding)[:, None], config)
        for x in (target, -target)
    )
    both = log_p.flatten(1)[:, None] + log_q
    neither = log_not_p.flatten(1)[:, None] + log_not_q
    return torch.logaddexp(both, neither)


def _places(padded: torch.Tensor, config: TemporalKNNConfig) -> torch.Tensor:
    """Unfold ``(B, C, H + 2r, W + 2r)`` to ``(B, C P, H W)``: the P places around each cell."""
    step, reach = config.candidate_stride, _reach(config)
    side = 2 * reach // step + 1
    unfolded = functional.unfold(padded, side, dilation=step)
    if config.window == "square":
        return unfolded
    axis = step * torch.arange(side) - reach
    near = (axis[:, None] ** 2 + axis**2 <= config.search_radius**2).flatten()
    by_place = unfolded.view(len(padded), padded.shape[1], side * side, -1)
    return by_place[:, :, near].flatten(1, 2)


def _reach(config: TemporalKNNConfig) -> int:
    return config.search_radius // config.candidate_stride * config.candidate_stride
