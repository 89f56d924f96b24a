"""Gradient checkpointing: what parts of the network saw is not kept, but computed again.

The stages of the backbone and the layers of the pixel decoder, which hold most of what a step
needs; each keeps its inputs alone. Chen and others, Training Deep Nets with Sublinear Memory Cost,
arXiv 1604.06174.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import nn
from torch.utils.checkpoint import checkpoint

from maskfree.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable

    from maskfree.model.mask2former_video import Mask2FormerVideo

__all__ = ["recompute"]

_LISTS = ("stages", "layers")
"""What lists of a backbone's stages are called, in a ResNet and in a Swin."""


def recompute(model: Mask2FormerVideo) -> None:
    """Let the network compute again what it needs for its gradients.

    Raises
    ------
    InputError
        Where batch norms learn: they would see every clip twice.
    """
    if model.norms() and not model.frozen_norms:
        raise InputError(
            "schedule.gradient_checkpointing lets batch norms see every clip twice. Keep the "
            "pretrained ones: --set model.frozen_norms=true, or leave it out."
        )
    pixels = model.model.pixel_level_module
    parts = [*pixels.decoder.encoder.layers]
    for module in pixels.encoder.modules():
        lists = (getattr(module, name, None) for name in _LISTS)
        found = next((each for each in lists if isinstance(each, nn.ModuleList)), None)
        if found is not None:
            parts += found
            break
    for part in parts:
        part.forward = _again(part.forward)


def _again(forward: Callable[..., Any]) -> Callable[..., Any]:
    def run(*inputs: Any, **options: Any) -> Any:
        return checkpoint(forward, *inputs, use_reentrant=False, **options)

    return run
