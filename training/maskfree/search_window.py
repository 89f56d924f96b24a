"""Where candidates for a match lie: grid offsets, in the order that breaks ties. No torch."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from maskfree.config import TemporalKNNConfig

__all__ = ["CORRELATION_STEP", "PLAIN", "candidate_offsets"]

CORRELATION_STEP = 2.0**-20
"""Correlations of patches are told apart in such steps: whatever the rounding, those that are alike
are equally far, and the least displaced comes first."""
PLAIN = 1e-6
"""A patch is of one colour whose squared deviations sum to no more, Lab squared: what rounding in
float64 leaves is far below."""


def candidate_offsets(config: TemporalKNNConfig) -> list[tuple[int, int]]:
    """Return the candidates' offsets (dy, dx) in grid cells, the smallest displacement first."""
    radius, step = config.search_radius, config.candidate_stride
    reach = radius // step * step
    axis = range(-reach, reach + 1, step)
    offsets = list(itertools.product(axis, axis))
    if config.window == "disc":
        offsets = [(y, x) for y, x in offsets if y * y + x * x <= radius * radius]
    return sorted(offsets, key=lambda offset: offset[0] ** 2 + offset[1] ** 2)
