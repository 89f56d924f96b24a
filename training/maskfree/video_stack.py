"""Frames from TIFF stacks, zarr arrays and groups, and arrays (numpy, dask) in memory or lazy."""

from __future__ import annotations

import contextlib
import logging
import math
import warnings
import weakref
from typing import IO, TYPE_CHECKING, Any, cast

import numpy as np

from maskfree.bounded_file import BoundedFile
from maskfree.config import FormatConfig
from maskfree.errors import InputError, InputWarning
from maskfree.limits import check_frame
from maskfree.numbered_names import NumberedNames
from maskfree.video_axes import AXES, OME_AXES, plan_layout, with_time
from maskfree.video_source import PictureSource, first_line, reading

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from maskfree.config import VideoConfig

__all__ = [
    "TIFF_SUFFIXES",
    "ArraySource",
    "TiffStack",
    "is_zarr",
    "open_zarr",
    "tifffile_complaints",
]

TIFF_SUFFIXES = frozenset({".tif", ".tiff", ".btf", ".tf8", ".lsm"})
ZARR_FILES = ("zarr.json", ".zarray", ".zgroup")
NUMBER_KINDS = "buif"
CUT_MARK = "TiffPages"
"""In tifffile's complaints about a chain of pages that ends nowhere."""
DAMAGED = "The file is damaged or cut off: copy it again."


class ArraySource(PictureSource):
    """Frames of anything with ``shape``, ``dtype`` and indexing; only the frame asked for is read.

    See :func:`maskfree.video_axes.plan_layout` for ``axes``, ``depth`` and ``channels``.
    """

    def __init__(
        self,
        array: Any,
        *,
        axes: str | None,
        depth: int,
        channels: tuple[int, ...] | None,
        config: VideoConfig,
        name: str,
        remedy: str = "Check the array.",
        path: Path | None = None,
    ) -> None:
        super().__init__(config)
        shape = tuple(int(side) for side in array.shape)
        if np.dtype(array.dtype).kind not in NUMBER_KINDS:
            raise InputError(
                f"{name} holds {array.dtype}, expected whole numbers, floats or bool. Convert it "
                "with astype()."
            )
        self._array = array
        self._layout = plan_layout(shape, axes, depth, channels, name)
        self._name = name
        self._remedy = remedy
        self.joint = self._layout.joint
        self.size = self._layout.size(shape)
        if path is not None:
            self._check_claims(array)
        self.names = NumberedNames(self.size[0])
        self.path = path
        self.cheap = isinstance(array, np.ndarray)

    def _check_claims(self, array: Any) -> None:
        """Check what a file says of its frames, and of the pieces that they are stored in."""
        check_frame(*self.size[1:], self._name)
        pieces = getattr(array, "chunks", None) or array.shape
        taken = math.prod(pieces) * np.dtype(array.dtype).itemsize
        if len(pieces) != len(array.shape) or taken > 2 * FormatConfig().video_pixels:
            raise InputError(
                f"{self._name} is stored in pieces of {pieces}, which are too large to be read. "
                "Store it with a piece a frame."
            )

    def raw(self, index: int) -> np.ndarray:
        """Return frame ``index`` as stored; see :class:`PictureSource`."""
        with reading(f"Frame {index} of {self._name}", self._remedy):
            picks = self._layout.picks
            if isinstance(picks, tuple):
                return np.stack([self._plane(index, c) for c in picks], axis=-1)
            key = self._layout.key(index, picks)
            letters = "yx" if picks is None else "yxc"
            return np.asarray(self._array[key]).transpose(self._layout.order(letters))

    def _plane(self, index: int, channel: int) -> np.ndarray:
        plane = np.asarray(self._array[self._layout.key(index, channel)])
        return plane.transpose(self._layout.order("yx"))


class TiffStack(ArraySource):
    """Frames of a TIFF file of many pages: plain, ImageJ, OME; read page by page."""

    def __init__(
        self,
        path: Path,
        axes: str | None,
        depth: int,
        channels: tuple[int, ...] | None,
        config: VideoConfig,
    ) -> None:
        import tifffile
        import zarr

        _check_chain(path)
        opened = contextlib.ExitStack()
        self._close = weakref.finalize(self, opened.close)
        with reading(str(path), DAMAGED), tifffile_complaints() as complaints:
            file = opened.enter_context(BoundedFile(path))
            pages = opened.enter_context(tifffile.TiffFile(cast("IO[bytes]", file)))
            series = pages.series[0]
            array = zarr.open_array(series.aszarr(level=0), mode="r")
            num_series = len(pages.series)
        axes = _tiff_axes(series.axes, series.shape) if axes is None else axes
        cut = any(CUT_MARK in complaint for complaint in complaints)
        if axes is not None and "t" not in axes.lower() and cut:
            raise InputError(f"{path} cannot be read ({complaints[0]}). {DAMAGED}")
        if axes is not None and "t" not in axes.lower():
            raise InputError(
                f"{path} is one picture. Pass the folder that holds the frames ({path.parent})."
            )
        super().__init__(
            array,
            axes=axes,
            depth=depth,
            channels=channels,
            config=config,
            name=str(path),
            remedy=DAMAGED,
            path=path,
        )
        self._check(cut, num_series)

    def _check(self, cut: bool, num_series: int) -> None:
        """Read the last frame, which a file that was cut off may lack; say what is left out."""
        count = self.size[0]
        self.raw(count - 1)
        if cut:
            warnings.warn(
                f"{self.path} is cut off or damaged; frames that can be read: {count}. Only those "
                "are used; copy the file again if it should be longer.",
                InputWarning,
                stacklevel=2,
            )
        elif num_series > 1:
            warnings.warn(
                f"{self.path} holds {num_series} series of pictures; only the first, of {count} "
                "frames, is read.",
                InputWarning,
                stacklevel=2,
            )

    def close(self) -> None:
        """Close the file."""
        self._close()


