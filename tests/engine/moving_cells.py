"""A random picture of 16 x 24 grid cells that moves by whole cells."""

from __future__ import annotations

import numpy as np


def texture() -> np.ndarray:
    cells = np.random.default_rng(0).integers(0, 255, (16, 24, 3), np.uint8)
    return cells.repeat(4, 0).repeat(4, 1)


def moving(*columns: int) -> np.ndarray:
    """The texture, moved to the right by so many cells in each frame."""
    return np.stack([np.roll(texture(), 4 * c, axis=1) for c in columns])
