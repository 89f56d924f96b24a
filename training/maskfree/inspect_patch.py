"""Every candidate of one cell and what became of it: the 1:K matching, looked at closely.

The same arithmetic as :func:`maskfree.correspondence.match_patches`, in numpy and for one cell: it
costs a millisecond whatever the frame's size.
"""

from __future__ import annotations

import dataclasses
import enum
from typing import TYPE_CHECKING

import numpy as np

from maskfree.lab_array import GRID_STRIDE, RGB_RANGE, lab_of_pixels, lab_to_rgb
from maskfree.search_window import CORRELATION_STEP, PLAIN, candidate_offsets

if TYPE_CHECKING:
    from maskfree.config import TemporalKNNConfig

__all__ = ["Candidates", "Fate", "cut_cells", "cut_lab", "inspect_cell", "judge_candidates"]

_LOOK_BEYOND = 2
"""Candidates are also sought beyond the radius, up to this many times of it."""


class Fate(enum.IntEnum):
    """What became of a candidate: kept, or the first rule that it fails whatever the others say."""

    KEPT = 0
    """Among the K nearest and at most D away."""
    TOO_FAR = 1
    """More than D away: the threshold."""
    BEYOND_K = 2
    """Near enough, but K others are nearer."""
    RADIUS = 3
    """Near enough, but beyond the search radius: the method never looks at it."""
    OUTSIDE = 4
    """Beyond the edge of the picture."""
    IGNORED = 5
    """Would be kept, but its cell or the one that is compared touches an ignore region."""


@dataclasses.dataclass(frozen=True)
class Candidates:
    """The candidates of one cell in another frame, in the order in which the method takes them.

    Those within the radius come first, the nearest foremost, so that the K nearest are the first K;
    then those beyond it. ``yx``: int ``(M, 2)``, absolute grid cells; ``distance``: float32
    ``(M,)``, by the config's metric, infinite for a candidate that is not compared; ``fate``: uint8
    ``(M,)`` of :class:`Fate`.
    """

    yx: np.ndarray
    distance: np.ndarray
    fate: np.ndarray

    def of(self, fate: Fate) -> np.ndarray:
        """Return the indices of the candidates of one fate, nearest first."""
        return np.flatnonzero(self.fate == fate)

    def count(self, fate: Fate) -> int:
        """Return how many candidates met a fate."""
        return int((self.fate == fate).sum())


def inspect_cell(
    source: np.ndarray,
    target: np.ndarray,
    cell: tuple[int, int],
    *,
    config: TemporalKNNConfig,
    stretch: float = 1.0,
    ignored: tuple[np.ndarray | None, np.ndarray | None] = (None, None),
) -> Candidates:
    """Return the candidates of a cell of one frame in another.

    Parameters
    ----------
    source, target
        uint8 RGB ``(H, W, 3)``, of one size; rows and columns beyond a multiple of 4 do not count.
    cell
        Row and column on the grid of ``(H // 4, W // 4)`` cells.
    config
        R and its window and stride, K, N, D.
    stretch
        What Lab is multiplied with, see :func:`maskfree.contrast.lab_stretch`.
    ignored
        The cells of the source and of the target, bool ``(H // 4, W // 4)``, that an ignore region
        touches; None where there is none. As in the method, no other takes the place of such a one.

    Raises
    ------
    ValueError
        For frames of unequal shapes, or a cell outside the grid.
    """
    if source.shape != target.shape:
        raise ValueError(
            f"source and target must have one shape, got {source.shape} and {target.shape}. "
            "Take two frames of one video at one size."
        )
    grid = source.shape[0] // GRID_STRIDE, source.shape[1] // GRID_STRIDE
    half = config.patch_size // 2
    patch = cut_cells(source, cell, half) * np.float32(stretch)
    window = cut_cells(target, cell, half + _reach(config)) * np.float32(stretch)
    found = judge_candidates(patch, window, cell, grid, config=config)
    here, there = ignored
    kept = found.of(Fate.KEPT)
    if there is not None:
        found.fate[kept[there[tuple(found.yx[kept].T)]]] = Fate.IGNORED
    if here is not None and here[cell]:
        found.fate[kept] = Fate.IGNORED
    return found


def judge_candidates(
    patch: np.ndarray,
    window: np.ndarray,
    cell: tuple[int, int],
    grid: tuple[int, int],
    *,
    config: TemporalKNNConfig,
) -> Candidates:
    """Compare a patch with all candidates in a window and say what becomes of each.

    Parameters
    ----------
    patch
        float32 ``(3, N, N)``: Lab around the cell, 0 beyond the picture.
    window
        float32 ``(3, S, S)``: Lab of the other frame around the same cell, as far as twice the
        radius and half a patch, 0 beyond the picture.
    cell, grid
        The cell, and the rows and columns of the grid.
    config
        As for :func:`inspect_cell`.

    Notes
    -----
    MaskFreeVIS section 3.3, steps 1 and 2. Sums are taken in the order of ``match_patches``, so
    that equal Lab gives equal distances (L2: squared) to the bit, and the same order. A candidate
    beyond the radius is listed only where it is near enough to be kept but for the radius.
    """
    if not (0 <= cell[0] < grid[0] and 0 <= cell[1] < grid[1]):
        raise ValueError(f"cell {cell} lies outside the grid of {grid} cells. Pick one inside.")
    within = candidate_offsets(config)
    offsets = np.array(within + _beyond(config, set(within)))
    yx = offsets + np.array(cell)
    inside = ((yx >= 0) & (yx < np.array(grid))).all(1)
    near = np.arange(len(offsets)) < len(within)
    compared = inside | (near & config.outside_counts)
    apart = np.full(len(offsets), np.inf, np.float32)
    apart[compared] = _compared(patch, window, offsets[compared], config)
    distance = np.sqrt(apart) if config.metric == "l2" else apart
    alike = distance <= config.limit
    listed = near | (inside & alike)
    # of equally distant ones the first offset comes first, as in match_patches
    order = np.lexsort((np.arange(len(offsets)), apart, ~near))
    order = order[listed[order]]
    yx, distance, near, inside = yx[order], distance[order], near[order], inside[order]
    fate = np.full(len(order), Fate.BEYOND_K, np.uint8)
    fate[: config.num_neighbors] = Fate.KEPT
    fate[distance > config.limit] = Fate.TOO_FAR
    fate[~near] = Fate.RADIUS
    fate[~inside] = Fate.OUTSIDE
    return Candidates(yx, distance, fate)


