"""Boxes of one track, a row each: 41 bytes, and of a long track all but the last rows on the disk.

20,000 frames of 50 tracks are a million rows; what is in memory of them does not grow with the
frames.
"""

from __future__ import annotations

import bisect
import struct
from array import array
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from maskfree.part_file import PartFile, shared_file

if TYPE_CHECKING:
    from collections.abc import Iterator

    from maskfree.types import Box

__all__ = ["BoxRow", "BoxRows"]

_ROW = struct.Struct("<q4dB")
_FRAME = np.dtype({"names": ["frame"], "formats": ["<i8"], "offsets": [0], "itemsize": _ROW.size})
_PART = 1024
"""Rows that are put away together."""


class BoxRow(NamedTuple):
    """A frame, its box ``xyxy`` in pixels (of no meaning where there is none), and 8 marks."""

    frame: int
    x0: float
    y0: float
    x1: float
    y1: float
    marks: int

    @property
    def box(self) -> Box:
        """The four sides."""
        return self.x0, self.y0, self.x1, self.y1


class BoxRows:
    """Rows that are added at the end and looked at by number.

    Raises
    ------
    InputError
        From `append`: where there is no room for a temporary file.
    """

    def __init__(self) -> None:
        self._last = bytearray()
        self._places, self._firsts = array("q"), array("q")
        self._file: PartFile | None = None

    def append(self, frame: int, box: Box, marks: int) -> None:
        """Add a row."""
        self._last += _ROW.pack(frame, *box, marks)
        if len(self._last) == _PART * _ROW.size:
            self._file = self._file or shared_file()
            self._firsts.append(self[len(self) - _PART].frame)
            self._places.append(self._file.put(bytes(self._last)))
            self._last = bytearray()

    def __len__(self) -> int:
        return len(self._places) * _PART + len(self._last) // _ROW.size

    def __getitem__(self, number: int) -> BoxRow:
        """Return the row ``number``, from 0."""
        part, row = divmod(number, _PART)
        return BoxRow._make(_ROW.unpack_from(self._part(part), row * _ROW.size))

    def __iter__(self) -> Iterator[BoxRow]:
        for part in range(len(self._places)):
            yield from map(BoxRow._make, _ROW.iter_unpack(self._part(part)))
        yield from map(BoxRow._make, _ROW.iter_unpack(bytes(self._last)))

    def frames(self) -> np.ndarray:
        """Return the frames of all rows, int64 ``(n,)``."""
        parts = (self._part(part) for part in range(len(self._places) + 1))
        return np.concatenate([np.frombuffer(bytes(part), _FRAME)["frame"] for part in parts])

    def place(self, frame: int, *, after: bool) -> int:
        """Return how many rows lie before ``frame``, or up to it (``after``), if frames ascend."""
        find = bisect.bisect_right if after else bisect.bisect_left
        part = find(self._firsts, frame)
        low = max(0, part - 1) * _PART
        high = min(len(self), part * _PART) if part < len(self._firsts) else len(self)
        return find(self, frame, low, high, key=lambda row: row.frame)

    def _part(self, part: int) -> bytes | bytearray:
        if part == len(self._places):
            return self._last
        assert self._file is not None
        return self._file.get(self._places[part], _PART * _ROW.size)
