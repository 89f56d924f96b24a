"""What boxes say about the cells of the mask grid."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np
import torch

from maskfree.box_pixels import touched

if TYPE_CHECKING:
    from maskfree.config import SamplingConfig

__all__ = ["BoxTargets", "box_targets"]


@dataclasses.dataclass(frozen=True)
class BoxTargets:
    """Boxes of N instances over a clip, on its mask grid.

    ``box_masks``: float ``(N, T, H4, W4)``, 1 where a cell's centre is in the box (one cell for a
    box thinner than that); ``reach``: bool, same shape, every cell that the box grown by its slack
    touches: beyond it the instance cannot be; ``certain_background``: bool ``(T, H4, W4)``, beyond
    every instance's reach; ``radius``: float ``(N, T, H4, W4)``, distance from the box's centre in
    units of its half sides (1 on the inscribed ellipse, 1.41 in the corners, infinite where
    absent); ``trust``: float ``(N, T)``, 1 for a keyframe, less between keyframes, 0 where absent
    or cut by the crop.
    """

    box_masks: torch.Tensor
    reach: torch.Tensor
    certain_background: torch.Tensor
    radius: torch.Tensor
    trust: torch.Tensor

    def select(self, rows: torch.Tensor) -> BoxTargets:
        """Keep the instances ``rows`` (their certain background stays that of all)."""
        return BoxTargets(
            self.box_masks[rows],
            self.reach[rows],
            self.certain_background,
            self.radius[rows],
            self.trust[rows],
        )

    def to(self, device: torch.device) -> BoxTargets:
        """Move every tensor to ``device``."""
        return BoxTargets(*(getattr(self, f.name).to(device) for f in dataclasses.fields(self)))


def box_targets(
    boxes: np.ndarray, slack: np.ndarray, height: int, width: int, *, config: SamplingConfig
) -> BoxTargets:
    """Rasterise boxes onto a grid of ``(height, width)`` cells.

    Parameters
    ----------
    boxes
        float ``(N, T, 4)``, xyxy in grid cells, NaN where absent; may reach beyond the grid.
    slack
        float ``(N, T)``, part of the box's size by which it may be wrong.
    """
    count, length = boxes.shape[:2]
    box_masks = np.zeros((count, length, height, width), np.float32)
    reach = np.zeros((count, length, height, width), bool)
    radius = np.full((count, length, height, width), np.inf, np.float32)
    trust = np.zeros((count, length), np.float32)
    cell_y, cell_x = np.arange(height)[:, None] + 0.5, np.arange(width) + 0.5
    for n, t in np.argwhere(np.isfinite(boxes).all(-1)):
        x0, y0, x1, y1 = boxes[n, t]
        seen_x, seen_y = min(x1, width) - max(x0, 0), min(y1, height) - max(y0, 0)
        if min(seen_x, seen_y) <= 0:
            continue
        dx, dy = slack[n, t] * (x1 - x0), slack[n, t] * (y1 - y0)
        reach[n, t, touched(y0 - dy, y1 + dy, height), touched(x0 - dx, x1 + dx, width)] = True
        if seen_x < min(1, x1 - x0) or seen_y < min(1, y1 - y0):
            continue  # the sliver of a box that the crop cuts: neither object nor background
        box_masks[n, t, _centres(y0, y1, height), _centres(x0, x1, width)] = 1
        across = (2 * cell_x - x0 - x1) / (x1 - x0)
        radius[n, t] = np.hypot((2 * cell_y - y0 - y1) / (y1 - y0), across)
        cut = max(-x0, -y0, x1 - width, y1 - height)
        if cut <= config.max_cut * min(x1 - x0, y1 - y0):
            trust[n, t] = 1 - (1 - config.least_trust) * slack[n, t] / max(config.max_slack, 1e-9)
    background = ~reach.any(0) if count else np.ones((length, height, width), bool)
    return BoxTargets(
        torch.from_numpy(box_masks),
        torch.from_numpy(reach),
        torch.from_numpy(background),
        torch.from_numpy(radius),
        torch.from_numpy(trust),
    )


def _centres(low: float, high: float, size: int) -> slice:
    """Cells whose centres lie in [low, high); the middle's where there is none."""
    first, last = (int(np.clip(np.ceil(edge - 0.5), 0, size)) for edge in (low, high))
    if last <= first:
        first = int(np.clip((low + high) / 2, 0, size - 1))
    return slice(first, max(last, first + 1))
