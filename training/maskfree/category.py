"""What kind of place a cell's matches lie in: the method's own picture of its correspondences."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F

if TYPE_CHECKING:
    from maskfree.config import CategoryConfig
    from maskfree.types import Matches

__all__ = ["CATEGORY_COLOURS", "Category", "categorise", "structure_eigenvalues"]


class Category(enum.IntEnum):
    """The five kinds of place, with the codes that :func:`categorise` gives them."""

    NONE = 0
    """No valid match: occluded, moved beyond the radius, or changed by more than D."""
    ONE = 1
    """Exactly one valid match: a distinctive place."""
    HOMOGENEOUS = 2
    """Several, and the patch changes in no direction."""
    EDGE = 3
    """Several, and the patch changes in one direction: they lie along an edge."""
    TEXTURED = 4
    """Several, and the patch changes in every direction: a texture that repeats itself."""


CATEGORY_COLOURS: dict[Category, tuple[int, int, int]] = {
    Category.NONE: (0, 158, 115),
    Category.ONE: (0, 90, 255),
    Category.HOMOGENEOUS: (230, 140, 0),
    Category.EDGE: (255, 250, 190),
    Category.TEXTURED: (190, 80, 200),
}
"""RGB in 0-255. Green, blue, orange and yellow-white are the method's own; purple is ours, for the
kind that its picture leaves out."""


def structure_eigenvalues(lab: torch.Tensor, patch_size: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the larger and the smaller eigenvalue of each patch's structure tensor.

    The tensor ``[[dx dx, dx dy], [dx dy, dy dy]]`` is summed over the Lab channels and averaged
    over the patch, so an eigenvalue is the mean squared change when the patch moves by one cell in
    that direction. Differences are taken between neighbouring cells (over every 2 x 2 cells), not
    across one: a pattern that alternates from cell to cell is not flat.

    Parameters
    ----------
    lab
        ``(3, H4, W4)``; continued beyond its edges by its outermost cells.
    patch_size
        Side of the patch in cells, odd, at least 3.

    Returns
    -------
    tuple
        Two ``(H4, W4)``, Lab units squared for each cell squared, never negative.
    """
    padded = F.pad(lab[None], (patch_size // 2,) * 4, mode="replicate")[0]
    dx, dy = padded.diff(dim=-1), padded.diff(dim=-2)
    upper, lower = dx[:, :-1], dx[:, 1:]
    left, right = dy[..., :-1], dy[..., 1:]
    xx = (upper.square() + lower.square()).sum(0) / 2
    yy = (left.square() + right.square()).sum(0) / 2
    xy = ((upper + lower) * (left + right)).sum(0) / 4
    xx, yy, xy = F.avg_pool2d(torch.stack([xx, yy, xy])[None], patch_size - 1, stride=1)[0]
    mean = (xx + yy) / 2
    spread = torch.hypot((xx - yy) / 2, xy)
    return mean + spread, (mean - spread).clamp_min(0)


def categorise(matches: Matches, lab: torch.Tensor, *, config: CategoryConfig) -> torch.Tensor:
    """Say for each cell how many matches it has and what kind of place its patch is.

    No valid match: ``NONE``; exactly one: ``ONE``; several: by the eigenvalues of the patch's
    structure tensor. One that is at least ``low_eigenvalue`` is high, and the smaller one only if
    it is also more than ``edge_ratio`` of the larger. None high: ``HOMOGENEOUS``, one: ``EDGE``,
    both: ``TEXTURED``.

    Parameters
    ----------
    matches
        From the frame of ``lab`` to another one.
    lab
        ``(3, H4, W4)`` of the frame that holds the centres.
    config
        The thresholds.

    Returns
    -------
    torch.Tensor
        uint8 ``(H4, W4)`` of :class:`Category` codes.

    Raises
    ------
    ValueError
        For matches and Lab of different grids.
    """
    grid = tuple(matches.valid.shape[1:])
    if tuple(lab.shape) != (3, *grid):
        raise ValueError(
            f"lab must be {(3, *grid)} to go with the matches, got {tuple(lab.shape)}. "
            "Pass the Lab image of the frame that the matches start from."
        )
    larger, smaller = structure_eigenvalues(lab, config.patch_size)
    count = matches.valid.sum(0)
    category = torch.full(grid, Category.TEXTURED, dtype=torch.uint8, device=lab.device)
    edge = (smaller < config.low_eigenvalue) | (smaller <= config.edge_ratio * larger)
    category[edge] = Category.EDGE
    category[larger < config.low_eigenvalue] = Category.HOMOGENEOUS
    category[count == 1] = Category.ONE
    category[count == 0] = Category.NONE
    return category
