"""A journal: a file that only grows, one record a line, each numbered and with a checksum.

::

    {"n":1,"t":"2026-03-01T10:00:00.000+00:00","kind":"base",…,"crc":"8c736521"}

``crc`` is the CRC-32 of the line without it. A record counts once its line is flushed to the disk.
Numbers go up by one; the time is for people to read: what the clock does changes nothing. A last
line that a killed process left half-written is dropped; damage before whole lines ends what is
read, since what follows is about edits that nobody can read.

One process at a time holds a journal. The lock is the system's, and ends with the process. What the
records say is in `journal_records.py`; nobody here looks into them.
"""

from __future__ import annotations

import contextlib
import datetime
import errno
import json
import os
import re
import weakref
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from maskfree.config import JournalConfig
from maskfree.errors import InputError
from maskfree.json_faults import unreadable
from maskfree.storage import atomic_write, reading, write_all, writing

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from typing import Self

__all__ = ["Journal", "JournalGone", "JournalHeld", "make_line", "make_room"]

_PREVIOUS = "previous"
_BEGIN = re.compile(rb'\{"n":(\d{1,15}),')
_SUM = b',"crc":"%08x"}'
_SUM_BYTES = len(_SUM % 0)
_HELD = {errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES, errno.EDEADLK}
_LOCKED_BYTE = 1 << 40
"""Windows: the byte that is locked, far behind any end, so that others can read."""


class JournalHeld(InputError):
    """Another process, or another window of this one, has the journal open."""


class JournalGone(InputError):
    """The file is not the one that was opened: removed, replaced, or written by another program."""


class Journal:
    """An opened journal; make one with `open` or `begin`.

    ``number``: of the last record. ``size``: bytes up to its end; ``base_size``: of the first one.
    ``damage``: what was found behind the last one, "" for nothing, "torn" for a line that was not
    finished, "middle" where whole records follow on damage.
    """

    def __init__(self, path: Path, file: BinaryIO) -> None:
        self.path = path
        self.number, self.size, self.damage = _scan(file)
        file.seek(0)
        self.base_size = len(file.readline(JournalConfig().line_bytes))
        self._found = file.seek(0, os.SEEK_END)
        self.close = weakref.finalize(self, file.close)  # also where nobody does
        """Let go of the file."""

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Self:
        """Open the journal ``path`` and read it through; nothing is written.

        Raises
        ------
        JournalHeld
            Where somebody else has it open.
        InputError
            Where there is none, or it cannot be read.
        """
        with reading(f"journal {os.fspath(path)}"):
            file = open(path, "rb")
        try:
            _lock(file, path)
            with reading(f"journal {os.fspath(path)}"):
                return cls(Path(path), file)
        except BaseException:
            file.close()
            raise

    @classmethod
    def begin(cls, path: str | os.PathLike[str], records: Iterable[Mapping[str, Any]]) -> Self:
        """Write a new journal, in place of what is there, and open it.

        Raises
        ------
        JournalHeld
            Where somebody else has the one open that is there.
        InputError
            Where it cannot be written.
        """
        if os.path.isfile(path):
            with reading(f"journal {os.fspath(path)}"), open(path, "rb") as file:
                _lock(file, path)
        atomic_write(path, b"".join(make_line(n, r) for n, r in enumerate(records, start=1)))
        return cls.open(path)

    def records(self) -> Iterator[dict[str, Any]]:
        """Yield the records in order, read anew from the file; each has its number under ``n``.

        Raises
        ------
        InputError
            Where the file cannot be read any more, or a line of it is no JSON.
        """
        where, number = f"journal {self.path}", 0
        with reading(where), open(self.path, "rb") as file:
            while file.tell() < self.size:
                line = file.readline(JournalConfig().line_bytes)
                try:
                    record = json.loads(line)
                except (ValueError, RecursionError) as error:
                    raise unreadable(where, error) from None
                number += 1
                yield {**record, "n": number}

    def append(self, records: Iterable[Mapping[str, Any]], *, sync: bool = True) -> None:
        """Write records at the end, all or none; with ``sync`` they are on the disk afterwards.

        Raises
        ------
        JournalGone
            Where the file is not as it was left.
        InputError
            Where the disk is full or read-only, or the folder is gone; the file is as before.
        """
        payload = b"".join(make_line(n, r) for n, r in enumerate(records, start=self.number + 1))
        if os.path.isdir(self.path.parent) and not os.path.isfile(self.path):
            raise JournalGone(f"The journal {self.path} was removed. It is begun anew.")
        with writing(self.path), open(self.path, "r+b", buffering=0) as file:
            end = file.seek(0, os.SEEK_END)
            if end not in (self.size, self._found):
                raise JournalGone(f"The journal {self.path} was changed. It is begun anew.")
            file.truncate(self.size)  # what was not finished
            file.seek(self.size)
            try:
                write_all(file, payload)
                if sync:
                    os.fsync(file.fileno())
            except OSError:
                with contextlib.suppress(OSError):
                    file.truncate(self.size)
                raise
        self.number += payload.count(b"\n")
        self.size += len(payload)
        self._found = self.size

    def copy_aside(self, word: str) -> Path:
        """Copy the whole file, damage and all, beside itself as ``journal.WORD.jsonl``.

        Returns
        -------
        Path
            The copy, under a name that was free.

        Raises
        ------
        InputError
            Where it cannot be written.
        """
        number, copy = 1, self.path.with_suffix(f".{word}{self.path.suffix}")
        while copy.exists():
            number += 1
            copy = self.path.with_suffix(f".{word}-{number}{self.path.suffix}")
        with writing(copy):
            atomic_write(copy, self.path.read_bytes())
        return copy

    def content(self) -> bytes:
        """Return the whole records as they are in the file.

        Raises
        ------
        InputError
            Where it cannot be read any more.
        """
        with reading(f"journal {self.path}"), open(self.path, "rb") as file:
            return file.read(self.size)


