"""Frames from a folder of images, in natural order, 8 and 16 bits deep."""

from __future__ import annotations

import itertools
import re
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageOps

from maskfree.errors import InputError
from maskfree.evenly import evenly
from maskfree.limits import check_frame
from maskfree.opened_picture import opened_picture
from maskfree.video_axes import GREY_ALPHA, MOST_CHANNELS
from maskfree.video_source import PictureSource, check_readable, reading
from maskfree.video_stack import TIFF_SUFFIXES, tifffile_complaints

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from maskfree.config import VideoConfig

__all__ = ["SUFFIXES", "ImageFolder", "header_size", "natural_key", "read_picture"]

SUFFIXES = TIFF_SUFFIXES | frozenset(
    {".png", ".jpg", ".jpeg", ".bmp", ".webp", ".ppm", ".pgm", ".pnm", ".jp2"}
)
DAMAGED = "Copy or write that picture again."
PNG_SIGNATURE = b"\x89PNG"
PNG_BIT_DEPTH_BYTE, DEEP = 24, 16
FORMATS = ("PNG", "JPEG", "BMP", "WEBP", "PPM", "JPEG2000")
"""Of Pillow, by content (MPO opens as JPEG): of others, some start programs (EPS Ghostscript)."""
PHOTO_FORMATS = ("JPEG", "MPO", "WEBP")
EXIF_ORIENTATION, FIRST_TURNED = 0x0112, 5


class ImageFolder(PictureSource):
    """One picture file a frame; ``names`` are the files' stems. All have one size."""

    def __init__(self, path: Path, config: VideoConfig) -> None:
        super().__init__(config)
        self.path = path
        self._files = _picture_files(path)
        self.names = [file.stem for file in self._files]
        check_readable(self._files[0])
        height, width = header_size(self._files[0])
        check_frame(height, width, str(self._files[0]))
        self.size = len(self._files), height, width
        for i in evenly(range(len(self._files)), config.size_checks):
            check_readable(self._files[i])
            self._check_size(i, header_size(self._files[i]))
        self._dtype: np.dtype[np.generic] | None = None

    def raw(self, index: int) -> np.ndarray:
        """Return picture ``index`` as stored; see :class:`PictureSource`."""
        file = self._files[index]
        picture = read_picture(file)
        self._check_size(index, picture.shape[:2])
        self._dtype = picture.dtype if self._dtype is None else self._dtype
        if picture.dtype != self._dtype:
            raise InputError(
                f"{file} holds {picture.dtype}, the pictures before it {self._dtype}. Save them "
                "all with the same depth."
            )
        grey_alpha = picture.ndim > 2 and picture.shape[2] == GREY_ALPHA
        return picture[..., 0] if grey_alpha else picture

    def _check_size(self, index: int, size: tuple[int, ...]) -> None:
        _, height, width = self.size
        if tuple(size) != (height, width):
            raise InputError(
                f"{self._files[index]} is {size[1]} x {size[0]} pixels, {self._files[0].name} is "
                f"{width} x {height}. All frames need one size: remove or resize it."
            )


def natural_key(name: str) -> list[str | int]:
    """Return a sort key in which runs of digits count as numbers: 2 before 10."""
    parts = re.split(r"([0-9]+)", name)
    return [int(part) if i % 2 else part.lower() for i, part in enumerate(parts)]


def _picture_files(folder: Path) -> list[Path]:
    """Return the folder's pictures in natural order of their stems; hidden files do not count."""
    try:
        entries = [p for p in folder.iterdir() if not p.name.startswith(".")]
    except PermissionError:
        raise InputError(
            f"{folder} may not be read (permission denied). Ask its owner, or copy it to a place "
            "that you may read."
        ) from None
    files = sorted(_pictures(entries), key=lambda p: (natural_key(p.stem), p.name))
    if not files:
        raise InputError(f"{folder} holds no images.{_elsewhere(entries)}")
    for before, after in itertools.pairwise(files):
        if before.stem == after.stem:
            raise InputError(
                f"{folder} holds both {before.name} and {after.name}: which is the frame? Move "
                "one kind into a folder of its own."
            )
    return files


