"""The K nearest candidates of every cell, on any device: what the faster versions must give."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F

from maskfree.search_window import CORRELATION_STEP, PLAIN, candidate_offsets

if TYPE_CHECKING:
    from maskfree.config import TemporalKNNConfig

__all__ = ["nearest_plain"]


def nearest_plain(
    source: torch.Tensor, target: torch.Tensor, config: TemporalKNNConfig
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return index and distance of the K nearest candidates in P pairs of frames.

    A candidate is one whole number: the bits of its distance, which is squared for L2 (floats that
    are not negative are ordered as their bits are), above its index. So keeping the K nearest in
    order takes nothing but minima and maxima.

    Parameters
    ----------
    source, target
        float32 ``(P, 3, H, W)``.
    config
        R and its window and stride, K, N and the metric; the colours are compared as they are.

    Returns
    -------
    index, distance
        long and float32, ``(P, K, H, W)``, nearest first: the place in
        :func:`maskfree.search_window.candidate_offsets`, and the distance of the patches. Where
        there are fewer than K candidates the rest has the number of offsets as its index and is
        infinitely far.

    Notes
    -----
    The distances, over the 3 N N numbers of two patches a and b: *l2* ``sqrt(sum (a - b)^2)``;
    *l1* ``sum |a - b|``; *ncc* ``1 - sum (a - A)(b - B) / sqrt(sum (a - A)^2 sum (b - B)^2)`` with
    A and B the means of each channel. A patch of one colour has no direction: two of them are 0
    apart, one and any other 1. For ncc this takes float64, which some devices (MPS) do not have.
    """
    offsets, search = candidate_offsets(config), _SEARCHES[config.metric](source, target, config)
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
        apart = search.compare(dy, dx, rows, columns)
        key, spare = (each[:, rows, columns] for each in scratch)
        key.copy_(apart.view(torch.int32)).bitwise_left_shift_(shift).bitwise_or_(i)
        _insert(key, spare, [kept[:, rows, columns] for kept in best])
    keys = torch.stack(best, 1)
    distance = (keys >> shift).int().view(torch.float32)
    return keys & (2**shift - 1), distance.sqrt_() if config.metric == "l2" else distance


class _SquaredSearch:
    """Compares the patches of P pairs of frames by L2 squared, one offset at a time."""

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

    def compare(self, dy: int, dx: int, rows: slice, columns: slice) -> torch.Tensor:
        """Return how far these cells are from their candidates at one offset: float32."""
        here, there = self.patches(dy, dx, rows, columns)
        return self.window_sum(self.each(here, there).sum(1))

    def each(self, here: torch.Tensor, there: torch.Tensor) -> torch.Tensor:
        """Return what each channel of each cell of a patch adds."""
        return (here - there).square_()

    def patches(
        self, dy: int, dx: int, rows: slice, columns: slice
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the parts of source and target that the patches around these cells cover."""
        y, x = self.reach + dy, self.reach + dx
        down, across = rows.stop + self.patch_size - 1, columns.stop + self.patch_size - 1
        here = self.source[..., rows.start : down, columns.start : across]
        there = self.target[..., y + rows.start : y + down, x + columns.start : x + across]
        return here, there

    def window_sum(self, image: torch.Tensor) -> torch.Tensor:
        """Sum ``(..., H, W)`` over the cells of each patch."""
        for dim in (-2, -1):
            image = _window_sum(image, dim, self.patch_size)
        return image


class _AbsoluteSearch(_SquaredSearch):
    """The same by L1."""

    def each(self, here: torch.Tensor, there: torch.Tensor) -> torch.Tensor:
        """Return what each channel of each cell of a patch adds."""
        return (here - there).abs_()


class _CorrelationSearch(_SquaredSearch):
    """The same by normalised cross-correlation.

    From sums over the patches alone: ``sum (a - A)(b - B) = sum a b - n A B``, in float64, where
    what the difference loses does not matter.
    """

    def __init__(
        self, source: torch.Tensor, target: torch.Tensor, config: TemporalKNNConfig
    ) -> None:
        super().__init__(source.double(), target.double(), config)
        self.here, self.there = self._statistics(self.source), self._statistics(self.target)

    def _statistics(self, padded: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return each patch's sums by channel, and its deviations squared and summed."""
        sums = self.window_sum(padded)
        squares = self.window_sum(padded.square().sum(1))
        return sums, squares - sums.square().sum(1) / self.patch_size**2

    def compare(self, dy: int, dx: int, rows: slice, columns: slice) -> torch.Tensor:
        """Return how far these cells are from their candidates at one offset: float32."""
        y, x = self.reach + dy, self.reach + dx
        other = slice(rows.start + y, rows.stop + y), slice(columns.start + x, columns.stop + x)
        sums, spread = (each[..., rows, columns] for each in self.here)
        other_sums, other_spread = (each[..., other[0], other[1]] for each in self.there)
        here, there = self.patches(dy, dx, rows, columns)
        both = self.window_sum((here * there).sum(1))
        both = both - (sums * other_sums).sum(1) / self.patch_size**2
        return _correlation_distance(both, spread, other_spread).float()


def _correlation_distance(
    both: torch.Tensor, one: torch.Tensor, other: torch.Tensor
) -> torch.Tensor:
    """Return 1 - the correlation of patches, in [0, 2] and in steps of `CORRELATION_STEP`.

    ``both``: the products of their deviations from the means, summed; ``one``, ``other``: the
    squares of either's; float64, of any one shape.
    """
    plain = one <= PLAIN, other <= PLAIN
    correlation = both / (one.clamp_min(PLAIN) * other.clamp_min(PLAIN)).sqrt()
    correlation = torch.where(plain[0] | plain[1], (plain[0] & plain[1]).to(both), correlation)
    steps = ((1 - correlation.clamp(-1, 1)) / CORRELATION_STEP).round()
    return steps.abs() * CORRELATION_STEP


_SEARCHES = {"l2": _SquaredSearch, "l1": _AbsoluteSearch, "ncc": _CorrelationSearch}


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
