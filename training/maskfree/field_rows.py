"""What the keyframes of one track hold beside their boxes, of a long track mostly on the disk.

CVAT answers its questions in every frame, detectors give every box a confidence: a million small
dictionaries in 20,000 frames of 50 tracks.
"""

from __future__ import annotations

import bisect
import json
from array import array
from typing import TYPE_CHECKING, Any

from maskfree.part_file import PartFile, shared_file

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["FieldRows"]

_PART = 64
"""Fields that are put away together."""


class FieldRows:
    """Fields by number of the row that they belong to; most rows of most tracks have none.

    Fields are what JSON holds, and come back as equal ones.

    Raises
    ------
    InputError
        From `put`: where there is no room for a temporary file; from `get`: where what was put away
        cannot be read back.
    """

    def __init__(self) -> None:
        self._last: dict[int, Mapping[str, Any]] = {}
        self._firsts, self._places, self._lengths = array("q"), array("q"), array("q")
        self._file: PartFile | None = None
        self._read: tuple[int, Mapping[int, Mapping[str, Any]]] = (-1, {})

    def put(self, number: int, fields: Mapping[str, Any]) -> None:
        """Keep the fields of row ``number``; numbers ascend. None at all take no room."""
        if not fields:
            return
        self._last[number] = fields
        if len(self._last) == _PART:
            self._file = self._file or shared_file()
            part = json.dumps(list(self._last.items())).encode()
            self._firsts.append(next(iter(self._last)))
            self._places.append(self._file.put(part))
            self._lengths.append(len(part))
            self._last = {}

    def get(self, number: int) -> Mapping[str, Any]:
        """Return the fields of row ``number``; empty where it has none."""
        if number in self._last or not self._places:
            return self._last.get(number, {})
        part = bisect.bisect_right(self._firsts, number) - 1
        return self._part(part).get(number, {}) if part >= 0 else {}

    def _part(self, part: int) -> Mapping[int, Mapping[str, Any]]:
        known, fields = self._read
        if known != part:
            assert self._file is not None
            text = self._file.get(self._places[part], self._lengths[part])
            fields = dict(json.loads(text))
            self._read = part, fields
        return fields
