"""What to say of a process that ended without a result. No Qt here."""

from __future__ import annotations

import contextlib
import signal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["last_words"]

_SILENT = "The run ended with exit code {code} and said nothing. Look into {log}."
_ENDED = "The run was ended by the system or by another program ({name})."
_MEMORY = " That is mostly because memory ran out: press Estimate to see what fits."


def last_words(log: Path, start: int, code: int) -> str:
    """Return the last line that a process wrote, which names the remedy; else what ended it.

    Parameters
    ----------
    log, start
        Where its messages are, and from which byte on they are its own.
    code
        Its exit code; negative: the signal that ended it, after which its last line says nothing.
    """
    if code < 0:
        name = str(-code)
        with contextlib.suppress(ValueError):
            name = signal.Signals(-code).name
        return _ENDED.format(name=name) + (_MEMORY if name == "SIGKILL" else "")
    with contextlib.suppress(OSError), log.open("rb") as file:
        file.seek(start)
        text = file.read().decode("utf-8", errors="replace").replace("\r", "\n")
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        if lines:
            return lines[-1].removeprefix("maskfree: ").removeprefix("error: ")
    return _SILENT.format(code=code, log=log)
