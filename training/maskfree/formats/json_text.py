"""Pieces of the JSON files that we write: compact text, names of frames, boxes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from maskfree.config import FormatConfig
from maskfree.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from maskfree.formats.base import Annotations
    from maskfree.types import Box

__all__ = ["compact", "file_names", "utf8", "xywh"]

_AROUND = 20
"""Characters that a message shows on either side of one at fault."""

compact = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode
"""Returns a value as JSON without spaces."""


def file_names(annotations: Annotations) -> Iterable[str]:
    """Return the source's files, or the frames' names with a suffix where they are not known."""
    if annotations.file_names:
        return annotations.file_names
    suffix = FormatConfig().frame_suffix
    return (f"{name}{suffix}" for name in annotations.frame_names)


def utf8(text: str) -> bytes:
    """Return the bytes of ``text``.

    Raises
    ------
    InputError
        For half of a surrogate pair, as a file's name may hold.
    """
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        shown = text[max(0, error.start - _AROUND) : error.end + _AROUND]
        raise InputError(
            f"A frame's name or a label is no text that UTF-8 can hold: {shown!a}. Rename it."
        ) from None


def xywh(box: Box) -> list[float]:
    """Return ``xyxy`` as ``[x, y, width, height]``."""
    x0, y0, x1, y1 = box
    return [x0, y0, x1 - x0, y1 - y0]
