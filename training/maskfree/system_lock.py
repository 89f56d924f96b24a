"""A lock of the system on an open file: it ends with the process that has it, however that ends."""

from __future__ import annotations

import errno
import os

__all__ = ["HELD", "lock_now"]

HELD = {errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES, errno.EDEADLK}
"""Numbers of the OSError where another has the lock."""


def lock_now(descriptor: int) -> None:
    """Take the lock of an open file, on POSIX also of an open folder; closing it gives it back.

    Raises
    ------
    OSError
        Where another has it (see :data:`HELD`), or the disk knows no locks.
    """
    if os.name == "nt":
        import msvcrt

        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
    else:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
