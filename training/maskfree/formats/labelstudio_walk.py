"""Walking over a Label Studio file in a stream: all but the entries of its sequences, then those.

A sequence holds a box for every frame that was drawn; of a long video it is never a whole.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
from typing import TYPE_CHECKING, Any, BinaryIO

from maskfree.json_stream import JsonStream
from maskfree.storage import open_bytes, reading

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["KIND", "Sequence", "Walk", "opened"]

KIND = "Label Studio file"
"""In messages."""
_WAY = (
    frozenset(("annotations", "predictions")),
    frozenset(("result",)),
    frozenset(("value",)),
    frozenset(("sequence",)),
)
"""The fields that lead from a task to a sequence."""


@dataclasses.dataclass(frozen=True)
class Sequence:
    """A sequence that was passed over; ``byte``: where it begins in the file."""

    byte: int


class Walk:
    """A file that is open; ``name``: its kind and path, in messages."""

    def __init__(self, file: BinaryIO, name: str) -> None:
        self._file, self._name = file, name

    def outline(self) -> Any:
        """Return what the file holds, with a `Sequence` in the place of each list of entries.

        Raises
        ------
        InputError
            As `JsonStream`.
        """
        stream = JsonStream(self._file, self._name)
        found = _outlined(stream, 0)
        stream.end()
        return found

    def entries(self, sequence: Sequence) -> Iterator[Any]:
        """Yield the entries of a sequence."""
        stream = JsonStream(self._file, self._name, start=sequence.byte)
        for _ in stream.items():
            yield stream.value()


@contextlib.contextmanager
def opened(path: Path) -> Iterator[Walk]:
    """Open a file to walk over it.

    Raises
    ------
    InputError
        Where it is missing, a folder, or unreadable.
    """
    name = f"{KIND} {path}"
    with open_bytes(path, KIND) as file, reading(name):
        yield Walk(file if file.seekable() else io.BytesIO(file.read()), name)


def _outlined(stream: JsonStream, step: int) -> Any:
    if stream.peek() != "[":
        return _item(stream, step)
    if step == len(_WAY):
        return Sequence(stream.byte())
    return [_item(stream, step) for _ in stream.items()]


def _item(stream: JsonStream, step: int) -> Any:
    if step == len(_WAY) or stream.peek() != "{":
        return stream.value()
    return {
        name: _outlined(stream, step + 1) if name in _WAY[step] else stream.value()
        for name in stream.fields()
    }
