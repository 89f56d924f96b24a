"""Walking over a CVAT file in a stream: the video first, then each track, a shape in memory."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from xml.etree.ElementTree import ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import iterparse

from maskfree.errors import InputError
from maskfree.formats.box_files import Said
from maskfree.json_checks import show
from maskfree.storage import open_bytes, reading

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from xml.etree.ElementTree import Element

__all__ = ["IMAGE", "KIND", "META", "TRACK", "Grid", "step_of", "video_of", "walk", "whole"]

KIND = "CVAT file"
"""In messages."""
_ROOT, META, TRACK, IMAGE = "annotations", "meta", "track", "image"
_HOLDERS = (TRACK, IMAGE)
"""What holds shapes: a track in CVAT for video, an image in CVAT for images."""
_LEVELS = 16
"""Deepest nesting of elements; CVAT needs seven."""
_DIGITS = 18
"""Of a whole number: more is damage."""
_ZIP = b"PK\x03\x04"


class Grid:
    """The frames of the video that a task holds: every ``step``-th from ``start`` on."""

    def __init__(self, start: int = 0, step: int = 1) -> None:
        self.start, self.step = start, step

    def holds(self, frame: int) -> bool:
        """Return whether the task has that frame of the video."""
        return frame >= self.start and (frame - self.start) % self.step == 0

    def frames(self, num_frames: int) -> int:
        """Return how many frames of a video of that length the task has."""
        return len(range(self.start, num_frames, self.step))


def walk(path: Path) -> Iterator[tuple[str, Element]]:
    """Yield the name and the element: of ``meta``; of each track or image, before its shapes; of
    each shape.

    An element is emptied once the next one is asked for.

    Raises
    ------
    InputError
        For a file that is not XML, declares entities, or is no CVAT file.
    """
    where = f"{KIND} {path}"
    with open_bytes(path, KIND) as file, reading(where):
        if file.read(len(_ZIP)) == _ZIP:
            raise InputError(
                f"The {where} is an archive. Unpack it, and give the annotations.xml in it."
            )
        file.seek(0)
        levels: list[Element] = []
        try:
            for event, element in iterparse(file, events=("start", "end"), forbid_dtd=True):
                if event == "end":
                    yield from _ended(levels)
                    continue
                levels.append(element)
                _check(levels, where)
                if len(levels) == 2 and element.tag in _HOLDERS:
                    yield str(element.tag), element
        except ParseError as error:
            line, column = error.position
            raise InputError(
                f"The {where} is not XML: {str(error).partition(':')[0]} at line {line}, column "
                f"{column + 1}. Export it again."
            ) from None
        except DefusedXmlException:
            raise InputError(
                f"The {where} declares a document type or entities, which no CVAT file does. "
                "Check where it comes from."
            ) from None
        except (ValueError, LookupError) as error:
            if isinstance(error, InputError):
                raise
            raise InputError(f"The {where} cannot be read: {error}. Export it again.") from None


def _ended(levels: list[Element]) -> Iterator[tuple[str, Element]]:
    """Yield what is complete, then forget it: the tree never grows with the file."""
    element = levels.pop()
    if len(levels) == 1 and element.tag == META:
        yield META, element
    elif len(levels) == 2 and levels[1].tag in _HOLDERS and element.tag not in _HOLDERS:
        yield str(element.tag), element
    if len(levels) == 1 or (len(levels) == 2 and levels[1].tag in _HOLDERS):
        del levels[-1][:]


def _check(levels: list[Element], where: str) -> None:
    element = levels[-1]
    if len(levels) == 1 and element.tag != _ROOT:
        raise InputError(
            f"The {where} must begin with <{_ROOT}>, got <{element.tag[:_LEVELS]}>. Export it as "
            "CVAT for video 1.1."
        )
    if len(levels) > _LEVELS:
        raise InputError(f"The {where} is nested too deeply. Check that it is the file you meant.")


def video_of(meta: Element, where: str) -> tuple[Said, Grid]:
    """Return what the file says of its video, and which frames of it the task holds.

    Raises
    ------
    InputError
        For several videos, and for numbers that are none.
    """
    if meta.find("project") is not None:
        raise InputError(
            f"The {where} is of a project, which may have several videos. Export a single task."
        )
    task = next((each for name in ("task", "job") if (each := meta.find(name)) is not None), meta)

    def number(name: str) -> int | None:
        text = (task.findtext(name) or "").strip()
        return whole(text, where, name.rpartition("/")[2]) if text else None

    stop, size, start = number("stop_frame"), number("size"), number("start_frame")
    grid = Grid(max(start or 0, 0), step_of(task.findtext("frame_filter") or ""))
    length = size if stop is None else stop + 1
    size_of = number("original_size/height"), number("original_size/width")
    return Said(length, *size_of), grid


def step_of(text: str) -> int:
    """Return the step of a ``frame_filter``, 1 where it has none."""
    found = re.fullmatch(r"\s*step\s*=\s*([0-9]{1,9})\s*", text, re.ASCII)
    return max(int(found[1]), 1) if found else 1


def whole(text: str, where: str, field: str) -> int:
    """Return a whole number of the file.

    Raises
    ------
    InputError
        Where it is none; ``where`` and ``field`` name it.
    """
    if not re.fullmatch(rf"\s*-?[0-9]{{1,{_DIGITS}}}\s*", text, re.ASCII):
        raise InputError(
            f"{where}: {field} must be a whole number, got {show(text)}. Export the file again."
        )
    return int(text)
