"""What the colour-pairwise and the temporal loss share: pairs of places whose masks should agree.

Two places agree when both are the object or both are not. The term of a pair with mask
probabilities p and q is ``-log(p q + (1 - p)(1 - q))``. Which pairs there are depends on colours
and boxes only, so a loss first lists them, as positions in the flattened logits, and then sums the
term over the list: the work follows the number of pairs that count, not the size of the grid times
the number of neighbours.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.autograd.function import once_differentiable

from maskfree.kernels.fused import fused_on
from maskfree.losses.checks import full_precision

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["Pairs", "agreement", "sum_pairs_plain", "true_places"]

_BLOCK = 2**18
"""Pairs worked on at once: few enough for the intermediate results to stay in the cache."""


@dataclasses.dataclass(frozen=True)
class Pairs:
    """E pairs of places, and how much each counts.

    ``first``, ``second``: long ``(E,)``, positions in the flattened ``(T, H4, W4)`` of every
    instance when ``shared``, else in the flattened ``(N, T, H4, W4)``; ``weight``: float ``(E,)``,
    or ``()`` when all pairs count the same.
    """

    first: torch.Tensor
    second: torch.Tensor
    weight: torch.Tensor
    shared: bool = False

    def blocks(self, rows: int) -> Iterator[tuple[slice, Pairs]]:
        """Split the work into rows (instances) and stretches of the list."""
        size = len(self.first)
        step = max(1, _BLOCK // max(1, size))
        for start in range(0, size, _BLOCK):
            part = slice(start, start + _BLOCK)
            weight = self.weight[part] if self.weight.ndim else self.weight
            pairs = Pairs(self.first[part], self.second[part], weight, self.shared)
            for row in range(0, rows, step):
                yield slice(row, row + step), pairs


def agreement(mask_logits: torch.Tensor, lists: Sequence[Pairs]) -> torch.Tensor:
    """Return the weighted sum of ``-log(p q + (1 - p)(1 - q))`` over all pairs, a scalar.

    Parameters
    ----------
    mask_logits
        Real ``(N, T, H4, W4)``; half precision is summed in float32.
    lists
        The pairs.

    Notes
    -----
    With x and y the logits, the term is ``c + s(x) + s(y) - s(x + y)`` where
    ``s(z) = log(1 + e^-|z|)`` and c is ``min(|x|, |y|)`` if their signs differ, else zero: nothing
    overflows or cancels, whatever the logits. Its derivative by x is
    ``sigmoid(x) - sigmoid(x + y)``, so the gradient is summed in the same pass as the value. There
    is no second derivative.
    """
    fused = fused_on(mask_logits.device) and mask_logits.dtype != torch.float64
    logits = mask_logits if fused else full_precision(mask_logits)
    total: torch.Tensor = _Agreement.apply(logits, lists, fused)  # type: ignore[no-untyped-call]
    return total


def true_places(mask: torch.Tensor) -> torch.Tensor:
    """Return the flat positions at which ``mask`` is True, in order; long, on its device."""
    if mask.device.type == "cpu":  # numpy's is several times faster than torch's here
        return torch.from_numpy(np.flatnonzero(mask.numpy()))
    return mask.flatten().nonzero()[:, 0]


class _Agreement(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, mask_logits: torch.Tensor, lists: Sequence[Pairs], fused: bool
    ) -> torch.Tensor:
        if fused:
            from maskfree.kernels.agreement_triton import sum_pairs_triton as sum_pairs
        else:
            sum_pairs = sum_pairs_plain
        wanted = ctx.needs_input_grad[0]
        total, gradient = sum_pairs(mask_logits.detach().contiguous(), lists, gradient=wanted)
        if gradient is not None:
            ctx.save_for_backward(gradient)
        ctx.dtype = mask_logits.dtype
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        (gradient,) = ctx.saved_tensors
        return (gradient * upstream).to(ctx.dtype), None, None


def sum_pairs_plain(
    logits: torch.Tensor, lists: Sequence[Pairs], *, gradient: bool
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Return the term's weighted sum over all pairs, and its gradient where wanted."""
    into = torch.zeros_like(logits) if gradient else None
    total = logits.new_zeros(())
    for pairs in lists:
        rows = len(logits) if pairs.shared else min(1, len(logits))
        for block, part in pairs.blocks(rows):
            added = None if into is None else into.view(rows, -1)[block]
            total += _sum_block(logits.view(rows, -1)[block], part, added)
    return total, into


def _sum_block(logits: torch.Tensor, pairs: Pairs, gradient: torch.Tensor | None) -> torch.Tensor:
    """Sum the term over ``pairs`` in each row of ``logits``; add its gradient to ``gradient``."""
    x, y = logits.index_select(1, pairs.first), logits.index_select(1, pairs.second)
    p, q, both = x.sigmoid(), y.sigmoid(), torch.add(x, y).sigmoid_()
    weight = pairs.weight.to(logits.dtype)
    if gradient is not None:
        gradient.index_add_(1, pairs.first, (p - both).mul_(weight))
        gradient.index_add_(1, pairs.second, (q - both).mul_(weight))
    apart = torch.maximum(torch.minimum(x, -y), torch.minimum(-x, y)).clamp_min_(0)
    ratio = _certainty(both).div_(_certainty(p).mul_(_certainty(q)))
    return apart.add_(ratio.log_()).mul_(weight).sum()


def _certainty(probability: torch.Tensor) -> torch.Tensor:
    """Return ``max(p, 1 - p)``, which is ``exp(-log1p(exp(-|logit|)))``; overwrites its input."""
    return probability.sub_(0.5).abs_().add_(0.5)
