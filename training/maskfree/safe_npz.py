"""Arrays of ``.npz`` files of our own, which may come from a stranger: bounded, never unpickled.

``numpy.load(allow_pickle=False)`` runs no code, but makes whatever a header claims, and unpacks
whatever a few bytes unpack to.
"""

from __future__ import annotations

import contextlib
import math
import tokenize
import zipfile
import zlib
from typing import IO, TYPE_CHECKING, BinaryIO

import numpy as np

from maskfree.config import FormatConfig

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["DAMAGE", "open_archive", "read_arrays", "read_head"]

DAMAGE = (
    OSError,
    EOFError,
    ValueError,
    KeyError,
    RuntimeError,  # an encrypted member, an unknown compression
    TypeError,
    OverflowError,
    zipfile.BadZipFile,
    zlib.error,
)
"""What reading a damaged ``.npz`` file may raise."""
_COMPRESSIONS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_KINDS = "biufU"
_SUFFIX = ".npy"
_MOST_ARRAYS = 100_000


def read_arrays(file: BinaryIO, *, leave_out: str = "") -> dict[str, np.ndarray]:
    """Return the arrays of an archive by name, but for one.

    Raises
    ------
    ValueError
        For an array of other things than numbers and text, one whose bytes do not fill its shape,
        and arrays that together take more than ``FormatConfig.array_bytes``.
    OSError, RuntimeError, zipfile.BadZipFile, zlib.error
        For a damaged archive; see `DAMAGE`.
    """
    left = FormatConfig().array_bytes
    found = {}
    with open_archive(file) as archive:
        for entry in archive.infolist():
            name = entry.filename.removesuffix(_SUFFIX)
            if name == leave_out:
                continue
            with archive.open(entry) as member:
                shape, by_column, dtype = read_head(member)
                size = math.prod(shape) * dtype.itemsize
                left -= size
                if dtype.kind not in _KINDS or left < 0:
                    raise ValueError(f'"{name}" is {size} bytes of {dtype}')
                # One byte more: the end is reached, where the archive checks its sum.
                raw = member.read(size + 1)
            if len(raw) != size:
                raise ValueError(f'"{name}" is cut off or too long')
            found[name] = np.ndarray(shape, dtype, raw, order="F" if by_column else "C").copy()
    return found


@contextlib.contextmanager
def open_archive(file: BinaryIO) -> Iterator[zipfile.ZipFile]:
    """Open an archive whose members are few and packed as ``.npz`` files have them.

    Raises
    ------
    ValueError
        Where they are not, or one has the name of another.
    """
    with zipfile.ZipFile(file) as archive:
        entries = archive.infolist()
        names = {entry.filename for entry in entries}
        packed = all(entry.compress_type in _COMPRESSIONS for entry in entries)
        if not packed or len(names) < len(entries) or len(entries) > _MOST_ARRAYS:
            raise ValueError("no archive of arrays")
        yield archive


def read_head(member: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Return shape, whether it is stored by column, and kind of the array that comes next.

    Raises
    ------
    ValueError
        Where none comes.
    """
    version = np.lib.format.read_magic(member)
    try:
        if version == (1, 0):
            shape, by_column, dtype = np.lib.format.read_array_header_1_0(member)
        else:
            shape, by_column, dtype = np.lib.format.read_array_header_2_0(member)
    except (SyntaxError, tokenize.TokenError, RecursionError) as error:
        # The header is Python's text for a dictionary, taken apart by Python's own parser.
        raise ValueError("a header that is none") from error
    if any(side < 0 for side in shape):
        raise ValueError("a side below 0")
    return shape, by_column, dtype