def _check_chain(path: Path) -> None:
    """Refuse pages that do not end: tifffile would go round with them."""
    from maskfree.formats.tiff_chain import Endless, page_offsets

    try:
        page_offsets(path)
    except Endless:
        raise
    except InputError:
        pass


def _tiff_axes(axes: str, shape: tuple[int, ...]) -> str | None:
    """Return tifffile's axes in our letters, None where they must be guessed.

    "S" are the samples of a colour. Without a time axis, the frames are the axis that has no
    meaning to tifffile, else the depth, else the channels (ImageJ's stacks).
    """
    letters = axes.lower()
    unknown = "".join(letter for letter in letters if letter not in f"{AXES}s")
    letters = with_time(letters, f"{unknown}zc")
    if "c" not in letters:
        letters = letters.replace("s", "c")
    known = set(letters) <= set(AXES) and len(set(letters)) == len(letters) == len(shape)
    return letters if known else None


class _Complaints(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(first_line(record.getMessage()))


@contextlib.contextmanager
def tifffile_complaints() -> Iterator[list[str]]:
    """Collect what tifffile logs as errors, and keep it from stderr, where nobody else listens."""
    logger, handler = logging.getLogger("tifffile"), _Complaints()
    logger.addHandler(handler)
    try:
        yield handler.texts
    finally:
        logger.removeHandler(handler)


def is_zarr(path: Path) -> bool:
    """Return whether ``path`` is the folder of a zarr array or group (versions 2 and 3)."""
    return path.is_dir() and any((path / name).is_file() for name in ZARR_FILES)


def open_zarr(
    path: Path,
    axes: str | None,
    depth: int,
    channels: tuple[int, ...] | None,
    config: VideoConfig,
) -> ArraySource:
    """Open a zarr array, or the obvious array of a group.

    That is the full resolution of an OME-Zarr image, else the array "0", else the only one.
    """
    import zarr

    with reading(str(path), "Copy the whole folder again."), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        node = zarr.open(str(path), mode="r")
        array, named = _obvious_array(node, path)
    return ArraySource(
        array,
        axes=named if axes is None else axes,
        depth=depth,
        channels=channels,
        config=config,
        name=str(path),
        remedy="Copy the whole folder again.",
        path=path,
    )


def _obvious_array(node: Any, path: Path) -> tuple[Any, str | None]:
    """Return the array and the axes that its metadata name (None where they name none)."""
    import zarr

    if isinstance(node, zarr.Array):
        return node, _known_axes(_dimension_names(node))
    ome = dict(node.attrs).get("ome", dict(node.attrs))
    images = ome.get("multiscales")
    if images:
        array = node[images[0]["datasets"][0]["path"]]
        names = [a["name"] if isinstance(a, dict) else a for a in images[0].get("axes", OME_AXES)]
        return array, _known_axes(names) if len(names) == array.ndim else None
    members = sorted(node.keys())
    if not members:
        raise InputError(f"{path} is a zarr group without arrays. Pass the array itself.")
    if "0" in members or len(members) == 1:
        return _obvious_array(node["0" if "0" in members else members[0]], path)
    raise InputError(
        f"{path} is a zarr group of {', '.join(members)}. Pass one of them: {path / members[0]}"
    )


def _dimension_names(array: Any) -> list[str]:
    names = getattr(array.metadata, "dimension_names", None)
    return [str(n) for n in names or array.attrs.get("_ARRAY_DIMENSIONS", [])]


def _known_axes(names: list[str]) -> str | None:
    """Return our letters for names like "t" or "time", None where one is unknown."""
    words = {"time": "t", "frame": "t", "depth": "z", "channel": "c", "height": "y", "width": "x"}
    letters = [words.get(name.lower(), name.lower()) for name in names]
    known = all(len(letter) == 1 and letter in AXES for letter in letters)
    return with_time("".join(letters), "z") if known and {"y", "x"} <= set(letters) else None
