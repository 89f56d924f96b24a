"""How much memory there is for a run, and the most that this process took of it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import psutil
import torch

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["CudaMemory", "HostMemory", "MemoryProbe", "memory_of"]

_STATUS = Path("/proc/self/status")
_KILO = 1024


class MemoryProbe(Protocol):
    """Made before the work begins; both answers are in bytes."""

    def there(self) -> int:
        """Return what this process might have taken when the probe was made."""

    def peak(self) -> int:
        """Return the most that it has taken so far."""


class HostMemory:
    """The machine's memory.

    What is taken is the largest resident size of this process since it was started, libraries
    included: give every measurement a process of its own. What there is does not look at limits
    of a container or a queueing system.
    """

    def __init__(self) -> None:
        own = psutil.Process().memory_info().rss
        self._there = int(psutil.virtual_memory().available + own)

    def there(self) -> int:
        """Return the memory that is available, with what this process has already."""
        return self._there

    def peak(self) -> int:
        """Return the largest resident size so far."""
        return largest_resident_size()


class CudaMemory:
    """The memory of a CUDA device, without that of its driver's context."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        torch.cuda.synchronize(device)  # the context takes its share before anybody asks
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
        free, _ = torch.cuda.mem_get_info(device)
        self._there = int(free + torch.cuda.memory_reserved(device))

    def there(self) -> int:
        """Return the memory that no other process has."""
        return self._there

    def peak(self) -> int:
        """Return the most that tensors took, see `torch.cuda.max_memory_allocated`."""
        return int(torch.cuda.max_memory_allocated(self._device))


def memory_of(device: torch.device) -> MemoryProbe:
    """Return the probe of a device; one that shares the machine's memory has the machine's."""
    return CudaMemory(device) if device.type == "cuda" else HostMemory()


def largest_resident_size(read: Callable[[], str] = _STATUS.read_text) -> int:
    """Return the largest resident size of this process so far, in bytes.

    On Linux from the kernel's VmHWM, which begins with the process itself: what getrusage says
    there would count the process that started it.
    """
    if sys.platform == "win32":
        return int(psutil.Process().memory_info().peak_wset)
    if sys.platform == "linux":
        for line in read().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * _KILO
    import resource

    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(most if sys.platform == "darwin" else most * _KILO)
