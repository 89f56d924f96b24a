"""How far a call raises this process's peak memory, by the operating system."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["peak_rise"]

_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")
_RESET_PEAK = "5"
"""Written to clear_refs it sets the peak to what is held now (proc(5))."""


def peak_rise(call: Callable[[], object]) -> int:
    """Return by how many bytes ``call`` raised the peak over what was held before it.

    On Linux the peak is reset before the call; elsewhere a peak that was higher before hides some.
    """
    if _CLEAR.exists():
        _CLEAR.write_text(_RESET_PEAK)
        before = _linux("VmRSS")
        call()
        return _linux("VmHWM") - before
    before = _peak()
    call()
    return _peak() - before


def _linux(name: str) -> int:
    (line,) = (s for s in _STATUS.read_text().splitlines() if s.startswith(f"{name}:"))
    return int(line.split()[1]) * 1024


def _peak() -> int:
    import resource  # there is none on Windows

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
