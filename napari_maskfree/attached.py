"""Processes of a session that another window started: found and followed from outside."""

from __future__ import annotations

import contextlib
import subprocess
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

__all__ = ["Attached", "working_on"]


class Attached:
    """Such a process, with the part of :class:`subprocess.Popen` that a job needs."""

    def __init__(self, process: psutil.Process, status: Callable[[], str]) -> None:
        self._process, self._status = process, status
        self.pid = process.pid
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """Return None while it runs; then 0 where its log says that it is done, else 1."""
        with contextlib.suppress(psutil.Error):
            if self._process.is_running() and self._process.status() != psutil.STATUS_ZOMBIE:
                return None
        return 0 if self._status() == "done" else 1

    def wait(self, timeout: float) -> None:
        """Wait until it has ended.

        Raises
        ------
        subprocess.TimeoutExpired
            When it has not by then.
        """
        try:
            self._process.wait(timeout)
        except psutil.TimeoutExpired as error:
            raise subprocess.TimeoutExpired(str(self.pid), timeout) from error
        except psutil.Error:
            return

    def terminate(self) -> None:
        """Ask it to end."""
        with contextlib.suppress(psutil.Error):
            self._process.terminate()

    def kill(self) -> None:
        """End it."""
        with contextlib.suppress(psutil.Error):
            self._process.kill()


def working_on(folder: Path, commands: Sequence[str]) -> dict[str, psutil.Process]:
    """Return the engine's processes that have the session ``folder`` among their words."""
    found: dict[str, psutil.Process] = {}
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            words = process.cmdline()
            if str(folder) not in words or process.status() == psutil.STATUS_ZOMBIE:
                continue
            for name in commands:
                if name in words and any("maskfree" in word for word in words[:4]):
                    found.setdefault(name, process)
    return found
