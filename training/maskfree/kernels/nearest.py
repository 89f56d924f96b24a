"""The K nearest candidates of every cell, found the fastest way that the device has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from maskfree.kernels.fused import fused_on
from maskfree.kernels.nearest_cpu import nearest_cpu
from maskfree.kernels.nearest_plain import nearest_plain

if TYPE_CHECKING:
    import torch

    from maskfree.config import TemporalKNNConfig

__all__ = ["nearest"]


def nearest(
    source: torch.Tensor, target: torch.Tensor, config: TemporalKNNConfig
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return what :func:`maskfree.kernels.nearest_plain.nearest_plain` returns.

    ``source`` and ``target`` may be of any real dtype; they are compared in float32.
    """
    if fused_on(source.device):
        from maskfree.kernels.nearest_triton import nearest_triton

        return nearest_triton(source, target, config)
    if source.device.type == "cpu":
        return nearest_cpu(source.float(), target.float(), config)
    return nearest_plain(source.float(), target.float(), config)