def make_room(path: Path) -> None:
    """Rename a journal of another story, which is not to be mixed with ours.

    Raises
    ------
    JournalHeld
        Where somebody has it open.
    InputError
        Where it cannot be renamed.
    """
    if path.is_file():
        Journal.open(path).close()
        with writing(path):
            path.replace(path.with_suffix(f".{_PREVIOUS}{path.suffix}"))


def make_line(number: int, record: Mapping[str, Any]) -> bytes:
    """Return a record as a line of a journal; its own time, where it has one, stays."""
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")
    whole = {"n": number, "t": now, **{k: v for k, v in record.items() if k not in ("n", "crc")}}
    body = json.dumps(whole, separators=(",", ":")).encode("ascii")
    return body[:-1] + _SUM % zlib.crc32(body) + b"\n"


def _number(line: bytes) -> int | None:
    """Return the number of a line's record; None where the line is not whole."""
    body, said = line[: -_SUM_BYTES - 1] + b"}", line[-_SUM_BYTES - 1 : -1]
    begins = _BEGIN.match(line)
    if begins is None or not line.endswith(b"\n") or said != _SUM % zlib.crc32(body):
        return None
    return int(begins[1])


def _scan(file: BinaryIO) -> tuple[int, int, str]:
    """Return the last number, the bytes up to its end, and what is behind it."""
    number, size, longest = 0, 0, JournalConfig().line_bytes
    file.seek(0)
    while line := file.readline(longest):
        found = _number(line)
        if found != number + 1:
            if found is not None:
                return number, size, "middle"
            break
        number, size = number + 1, size + len(line)
    else:
        return number, size, ""
    while line := file.readline(longest):
        if _number(line) is not None:
            return number, size, "middle"
    return number, size, "torn"


def _lock(file: BinaryIO, path: str | os.PathLike[str]) -> None:
    try:
        if os.name == "nt":
            import msvcrt

            os.lseek(file.fileno(), _LOCKED_BYTE, os.SEEK_SET)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
            file.seek(0)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _HELD:  # else a network disk that knows no locks
            raise JournalHeld(
                f"The journal {os.fspath(path)} is open in another window or program. Close that "
                "one first."
            ) from None
