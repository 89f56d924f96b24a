"""Names of frames that have none of their own: 00000, 00001, …"""

from __future__ import annotations

from collections.abc import Sequence
from typing import overload

from maskfree.config import FormatConfig

__all__ = ["NumberedNames"]


class NumberedNames(Sequence[str]):
    """The numbers from 0 to ``count`` as text; each is made when it is asked for."""

    def __init__(self, count: int) -> None:
        self._numbers, self._digits = range(count), FormatConfig().name_digits

    def __len__(self) -> int:
        return len(self._numbers)

    @overload
    def __getitem__(self, place: int) -> str: ...

    @overload
    def __getitem__(self, place: slice) -> list[str]: ...

    def __getitem__(self, place: int | slice) -> str | list[str]:
        if isinstance(place, slice):
            return [self._named(number) for number in self._numbers[place]]
        return self._named(self._numbers[place])

    def __eq__(self, other: object) -> bool:
        """Return whether ``other`` holds the same names, whatever kind of sequence it is."""
        if not isinstance(other, Sequence) or isinstance(other, str):
            return NotImplemented
        return len(self) == len(other) and all(a == b for a, b in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"NumberedNames({len(self)})"

    def _named(self, number: int) -> str:
        return f"{number:0{self._digits}d}"
