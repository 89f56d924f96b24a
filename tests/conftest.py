"""What holds for all tests: real windows, a bounded number of threads."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

# Before torch is imported, and for the processes that tests start.
os.environ.setdefault("OMP_NUM_THREADS", "2")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
# Before Triton is imported, where it is installed: without a GPU its kernels are interpreted.
if not Path("/dev/nvidiactl").exists():
    os.environ.setdefault("TRITON_INTERPRET", "1")
# Triton, which torch for CUDA brings, crashes beside Mesa's LLVM, which draws the windows: its
# tests have a process of their own (.ci/kernels.sh).
if "KERNELS" not in os.environ:
    sys.modules["triton"] = None  # type: ignore[assignment]
# Each of the processes that share the tests has a display for itself (.ci/window.py --displays).
if displays := os.environ.get("DISPLAYS", "").split():
    number = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    os.environ["DISPLAY"] = displays[number % len(displays)]
if os.environ.get("QT_QPA_PLATFORM") in {"offscreen", "minimal"}:
    del os.environ["QT_QPA_PLATFORM"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests marked `gpu` run where there is one."""
    marked = [item for item in items if item.get_closest_marker("gpu")]
    if not marked:
        return
    import torch

    if not torch.cuda.is_available():
        for item in marked:
            item.add_marker(pytest.mark.skip(reason="no CUDA device"))
