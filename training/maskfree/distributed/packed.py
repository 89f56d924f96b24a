"""Many tensors as one, on their way from a process that reads: each would keep a file open.

Torch hands a tensor to another process by an open file, and a batch has a dozen of them a clip: a
system that allows a thousand files lets a large batch wait forever.
"""

from __future__ import annotations

import dataclasses
import io
import pickle
from typing import Any

import torch

__all__ = ["Packed", "packed", "unpacked"]

_ALIGNED = 64
"""Bytes: where a tensor begins, which is a multiple of every number's size."""


@dataclasses.dataclass(frozen=True)
class Packed:
    """An object without its tensors, and the bytes of all of them, uint8 ``(n,)``."""

    rest: bytes
    content: torch.Tensor


def packed(value: Any) -> Packed:
    """Pack an object whose tensors are on the CPU."""
    tensors: list[torch.Tensor] = []
    starts, size = [], 0

    class Pickler(pickle.Pickler):
        def persistent_id(self, each: Any) -> Any:
            nonlocal size
            if not isinstance(each, torch.Tensor):
                return None
            tensors.append(each.contiguous())
            starts.append(size)
            size += -(-each.nbytes // _ALIGNED) * _ALIGNED
            return starts[-1], tuple(each.shape), each.dtype

    rest = io.BytesIO()
    Pickler(rest).dump(value)
    content = torch.empty(size, dtype=torch.uint8)
    for start, tensor in zip(starts, tensors, strict=True):
        if tensor.nbytes:
            content[start : start + tensor.nbytes] = tensor.view(-1).view(torch.uint8)
    return Packed(rest.getvalue(), content)


def unpacked(value: Packed) -> Any:
    """Return what was packed, by a process of this run; its tensors share their memory."""

    class Unpickler(pickle.Unpickler):
        def persistent_load(self, place: Any) -> torch.Tensor:
            start, shape, dtype = place
            count = torch.Size(shape).numel() * dtype.itemsize
            if not count:
                return torch.empty(shape, dtype=dtype)
            return value.content[start : start + count].view(dtype).view(shape)

    return Unpickler(io.BytesIO(value.rest)).load()
