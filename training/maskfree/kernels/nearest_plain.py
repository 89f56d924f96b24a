"""The K nearest candidates of every cell, on any device: what the faster versions must give."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F

from maskfree.search_window import candidate_offsets

if TYPE_CHECKING:
    from maskfree.config import TemporalKNNConfig

__all__ = ["nearest_plain"]


def nearest_plain(
    source: torch.Tensor, target: torch.Tensor, config: TemporalKNNConfig
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return index and distance of the K nearest candidates in P pairs of frames.

    A candidate is one whole number: the bits of its squared distance (floats that are not negative
    are ordered as their bits are) above its index. So keeping the K nearest in order takes nothing
    but minima and maxima.

    Parameters
    ----------
    source, target
        float32 ``(P, 3, H, W)``.
    config
        R and its window and stride, K, N.

    Returns
    -------
    index, distance
        long and float32, ``(P, K, H, W)``, nearest first: the place in
        :func:`maskfree.search_window.candidate_offsets`, and the L2 distance of the patches. Where
        there are fewer than K candidates the rest has the number of offsets as its index and is
        infinitely far.
    """
    offsets, search = candidate_offsets(config), _PatchSearch(source, target, config)
    shift = len(offsets).bit_length()
    shape = (len(source), search.height, search.width)
    nothing = torch.tensor(torch.inf).view(torch.int32).long() << shift | len(offsets)
    best = [
        torch.full(shape, int(nothing), dtype=torch.long, device=source.device)
        for _ in range(config.num_neighbors)
    ]
    scratch = torch.empty_like(best[0]), torch.empty_like(best[0])
    for i, (dy, dx) in enumerate(offsets):
        rows, columns = search.cells(dy, search.height), search.cells(dx, search.width)
        if rows.start >= rows.stop or columns.start >= columns.stop:
            continue
        squared = search.squared_distance(dy, dx, rows, columns)
        key, spare = (each[:, rows, columns] for each in scratch)
        key.copy_(squared.view(torch.int32)).bitwise_left_shift_(shift).bitwise_or_(i)
        _insert(key, spare, [kept[:, rows, columns] for kept in best])
    keys = torch.stack(best, 1)
    distance = (keys >> shift).int().view(torch.float32).sqrt_()
    return keys & (2**shift - 1), distance


class _PatchSearch:
    """Compares the patches of P pairs of frames, one offset at a time."""

    def __init__(
        self, source: torch.Tensor, target: torch.Tensor, config: TemporalKNNConfig
    ) -> None:
        self.height, self.width = source.shape[-2:]
        self.outside = config.outside_counts
        self.patch_size = config.patch_size
        self.reach = config.search_radius
        half = config.patch_size // 2
        self.source = F.pad(source, (half,) * 4)
        self.target = F.pad(target, (half + self.reach,) * 4)

    def cells(self, step: int, size: int) -> slice:
        """Return the cells of one axis whose candidate at ``step`` is looked at."""
        return slice(0, size) if self.outside else slice(max(0, -step), min(size, size - step))

    def squared_distance(self, dy: int, dx: int, rows: slice, columns: slice) -> torch.Tensor:
        """Return the squared distances of these cells to their candidates at one offset."""
        y, x = self.reach + dy, self.reach + dx
        down, across = rows.stop + self.patch_size - 1, columns.stop + self.patch_size - 1
        here = self.source[..., rows.start : down, columns.start : across]
        there = self.target[..., y + rows.start : y + down, x + columns.start : x + across]
        squared = (here - there).square_().sum(1)
        return _window_sum(_window_sum(squared, 1, self.patch_size), 2, self.patch_size)


def _window_sum(image: torch.Tensor, dim: int, size: int) -> torch.Tensor:
    """Sum over every stretch of ``size`` along ``dim``."""
    length = image.shape[dim] - size + 1
    total = image.narrow(dim, 0, length).clone(memory_format=torch.contiguous_format)
    for i in range(1, size):
        total += image.narrow(dim, i, length)
    return total


def _insert(key: torch.Tensor, spare: torch.Tensor, best: list[torch.Tensor]) -> None:
    """Put ``key`` into its place among the ascending ``best``, dropping the largest.

    Overwrites ``key`` and ``spare``: fresh memory for each step would cost more than the step.
    """
    for kept in best:
        torch.maximum(kept, key, out=spare)
        torch.minimum(kept, key, out=kept)
        key, spare = spare, key
