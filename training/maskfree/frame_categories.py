"""The kinds of place of all cells of a frame, by its matches in another one."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from maskfree.lab_array import GRID_STRIDE

if TYPE_CHECKING:
    from maskfree.config import CategoryConfig
    from maskfree.matching_grid import MatchingGrid

RGB = tuple[int, int, int]

__all__ = ["FrameCategories", "categorise_frame"]


@dataclasses.dataclass(frozen=True)
class FrameCategories:
    """The kinds of place of all cells of a frame, by its matches in another.

    ``categories`` uint8 (H4, W4), ``counts`` cells of each category, ``colours`` the method's own
    colour of each (RGB, 0-255).
    """

    source: int
    target: int
    grid: MatchingGrid
    categories: np.ndarray
    counts: dict[int, int]
    colours: dict[int, RGB]


def categorise_frame(
    source: int,
    target: int,
    pair: tuple[np.ndarray, np.ndarray],
    grid: MatchingGrid,
    config: CategoryConfig,
) -> FrameCategories:
    """Match two working frames, uint8 RGB, and say what kind of place each cell of the first is."""
    import torch

    from maskfree.category import CATEGORY_COLOURS, categorise
    from maskfree.correspondence import drop_ignored, match_patches
    from maskfree.lab import to_lab

    rows, columns = (n * GRID_STRIDE for n in grid.shape)
    rgb = torch.from_numpy(np.stack(pair)[:, :rows, :columns].astype(np.float32) / 255)
    lab = to_lab(rgb.permute(0, 3, 1, 2).contiguous()) * grid.stretch
    matches = match_patches(lab[0], lab[1], config=grid.config)
    hidden = [grid.ignored(frame) for frame in (source, target)]
    if any(cells is not None for cells in hidden):
        none = np.zeros(grid.shape, bool)
        here, there = (torch.from_numpy(none if h is None else h) for h in hidden)
        matches = drop_ignored(matches, here, there)
    categories = np.asarray(categorise(matches, lab[0], config=config))
    values, counts = np.unique(categories, return_counts=True)
    return FrameCategories(
        source,
        target,
        grid,
        categories.astype(np.uint8),
        {int(v): int(n) for v, n in zip(values, counts, strict=True)},
        {int(k): (int(v[0]), int(v[1]), int(v[2])) for k, v in CATEGORY_COLOURS.items()},
    )
