"""Pages of TIFF files whose pixels are instance ids: written in a stream, read one at a time.

tifffile reads and writes them. What it would take on trust is checked before: sizes before anything
is allocated, and how large a compressed page becomes. It is imported when it is used.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

import numpy as np

from maskfree.config import FormatConfig
from maskfree.errors import InputError
from maskfree.formats.tiff_chain import page_offsets
from maskfree.video_source import reading
from maskfree.video_stack import tifffile_complaints

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    import tifffile

__all__ = ["LabelTiff", "as_ids", "is_ours", "write_picture", "write_stack"]

_MARK = "napari-maskfree"
_DAMAGED = "Copy or write it again."
_MAX_ID = 2**32 - 1
_CLASSIC_BYTES = 2**32 - 2**25
"""More need BigTIFF: offsets have 32 bits; 32 MiB are left for the directories."""
_STORED, _LZW, _DEFLATE, _DEFLATE_OLD, _PACKBITS = 1, 5, 8, 32946, 32773
_COMPRESSIONS = frozenset((_STORED, _LZW, _DEFLATE, _DEFLATE_OLD, _PACKBITS))
_DEFLATE_RATIO = 1032
"""The most that Deflate makes of a byte (https://zlib.net/zlib_tech.html)."""
_STEP = 1 << 20


def write_picture(path: Path | str, ids: np.ndarray) -> None:
    """Write one picture of ids, unsigned ``(H, W)``, compressed, as a file that says who wrote it.

    Raises
    ------
    OSError
        Where it cannot be written.
    """
    import tifffile

    tifffile.imwrite(
        path,
        ids,
        photometric="minisblack",
        compression="zlib",
        software=_MARK,
        metadata=None,
        maxworkers=1,
    )


def write_stack(
    path: Path, pages: Iterable[np.ndarray], shape: tuple[int, int, int], dtype: np.dtype
) -> None:
    """Write pages of ids as one stack, a page in memory at a time; ``shape``: ``(T, H, W)``.

    Raises
    ------
    OSError
        Where it cannot be written.
    """
    import tifffile

    length, height, width = shape
    large = length * height * width * dtype.itemsize > _CLASSIC_BYTES
    with tifffile.TiffWriter(path, bigtiff=large) as file:
        file.write(
            iter(pages),
            shape=shape,
            dtype=dtype,
            photometric="minisblack",
            compression="zlib",
            software=_MARK,
            metadata={"axes": "TYX"},
            maxworkers=1,
        )


def is_ours(path: Path) -> bool:
    """Return whether :func:`write_picture` made this file."""
    try:
        return LabelTiff(path).software == _MARK
    except InputError:
        return False


class LabelTiff:
    """A TIFF file whose pages are pictures of ids; it is open only while a page is read.

    ``length``: pages; ``size``: height and width in pixels, the same for all; ``description``: the
    first page's text; ``software``: what wrote it.

    Raises
    ------
    InputError
        For a file that cannot be read, is no TIFF, damaged, or whose first page holds no ids.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._offsets = path, page_offsets(path)
        self.length = len(self._offsets)
        self.size: tuple[int, int] = (0, 0)
        with reading(str(path), _DAMAGED), tifffile_complaints(), self._open() as file:
            page = self._page(file, 0)
            self._check(page, 0)
            self.size = (page.imagelength, page.imagewidth)
            self.description, self.software = str(page.description), str(page.software)

    def ids(self, index: int) -> np.ndarray:
        """Return page ``index`` as unsigned ids ``(H, W)`` of 1, 2 or 4 bytes.

        Raises
        ------
        InputError
            For a page that is damaged, of another size, or whose pixels are no ids.
        """
        where = f"{self._path}, page {index}"
        with reading(where, _DAMAGED), tifffile_complaints(), self._open() as file:
            page = self._page(file, index)
            self._check(page, index)
            self._check_inflated(file, page, where)
            picture = np.asarray(page.asarray(maxworkers=1))
        if picture.shape != self.size:
            raise InputError(f"{where} is a damaged picture. {_DAMAGED}")
        return as_ids(picture, where)

    def _open(self) -> tifffile.TiffFile:
        import tifffile

        return tifffile.TiffFile(self._path)

    def _page(self, file: tifffile.TiffFile, index: int) -> tifffile.TiffPage:
        import tifffile

        # Not `file.pages[index]`, which walks over all pages before it each time.
        file.filehandle.seek(self._offsets[index])
        return tifffile.TiffPage(file, index=index)

    def _check(self, page: tifffile.TiffPage, index: int) -> None:
        where, most = f"{self._path}, page {index}", FormatConfig().most_pixels
        height, width = int(page.imagelength), int(page.imagewidth)
        if len(page.shape) != 2 or page.shape != (height, width) or page.dtype is None:
            raise InputError(
                f"{where} is no picture of ids: expected height x width, one number a pixel, got "
                f"the shape {page.shape}. Save the ids as one channel of whole numbers."
            )
        chunk = int(page.tilewidth or 0) * int(page.tilelength or 0)
        if not 0 < height * width <= most or chunk > most:
            raise InputError(
                f"{where} claims {width}x{height} pixels, at most {most} can be read. {_DAMAGED}"
            )
        if self.size not in ((0, 0), (height, width)):
            raise InputError(
                f"{where} is {width}x{height}, the pages before it {self.size[1]}x{self.size[0]}. "
                "All masks of a video have one size."
            )
        if int(page.compression) not in _COMPRESSIONS:
            raise InputError(
                f"{where} is compressed as {page.compression!s}. Save it uncompressed, or with "
                "Deflate, LZW or PackBits."
            )
        # Everything else would be taken up by a decoder before it is known to be there.
        ends = zip(page.dataoffsets, page.databytecounts, strict=True)
        if any(offset + count > _file_size(page) for offset, count in ends):
            raise InputError(f"{where} is cut off. {_DAMAGED}")

    def _check_inflated(self, file: tifffile.TiffFile, page: tifffile.TiffPage, where: str) -> None:
        """Refuse a strip that would become much larger than the page."""
        if int(page.compression) not in (_DEFLATE, _DEFLATE_OLD):
            return
        most = page.imagelength * page.imagewidth * page.dtype.itemsize + _STEP
        if page.tilewidth:
            most = max(most, page.tilewidth * page.tilelength * page.dtype.itemsize + _STEP)
        for offset, count in zip(page.dataoffsets, page.databytecounts, strict=True):
            if count * _DEFLATE_RATIO <= most:
                continue
            file.filehandle.seek(offset)
            if _inflates_beyond(file.filehandle.read(count), most):
                raise InputError(f"{where} unpacks to more than its pixels. {_DAMAGED}")


def _file_size(page: tifffile.TiffPage) -> int:
    """Return how many bytes the file of a page has."""
    return int(page.parent.filehandle.size)


def _inflates_beyond(data: bytes, most: int) -> bool:
    decoder, total = zlib.decompressobj(), 0
    while data and not decoder.eof and total <= most:
        total += len(decoder.decompress(data, _STEP))
        data = decoder.unconsumed_tail
    return total > most


def as_ids(picture: np.ndarray, where: str) -> np.ndarray:
    """Return a picture of any numbers as unsigned ids of 1, 2 or 4 bytes.

    Whole floats are ids too (ImageJ); ``where`` begins the message.

    Raises
    ------
    InputError
        For numbers that are no ids.
    """
    kind, wide = picture.dtype.kind, picture.dtype.itemsize
    if kind == "b" or (kind == "u" and wide <= 2):
        return picture.astype(picture.dtype.newbyteorder("=") if kind == "u" else np.uint8)
    if kind not in "uif":
        raise InputError(
            f"{where} holds {picture.dtype}. Masks are pictures of whole numbers, the instances' "
            "ids; save it as 8 or 16 bit."
        )
    low, high = picture.min(), picture.max()
    # A NaN is in neither range.
    if not (0 <= low and high <= _MAX_ID) or (kind == "f" and (picture != np.rint(picture)).any()):
        raise InputError(
            f"{where}: ids must be whole numbers from 0 (background) to {_MAX_ID}, got {low} to "
            f"{high}. Is it the picture instead of the masks? Give the masks."
        )
    return picture.astype(np.uint32)
