"""The K nearest candidates of every cell on a CPU, to the bit those of `nearest_plain`.

Three things make it faster. A frame's rows lie one behind the other with their padding, so that one
offset is one distance in memory and every step a pass over a single stretch, at the full width of
the vector unit. Candidates are merged four at a time by sorting networks. And numpy's calls cost
less than torch's, of which there would be ten thousand.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import torch

from maskfree.search_window import candidate_offsets

if TYPE_CHECKING:
    from maskfree.config import TemporalKNNConfig

__all__ = ["nearest_cpu"]

_Keys: TypeAlias = list[np.ndarray]
_SORT = {
    1: (),
    2: ((0, 1),),
    3: ((0, 2), (0, 1), (1, 2)),
    4: ((0, 1), (2, 3), (0, 2), (1, 3), (1, 2)),
}
"""Networks that sort so many keys: the smaller of each two goes to the first place."""
_INDEX = 2**29 - 1
"""The lowest bits of a float64, which are zero where it was a float32: the index goes there."""


def nearest_cpu(
    source: torch.Tensor, target: torch.Tensor, config: TemporalKNNConfig
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return what :func:`maskfree.kernels.nearest_plain.nearest_plain` returns, for L2 and L1."""
    pairs, _, height, width = source.shape
    keys = np.empty((pairs, config.num_neighbors, height, width), np.int64)
    search = _Search(height, width, config)
    for here, there, into in zip(source.numpy(), target.numpy(), keys, strict=True):
        search(here, there, into)
    distance = torch.from_numpy((keys & ~_INDEX).view(np.float64)).float()
    keys &= _INDEX
    return torch.from_numpy(keys), distance.sqrt_() if config.metric == "l2" else distance


class _Search:
    """Searches pairs of frames of one size; holds the memory that it works in."""

    def __init__(self, height: int, width: int, config: TemporalKNNConfig) -> None:
        self.offsets = candidate_offsets(config)
        self.height, self.width = height, width
        self.size, self.half = config.patch_size, config.patch_size // 2
        self.squared = config.metric == "l2"
        self.reach, self.outside = config.search_radius, config.outside_counts
        self.margin = self.half + (self.reach if self.outside else 0)
        self.pitch = width + 2 * self.margin
        self.nothing = int(np.float64(np.inf).view(np.int64)) | len(self.offsets)
        count = config.num_neighbors
        self.group = min(count, max(_SORT))
        self.merge = _bitonic(count)
        # one row more above and below, for what one offset reads beyond the first and the last
        self.above = self.half + self.reach + 1
        length = (height + 2 * self.half) * self.pitch
        self.channels = np.empty((3, length), np.float32)
        self.sums = np.empty((2, length), np.float32)
        self.keys = np.empty((count + self.group + 1, height * self.pitch), np.int64)

    def __call__(self, source: np.ndarray, target: np.ndarray, into: np.ndarray) -> None:
        """Write the keys of the nearest, ``(K, H, W)``: L2 squared or L1 as float64, and index."""
        here, there = self._padded(source, self.half), self._padded(target, self.above)
        best, new = list(self.keys[: len(into)]), list(self.keys[len(into) : -1])
        spare = self.keys[-1]
        for kept in best:
            kept.fill(self.nothing)
        for first in range(0, len(self.offsets), self.group):
            for place, key in enumerate(new, start=first):
                self._compare(here, there, place, key)
            spare = _exchange(new, spare, _SORT[self.group])
            for kept, key in zip(reversed(best), new, strict=False):
                np.minimum(kept, key, out=kept)
            spare = _exchange(best, spare, self.merge)
        columns = slice(self.margin - self.half, self.margin - self.half + self.width)
        for row, kept in zip(into, best, strict=True):
            row[...] = kept.reshape(self.height, self.pitch)[:, columns]

    def _padded(self, frame: np.ndarray, rows: int) -> np.ndarray:
        """Return each channel as one stretch: its rows with their padding, and rows of zeros."""
        padding = ((0, 0), (rows, rows), (self.margin, self.margin))
        padded: np.ndarray = np.pad(frame, padding)
        return padded.reshape(3, -1)

    def _compare(self, here: np.ndarray, there: np.ndarray, place: int, key: np.ndarray) -> None:
        """Write the keys of the candidates at one offset; past the last one there is none."""
        if place >= len(self.offsets):
            key.fill(self.nothing)
            return
        dy, dx = self.offsets[place]
        top, bottom = 0, self.height
        if not self.outside:
            top, bottom = max(0, -dy), min(self.height, self.height - dy)
            if top >= bottom or abs(dx) >= self.width:
                key.fill(self.nothing)
                return
        apart = self._distances(here, there, dy, dx, top, bottom)
        inner = key[top * self.pitch : bottom * self.pitch]
        np.copyto(inner.view(np.float64), apart)
        np.bitwise_or(inner, place, out=inner)
        if self.outside:
            return
        key[: top * self.pitch] = self.nothing
        key[bottom * self.pitch :] = self.nothing
        if dx:
            rows = inner.reshape(-1, self.pitch)
            outside = slice(0, -dx) if dx < 0 else slice(self.width - dx, self.width)
            rows[:, outside] = self.nothing

    def _distances(
        self, here: np.ndarray, there: np.ndarray, dy: int, dx: int, top: int, bottom: int
    ) -> np.ndarray:
        """Return those of the rows from ``top`` to ``bottom``; at each row's end is nonsense."""
        pitch, size = self.pitch, self.size
        length = (bottom - top + 2 * self.half) * pitch
        first = top * pitch
        other = (top + dy + self.above - self.half) * pitch + dx
        each: np.ndarray = self.channels[:, :length]
        one, two = self.sums[0, :length], self.sums[1, :length]
        np.subtract(here[:, first : first + length], there[:, other : other + length], out=each)
        if self.squared:
            np.multiply(each, each, out=each)
        else:
            np.abs(each, out=each)
        np.add(each[0], each[1], out=one)
        np.add(one, each[2], out=one)
        if size == 1:
            return one
        down = (bottom - top) * pitch
        _window_sum(one, pitch, size, two[:down])
        _window_sum(two, 1, size, one[: down - size + 1])
        summed: np.ndarray = one[:down]
        return summed


def _window_sum(values: np.ndarray, step: int, size: int, out: np.ndarray) -> None:
    """Sum ``size`` values that lie ``step`` apart, for as many as ``out`` holds."""
    length = len(out)
    np.add(values[:length], values[step : step + length], out=out)
    for i in range(2, size):
        np.add(out, values[i * step : i * step + length], out=out)


def _exchange(keys: _Keys, spare: np.ndarray, network: tuple[tuple[int, int], ...]) -> np.ndarray:
    """Put the smaller of each two into the first place; return what is spare memory now."""
    for i, j in network:
        a, b = keys[i], keys[j]
        np.minimum(a, b, out=spare)
        np.maximum(a, b, out=b)
        keys[i], spare = spare, a
    return spare


def _bitonic(count: int) -> tuple[tuple[int, int], ...]:
    """Return the network that sorts ``count`` keys which first rise and then fall.

    Batcher's bitonic merger (Knuth, volume 3, 5.3.4). The minima of an ascending list and one that
    is laid against it turned around are such keys, and the smallest of both. The network is the one
    for the next power of two, with smaller keys in front that never move.
    """
    size = 1 << (count - 1).bit_length()
    pad, network, distance = size - count, [], size // 2
    while distance:
        network += [(i - pad, i - pad + distance) for i in range(pad, size) if not i & distance]
        distance //= 2
    return tuple(network)
