"""Opening a PNG that may be damaged, or made to be, and what Pillow may raise for it."""

from __future__ import annotations

import contextlib
import mmap
import struct
import zlib
from typing import IO, TYPE_CHECKING, cast

from PIL import Image

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator

__all__ = ["PNG_DAMAGE", "opened_png"]

PNG_DAMAGE = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    OverflowError,
    TypeError,
    IndexError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)


@contextlib.contextmanager
def opened_png(path: str | os.PathLike[str]) -> Iterator[Image.Image]:
    """Open a PNG; raises what is in `PNG_DAMAGE`.

    Pillow asks for as many bytes as a part of the file says that it has, and a file makes room for
    all of them before it reads: a map of the file gives what there is.
    """
    with (
        open(path, "rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content,
        Image.open(cast("IO[bytes]", content), formats=["PNG"]) as image,
    ):
        yield image
