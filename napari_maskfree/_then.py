"""Wait until a process has ended, then run a command: ``python -m napari_maskfree._then PID …``.

Started when napari is closed while a run goes on: the masks are predicted all the same.
"""

from __future__ import annotations

import subprocess
import sys
import time

import psutil

_PAUSE = 2.0
"""Seconds between two looks."""


def main(arguments: list[str]) -> int:
    """Wait for the process ``arguments[0]``, run the rest, return its exit code."""
    pid, command = int(arguments[0]), arguments[1:]
    while _alive(pid):
        time.sleep(_PAUSE)
    return subprocess.run(command, stdin=subprocess.DEVNULL, check=False).returncode


def _alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
