"""Texts that grow side by side and are wanted one behind another, in one temporary file."""

from __future__ import annotations

import tempfile
from array import array
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Hashable
    from pathlib import Path
    from types import TracebackType

__all__ = ["Spool"]


class Spool:
    """Texts by key: each grows at its end, whichever comes next, and is copied whole.

    Pieces are collected in memory; once they take ``most_bytes`` together, each text's go to the
    file as one stretch. The file is made when it is first needed and nobody sees it: it has no
    name, or on Windows one that goes with it. It is gone when the context ends, however it ends.

    Parameters
    ----------
    folder
        Where the file is made: on the disk that the copies go to.
    most_bytes
        What is kept in memory.

    Raises
    ------
    OSError
        From `append` and `copy`: where there is no room, or no right to write there.
    """

    def __init__(self, folder: Path, *, most_bytes: int) -> None:
        self._folder, self._most = folder, most_bytes
        self._file: IO[bytes] | None = None
        self._end = self._held = 0
        self._kept: dict[Hashable, bytearray] = {}
        self._stretches: dict[Hashable, array[int]] = {}

    def __enter__(self) -> Spool:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._file is not None:
            self._file.close()

    def append(self, key: Hashable, piece: bytes) -> None:
        """Let the text of ``key`` grow by ``piece``."""
        self._kept.setdefault(key, bytearray()).extend(piece)
        self._held += len(piece)
        if self._held > self._most:
            self._put_away()

    def copy(self, key: Hashable, out: IO[bytes]) -> None:
        """Write the whole text of ``key`` to ``out``, a stretch in memory at a time."""
        places = self._stretches.get(key, array("q"))
        for start, length in zip(places[::2], places[1::2], strict=True):
            assert self._file is not None
            self._file.seek(start)
            out.write(self._file.read(length))
        out.write(self._kept.get(key, b""))

    def _put_away(self) -> None:
        if self._file is None:
            self._file = tempfile.TemporaryFile(dir=self._folder)
        self._file.seek(self._end)
        for key, kept in self._kept.items():
            self._file.write(kept)
            # Packed, starts and lengths in turn: there are many in a long video with many tracks.
            self._stretches.setdefault(key, array("q")).extend((self._end, len(kept)))
            self._end += len(kept)
        self._kept.clear()
        self._held = 0
