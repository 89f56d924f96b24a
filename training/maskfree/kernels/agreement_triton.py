"""The consistency term over lists of pairs, and its gradient, in one pass on a GPU."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, no_type_check

import torch
import triton
import triton.language as tl

if TYPE_CHECKING:
    from collections.abc import Sequence

    from maskfree.losses.agreement import Pairs

__all__ = ["sum_pairs_triton"]

_BLOCK = 512
"""Pairs of one program."""


def sum_pairs_triton(
    logits: torch.Tensor, lists: Sequence[Pairs], *, gradient: bool
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Return the term's weighted sum over all pairs, and its gradient where wanted.

    Parameters
    ----------
    logits
        Contiguous float32, float16 or bfloat16 ``(N, T, H4, W4)``; computed and summed in float32.
    lists
        The pairs, see :class:`maskfree.losses.agreement.Pairs`.
    gradient
        Whether it is wanted.

    Returns
    -------
    total, gradient
        float32, a scalar and the shape of ``logits`` (or None). The gradient is summed by atomic
        additions, whose order changes its last places from run to run.
    """
    real: dict[str, Any] = {"dtype": torch.float32, "device": logits.device}
    into = torch.zeros(logits.shape, **real) if gradient else None
    total = torch.zeros((), **real)
    for pairs in lists:
        rows = len(logits) if pairs.shared else 1
        if not logits.numel() or not len(pairs.first):
            continue
        blocks = triton.cdiv(len(pairs.first), _BLOCK)
        sums = torch.empty((rows, blocks), **real)
        _agreement[(blocks, rows)](
            logits,
            pairs.first,
            pairs.second,
            pairs.weight.to(torch.float32).contiguous(),
            sums,
            sums if into is None else into,
            len(pairs.first),
            logits.numel() // rows,
            EACH=pairs.weight.ndim == 1,
            GRADIENT=gradient,
            BLOCK=_BLOCK,
            enable_fp_fusion=False,
        )
        total += sums.sum()
    return total, into


@triton.jit
@no_type_check
def _agreement(
    logits,
    first,
    second,
    weight,
    sums,
    gradient,
    count,
    row_size,
    EACH: tl.constexpr,
    GRADIENT: tl.constexpr,
    BLOCK: tl.constexpr,
):
    block, row = tl.program_id(0), tl.program_id(1).to(tl.int64)
    entry = block * BLOCK + tl.arange(0, BLOCK)
    exists = entry < count
    here = row * row_size + tl.load(first + entry, mask=exists, other=0)
    there = row * row_size + tl.load(second + entry, mask=exists, other=0)
    if EACH:
        factor = tl.load(weight + entry, mask=exists, other=0.0)
    else:
        factor = tl.where(exists, tl.load(weight), 0.0)
    x, y = tl.load(logits + here).to(tl.float32), tl.load(logits + there).to(tl.float32)
    less_x, less_y, less_both = tl.exp(-tl.abs(x)), tl.exp(-tl.abs(y)), tl.exp(-tl.abs(x + y))
    apart = tl.maximum(tl.maximum(tl.minimum(x, -y), tl.minimum(-x, y)), 0.0)
    term = apart + tl.log((1 + less_x) * (1 + less_y) / (1 + less_both))
    tl.store(sums + row * tl.num_programs(0) + block, tl.sum(term * factor, 0))
    if GRADIENT:
        p = tl.where(x >= 0, 1.0, less_x) / (1 + less_x)
        q = tl.where(y >= 0, 1.0, less_y) / (1 + less_y)
        both = tl.where(x + y >= 0, 1.0, less_both) / (1 + less_both)
        tl.atomic_add(gradient + here, (p - both) * factor, mask=exists)
        tl.atomic_add(gradient + there, (q - both) * factor, mask=exists)
