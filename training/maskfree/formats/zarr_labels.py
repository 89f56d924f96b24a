"""A zarr array of instance ids, read a frame at a time and never trusted.

zarr decodes it (versions 2 and 3). What it would take on trust is checked before: the shape before
anything is allocated, how many chunks a frame has, that a chunk is a file of its own within the
array's folder, and how large it becomes.
"""

from __future__ import annotations

import itertools
import math
import os
import stat
import struct
import warnings
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np

from maskfree.config import FormatConfig
from maskfree.errors import InputError
from maskfree.formats.box_files import read_head
from maskfree.formats.label_tiff import as_ids
from maskfree.formats.limits import check_size
from maskfree.storage import open_bytes
from maskfree.video_source import reading

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["METADATA", "LabelArray"]

METADATA = ("zarr.json", ".zarray")
_DAMAGED = "Copy the whole folder again."
_AXES = "tczyx"
_STEP = 1 << 20
_BLOSC_HEADER, _BLOSC_SIZE_AT = 16, slice(4, 8)
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
_MORE = 4096
"""Bytes that a stored chunk may have beyond its pixels: headers, and what does not compress."""


class LabelArray:
    """An array of ids with a time axis; nothing stays open.

    ``length``: frames; ``size``: height and width in pixels.

    Parameters
    ----------
    folder
        Of the array itself.
    axes
        A letter of "tczyx" for each axis, None: the last two are y and x. Channels and depth must
        have one plane; a stack without time is taken for one over time.

    Raises
    ------
    InputError
        For a folder that is no such array.
    """

    def __init__(self, folder: Path, axes: str | None) -> None:
        import zarr

        self._folder, self._where = folder, f"zarr array {folder}"
        name = next((name for name in METADATA if (folder / name).is_file()), None)
        if name is None:
            raise InputError(f"{folder} is no zarr array. Give the folder that holds zarr.json.")
        with open_bytes(folder / name, name) as file:
            read_head(file, f"{name} {folder / name}")
        with reading(str(folder), _DAMAGED), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            array = zarr.open_array(str(folder), mode="r")
            shape = tuple(int(side) for side in array.shape)
            self._chunks = tuple(int(side) for side in array.chunks)
            shards, kind = array.shards, array.dtype
            coders = [*array.filters, *array.compressors]
        self._array, self._dtype = array, np.dtype(kind)
        axes = self._checked_axes(shape, axes)
        self._time = axes.find("t")
        self.length = shape[self._time] if self._time >= 0 else 1
        self.size = (shape[-2], shape[-1])
        self._check(shape, shards, coders)

    def _checked_axes(self, shape: tuple[int, ...], axes: str | None) -> str:
        axes = axes or ("t" * (len(shape) == 3) + "yx")
        if "t" not in axes:
            axes = axes.replace("z", "t")
        fits = len(axes) == len(shape) == len(set(axes)) and set(axes) <= set(_AXES)
        if not fits or not axes.endswith("yx"):
            raise InputError(
                f"The {self._where} has the shape {shape} and the axes {axes!a}; expected axes of "
                f'"{_AXES}" that end in y and x. Save it as time, y, x.'
            )
        planes = {letter: side for letter, side in zip(axes, shape, strict=True) if letter in "cz"}
        if several := {letter: side for letter, side in planes.items() if side != 1}:
            raise InputError(
                f"The {self._where} has several planes ({several}). Save one channel of one depth."
            )
        return axes

    def _check(self, shape: tuple[int, ...], shards: Any, coders: list[Any]) -> None:
        config = FormatConfig()
        check_size(*self.size, self._where)
        if not 1 <= self.length <= config.most_frames:
            raise InputError(
                f"The {self._where} must have 1 to {config.most_frames} frames, got {self.length}."
            )
        if self._dtype.kind not in "bui":
            raise InputError(
                f"The {self._where} holds {self._dtype}. Masks are whole numbers, the instances' "
                "ids; save it as such."
            )
        numbers = [-(-side // chunk) for side, chunk in zip(shape, self._chunks, strict=True)]
        if math.prod(self._chunks) > config.most_pixels or min(self._chunks) < 1:
            raise InputError(
                f"The {self._where} has chunks of {self._chunks}, more than {config.most_pixels} "
                "numbers. Save it with a chunk a frame."
            )
        if math.prod(numbers[-2:]) > config.most_chunks:
            raise InputError(
                f"The {self._where} has {math.prod(numbers[-2:])} chunks a frame, at most "
                f"{config.most_chunks} can be read. Save it with larger chunks."
            )
        names = [_name_of(coder) for coder in coders]
        if shards is not None or len(names) > 1 or not set(names) <= _CHECKS.keys():
            raise InputError(
                f"The {self._where} is stored as {', '.join(names) or 'shards'}. Save it without "
                f"shards and filters, compressed by one of {', '.join(_CHECKS)}."
            )
        self._coder = names[0] if names else ""

    def ids(self, frame: int) -> np.ndarray:
        """Return a frame as unsigned ids ``(H, W)`` of 1, 2 or 4 bytes.

        Raises
        ------
        InputError
            For a chunk that is damaged, or numbers that are no ids.
        """
        where = f"{self._where}, frame {frame}"
        key = [0] * len(self._chunks)
        if self._time >= 0:
            key[self._time] = frame
        with reading(where, _DAMAGED), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for chunk in self._chunks_at(key):
                self._check_chunk(chunk, where)
            picture = np.asarray(self._array[(*key[:-2], slice(None), slice(None))])
        if picture.shape != self.size:
            raise InputError(f"{where} is damaged. {_DAMAGED}")
        return as_ids(picture, where)

    def _chunks_at(self, key: list[int]) -> Iterator[tuple[int, ...]]:
        fixed = [place // side for place, side in zip(key[:-2], self._chunks, strict=False)]
        ranges = [
            range(-(-side // chunk))
            for side, chunk in zip(self.size, self._chunks[-2:], strict=True)
        ]
        for rows, columns in itertools.product(*ranges):
            yield (*fixed, rows, columns)

    def _check_chunk(self, chunk: tuple[int, ...], where: str) -> None:
        path = os.path.join(self._folder, self._array.metadata.encode_chunk_key(chunk))
        try:
            info = os.lstat(path)
        except FileNotFoundError:
            return  # the fill value, zero in most cases
        inside = os.path.realpath(path).startswith(os.path.realpath(self._folder) + os.sep)
        if not stat.S_ISREG(info.st_mode) or not inside:
            raise InputError(f"{where}: chunk {chunk} is no file of the folder. {_DAMAGED}")
        nbytes = math.prod(self._chunks) * self._dtype.itemsize
        if info.st_size > 2 * nbytes + _MORE:
            raise InputError(f"{where}: chunk {chunk} is larger than its numbers. {_DAMAGED}")
        with open(path, "rb") as file:
            data = file.read()
        if self._coder and not _CHECKS[self._coder](data, nbytes):
            raise InputError(
                f"{where}: chunk {chunk} does not unpack to its {nbytes} bytes. {_DAMAGED}"
            )


def _name_of(coder: Any) -> str:
    """Return what a coder is called: "blosc" for numcodecs' ``Blosc`` and zarr's ``BloscCodec``."""
    return type(coder).__name__.lower().removesuffix("codec")


def _blosc_fits(data: bytes, nbytes: int) -> bool:
    if len(data) < _BLOSC_HEADER:
        return False
    found: int = struct.unpack("<I", data[_BLOSC_SIZE_AT])[0]
    return found == nbytes


def _zstd_fits(data: bytes, nbytes: int) -> bool:
    """Return whether the frame says that size (RFC 8878, section 3.1.1.1)."""
    if len(data) < 6 or data[:4] != _ZSTD_MAGIC:
        return False
    flags = data[4]
    single, width = bool(flags & 0x20), 1 << (flags >> 6)
    width = width if width > 1 or single else 0
    start = 5 + (not single) + (0, 1, 2, 4)[flags & 3]
    field = data[start : start + width]
    if not width or len(field) < width:
        return False
    return int.from_bytes(field, "little") + (256 if width == 2 else 0) == nbytes


def _deflate_fits(data: bytes, nbytes: int) -> bool:
    decoder, total = zlib.decompressobj(wbits=47), 0  # gzip or zlib, whichever it is
    try:
        while data and not decoder.eof and total <= nbytes:
            total += len(decoder.decompress(data, _STEP))
            data = decoder.unconsumed_tail
    except zlib.error:
        return False
    return total == nbytes


_CHECKS = {
    "blosc": _blosc_fits,
    "zstd": _zstd_fits,
    "gzip": _deflate_fits,
    "zlib": _deflate_fits,
}
"""By the coder's name: whether what a chunk unpacks to has so many bytes, told before it is."""
