"""Keyframes of a track, packed: what files of long videos with many tracks become in memory.

A `Keyframe` with its box takes some 350 bytes; 20,000 frames of 50 tracks are a million of them.
Packed, each takes 41, most of them on the disk (`box_rows.py`), as are fields of its own
(`field_rows.py`), and is made when it is asked for.
"""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from typing import TYPE_CHECKING, overload

from maskfree.box_rows import BoxRow, BoxRows
from maskfree.field_rows import FieldRows
from maskfree.types import Keyframe

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["PackedKeyframes", "place_of"]

_OUTSIDE, _OCCLUDED = 1, 2
_NO_BOX = (0.0, 0.0, 0.0, 0.0)


class PackedKeyframes(Sequence[Keyframe]):
    """Keyframes in order, as a tuple of them would be: indexed, compared and gone through alike."""

    def __init__(self, keyframes: Iterable[Keyframe] = ()) -> None:
        self._rows = BoxRows()
        self._fields = FieldRows()
        for number, each in enumerate(keyframes):
            self._fields.put(number, each.extra)
            marks = _OUTSIDE * (each.xyxy is None) | _OCCLUDED * each.occluded
            self._rows.append(each.frame, each.xyxy or _NO_BOX, marks)

    def __reduce__(self) -> tuple[type[PackedKeyframes], tuple[tuple[Keyframe, ...]]]:
        """Return how to make it anew: rows on the disk are not another process's."""
        return PackedKeyframes, (tuple(self),)

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, place: int) -> Keyframe: ...

    @overload
    def __getitem__(self, place: slice) -> tuple[Keyframe, ...]: ...

    def __getitem__(self, place: int | slice) -> Keyframe | tuple[Keyframe, ...]:
        numbers = range(len(self._rows))[place]
        if isinstance(numbers, range):
            return tuple(self._made(number, self._rows[number]) for number in numbers)
        return self._made(numbers, self._rows[numbers])

    def __iter__(self) -> Iterator[Keyframe]:
        return (self._made(number, row) for number, row in enumerate(self._rows))

    def __eq__(self, other: object) -> bool:
        """Return whether ``other`` holds the same keyframes, packed or not."""
        if not isinstance(other, Sequence) or isinstance(other, str):
            return NotImplemented
        return len(self) == len(other) and all(a == b for a, b in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"PackedKeyframes({list(self)!r})"

    def place(self, frame: int, *, after: bool) -> int:
        """Return how many keyframes lie before ``frame``, or up to it (``after``)."""
        return self._rows.place(frame, after=after)

    def _made(self, number: int, row: BoxRow) -> Keyframe:
        outside = bool(row.marks & _OUTSIDE)
        return Keyframe(
            row.frame,
            None if outside else row.box,
            outside,
            bool(row.marks & _OCCLUDED),
            self._fields.get(number),
        )


def place_of(keyframes: Sequence[Keyframe], frame: int, *, after: bool) -> int:
    """Return how many keyframes of a track lie before ``frame``, or up to it (``after``)."""
    if isinstance(keyframes, PackedKeyframes):
        return keyframes.place(frame, after=after)
    find = bisect.bisect_right if after else bisect.bisect_left
    return find(keyframes, frame, key=lambda keyframe: keyframe.frame)
