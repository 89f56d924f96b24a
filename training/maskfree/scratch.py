"""Arrays as long as the video: in memory while they are small, else in a file that nobody sees."""

from __future__ import annotations

import math
import tempfile
from typing import IO, TYPE_CHECKING

import numpy as np

from maskfree.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import DTypeLike

__all__ = ["scratch"]

_BLOCK = 2**16
"""Bytes that are written at once."""


def scratch(shape: tuple[int, ...], dtype: DTypeLike, *, most_bytes: int) -> np.ndarray:
    """Return an array of zeros; one of more than ``most_bytes`` does not stay in memory.

    It is mapped onto a temporary file: the operating system may drop its pages and read them again.
    The file has no name, or on Windows one that goes with it, and is gone with the last view of the
    array. Where the temporary folder is itself in memory nothing is gained; ``TMPDIR`` names
    another.

    Parameters
    ----------
    shape, dtype
        As of `numpy.zeros`.
    most_bytes
        A larger array goes to a file.

    Raises
    ------
    InputError
        When the file cannot be made, as where there is no room or no folder for it.
    """
    size = math.prod(shape) * np.dtype(dtype).itemsize
    if size <= most_bytes:
        return np.zeros(shape, dtype)
    try:
        with tempfile.TemporaryFile() as file:
            _fill(file, size)
            return np.asarray(np.memmap(file, dtype, "r+", shape=shape))
    except OSError as error:
        where = tempfile.tempdir or "the folder for temporary files"
        raise InputError(
            f"{math.ceil(size / 2**20)} MB of working data cannot be kept in {where} "
            f"({error.strerror or error}). Set the environment variable TMPDIR to a folder with "
            "room, then try again."
        ) from error


def _fill(file: IO[bytes], size: int) -> None:
    """Write zeros: the disk must refuse them here, since a full one kills who writes to a map."""
    block = memoryview(bytes(_BLOCK))
    for left in range(size, 0, -_BLOCK):
        file.write(block[:left])
    file.flush()
