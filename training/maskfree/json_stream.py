"""Walking over a JSON file a value at a time, for files that hold something for every frame."""

from __future__ import annotations

import codecs
import json
import re
from typing import TYPE_CHECKING, Any, BinaryIO

from maskfree.config import FormatConfig
from maskfree.json_faults import not_json, twice, unique_fields, unreadable
from maskfree.limits import check_json
from maskfree.storage import not_text, nothing_in, reading

if TYPE_CHECKING:
    from collections.abc import Iterator

    from maskfree.errors import InputError

__all__ = ["JsonStream"]

_SPACE = re.compile(r"[ \t\n\r]*")
_MORE_OF_NUMBER = frozenset(".eE")
"""A number before one of these is not at its end, or not one."""


class JsonStream:
    """A JSON file in UTF-8, walked over from its start, or from ``start`` on for one value.

    `fields` and `items` step into the object or list that comes next. At each step the caller takes
    what comes then by `value`, steps into it, or leaves it, and it is passed over. In memory are a
    chunk of the text and the value that is taken; a list that is passed over is never a whole.
    Values are parsed by the standard library, so what counts as JSON and what is said where it is
    none are those of :func:`maskfree.storage.read_json`; so is how large a value may be.

    Parameters
    ----------
    file
        Opened for reading bytes; stays the caller's.
    name
        What it is and its path; in messages.
    start
        The byte to begin at.
    chunk
        Bytes that are read at once, at least; None: ``FormatConfig.chunk_bytes``.

    Raises
    ------
    InputError
        From every method: where the file cannot be read or is not UTF-8 or not JSON (line and
        column are named), and where one object holds a field twice.
    """

    def __init__(
        self, file: BinaryIO, name: str, *, start: int = 0, chunk: int | None = None
    ) -> None:
        self._file, self._name = file, name
        self._chunk = FormatConfig().chunk_bytes if chunk is None else chunk
        self._utf8 = codecs.getincrementaldecoder("utf-8-sig")()
        self._json = json.JSONDecoder(object_pairs_hook=unique_fields)
        self._text, self._at = "", 0
        self._begun, self._ended = False, False
        # Of the text that was dropped: characters, line breaks, characters to the last one's end.
        self._dropped, self._lines, self._line_end = 0, 0, 0
        self._bytes = start
        file.seek(start)

    def peek(self) -> str:
        """Return the first character of what comes next, empty at the end of the file."""
        while True:
            self._at = _SPACE.match(self._text, self._at).end()  # type: ignore[union-attr]
            if self._at < len(self._text):
                self._begun = True
                return self._text[self._at]
            if self._ended and not self._begun:
                raise nothing_in(self._name)
            if self._ended:
                return ""
            self._read_on()

    def byte(self) -> int:
        """Return the place in the file, in bytes, of what comes next."""
        self.peek()
        left = len(self._text) - self._at
        if not self._text.isascii():
            left = len(self._text[self._at :].encode())
        return self._bytes - self._waiting() - left

    def value(self) -> Any:
        """Take the value that comes next."""
        self.peek()
        while True:
            try:
                found, end = self._json.raw_decode(self._text, self._at)
            except json.JSONDecodeError as error:
                if self._ended:
                    raise self._fault(error.msg, error.pos) from None
            except (ValueError, RecursionError) as error:
                raise unreadable(self._name, error) from None
            else:
                whole = end < len(self._text) and self._text[end] not in _MORE_OF_NUMBER
                if whole or self._ended:
                    self._at = end
                    return found
            self._read_on()

    def fields(self) -> Iterator[str]:
        """Step into the object that comes next: yield each field's name before its value."""
        seen: set[str] = set()
        for _ in self._steps("{", "}"):
            if self.peek() != '"':
                raise self._fault("Expecting property name enclosed in double quotes")
            name = self.value()
            if name in seen:
                raise unreadable(self._name, twice(name))
            seen.add(name)
            self._pass_over(":")
            with_value = self._place()
            yield name
            self._leave(with_value)

    def items(self) -> Iterator[int]:
        """Step into the list that comes next: yield each item's number, from 0, before it."""
        for number in self._steps("[", "]"):
            place = self._place()
            yield number
            self._leave(place)

    def end(self) -> None:
        """Check that nothing comes any more."""
        if self.peek():
            raise self._fault("Extra data")

    def _steps(self, opening: str, closing: str) -> Iterator[int]:
        self._pass_over(opening)
        if self.peek() == closing:
            self._at += 1
            return
        number = 0
        while True:
            yield number
            number += 1
            if self.peek() == closing:
                self._at += 1
                return
            self._pass_over(",")

    def _pass_over(self, character: str) -> None:
        if self.peek() != character:
            raise self._fault(f"Expecting '{character}' delimiter")
        self._at += 1

    def _place(self) -> int:
        self.peek()
        return self._dropped + self._at

    def _leave(self, place: int) -> None:
        """Pass over the value at ``place`` unless it was taken; of a list an item at a time."""
        if self._dropped + self._at != place:
            return
        if self.peek() != "[":
            self.value()
            return
        for _ in self._steps("[", "]"):
            self.value()

    def _read_on(self) -> None:
        self._drop()
        check_json(self._text, self._name)
        with reading(self._name):
            # As much as there is at least: a long value is then begun anew only a few times.
            raw = self._file.read(max(self._chunk, len(self._text)))
        self._ended = not raw
        before = self._bytes - self._waiting()
        self._bytes += len(raw)
        try:
            self._text += self._utf8.decode(raw, final=self._ended)
        except UnicodeDecodeError as error:
            raise not_text(self._name, before + error.start) from None

    def _waiting(self) -> int:
        """Return the bytes that were read of a character that is not whole yet."""
        return len(self._utf8.getstate()[0])

    def _drop(self) -> None:
        gone = self._text[: self._at]
        if "\n" in gone:
            self._lines += gone.count("\n")
            self._line_end = self._dropped + gone.rindex("\n") + 1
        self._dropped += len(gone)
        self._text, self._at = self._text[self._at :], 0

    def _fault(self, what: str, at: int | None = None) -> InputError:
        before = self._text[: self._at if at is None else at]
        line = self._lines + before.count("\n") + 1
        start = before.rfind("\n") + 1 + self._dropped if "\n" in before else self._line_end
        column = self._dropped + len(before) - start + 1
        return not_json(self._name, what, line, column)
