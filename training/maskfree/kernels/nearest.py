"""The K nearest candidates of every cell, found the fastest way that the device has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from maskfree.kernels.fused import fused_on
from maskfree.kernels.nearest_cpu import nearest_cpu
from maskfree.kernels.nearest_plain import nearest_plain
from maskfree.lab import compared_colours

if TYPE_CHECKING:
    import torch

    from maskfree.config import TemporalKNNConfig

__all__ = ["nearest"]


def nearest(
    source: torch.Tensor, target: torch.Tensor, config: TemporalKNNConfig
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return what :func:`maskfree.kernels.nearest_plain.nearest_plain` returns.

    ``source`` and ``target`` are Lab, of any real dtype, compared in float32 in
    ``config.colour_space``. The kernel of a GPU knows the L2 distance alone, that of the CPU L2 and
    L1; the plain version serves where they do not.
    """
    if config.colour_space != "lab":
        source, target = (compared_colours(lab.float(), config) for lab in (source, target))
    if config.metric == "ncc" and source.device.type == "mps":  # which has no float64
        found = nearest_plain(source.float().cpu(), target.float().cpu(), config)
        return found[0].to(source.device), found[1].to(source.device)
    if config.metric == "l2" and fused_on(source.device):
        from maskfree.kernels.nearest_triton import nearest_triton

        return nearest_triton(source, target, config)
    if config.metric != "ncc" and source.device.type == "cpu":
        return nearest_cpu(source.float(), target.float(), config)
    return nearest_plain(source.float(), target.float(), config)
