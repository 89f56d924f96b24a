"""Opening a picture that may be damaged, or made to be: nothing is made room for that is not there.

Pillow asks for as many bytes as a part of the file says that it has, and a file makes room for all
of them before it reads. A map of the file gives what there is.
"""

from __future__ import annotations

import contextlib
import mmap
import os
from typing import IO, TYPE_CHECKING, cast

from PIL import Image, UnidentifiedImageError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["opened_picture"]


@contextlib.contextmanager
def opened_picture(
    path: str | os.PathLike[str], formats: list[str] | tuple[str, ...]
) -> Iterator[Image.Image]:
    """Open the picture in a file, which is not empty; ``formats``: what of Pillow may look at it.

    Raises what Pillow does.
    """
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        try:
            image = Image.open(cast("IO[bytes]", content), formats=formats)
        except UnidentifiedImageError:
            said = f"cannot identify image file {os.fspath(path)!r}"
            raise UnidentifiedImageError(said) from None
        with image:
            yield image
