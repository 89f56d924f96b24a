"""One process at a time changes the masks of a session. No torch here.

The lock is the system's: it ends with the process that holds it, however that ends. On POSIX it is
on the session's folder itself, on Windows on ``masks.lock`` in it. A network disk that knows no
locks is passed over.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from maskfree.errors import InputError
from maskfree.storage import writing
from maskfree.system_lock import HELD, lock_now

if TYPE_CHECKING:
    from collections.abc import Iterator

    from maskfree.session import Session

__all__ = ["masks_lock"]

_FILE = "masks.lock"


@contextlib.contextmanager
def masks_lock(session: Session) -> Iterator[None]:
    """Let nobody else change the session's masks meanwhile.

    Raises
    ------
    InputError
        Where another process, or another window of this one, is changing them.
    """
    descriptor = _open(session)
    try:
        try:
            lock_now(descriptor)
        except OSError as error:
            if error.errno in HELD:
                raise InputError(_who(session)) from None
        yield
    finally:
        os.close(descriptor)


def _who(session: Session) -> str:
    pids = [r["pid"] for r in session.predict_log.records() if isinstance(r.get("pid"), int)]
    running = pids and session.predict_log.status == "running"
    who = f"Process {pids[-1]}" if running else "Another process"
    return (
        f"{who} is writing the masks of {session.path} now, so they were left as they are. Wait "
        "until it is done, or stop it, and try again."
    )


def _open(session: Session) -> int:
    with writing(session.path):
        if os.name == "nt":
            return os.open(session.path / _FILE, os.O_RDWR | os.O_CREAT)
        return os.open(session.path, os.O_RDONLY)
