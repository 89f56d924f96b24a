"""Folders of PNGs whose pixels are instance ids: palette, one file, and the frames' names."""

from __future__ import annotations

import io
import os
import struct
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, PngImagePlugin

from maskfree.errors import InputError
from maskfree.formats.limits import check_size
from maskfree.opened_picture import opened_picture
from maskfree.png_damage import PNG_DAMAGE
from maskfree.video_folder import natural_key

if TYPE_CHECKING:
    from collections.abc import Collection

__all__ = [
    "MAX_ID",
    "davis_palette",
    "encode_grey",
    "encode_ids",
    "encode_rgba",
    "is_ours",
    "list_pngs",
    "read_ids",
    "read_rgba",
]

MAX_ID = 255
"""The largest id that an 8-bit PNG holds."""

_MARK = "napari-maskfree"
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_HEADER = struct.Struct(">8s8xIIBB")
_MOST_PACKED = 1032
"""Bytes that one of deflate's can become (zlib's technical details)."""
_GREY, _INDEXED, _RGBA = 0, 3, 6
_MODES = frozenset(("P", "L", "1", "I;16", "I"))
"""What Pillow makes of ids."""
_DEPTHS = {_GREY: (1, 8, 16), _INDEXED: (1, 2, 4, 8)}


def davis_palette() -> bytes:
    """Return the 256 RGB colours of the DAVIS annotations, 768 bytes.

    The Pascal VOC colour map, which DAVIS took over: the bits of the id, from the lowest, are
    dealt in turn to red, green and blue, each from its highest bit down.
    """
    ids = np.arange(MAX_ID + 1)
    palette = np.zeros((MAX_ID + 1, 3), np.uint8)
    for bit in range(8):
        channel, place = bit % 3, 7 - bit // 3
        palette[:, channel] |= (((ids >> bit) & 1) << place).astype(np.uint8)
    return palette.tobytes()


def encode_ids(ids: np.ndarray) -> bytes:
    """Return ``ids``, uint8 ``(H, W)``, as an 8-bit indexed PNG that says who wrote it."""
    image = Image.fromarray(np.ascontiguousarray(ids, dtype=np.uint8))
    image.putpalette(davis_palette())
    return _encoded(image)


def encode_grey(ids: np.ndarray) -> bytes:
    """Return ``ids``, uint16 ``(H, W)``, as a 16-bit grey PNG that says who wrote it."""
    return _encoded(Image.fromarray(np.ascontiguousarray(ids, dtype=np.uint16)))


def encode_rgba(picture: np.ndarray) -> bytes:
    """Return ``picture``, uint8 ``(H, W, 4)``, as an RGBA PNG that says who wrote it."""
    return _encoded(Image.fromarray(np.ascontiguousarray(picture, dtype=np.uint8)))


def _encoded(image: Image.Image) -> bytes:
    info = PngImagePlugin.PngInfo()
    info.add_text("Software", _MARK)
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", pnginfo=info)
    return buffer.getvalue()


def is_ours(path: Path, mode: str = "P") -> bool:
    """Return whether we made this file.

    ``mode``: "P" for :func:`encode_ids`, "I;16" for `encode_grey`, "RGBA" for `encode_rgba`.
    """
    try:
        with opened_picture(path, ["PNG"]) as image:
            return image.mode == mode and image.info.get("Software") == _MARK
    except PNG_DAMAGE:
        return False


def read_ids(path: str | os.PathLike[str]) -> np.ndarray:
    """Return the ids of one PNG, uint8 or uint16 ``(H, W)``; 0 is background.

    Indexed PNGs of any depth, grey ones of 8 or 16 bit (the grey value is the id) and black and
    white ones (white is id 1) are read. 255 is an id like any other.

    Raises
    ------
    InputError
        When the file cannot be read, is no PNG, or has colours instead of ids.
    """
    (colour, depth), size = _read_header(path)
    if depth not in _DEPTHS.get(colour, ()):
        kind = f"{depth}-bit grey" if colour == _GREY else "colour"
        raise InputError(
            f"{path} is a {kind} PNG. Masks are indexed or 8-bit grey PNGs whose pixels are "
            "instance ids; save it as one."
        )
    ids = _pixels(path, size, _MODES)
    return ids.astype(np.uint16 if (colour, depth) == (_GREY, 16) else np.uint8)


def read_rgba(path: str | os.PathLike[str]) -> np.ndarray:
    """Return the pixels of an 8-bit RGBA PNG, uint8 ``(H, W, 4)``.

    Raises
    ------
    InputError
        When the file cannot be read or is none.
    """
    kind, size = _read_header(path)
    if kind != (_RGBA, 8):
        raise InputError(
            f"{path} is no RGBA PNG of 8 bits a channel. Save it as one, without premultiplying."
        )
    return _pixels(path, size, ("RGBA",))


def _pixels(
    path: str | os.PathLike[str], size: tuple[int, int], modes: Collection[str]
) -> np.ndarray:
    """Return the pixels of a picture of ``size`` (width, height) in one of Pillow's ``modes``."""
    try:
        with opened_picture(path, ["PNG"]) as image:
            # A second header further on counts for Pillow: another size, or colours.
            if image.size != size or image.mode not in modes:
                raise ValueError("it has two headers")
            return np.array(image)
    except PNG_DAMAGE as error:
        raise InputError(f"{path} is a damaged PNG ({error}). Write it again.") from None


def _read_header(path: str | os.PathLike[str]) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return colour type and bits of a PNG, and its checked width and height."""
    try:
        with open(path, "rb") as file:
            head = file.read(_HEADER.size)
            length = file.seek(0, os.SEEK_END)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}.") from None
    if len(head) < _HEADER.size or not head.startswith(_SIGNATURE):
        raise InputError(f"{path} is not a PNG. Masks are PNGs whose pixels are instance ids.")
    _, width, height, depth, colour = _HEADER.unpack(head)
    check_size(height, width, os.fspath(path))
    if height * width * depth > 8 * _MOST_PACKED * length:
        raise InputError(
            f"{path} is a damaged PNG: its {length} bytes cannot hold {width} x {height} pixels. "
            "Write it again."
        )
    return (colour, depth), (width, height)


def list_pngs(folder: str | Path) -> dict[str, str]:
    """Return stem to file name of the PNGs directly under ``folder``, in natural order.

    Names, not paths: a path takes ten times the memory, and a video has many.

    Raises
    ------
    InputError
        When there is no such folder, it holds no PNG, or two PNGs have the same stem.
    """
    folder = Path(folder)
    if not folder.exists():
        raise InputError(
            f"There is no folder {folder}. Give the folder that holds the masks' PNGs."
        )
    if not folder.is_dir():
        raise InputError(f"{folder} is a file. Give the folder that holds the masks' PNGs.")
    try:
        with os.scandir(folder) as entries:
            files = [entry.name for entry in entries if _is_png(entry)]
    except OSError as error:
        raise InputError(f"{folder} cannot be read: {error.strerror or error}.") from None
    if not files:
        raise InputError(f"{folder} holds no PNG. Give the folder with one PNG a frame.")
    found: dict[str, str] = {}
    for name in sorted(files, key=lambda name: natural_key(os.path.splitext(name)[0])):
        stem = os.path.splitext(name)[0]
        if stem in found:
            raise InputError(
                f"{folder} holds {found[stem]} and {name}, two masks of one frame. Remove one."
            )
        found[stem] = name
    return found


def _is_png(entry: os.DirEntry[str]) -> bool:
    suffix = os.path.splitext(entry.name)[1]
    return suffix.lower() == ".png" and not entry.name.startswith("._") and entry.is_file()
