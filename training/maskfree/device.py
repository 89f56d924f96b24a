"""Which device the work runs on. Torch is imported where it must be asked, not before."""

from __future__ import annotations

from typing import TYPE_CHECKING

from maskfree.errors import InputError, nearest

if TYPE_CHECKING:
    import torch

__all__ = ["DEVICES", "check_device", "has_bfloat16", "resolve_device"]

DEVICES = ("auto", "cpu", "cuda", "mps")
_EVERYWHERE = ("auto", "cpu")


def check_device(name: str) -> None:
    """Check that there is a device of this name, without torch where there always is one.

    Raises
    ------
    InputError
        As :func:`resolve_device`.
    """
    if name not in _EVERYWHERE:
        resolve_device(name)


def resolve_device(name: str) -> torch.device:
    """Return the device of a name; ``auto`` takes the fastest there is.

    Raises
    ------
    InputError
        For an unknown name, or a device that this machine (or this build of torch) does not have.
    """
    if name not in DEVICES:
        raise InputError(
            f'device must be one of {", ".join(DEVICES)}, got "{name}".{nearest(name, DEVICES)}'
        )
    import torch

    has = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        return torch.device(next((d for d in ("cuda", "mps") if has[d]), "cpu"))
    if not has.get(name, True):
        raise InputError(
            f"--device {name} was asked for, but torch {torch.__version__} finds no {name} device "
            "here. Use --device auto or --device cpu."
        )
    return torch.device(name)


def has_bfloat16(device: torch.device) -> bool:
    """Whether mixed precision takes bfloat16 there, which needs no loss scaling."""
    import torch

    return device.type == "cuda" and torch.cuda.is_bf16_supported()