def _pictures(entries: Iterable[Path]) -> list[Path]:
    return [p for p in entries if p.suffix.lower() in SUFFIXES and p.is_file()]


def _elsewhere(entries: list[Path]) -> str:
    """Return a hint where the frames may be: a sub-folder with images, a file that is a video."""
    from maskfree.video_file import SUFFIXES as VIDEO_SUFFIXES

    for entry in sorted(entries):
        if entry.suffix.lower() in VIDEO_SUFFIXES and entry.is_file():
            return f" It holds the video {entry.name}: pass {entry}."
    for entry in sorted(entries):
        if entry.is_dir() and _pictures(entry.iterdir()):
            return f" Its folder {entry.name} does: pass {entry}."
    return f" Pass a folder of {' '.join(sorted(SUFFIXES))} files."


def header_size(file: Path) -> tuple[int, int]:
    """Return (H, W) of a picture from its header alone.

    Raises
    ------
    InputError
        Where the file is damaged.
    """
    with reading(str(file), DAMAGED):
        if file.suffix.lower() in TIFF_SUFFIXES:
            return _tiff_header_size(file)
        with opened_picture(file, FORMATS) as image:
            width, height = image.size
            turned = _is_photo(image) and image.getexif().get(EXIF_ORIENTATION, 1) >= FIRST_TURNED
    return (width, height) if turned else (height, width)


def _tiff_header_size(file: Path) -> tuple[int, int]:
    import tifffile

    with tifffile_complaints(), tifffile.TiffFile(file) as tiff:
        page = tiff.pages[0]
        return int(page.imagelength), int(page.imagewidth)


def read_picture(file: Path) -> np.ndarray:
    """Return a picture as stored, ``(H, W)`` or ``(H, W, C)``: grey, grey and alpha, RGB or RGBA.

    Raises
    ------
    InputError
        For a file that is missing, empty, damaged, or holds more than one picture.
    """
    check_readable(file)
    with reading(str(file), DAMAGED):
        if file.suffix.lower() in TIFF_SUFFIXES:
            return _read_tiff(file)
        if _is_deep_png(file):
            return _read_deep_png(file)
        with opened_picture(file, FORMATS) as image:
            return _to_array(ImageOps.exif_transpose(image) if _is_photo(image) else image)


def _is_photo(image: Image.Image) -> bool:
    """Return whether the format says in its header how the camera was held."""
    return image.format in PHOTO_FORMATS


def _to_array(image: Image.Image) -> np.ndarray:
    if image.mode in ("L", "LA", "RGB", "RGBA", "I", "F", "1") or image.mode.startswith("I;16"):
        return np.asarray(image)
    return np.asarray(image.convert("RGBA" if "transparency" in image.info else "RGB"))


def _is_deep_png(file: Path) -> bool:
    """Return whether the file is a 16-bit PNG, whose colours Pillow would cut down to 8 bits."""
    with file.open("rb") as stream:
        head = stream.read(PNG_BIT_DEPTH_BYTE + 1)
    return head.startswith(PNG_SIGNATURE) and head[PNG_BIT_DEPTH_BYTE:] == bytes([DEEP])


def _read_deep_png(file: Path) -> np.ndarray:
    """Return a 16-bit PNG as uint16; PyAV decodes it in full depth."""
    import av

    with file.open("rb") as stream, av.open(stream, format="png_pipe") as container:
        frame = next(iter(container.decode(video=0)))
        kept = frame.format.name in ("gray16be", "rgb48be", "rgba64be")
        picture: np.ndarray = frame.to_ndarray(format=frame.format.name if kept else "gray16be")
        return picture.astype(np.uint16)


def _read_tiff(file: Path) -> np.ndarray:
    import tifffile

    with tifffile_complaints(), tifffile.TiffFile(file) as tiff:
        picture: np.ndarray = tiff.pages[0].asarray()
        count = len(tiff.pages)
    if count > 1:
        raise InputError(
            f"{file} holds {count} pictures: pass that file as the video, or a folder of single "
            "pictures."
        )
    if picture.ndim == 3 and picture.shape[0] <= MOST_CHANNELS < picture.shape[2]:
        picture = np.moveaxis(picture, 0, -1)
    return picture
