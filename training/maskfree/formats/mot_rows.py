"""The rows of a MOTChallenge file: a box each, in its own coordinates and in ours.

A row is ``frame,id,left,top,width,height[,confidence[,class,visibility]]``; what trackers write has
ten columns, the last three -1. Frames count from 1, and so do pixels: the devkit calls the first
one (1, 1), so ``left`` is our x0 + 1 and ``top`` our y0 + 1. (CVAT and datumaro count them from 0:
see `mot_reader.py`.) The numbers are added and subtracted
as decimals, which is exact where binary fractions are not: a box comes back to the last bit.
"""

from __future__ import annotations

import dataclasses
import decimal
import math
from decimal import Decimal
from typing import TYPE_CHECKING, BinaryIO

from maskfree.config import FormatConfig
from maskfree.errors import InputError
from maskfree.json_checks import show
from maskfree.storage import reading

if TYPE_CHECKING:
    from collections.abc import Iterator

    from maskfree.types import Box

__all__ = ["LARGEST", "MOST_ID", "Row", "plain", "rows", "text_of"]

_LEAST, _RESULT, _TRUTH = 6, 10, 9
_COLUMNS = "frame,id,left,top,width,height,confidence,class,visibility"
LARGEST = 1e9
"""A number beyond it is damage."""
MOST_ID = 10**9
"""The largest whole number of a row."""
_exact = decimal.Context(prec=340, Emax=decimal.MAX_EMAX, Emin=decimal.MIN_EMIN)
"""With digits for any sum of two floats below `LARGEST`."""


@dataclasses.dataclass(frozen=True)
class Row:
    """One row: ``frame`` from 0, ``xyxy`` half-open from 0, perhaps beyond the frame.

    ``number``: the track's, as in the file; ``kind``: the class, -1 where the row has none;
    ``confidence`` and ``visibility``: 1 where the row has none.
    """

    frame: int
    number: int
    xyxy: Box
    kind: int = -1
    confidence: float = 1.0
    visibility: float = 1.0


def rows(
    file: BinaryIO, where: str, *, start: int = 0, origin: int = 1
) -> Iterator[tuple[int, Row]]:
    """Yield the byte at which each row of the file begins, and the row; empty lines do not count.

    ``origin``: the number of the first pixel.

    Raises
    ------
    InputError
        For a row at fault; ``where`` and its line begin the message.
    """
    limit, line = FormatConfig().chunk_bytes, 0
    with reading(where):
        file.seek(start)
        while raw := file.readline(limit):
            line += 1
            if text := raw.strip(b" \t\r\n\xef\xbb\xbf"):
                yield start, _row(text, origin, f"{where}, line {line}")
            start += len(raw)


def _row(raw: bytes, origin: int, where: str) -> Row:
    fields = raw.decode("ascii", "replace").split(",")
    values = [_number(field) for field in fields]
    numbers = [value for value in values if value is not None]
    if not _LEAST <= len(fields) <= _RESULT or len(numbers) < len(fields):
        raise InputError(
            f"{where}: expected numbers {_COLUMNS}, at least the first six, got "
            f"{show(','.join(fields))}. Correct it."
        )
    frame, number = _whole(numbers[0], where, "frame"), _whole(numbers[1], where, "id")
    if frame < 1:
        raise InputError(f"{where}: frames count from 1, got {frame}. Add 1 to all of them.")
    try:
        left, top, width, height = (Decimal(field.strip()) for field in fields[2:6])
    except decimal.DecimalException:
        raise InputError(f"{where}: a number has too many digits. Correct it.") from None
    if width <= 0 or height <= 0:
        raise InputError(
            f"{where}: width and height must be above 0, got {fields[4]} x {fields[5]}. Correct it."
        )
    x0, y0 = _exact.subtract(left, origin), _exact.subtract(top, origin)
    x1, y1 = _exact.add(x0, width), _exact.add(y0, height)
    return Row(frame - 1, number, (float(x0), float(y0), float(x1), float(y1)), *_rest(numbers))


def _rest(numbers: list[float]) -> tuple[int, float, float]:
    """Return class, confidence and visibility; a file of results has places of the world there."""
    confidence = numbers[6] if len(numbers) > 6 else 1.0
    if len(numbers) != _TRUTH or not numbers[7].is_integer():
        return -1, confidence, 1.0
    return int(numbers[7]), confidence, numbers[8]


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) and abs(value) <= LARGEST else None


def _whole(value: float, where: str, field: str) -> int:
    if not value.is_integer() or abs(value) > MOST_ID:
        raise InputError(f"{where}: {field} must be a whole number, got {value:g}. Correct it.")
    return int(value)


def text_of(row: Row) -> str:
    """Return ``row`` as nine columns with a line break."""
    x0, y0, x1, y1 = (Decimal(repr(value)) for value in row.xyxy)
    box = (
        _exact.add(x0, 1),
        _exact.add(y0, 1),
        _exact.subtract(x1, x0),
        _exact.subtract(y1, y0),
    )
    numbers = ",".join(f"{value:f}" for value in box)
    tail = f"{plain(row.confidence)},{row.kind},{plain(row.visibility)}"
    return f"{row.frame + 1},{row.number},{numbers},{tail}\n"


def plain(value: float) -> str:
    """Return a number without an exponent, and without a fraction where it has none."""
    return str(int(value)) if value.is_integer() else f"{Decimal(repr(value)):f}"
