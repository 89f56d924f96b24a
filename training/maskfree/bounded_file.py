"""A file that makes room for no more bytes than it has, whatever is asked of it.

A reader of a damaged file, or of one made to do harm, asks for as many bytes as the file says that
a part of it has; Python makes room for all of them before it reads.
"""

from __future__ import annotations

import io
import os

__all__ = ["BoundedFile"]


class BoundedFile(io.BufferedReader):
    """A file opened for reading, in bytes; :meth:`read` asks for what is left at most.

    Raises
    ------
    OSError
        Where it cannot be opened.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        super().__init__(io.FileIO(os.path.realpath(path)))
        self._bytes = os.fstat(self.fileno()).st_size

    def read(self, size: int | None = -1, /) -> bytes:
        """Return the next ``size`` bytes, or as many as there are (all for None and below 0)."""
        left = max(0, self._bytes - self.tell())
        return super().read(left if size is None or size < 0 else min(size, left))
