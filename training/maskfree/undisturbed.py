"""A look through a network in the middle of its training that leaves no trace."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import torch
from torch import nn

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["undisturbed"]


@contextlib.contextmanager
def undisturbed(model: nn.Module) -> Iterator[None]:
    """Put everything back that a look at clips changes, whatever happens within the block.

    The modules' modes, the batch norms' statistics and momenta, and torch's random numbers on every
    device. Weights are not looked after: do not train within.
    """
    modes = [(module, module.training) for module in model.modules()]
    norms = [m for m, _ in modes if isinstance(m, nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    kept = [{name: b.clone() for name, b in norm.named_buffers()} for norm in norms]
    on_gpu = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    devices = range(torch.cuda.device_count()) if on_gpu else ()
    with torch.random.fork_rng(devices=devices):
        try:
            yield
        finally:
            with torch.no_grad():
                for norm, momentum, buffers in zip(norms, momenta, kept, strict=True):
                    norm.momentum = momentum
                    for name, buffer in norm.named_buffers():
                        buffer.copy_(buffers[name])
            for module, mode in modes:
                module.training = mode
