"""Where the pages of a TIFF file lie: the chain of its directories, walked once.

TIFF 6.0 (https://www.itu.int/itudoc/itu-t/com16/tiff-fx/docs/tiff6.pdf, section 2) and BigTIFF
(https://www.awaresystems.be/imaging/tiff/bigtiff.html). tifffile walks it too, from the start for
every file that is opened, and goes round for ever where a damaged chain bites its own tail. It
goes on from two kinds of page that are damaged too: one without tags, and one that the file ends
in, whose last bytes it takes for the place of the next.
"""

from __future__ import annotations

import os
import struct
from array import array
from typing import TYPE_CHECKING, NamedTuple

from maskfree.errors import InputError
from maskfree.storage import open_bytes, reading

if TYPE_CHECKING:
    from pathlib import Path
    from typing import BinaryIO

__all__ = ["KIND", "Endless", "page_offsets"]

KIND = "TIFF"
_ORDERS = {b"II": "<", b"MM": ">"}
_MOST_TAGS = 4096
"""tifffile takes more for damage."""


class Endless(InputError):
    """The pages of a file go round in a circle, or may: they go on from a damaged page."""


class _Layout(NamedTuple):
    """Sizes of a kind of TIFF: how tags are counted, a tag's bytes, how offsets are written."""

    counted: str
    tag_bytes: int
    offset: str
    first: int


_LAYOUTS = {42: _Layout("H", 12, "I", 4), 43: _Layout("Q", 20, "Q", 8)}


def page_offsets(path: Path) -> array[int]:
    """Return where each page's directory begins, in bytes from the start of the file.

    Raises
    ------
    InputError
        For a file that cannot be read, is no TIFF, is cut off, or whose pages do not end
        (:class:`Endless`).
    """
    with open_bytes(path, KIND) as file, reading(f"{KIND} {path}"):
        size = file.seek(0, os.SEEK_END)
        order, layout = _head(file, path)
        offsets, mark, power = array("Q"), 0, 1
        at = _number(file, order + layout.offset, layout.first, path)
        while at:
            # Brent: a place seen 1, 2, 4, … pages ago is met again wherever there is a circle.
            if at >= size:
                raise _damaged(path, f"page {len(offsets)}")
            if at == mark:
                raise Endless(str(_damaged(path, f"page {len(offsets)}")))
            if len(offsets) + 1 == power:
                mark, power = at, 2 * power
            offsets.append(at)
            tags = _number(file, order + layout.counted, at, path)
            if tags > _MOST_TAGS:
                raise _damaged(path, f"page {len(offsets) - 1}")
            after = at + struct.calcsize(order + layout.counted) + tags * layout.tag_bytes
            place = struct.calcsize(order + layout.offset)
            cut = after + place > size
            at = _number(file, order + layout.offset, size - place if cut else after, path)
            if cut or not tags:
                damage = _damaged(path, f"page {len(offsets) - 1}")
                raise Endless(str(damage)) if 0 < at < size else damage
    if not offsets:
        raise InputError(f"{path} holds no page. Write it again.")
    return offsets


def _head(file: BinaryIO, path: Path) -> tuple[str, _Layout]:
    file.seek(0)
    head = file.read(4)
    order = _ORDERS.get(head[:2])
    layout = _LAYOUTS.get(struct.unpack(order + "H", head[2:])[0]) if order and head[3:] else None
    if order is None or layout is None:
        raise InputError(f"{path} is not a TIFF. Masks are TIFFs whose pixels are instance ids.")
    return order, layout


def _number(file: BinaryIO, format: str, place: int, path: Path) -> int:
    file.seek(place)
    raw = file.read(struct.calcsize(format))
    if len(raw) < struct.calcsize(format):
        raise _damaged(path, f"byte {place}")
    number: int = struct.unpack(format, raw)[0]
    return number


def _damaged(path: Path, where: str) -> InputError:
    return InputError(f"{path} is a damaged TIFF ({where}). Copy or write it again.")
