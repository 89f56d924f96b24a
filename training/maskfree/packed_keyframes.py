"""Keyframes of a track, packed: what files of long videos with many tracks become in memory.

A `Keyframe` with its box takes some 350 bytes; 20,000 frames of 50 tracks are a million of them.
Packed, each takes 41, and is made when it is asked for.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, overload

from maskfree.types import Keyframe

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

__all__ = ["PackedKeyframes"]

_OUTSIDE, _OCCLUDED = 1, 2
_SIDES = 4


class PackedKeyframes(Sequence[Keyframe]):
    """Keyframes in order, as a tuple of them would be: indexed, compared and gone through alike."""

    def __init__(self, keyframes: Iterable[Keyframe] = ()) -> None:
        self._frames, self._boxes, self._flags = array("q"), array("d"), array("b")
        self._extras: dict[int, Mapping[str, Any]] = {}
        for each in keyframes:
            if each.extra:
                self._extras[len(self._frames)] = each.extra
            self._frames.append(each.frame)
            self._boxes.extend(each.xyxy or (0.0,) * _SIDES)
            self._flags.append(_OUTSIDE * (each.xyxy is None) | _OCCLUDED * each.occluded)

    def __len__(self) -> int:
        return len(self._frames)

    @overload
    def __getitem__(self, place: int) -> Keyframe: ...

    @overload
    def __getitem__(self, place: slice) -> tuple[Keyframe, ...]: ...

    def __getitem__(self, place: int | slice) -> Keyframe | tuple[Keyframe, ...]:
        numbers = range(len(self._frames))[place]
        if isinstance(numbers, range):
            return tuple(self._at(number) for number in numbers)
        return self._at(numbers)

    def __iter__(self) -> Iterator[Keyframe]:
        return map(self._at, range(len(self._frames)))

    def __eq__(self, other: object) -> bool:
        """Return whether ``other`` holds the same keyframes, packed or not."""
        if not isinstance(other, Sequence) or isinstance(other, str):
            return NotImplemented
        return len(self) == len(other) and all(a == b for a, b in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"PackedKeyframes({list(self)!r})"

    def _at(self, number: int) -> Keyframe:
        x0, y0, x1, y1 = self._boxes[_SIDES * number : _SIDES * (number + 1)]
        flags = self._flags[number]
        outside = bool(flags & _OUTSIDE)
        return Keyframe(
            self._frames[number],
            None if outside else (x0, y0, x1, y1),
            outside,
            bool(flags & _OCCLUDED),
            self._extras.get(number, {}),
        )
