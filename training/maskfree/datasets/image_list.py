"""Walking over a JSON file in COCO's form: videos or images, categories, annotations.

The fields may come in any order: where the annotations come before what they belong to they are
passed over and taken in a second turn. One video, image or annotation at a time is in memory.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from maskfree.errors import InputError
from maskfree.json_checks import as_list, as_object, as_whole, show
from maskfree.json_stream import JsonStream
from maskfree.storage import open_bytes, reading

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import BinaryIO

    Take = Callable[[object, int], None]

__all__ = ["walk"]

KIND = "file of annotations"
"""In messages."""
_ANNOTATIONS, _CATEGORIES = "annotations", "categories"


def walk(
    path: Path, holders: str, take_holder: Take, take_annotation: Take
) -> tuple[dict[int, str], bool]:
    """Walk over the file; return its categories by id, and whether it has a list of annotations.

    Parameters
    ----------
    holders
        Field of what annotations belong to: ``videos`` or ``images``.
    take_holder, take_annotation
        Take one value each, and its place in the list; annotations come after all holders.

    Raises
    ------
    InputError
        Where the file is not JSON or not in that form. What is taken is the takers' to check.
    """
    name = f"{KIND} {path}"
    with open_bytes(path, KIND) as opened, reading(name):
        file = opened if opened.seekable() else io.BytesIO(opened.read())
        first = _Turn(path, holders, take_holder, take_annotation)
        first.over(file, name)
        if first.late:
            _Turn(path, holders, None, take_annotation).over(file, name)
    if not first.held:
        as_list(None, str(path), holders)
    return _named(first.categories, path), first.annotated


class _Turn:
    """One turn over the file; without ``take_holder``: for the annotations alone."""

    def __init__(
        self, path: Path, holders: str, take_holder: Take | None, take_annotation: Take
    ) -> None:
        self._path, self._holders = path, holders
        self._take_holder, self._take_annotation = take_holder, take_annotation
        self.held, self.annotated, self.late = take_holder is None, False, False
        self.categories: object = None

    def over(self, file: BinaryIO, name: str) -> None:
        stream = JsonStream(file, name)
        if stream.peek() != "{":
            as_object(stream.value(), str(self._path), f"a {KIND}", self._holders)
        for field in stream.fields():
            if field == self._holders and self._take_holder is not None:
                self._each(stream, field, self._take_holder)
                self.held = True
            elif field == _CATEGORIES:
                self.categories = stream.value()
            elif field == _ANNOTATIONS and stream.peek() == "[":
                self.annotated = True
                if self.held:
                    self._each(stream, field, self._take_annotation)
                else:
                    self.late = True
        stream.end()

    def _each(self, stream: JsonStream, field: str, take: Take) -> None:
        if stream.peek() != "[":
            as_list(stream.value(), str(self._path), field)
        for place in stream.items():
            take(stream.value(), place)


def _named(value: object, path: Path) -> dict[int, str]:
    named: dict[int, str] = {}
    for place, item in enumerate(as_list(value, str(path), _CATEGORIES)):
        where = f"{path}: {_CATEGORIES}[{place}]"
        category = as_object(item, where, "a category", "id")
        number, label = as_whole(category.get("id"), where, "id"), category.get("name")
        if not isinstance(label, str):
            raise InputError(f"{where}: name must be text, got {show(label)}. Correct it.")
        if number in named:
            raise InputError(f"{where}: the id {number} comes twice. Number them anew.")
        named[number] = label
    if not named:
        raise InputError(f"{path} has no categories. Export it again.")
    return named
