"""One-to-one matches between frames by dense optical flow: what TK-Loss is compared with."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import torch

from maskfree.correspondence import directed_pairs
from maskfree.dense_flow import DisFlow, RoundTrip
from maskfree.lab import GRID_STRIDE
from maskfree.types import Matches

if TYPE_CHECKING:
    from collections.abc import Callable

    from maskfree.config import TemporalKNNConfig

    Flow: TypeAlias = Callable[[np.ndarray, np.ndarray], np.ndarray]

__all__ = ["flow_of", "match_flow"]


def flow_of(config: TemporalKNNConfig, device: torch.device) -> Flow:
    """Return the flow that the settings name: RAFT where they name its weights, else DIS.

    Raises
    ------
    InputError
        As :class:`maskfree.raft_flow.RaftFlow`.
    """
    if not config.flow_weights:
        return DisFlow()
    from maskfree.raft_flow import RaftFlow

    return RaftFlow(config.flow_weights, device)


def match_flow(
    rgb: torch.Tensor, *, config: TemporalKNNConfig, flow: Flow | None = None
) -> list[tuple[tuple[int, int], Matches]]:
    """Match each cell of a frame with the one that the flow takes its middle to.

    The flow is computed on the frames as they are, finer than the grid, in both directions.

    Parameters
    ----------
    rgb
        Float ``(T, 3, H, W)`` in [0, 1], H and W multiples of 4.
    config
        ``tube`` says which frames are paired, ``centre_frame`` which frame of a pair holds the
        cells that are followed, ``flow_error`` how near to its beginning a way there and back ends.
    flow
        See :func:`flow_of`; None: made now.

    Returns
    -------
    list
        As :func:`maskfree.correspondence.match_clip`, with one match a cell; ``distance`` is how
        far the way there and back missed, in pixels of the frames, infinite beyond the picture.

    Raises
    ------
    ValueError
        For another shape.
    """
    if rgb.ndim != 4 or rgb.shape[1] != 3 or any(n % GRID_STRIDE for n in rgb.shape[2:]):
        raise ValueError(
            f"rgb must be (T, 3, H, W) with H and W multiples of {GRID_STRIDE}, "
            f"got {tuple(rgb.shape)}. Pass the frames of one clip."
        )
    flow = flow_of(config, rgb.device) if flow is None else flow
    pictures = (rgb.detach() * 255).round().clamp(0, 255).byte().permute(0, 2, 3, 1).cpu().numpy()
    flows: dict[tuple[int, int], np.ndarray] = {}
    found = []
    for source, target in directed_pairs(len(rgb), config):
        for a, b in ((source, target), (target, source)):
            if (a, b) not in flows:
                flows[a, b] = flow(
                    np.ascontiguousarray(pictures[a]), np.ascontiguousarray(pictures[b])
                )
        way = RoundTrip.of(flows[source, target], flows[target, source])
        found.append(((source, target), _matches(way, config, rgb.device)))
    return found


def _matches(way: RoundTrip, config: TemporalKNNConfig, device: torch.device) -> Matches:
    height, width = way.inside.shape
    x, y, missed = (_middles(values) for values in (way.x, way.y, way.missed))
    target = np.stack([np.floor((each + 0.5) / GRID_STRIDE) for each in (y, x)], -1)
    grid = np.array([height, width]) // GRID_STRIDE
    inside = np.all((target >= 0) & (target < grid), axis=-1)
    target[~inside] = 0
    missed[~inside] = np.inf
    valid = np.asarray(missed <= config.flow_error)
    found = target.astype(np.int64), missed.astype(np.float32), valid
    return Matches(*(torch.from_numpy(each)[None].to(device) for each in found))


def _middles(values: np.ndarray) -> np.ndarray:
    """Return the mean of the four pixels in the middle of each cell."""
    first = GRID_STRIDE // 2 - 1
    corners = [
        values[first + i :: GRID_STRIDE, first + j :: GRID_STRIDE] for i in (0, 1) for j in (0, 1)
    ]
    return np.asarray(sum(corners[1:], corners[0]) / len(corners))
