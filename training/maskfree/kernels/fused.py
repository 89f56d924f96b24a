"""Whether the fused kernels of a GPU can be used here."""

from __future__ import annotations

import functools
import warnings

import torch

from maskfree.errors import InputWarning

__all__ = ["fused_on"]


def fused_on(device: torch.device) -> bool:
    """Return whether Triton's kernels run on ``device``; if not, the plain versions serve.

    Triton comes with torch for CUDA. It compiles a kernel at its first use, for which it needs a C
    compiler: where there is none, and on GPUs that are too old for it, this says so once.
    """
    return device.type == "cuda" and _tried(device.index)


@functools.cache
def _tried(_: int | None) -> bool:
    """Run both kernels on next to nothing."""
    try:
        import triton  # noqa: F401
    except ImportError:
        return False
    try:
        _try(torch.device("cuda"))
    except Exception as error:  # noqa: BLE001  (a driver, a compiler: each raises what it likes)
        first = str(error).strip().splitlines()[:1]
        text = (
            f"The fused GPU kernels cannot be used here ({type(error).__name__}: {first}); the "
            "plain ones are, which are slower. Triton needs a C compiler, such as gcc."
        )
        warnings.warn(text, InputWarning, stacklevel=4)
        return False
    return True


def _try(device: torch.device) -> None:
    from maskfree.config import TemporalKNNConfig
    from maskfree.kernels.agreement_triton import sum_pairs_triton
    from maskfree.kernels.nearest_triton import nearest_triton
    from maskfree.losses.agreement import Pairs

    frames = torch.zeros(1, 3, 2, 2, device=device)
    nearest_triton(frames, frames, TemporalKNNConfig(search_radius=1))
    place = torch.zeros(1, dtype=torch.long, device=device)
    pairs = Pairs(place, place, torch.ones((), device=device))
    sum_pairs_triton(torch.zeros(1, 1, 1, 1, device=device), [pairs], gradient=True)[0].item()