def cut_cells(frame: np.ndarray, cell: tuple[int, int], half: int) -> np.ndarray:
    """Return Lab ``(3, 2 half + 1, 2 half + 1)`` around a cell of an RGB frame; 0 outside."""
    rows, columns = frame.shape[0] // GRID_STRIDE, frame.shape[1] // GRID_STRIDE
    out, inner, (top, left, bottom, right) = _window((rows, columns), cell, half)
    pixels = frame[
        top * GRID_STRIDE : bottom * GRID_STRIDE, left * GRID_STRIDE : right * GRID_STRIDE
    ]
    out[inner] = lab_of_pixels(pixels)
    return out


def cut_lab(lab: np.ndarray, cell: tuple[int, int], half: int) -> np.ndarray:
    """Return Lab ``(3, 2 half + 1, 2 half + 1)`` around a cell of ``(3, H4, W4)``; 0 outside."""
    out, inner, (top, left, bottom, right) = _window(lab.shape[1:], cell, half)
    out[inner] = lab[:, top:bottom, left:right]
    return out


def _window(
    grid: tuple[int, ...], cell: tuple[int, int], half: int
) -> tuple[np.ndarray, tuple[slice, slice, slice], tuple[int, int, int, int]]:
    """Return an empty window, the part of it that the picture fills, and that part's cells."""
    side = 2 * half + 1
    top, left = max(0, cell[0] - half), max(0, cell[1] - half)
    bottom, right = min(grid[0], cell[0] + half + 1), min(grid[1], cell[1] + half + 1)
    y, x = top - (cell[0] - half), left - (cell[1] - half)
    inner = (slice(None), slice(y, y + bottom - top), slice(x, x + right - left))
    return np.zeros((3, side, side), np.float32), inner, (top, left, bottom, right)


def _reach(config: TemporalKNNConfig) -> int:
    return _LOOK_BEYOND * config.search_radius


def _beyond(config: TemporalKNNConfig, within: set[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the offsets that a larger radius would add."""
    wider = dataclasses.replace(config, search_radius=_reach(config))
    return [offset for offset in candidate_offsets(wider) if offset not in within]


def _compared(
    patch: np.ndarray, window: np.ndarray, offsets: np.ndarray, config: TemporalKNNConfig
) -> np.ndarray:
    """Return how far a patch is from those at the offsets, float32 ``(M,)``; L2: squared."""
    if config.colour_space == "rgb":
        patch, window = (
            np.moveaxis(lab_to_rgb(np.moveaxis(lab, 0, -1)), -1, 0) * np.float32(RGB_RANGE)
            for lab in (patch, window)
        )
    size = patch.shape[-1]
    middle = window.shape[-1] // 2 - size // 2
    views = np.lib.stride_tricks.sliding_window_view(window, (size, size), axis=(1, 2))
    at = views[:, middle + offsets[:, 0], middle + offsets[:, 1]]
    if config.metric == "l2":
        return _patch_sum(np.square(patch[:, None] - at))
    if config.metric == "l1":
        return _patch_sum(np.abs(patch[:, None] - at))
    return _correlation(patch[:, None].astype(np.float64), at.astype(np.float64))


def _patch_sum(values: np.ndarray) -> np.ndarray:
    """Sum ``(3, M, N, N)`` over channels and cells: ``(M,)``."""
    channels = values[0] + values[1] + values[2]
    rows = channels[:, 0]
    for i in range(1, channels.shape[1]):
        rows = rows + channels[:, i]
    total = rows[:, 0]
    for i in range(1, rows.shape[1]):
        total = total + rows[:, i]
    return np.asarray(total)


def _correlation(patch: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Return 1 - the correlation of ``(3, 1, N, N)`` with ``(3, M, N, N)``; float64 to float32."""
    one = patch - patch.mean((-2, -1), keepdims=True)
    other = at - at.mean((-2, -1), keepdims=True)
    spreads = _patch_sum(np.square(one)), _patch_sum(np.square(other))
    plain = spreads[0] <= PLAIN, spreads[1] <= PLAIN
    root = np.sqrt(np.maximum(spreads[0], PLAIN) * np.maximum(spreads[1], PLAIN))
    correlation = np.where(plain[0] | plain[1], plain[0] & plain[1], _patch_sum(one * other) / root)
    steps = np.round((1 - correlation.clip(-1, 1)) / CORRELATION_STEP)
    return np.asarray(np.abs(steps) * CORRELATION_STEP, np.float32)
