"""Parts of long tables, put away in a temporary file that all of them share.

Nobody sees the file: it has no name, or on Windows one that goes with it. It is gone when nothing
refers to it any more, and with the process, however that ends.
"""

from __future__ import annotations

import tempfile
import threading
import weakref
from collections import OrderedDict
from pathlib import Path

from maskfree.errors import InputError
from maskfree.storage import writing

__all__ = ["PartFile", "shared_file"]

_PARTS_KEPT = 256
"""Parts that were asked for last, and stay in memory."""


class PartFile:
    """Bytes that are put away and come back; from any thread.

    Raises
    ------
    InputError
        From the constructor and from `put`: where there is no room; from `get`: where the part
        cannot be read back.
    """

    def __init__(self) -> None:
        with writing("a temporary file"):
            self._folder = Path(tempfile.gettempdir())
        with writing(self._folder):
            file = tempfile.TemporaryFile()
        self._file, self._end = file, 0
        self._close = weakref.finalize(self, file.close)
        self._lock = threading.Lock()
        self._kept: OrderedDict[int, bytes] = OrderedDict()

    def put(self, part: bytes) -> int:
        """Put ``part`` away; return the place by which it comes back."""
        with self._lock, writing(self._folder):
            place = self._end
            self._file.seek(place)
            self._file.write(part)
            self._file.flush()
            self._end += len(part)
        return place

    def get(self, place: int, length: int) -> bytes:
        """Return the part of ``length`` bytes that lies at ``place``."""
        with self._lock:
            if place in self._kept:
                self._kept.move_to_end(place)
                return self._kept[place]
            part = self._read(place, length)
            self._kept[place] = part
            if len(self._kept) > _PARTS_KEPT:
                self._kept.popitem(last=False)
            return part

    def _read(self, place: int, length: int) -> bytes:
        try:
            self._file.seek(place)
            part = self._file.read(length)
            reason = f"{len(part)} bytes of {length}"
        except OSError as error:
            part, reason = b"", error.strerror or str(error)
        if len(part) != length:
            raise InputError(
                f"What was put away in a temporary file in {self._folder} could not be read back "
                f"({reason}). Check that disk, or set TMPDIR to a folder on another, and try again."
            )
        return part


_one: list[weakref.ref[PartFile]] = []
_making = threading.Lock()


def shared_file() -> PartFile:
    """Return the file that tables share: a descriptor each would be too many."""
    with _making:
        file = _one[0]() if _one else None
        if file is None:
            file = PartFile()
            _one[:] = [weakref.ref(file)]
        return file
