"""Flow by RAFT (Teed and Deng, ECCV 2020), where torchvision and a file of its weights are there.

torchvision is no dependency: it is imported when a run asks for it, and nothing is downloaded.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F

from maskfree.errors import InputError
from maskfree.model.convert import read_weights
from maskfree.storage import home_path

if TYPE_CHECKING:
    from torch import nn

__all__ = ["RaftFlow"]

_SIZES = ("raft_large", "raft_small")
_MULTIPLE, _LEAST_SIDE = 8, 128
"""Pixels: sides are filled up to multiples of the one and to at least the other (torchvision)."""


class RaftFlow:
    """RAFT with the weights of a file: large or small, whichever they fit.

    Parameters
    ----------
    path
        What torchvision's ``state_dict()`` was saved as, .pth or .safetensors.
    device
        Where it computes.

    Raises
    ------
    InputError
        Where torchvision is not installed, or the file is missing, damaged or of another network.
    """

    def __init__(self, path: str, device: torch.device) -> None:
        self._network = _load(path).to(device)
        self._device = device

    @torch.no_grad()
    def __call__(self, one: np.ndarray, other: np.ndarray) -> np.ndarray:
        """Return what :class:`maskfree.dense_flow.DisFlow` does."""
        height, width = one.shape[:2]
        flows = self._network(self._picture(one), self._picture(other))
        found = flows[-1][0, :, :height, :width]  # it refines its guess step by step
        return np.ascontiguousarray(found.float().permute(1, 2, 0).cpu().numpy())

    def _picture(self, rgb: np.ndarray) -> torch.Tensor:
        """Return uint8 RGB as ``(1, 3, H, W)`` from -1 to 1, filled up."""
        picture = torch.from_numpy(rgb).to(self._device).permute(2, 0, 1)[None].float() / 127.5 - 1
        below, right = (
            max(_LEAST_SIDE, -(-side // _MULTIPLE) * _MULTIPLE) - side for side in rgb.shape[:2]
        )
        return F.pad(picture, (0, right, 0, below), mode="replicate")


@functools.lru_cache(maxsize=1)
def _load(path: str) -> nn.Module:
    try:
        from torchvision.models import optical_flow
    except Exception as error:  # one that was built for another torch raises what it likes
        raise InputError(
            f"temporal.flow_weights asks for RAFT, which needs torchvision ({error}). Install the "
            "torchvision of your torch, or leave temporal.flow_weights empty."
        ) from error
    weights = read_weights(home_path(path))
    for name in _SIZES:
        network: nn.Module = getattr(optical_flow, name)(weights=None, progress=False)
        wanted = {key: tuple(value.shape) for key, value in network.state_dict().items()}
        if wanted == {key: tuple(value.shape) for key, value in weights.items()}:
            network.load_state_dict(weights)
            return network.eval().requires_grad_(False)
    raise InputError(
        f"{path} holds the weights of another network than torchvision's {' or '.join(_SIZES)}. "
        "Give temporal.flow_weights the file of one of those."
    )
