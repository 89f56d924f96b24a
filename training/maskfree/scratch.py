"""Arrays of a whole video, one behind another: in memory while they are few, else in a file."""

from __future__ import annotations

import math
import tempfile
import weakref
from typing import IO

import numpy as np

from maskfree.errors import InputError

__all__ = ["Scratch"]


class Scratch:
    """Arrays that are put away in order and read back by number.

    Those of more than ``most_bytes`` together are kept in a temporary file, which nobody sees: it
    has no name, or on Windows one that goes with it, and is gone with this object. It is read, not
    mapped: pages of a mapped one would count as this process' memory. Where the temporary folder is
    itself in memory nothing is gained; ``TMPDIR`` names another.

    Parameters
    ----------
    most_bytes
        More goes to a file.
    """

    def __init__(self, *, most_bytes: int) -> None:
        self._most = most_bytes
        self._kept: list[np.ndarray] = []
        self._places: list[tuple[int, tuple[int, ...], np.dtype[np.generic]]] = []
        self._bytes = 0
        self._file: IO[bytes] | None = None

    def __len__(self) -> int:
        return len(self._places)

    def append(self, array: np.ndarray) -> None:
        """Put an array away.

        Raises
        ------
        InputError
            When there is no room, or no folder, for the file.
        """
        array = np.ascontiguousarray(array)
        shape, dtype = array.shape, array.dtype
        if self._places and self._places[-1][1:] == (shape, dtype):
            _, shape, dtype = self._places[-1]  # one object for all that are alike
        self._places.append((self._bytes, shape, dtype))
        self._bytes += array.nbytes
        if self._bytes <= self._most:
            self._kept.append(array.copy())
            return
        try:
            if self._file is None:
                self._file = tempfile.TemporaryFile(buffering=0)
                weakref.finalize(self, self._file.close)
                for kept in self._kept:
                    _write(self._file, kept)
                self._kept.clear()
            self._file.seek(self._places[-1][0])
            _write(self._file, array)
        except OSError as error:
            where = tempfile.tempdir or "the folder for temporary files"
            raise InputError(
                f"{math.ceil(self._bytes / 2**20)} MB of working data cannot be kept in {where} "
                f"({error.strerror or error}). Set the environment variable TMPDIR to a folder "
                "with room, then try again."
            ) from error

    def __getitem__(self, number: int) -> np.ndarray:
        """Return the array that was put away as number ``number``, from 0; the caller's own."""
        start, shape, dtype = self._places[number]
        if self._file is None:
            return self._kept[number].copy()
        out = np.empty(shape, dtype)
        left = out.reshape(-1).view(np.uint8).data
        self._file.seek(start)
        while left:
            left = left[self._file.readinto(left) :]  # type: ignore[attr-defined]
        return out


def _write(file: IO[bytes], array: np.ndarray) -> None:
    """Write all of it: an unbuffered file may take a part at a time."""
    left = array.reshape(-1).view(np.uint8).data
    while left:
        left = left[file.write(left) :]
