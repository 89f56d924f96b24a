"""Checks of single values of a JSON file; each fault is one line: expected, came, what to do.

``where`` (file, track, frame) begins every message and ``field`` names the value.
"""

from __future__ import annotations

import json
import math
import numbers
from typing import Any

from maskfree.errors import InputError

__all__ = ["as_flag", "as_list", "as_number", "as_object", "as_whole", "show"]

_SHOWN_CHARACTERS = 60


def as_object(value: object, where: str, what: str, field: str) -> dict[str, Any]:
    """Return a copy of an object (``what`` it is, with ``field`` in it), or raise InputError."""
    if not isinstance(value, dict):
        raise InputError(
            f'{where}: expected {what} as an object {{"{field}": …}}, got {show(value)}. '
            "Correct it."
        )
    return dict(value)


def as_list(value: object, where: str, field: str) -> list[Any]:
    """Return ``value`` if it is a list, or raise InputError."""
    if not isinstance(value, list):
        raise InputError(
            f"{where}: {field} must be a list, got {show(value)}. Write [] if there are none."
        )
    return value


def as_flag(value: object, where: str, field: str) -> bool:
    """Return ``value`` if it is true or false, or raise InputError."""
    if not isinstance(value, bool):
        raise InputError(f"{where}: {field} must be true or false, got {show(value)}. Correct it.")
    return value


def as_whole(value: object, where: str, field: str, *, low: int | None = None) -> int:
    """Return ``value`` as an int (5.0 is one) of at least ``low``, or raise InputError."""
    number = as_number(value)
    if number is None or not number.is_integer() or (low is not None and number < low):
        least = "" if low is None else f" of at least {low}"
        raise InputError(
            f"{where}: {field} must be a whole number{least}, got {show(value)}. Correct it."
        )
    return int(value) if isinstance(value, numbers.Integral) else int(number)


def as_number(value: object) -> float | None:
    """Return a finite float, or None for anything else (true and false are no numbers)."""
    # the plain kinds first: asking for a Real takes ten times as long
    plain = type(value) is float or type(value) is int
    if not plain and (isinstance(value, bool) or not isinstance(value, numbers.Real)):
        return None
    try:
        number = float(value)  # type: ignore[arg-type]
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def show(value: object) -> str:
    """Return ``value`` as in the file, cut to a part of a line."""
    if value is None:
        return "nothing"
    text = json.dumps(value, ensure_ascii=False, default=repr)
    text = " ".join(text.split())
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}…"
