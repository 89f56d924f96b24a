"""One process at a time edits a session; others look on, and are told who does. No torch here.

Who edits has the system's lock on ``session.lock`` and says who it is in ``session.holder.json``.
The lock ends with its process, however that ends: what stands in the note of one that was killed
holds nobody back. A disk that knows no locks is passed over, and so is a folder that may not be
written. Two windows of one process hold a session together.

What reads a session, trains, predicts or exports takes no hold: it works beside a window. Whoever
rewrites what a person made, as a window or ``maskfree shift``, does.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import json
import os
import platform
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from maskfree.errors import InputError
from maskfree.json_checks import as_number, as_object
from maskfree.storage import atomic_write, read_json
from maskfree.system_lock import HELD, lock_now

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Holder", "SessionHold", "holding", "read_holder"]

_LOCK, _NOTE = "session.lock", "session.holder.json"
_VERSION = 1


@dataclasses.dataclass(frozen=True)
class Holder:
    """Who edits a session: its program, process and computer, and since when (seconds since 1970).

    What is not known is empty text or None.
    """

    program: str = ""
    pid: int | None = None
    host: str = ""
    since: float | None = None

    @property
    def words(self) -> str:
        """Who it is, as ``napari (process 4711 on lab-3 since 14:02)``."""
        known = [] if self.pid is None else [f"process {self.pid}"]
        known += [f"on {self.host}"] if self.host else []
        known += [] if self.since is None else [f"since {_clock(self.since)}"]
        about = f" ({' '.join(known)})" if known else ""
        return f"{self.program or 'another program'}{about}"


def _clock(seconds: float) -> str:
    try:
        then = datetime.datetime.fromtimestamp(seconds)
    except (OverflowError, OSError, ValueError):
        return "an unknown time"
    today = then.date() == datetime.datetime.now().date()
    return f"{then:%H:%M}" if today else f"{then:%Y-%m-%d %H:%M}"


def read_holder(folder: Path) -> Holder:
    """Return who wrote the note in a session's folder; an empty `Holder` where it cannot be read.

    It says nothing of whether that process still holds the session.
    """
    where = str(folder / _NOTE)
    try:
        fields = as_object(read_json(where, "note"), where, "a holder", "pid")
    except InputError:
        return Holder()
    pid, since = as_number(fields.get("pid")), as_number(fields.get("since"))
    return Holder(
        program=str(fields.get("program") or ""),
        pid=None if pid is None else int(pid),
        host=str(fields.get("host") or ""),
        since=since,
    )


class _Lock:
    """The lock of this process on one session; ``users`` windows of it share the lock."""

    def __init__(self, descriptor: int | None, users: int = 1) -> None:
        self.descriptor, self.users = descriptor, users

    def is_in(self, folder: Path) -> bool:
        """Whether it is the lock of the folder that is there now: another may have taken its place.

        Always so where there is nothing to lock.
        """
        if self.descriptor is None:
            return True
        try:
            return os.path.samestat(os.fstat(self.descriptor), os.stat(folder / _LOCK))
        except OSError:  # the folder is gone, or its disk: there is none to be another's
            return True


_own: dict[Path, _Lock] = {}
_guard = threading.Lock()


class SessionHold:
    """A hold on the session in ``folder``, for ``program``; nothing is held before :meth:`take`.

    As a context manager it only gives back what was taken.
    """

    def __init__(self, folder: str | os.PathLike[str], program: str) -> None:
        self.path, self.program = Path(os.path.realpath(folder)), program
        self._lock: _Lock | None = None

    @property
    def held(self) -> bool:
        """Whether it was taken."""
        return self._lock is not None

    def take(self) -> Holder | None:
        """Hold the session from now on; return who does where that is another process.

        To be called again and again by who waits; where it is held already that is looked after: a
        folder that was taken away and put back is held anew.
        """
        if self._lock is not None:
            if self._lock.is_in(self.path):
                return None
            self.release()
        with _guard:
            lock = _own.get(self.path)
            if lock is not None and lock.is_in(self.path):
                lock.users += 1
            else:
                found = _new_lock(self.path)
                if isinstance(found, Holder):
                    return found
                lock = _own[self.path] = found
                if lock.descriptor is not None:
                    _write_note(self.path, self.program)
            self._lock = lock
        return None

    def release(self) -> None:
        """Give it back; nothing happens where it is not held."""
        lock, self._lock = self._lock, None
        if lock is None:
            return
        with _guard:
            lock.users -= 1
            if lock.users:
                return
            if _own.get(self.path) is lock:
                del _own[self.path]
            if lock.descriptor is not None:
                if lock.is_in(self.path):
                    with contextlib.suppress(OSError):
                        os.unlink(self.path / _NOTE)
                os.close(lock.descriptor)

    def __enter__(self) -> SessionHold:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


@contextlib.contextmanager
def holding(folder: str | os.PathLike[str], program: str) -> Iterator[None]:
    """Hold a session meanwhile.

    Raises
    ------
    InputError
        Where another process does.
    """
    with SessionHold(folder, program) as hold:
        holder = hold.take()
        if holder is not None:
            raise InputError(
                f"The session {os.fspath(folder)} is open in {holder.words}, so it was left as it "
                "is. Close it there, then try again."
            )
        yield


def _new_lock(folder: Path) -> _Lock | Holder:
    descriptor = _open(folder / _LOCK)
    if descriptor is None:
        return _Lock(None)
    try:
        lock_now(descriptor)
    except OSError as error:
        if error.errno in HELD:
            os.close(descriptor)
            return read_holder(folder)
        # a network disk that knows no locks
    return _Lock(descriptor)


def _open(path: Path) -> int | None:
    for flags in (os.O_RDWR | os.O_CREAT, os.O_RDONLY):
        with contextlib.suppress(OSError):
            return os.open(path, flags, 0o666)
    return None


def _write_note(folder: Path, program: str) -> None:
    content = {
        "version": _VERSION,
        "program": program,
        "pid": os.getpid(),
        "host": platform.node(),
        "since": round(time.time(), 1),
    }
    with contextlib.suppress(InputError):  # a full disk: it is held all the same
        atomic_write(folder / _NOTE, json.dumps(content) + "\n")
