"""The lines of YOLO's label files: a box or the outline of an instance, in parts of the frame.

``class cx cy w h`` (https://docs.ultralytics.com/datasets/detect) or ``class x1 y1 x2 y2 …``
(https://docs.ultralytics.com/datasets/segment). Ultralytics' ``save_txt`` puts a confidence, a
track's id, or both behind them, in that order, and does not say which: what all lines of a folder
have there tells (:class:`Tails`).
"""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING

import numpy as np

from maskfree.config import FormatConfig
from maskfree.errors import InputError
from maskfree.formats.box_files import within
from maskfree.json_checks import show
from maskfree.storage import open_bytes, reading

if TYPE_CHECKING:
    from pathlib import Path

    from maskfree.types import Box, BoxTracks

__all__ = ["KIND", "Shape", "Tails", "box_line", "numbers_of", "outline_line", "shape_of"]

KIND = "YOLO label file"
_BOX, _TRIANGLE = 5, 7
"""Numbers of a line with a box, and of one with three corners."""
_LEAST, _MOST = -1.0, 2.0
"""Coordinates beyond these are no parts of a frame: pixels, in most cases."""
_LARGEST = 2**53
_DIGITS = 7
"""Of an outline's coordinates: to a hundredth of a pixel in the largest frame."""


@dataclasses.dataclass(frozen=True)
class Shape:
    """A line: its class from 0, ``xyxy`` in pixels (None: beyond the frame), its id and score.

    ``points``: of an outline, float ``(P, 2)`` in pixels; None: a box.
    """

    kind: int
    xyxy: Box | None
    points: np.ndarray | None
    number: int | None
    score: float


class Tails:
    """What stands behind the shapes of a folder: nothing, a confidence, an id, or both.

    ``any``: whether there may be ids.
    """

    def __init__(self, *, any: bool) -> None:
        self._single = self._double = any
        self._ends = set[float]()

    def look(self, lines: list[list[float]]) -> None:
        """Look at the lines of one file."""
        last = [line[-1] for line in lines if len(line) % 2 == 0]
        # One frame has no id twice, and confidences are seldom all whole.
        whole = all(_is_id(value) for value in last) and len(set(last)) == len(last)
        self._single = self._single and whole
        outlines = [line for line in lines if len(line) % 2 and len(line) > _BOX]
        ends = {line[-1] for line in outlines}
        both = all(_is_id(line[-1]) and 0 <= line[-2] <= 1 for line in outlines)
        self._double = self._double and both and len(ends) == len(outlines)
        self._ends |= {line[-1] for line in outlines if len(line) > _TRIANGLE}

    @property
    def may_be_corners(self) -> bool:
        """Whether what is taken for confidences and ids may be corners on the lower edge."""
        return self._double and self._ends == {1.0}

    def split(self, line: list[float]) -> tuple[list[float], int | None, float]:
        """Return the numbers of the shape, its id, and its confidence, 1 where there is none."""
        if len(line) % 2 == 0:
            number = int(line[-1]) if self._single else None
            return line[:-1], number, 1.0 if self._single else line[-1]
        if len(line) > _BOX and self._double:
            return line[:-2], int(line[-1]), line[-2]
        return line, None, 1.0


def _is_id(value: float) -> bool:
    return value >= 1 and value.is_integer()


def numbers_of(path: Path) -> list[list[float]]:
    """Return the numbers of each line of a label file; empty lines do not count.

    Raises
    ------
    InputError
        For a file that cannot be read, is too large, or holds something else.
    """
    where, most = f"{KIND} {path}", FormatConfig().line_bytes
    with open_bytes(path, KIND) as file, reading(where):
        raw = file.read(most + 1)
    if len(raw) > most:
        raise InputError(f"The {where} is larger than {most} bytes. Check that it is one.")
    found = []
    for number, line in enumerate(raw.removeprefix(b"\xef\xbb\xbf").split(b"\n"), start=1):
        words = line.split()
        if not words:
            continue
        try:
            values = [float(word) for word in words]
        except ValueError:
            values = []
        if len(values) < _BOX or not all(map(_is_usual, values)):
            raise InputError(
                f"{where}, line {number}: expected numbers: class cx cy w h, or class x1 y1 x2 y2 "
                f"…, got {show(line.decode('utf-8', 'replace'))}. Correct it."
            )
        found.append(values)
    return found


def _is_usual(value: float) -> bool:
    return math.isfinite(value) and abs(value) <= _LARGEST


def shape_of(line: list[float], tails: Tails, video: BoxTracks, where: str) -> Shape:
    """Return what a line says; ``where`` begins every message.

    Raises
    ------
    InputError
        For a class that is no whole number, a confidence or a coordinate beyond its range.
    """
    (kind, *numbers), number, score = tails.split(line)
    if kind < 0 or not kind.is_integer():
        raise InputError(
            f"{where}: a class must be a whole number from 0, got {kind:g}. Correct it."
        )
    if not 0 <= score <= 1:
        raise InputError(
            f"{where}: a confidence must lie in 0 to 1, got {score:g}. Correct the file."
        )
    if min(numbers) < _LEAST or max(numbers) > _MOST:
        raise InputError(
            f"{where}: coordinates must be parts of the frame's width and height, 0 to 1, got "
            f"{show(numbers)}. Divide pixels by the frame's size."
        )
    if len(numbers) == _BOX - 1:
        cx, cy, width, height = numbers
        box = (cx - width / 2, cy - height / 2, cx + width / 2, cy + height / 2)
        scale = (video.width, video.height, video.width, video.height)
        x0, y0, x1, y1 = (_pixels(part, size) for part, size in zip(box, scale, strict=True))
        return Shape(int(kind), within((x0, y0, x1, y1), video), None, number, score)
    if len(numbers) < _TRIANGLE - 1:
        raise InputError(f"{where}: an outline must have three corners or more. Correct it.")
    points = np.array(numbers).reshape(-1, 2) * (video.width, video.height)
    (x0, y0), (x1, y1) = points.min(axis=0).tolist(), points.max(axis=0).tolist()
    return Shape(int(kind), within((x0, y0, x1, y1), video), points, number, score)


def _pixels(part: float, size: int) -> float:
    """Return a part of the frame in pixels; what is whole but for rounding is whole."""
    value = part * size
    near = float(round(value))
    return near if abs(value - near) <= FormatConfig().box_tolerance else value


def box_line(kind: int, box: Box, video: BoxTracks) -> str:
    """Return the line of a box ``xyxy`` in pixels."""
    (x0, y0, x1, y1), width, height = box, video.width, video.height
    middle = (x0 + x1) / 2 / width, (y0 + y1) / 2 / height
    parts = (*middle, (x1 - x0) / width, (y1 - y0) / height)
    return f"{kind} {' '.join(map(repr, parts))}\n"


def outline_line(kind: int, points: np.ndarray, video: BoxTracks) -> str:
    """Return the line of an outline, int ``(P, 2)``, edges of pixels."""
    parts = points / (video.width, video.height)
    return f"{kind} {' '.join(f'{part:.{_DIGITS}g}' for part in parts.ravel().tolist())}\n"
