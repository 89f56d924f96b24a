"""When the fused kernels are used, and what is said where they cannot be."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest
import torch

from maskfree.errors import InputWarning
from maskfree.kernels import fused


@pytest.fixture(autouse=True)
def untried() -> None:
    fused._tried.cache_clear()


def test_not_without_a_gpu() -> None:
    assert not fused.fused_on(torch.device("cpu"))
    assert not fused.fused_on(torch.device("mps"))


def test_not_without_triton(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "triton", None)
    assert not fused.fused_on(torch.device("cuda"))


def test_a_kernel_that_fails_is_said_once_and_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(device: torch.device) -> None:
        raise RuntimeError("Failed to find C compiler.\nand more")

    monkeypatch.setitem(sys.modules, "triton", ModuleType("triton"))
    monkeypatch.setattr(fused, "_try", fail)
    with pytest.warns(InputWarning, match="Failed to find C compiler"):
        assert not fused.fused_on(torch.device("cuda"))
    assert not fused.fused_on(torch.device("cuda"))


def test_used_where_both_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "triton", ModuleType("triton"))
    monkeypatch.setattr(fused, "_try", lambda device: None)
    assert fused.fused_on(torch.device("cuda", 0))
