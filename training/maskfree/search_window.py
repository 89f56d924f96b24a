"""Where candidates for a match lie: offsets on the grid, in the order that breaks ties."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from maskfree.config import TemporalKNNConfig

__all__ = ["candidate_offsets"]


def candidate_offsets(config: TemporalKNNConfig) -> list[tuple[int, int]]:
    """Return the candidates' offsets (dy, dx) in grid cells, the smallest displacement first."""
    radius, step = config.search_radius, config.candidate_stride
    reach = radius // step * step
    axis = range(-reach, reach + 1, step)
    offsets = list(itertools.product(axis, axis))
    if config.window == "disc":
        offsets = [(y, x) for y, x in offsets if y * y + x * x <= radius * radius]
    return sorted(offsets, key=lambda offset: offset[0] ** 2 + offset[1] ** 2)
