"""How much memory the temporal loss of one step takes, matches and gradients included."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import torch
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from maskfree.device import resolve_device
from maskfree.lab import GRID_STRIDE, to_lab
from maskfree.losses import temporal_knn_loss

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from maskfree.config import Config

__all__ = ["peak_of", "temporal_bytes"]

_SEED = 0


class _Tensors(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the bytes of the tensors that are made within it and still held; ``peak``: the most.

    What a library takes while it computes one tensor is not seen.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.peak = 0
        self._held: dict[int, tuple[StorageWeakRef, int]] = {}

    def __torch_dispatch__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        made = func(*args, **(kwargs or {}))
        for each in tree_leaves(made):
            if isinstance(each, torch.Tensor):
                storage = each.untyped_storage()
                reference = StorageWeakRef(storage)  # type: ignore[no-untyped-call]
                self._held[reference.cdata] = reference, storage.nbytes()
        gone = [
            key
            for key, (reference, _) in self._held.items()
            if reference.expired()  # type: ignore[no-untyped-call]
        ]
        for key in gone:
            del self._held[key]
        self.peak = max(self.peak, sum(size for _, size in self._held.values()))
        return made


def peak_of(call: Callable[[], object]) -> int:
    """Return the most bytes that tensors made within a call took at a time."""
    with _Tensors() as tensors:
        call()
    return int(tensors.peak)


def temporal_bytes(frames: np.ndarray, instances: int, config: Config, device: str) -> int:
    """Return what the TK-Loss of one step takes, in bytes; 0 where it is not what joins frames.

    Parameters
    ----------
    frames
        uint8 RGB ``(T, H, W, 3)``, a training clip; it is brought to ``sampling.frame_area``.
    instances
        Tracks in it; every decoder output has a mask of each.
    """
    if config.temporal.method != "knn" or len(frames) < 2:
        return 0
    where = resolve_device(device)
    lab = to_lab(_resized(frames, config.sampling.frame_area)).to(where)
    outputs = config.model.decoder_layers if config.objective.deep_supervision else 1
    generator = torch.Generator().manual_seed(_SEED)
    shape = (instances * outputs, len(frames), *lab.shape[-2:])
    logits = torch.randn(shape, generator=generator).to(where).requires_grad_()

    def step() -> None:
        temporal_knn_loss(logits, lab, config=config.temporal).backward()  # type: ignore[no-untyped-call]

    return peak_of(step)


def _resized(frames: np.ndarray, area: int) -> torch.Tensor:
    """Return frames of this area, float ``(T, 3, H, W)`` in [0, 1], in whole cells."""
    height, width = frames.shape[1:3]
    factor = np.sqrt(area / (height * width))
    sides = [max(1, round(side * factor / GRID_STRIDE)) * GRID_STRIDE for side in (height, width)]
    resized = [cv2.resize(f, sides[::-1], interpolation=cv2.INTER_AREA) for f in frames]
    return torch.from_numpy(np.stack(resized)).permute(0, 3, 1, 2).float() / 255
