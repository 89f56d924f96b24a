"""A disk that is full."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

from maskfree import storage

if TYPE_CHECKING:
    import pytest


def full_disk(monkeypatch: pytest.MonkeyPatch, after: int = 0) -> None:
    """Let `after` files through, then the disk is full."""
    real, calls = os.fsync, []

    def fsync(descriptor: int) -> None:
        calls.append(descriptor)
        if len(calls) > after:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(descriptor)

    monkeypatch.setattr(storage, "_sync_folder", lambda folder: None)
    monkeypatch.setattr(os, "fsync", fsync)
