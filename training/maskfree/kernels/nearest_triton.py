"""The K nearest candidates of every cell on a GPU: one kernel, everything in registers.

A program holds the K nearest of a block of cells in registers, goes over the candidates and puts
each in its place. Nothing is written before the end; no volume of candidates exists.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, no_type_check

import torch
import torch.nn.functional as F
import triton
import triton.language as tl

from maskfree.search_window import candidate_offsets

if TYPE_CHECKING:
    from maskfree.config import TemporalKNNConfig

__all__ = ["nearest_triton"]

_BLOCK = 128
"""Columns of cells of one program, a thread each."""
_ROWS = 2
"""Cells of one column: the rows of their patches that they share are compared once."""
_SMALL_PATCH, _FEW_NEIGHBORS = 3, 8
"""Up to this patch and so many neighbours that many cells of a column fit into the registers."""


def nearest_triton(
    source: torch.Tensor, target: torch.Tensor, config: TemporalKNNConfig
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return what :func:`maskfree.kernels.nearest_plain.nearest_plain` returns.

    float32 and half precision are read as they are, and compared and summed in float32, in the
    order of the plain version and without fusing products and sums: float32 frames give the same
    to the bit.
    """
    pairs, _, height, width = source.shape
    count, reach, half = config.num_neighbors, config.search_radius, config.patch_size // 2
    offsets = candidate_offsets(config)
    shape = (pairs, count, height, width)
    index = torch.empty(shape, dtype=torch.long, device=source.device)
    distance = torch.empty(shape, dtype=torch.float32, device=source.device)
    rows = _ROWS if config.patch_size <= _SMALL_PATCH and count <= _FEW_NEIGHBORS else 1
    strips = triton.cdiv(height, rows)
    below = strips * rows - height
    here = F.pad(source, (half, half, half, half + below))
    there = F.pad(target, (half + reach, half + reach, half + reach, half + reach + below))
    _nearest[(triton.cdiv(strips * width, _BLOCK), pairs)](
        here,
        there,
        torch.tensor(offsets, dtype=torch.int32, device=source.device),
        index,
        distance,
        height,
        width,
        len(offsets),
        COUNT=count,
        ROWS=rows,
        SIZE=config.patch_size,
        REACH=reach,
        OUTSIDE=config.outside_counts,
        BLOCK=_BLOCK,
        enable_fp_fusion=False,
    )
    return index, distance


@triton.jit
@no_type_check
def _nearest(
    source,
    target,
    offsets,
    index,
    distance,
    height,
    width,
    number,
    COUNT: tl.constexpr,
    ROWS: tl.constexpr,
    SIZE: tl.constexpr,
    REACH: tl.constexpr,
    OUTSIDE: tl.constexpr,
    BLOCK: tl.constexpr,
):
    cells, pair = height * width, tl.program_id(1).to(tl.int64)
    column = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    strips = (height + ROWS - 1) // ROWS
    exists = column < strips * width
    y, x = tl.where(exists, column // width * ROWS, 0), tl.where(exists, column % width, 0)
    pitch, other_pitch = width + SIZE - 1, width + SIZE - 1 + 2 * REACH
    plane = (strips * ROWS + SIZE - 1) * pitch
    other_plane = (strips * ROWS + SIZE - 1 + 2 * REACH) * other_pitch
    here = source + pair * 3 * plane + y * pitch + x
    there = target + pair * 3 * other_plane + (y + REACH) * other_pitch + x + REACH

    best, places = (), ()
    for _ in tl.static_range(ROWS * COUNT):
        best += (tl.full((BLOCK,), float("inf"), tl.float32),)
        places += (tl.zeros((BLOCK,), tl.int32) + number,)
    for i in range(number):
        dy, dx = tl.load(offsets + 2 * i), tl.load(offsets + 2 * i + 1)
        shifted = there + dy * other_pitch + dx
        apart = ()
        for row in tl.static_range(ROWS + SIZE - 1):
            for across in tl.static_range(SIZE):
                a, b = here + row * pitch + across, shifted + row * other_pitch + across
                first = tl.load(a).to(tl.float32) - tl.load(b).to(tl.float32)
                second = tl.load(a + plane).to(tl.float32) - tl.load(b + other_plane).to(tl.float32)
                a, b = a + 2 * plane, b + 2 * other_plane
                third = tl.load(a).to(tl.float32) - tl.load(b).to(tl.float32)
                apart += (first * first + second * second + third * third,)
        kept, kept_places = (), ()
        for r in tl.static_range(ROWS):
            squared = tl.zeros((BLOCK,), tl.float32)
            for across in tl.static_range(SIZE):
                down = tl.zeros((BLOCK,), tl.float32)
                for row in tl.static_range(SIZE):
                    down += apart[(r + row) * SIZE + across]
                squared += down
            if not OUTSIDE:
                inside = (y + r + dy >= 0) & (y + r + dy < height)
                inside = inside & (x + dx >= 0) & (x + dx < width)
                squared = tl.where(inside, squared, float("inf"))
            # what is nearer moves the rest of the list on by one; what is equally far comes later
            smaller, place, nearer = squared, tl.zeros((BLOCK,), tl.int32) + i, squared < 0
            for k in tl.static_range(COUNT):
                here_now, place_now = best[r * COUNT + k], places[r * COUNT + k]
                before, nearer = nearer, squared < here_now
                kept += (tl.minimum(here_now, tl.maximum(smaller, squared)),)
                moved = tl.where(before, place, i)
                kept_places += (tl.where(nearer, moved, place_now),)
                smaller, place = here_now, place_now
        best, places = kept, kept_places

    for r in tl.static_range(ROWS):
        for k in tl.static_range(COUNT):
            into = (pair * COUNT + k) * cells + (y + r) * width + x
            written = exists & (y + r < height)
            tl.store(index + into, places[r * COUNT + k].to(tl.int64), mask=written)
            tl.store(distance + into, tl.sqrt_rn(best[r * COUNT + k]), mask=written)
