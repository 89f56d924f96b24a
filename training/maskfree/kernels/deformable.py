"""Deformable attention by a compiled kernel, where one is installed; else transformers' own.

The kernel is the extension `MultiScaleDeformableAttention` that Deformable DETR and Mask2Former are
built with (Zhu et al., ICLR 2021): it reads the sampled places one by one, where plain torch makes
a grid of samples for every level. It is looked for once, used on CUDA alone, and computes the same.
"""

from __future__ import annotations

import functools
import importlib
from typing import TYPE_CHECKING, Any

import torch
from torch.autograd.function import once_differentiable
from transformers.models.mask2former import modeling_mask2former

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["compiled_kernel", "deformable_attention", "use_fastest"]

_EXTENSION = "MultiScaleDeformableAttention"
_AT_ONCE = 64
"""Images that the kernel works on at once, at most; it wants a divisor of their number."""
_plain = modeling_mask2former.multi_scale_deformable_attention


@functools.cache
def compiled_kernel() -> Any:
    """Return the extension, or None where there is none that can be loaded."""
    try:
        return importlib.import_module(_EXTENSION)
    except (ImportError, OSError):  # OSError: built for another torch
        return None


def use_fastest() -> None:
    """Let transformers' Mask2Former compute its deformable attention here."""
    modeling_mask2former.multi_scale_deformable_attention = deformable_attention


def deformable_attention(
    value: torch.Tensor,
    value_spatial_shapes: torch.Tensor | Sequence[tuple[int, int]],
    sampling_locations: torch.Tensor,
    attention_weights: torch.Tensor,
) -> torch.Tensor:
    """Return the weighted sum of what is sampled from each level: float ``(B, Q, M D)``.

    Parameters
    ----------
    value
        Float ``(B, S, M, D)``: the S tokens of all L levels, of M heads.
    value_spatial_shapes
        L pairs (height, width), whose products sum to S.
    sampling_locations
        Float ``(B, Q, M, L, P, 2)``: (x, y) in [0, 1] of the level.
    attention_weights
        Float ``(B, Q, M, L, P)``.
    """
    kernel = compiled_kernel() if value.device.type == "cuda" else None
    if kernel is None:
        plain: torch.Tensor = _plain(
            value, value_spatial_shapes, sampling_locations, attention_weights
        )
        return plain
    shapes = torch.as_tensor(value_spatial_shapes, dtype=torch.long, device=value.device)
    out: torch.Tensor = _Compiled.apply(
        value.float(), shapes, sampling_locations.float(), attention_weights.float(), kernel
    )  # type: ignore[no-untyped-call]
    return out.to(value.dtype)


class _Compiled(torch.autograd.Function):
    """The extension's two functions, which know no half precision."""

    @staticmethod
    def forward(
        ctx: Any,
        value: torch.Tensor,
        shapes: torch.Tensor,
        locations: torch.Tensor,
        weights: torch.Tensor,
        kernel: Any,
    ) -> torch.Tensor:
        sizes = shapes.prod(1)
        starts = sizes.cumsum(0) - sizes
        inputs = [each.contiguous() for each in (value, shapes, starts, locations, weights)]
        ctx.save_for_backward(*inputs)
        ctx.kernel = kernel
        out: torch.Tensor = kernel.ms_deform_attn_forward(*inputs, _at_once(len(value)))
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        inputs = ctx.saved_tensors
        step = _at_once(len(inputs[0]))
        found = ctx.kernel.ms_deform_attn_backward(*inputs, upstream.contiguous(), step)
        value, locations, weights = found
        return value, None, locations, weights, None


def _at_once(images: int) -> int:
    """Return the largest divisor of a number of images that the kernel may work on at once."""
    return max(n for n in range(1, min(images, _AT_ONCE) + 1) if images % n == 0)
