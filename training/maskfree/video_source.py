"""What frames come from: the interface of every source, and pixels of any kind made 8-bit RGB."""

from __future__ import annotations

import abc
import contextlib
import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np

from maskfree.errors import InputError
from maskfree.evenly import evenly

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from maskfree.config import VideoConfig

    Progress = Callable[[float], None]

__all__ = [
    "FileOptions",
    "FrameSource",
    "PictureSource",
    "check_readable",
    "first_line",
    "reading",
    "to_rgb",
]

WHITE = 255
GREY, RGB = 1, 3
CODECS = "imagecodecs"
CODECS_REMEDY = f"Install it: pip install {CODECS}"


@dataclasses.dataclass(frozen=True)
class FileOptions:
    """How a video file is opened: see `maskfree.video.open_video`."""

    index_folder: Path | None = None
    progress: Progress | None = None


class FrameSource(abc.ABC):
    """Frames of one video, read one at a time; :class:`maskfree.video.Video` caches and locks.

    ``size`` is (T, H, W) in frames and pixels; ``path`` the absolute path or None; ``cheap`` says
    that a frame costs so little that keeping it in a cache would only double the memory.
    ``own_cache``: how many of the bytes that may be cached the source keeps for itself.
    """

    size: tuple[int, int, int]
    names: Sequence[str]
    fps: float | None = None
    path: Path | None = None
    cheap: bool = False
    own_cache: int = 0

    @abc.abstractmethod
    def read(self, index: int) -> np.ndarray:
        """Return frame ``index`` as uint8 RGB ``(H, W, 3)``."""

    def entry(self, index: int) -> int:
        """Return the frame from which a frame is reached: itself, or the keyframe before."""
        return index

    def seconds(self, index: int) -> float | None:
        """Return when a frame is shown, in seconds since frame 0; None where it does not say."""
        return None

    def keep_index(self, folder: Path) -> None:  # noqa: B027  (most sources have none)
        """Keep the frame index in ``folder``, where there is one."""

    def keep_at_most(self, nbytes: int) -> None:  # noqa: B027  (most sources keep no frame)
        """Keep no more bytes of frames from now on."""

    def close(self) -> None:  # noqa: B027  (most sources hold nothing open)
        """Release what the source holds open."""


class PictureSource(FrameSource):
    """A source whose frames are stored as they are: grey, RGB, RGBA or channels, of any depth.

    uint8 stays as it is and bool becomes 0 and 255. Everything else is scaled linearly to 8 bits
    between two percentiles (``VideoConfig.intensity_low`` and ``intensity_high``) of a few frames
    spread over the video, the same for all of its frames. Colour samples share one range so that
    hues stay; channels of a microscope (``joint`` False) have one each.
    """

    joint: bool = True

    def __init__(self, config: VideoConfig) -> None:
        self._config = config
        self._range: tuple[np.ndarray, np.ndarray] | None = None

    @abc.abstractmethod
    def raw(self, index: int) -> np.ndarray:
        """Return frame ``index`` as stored: ``(H, W)`` or ``(H, W, C)``, C at most 4."""

    def read(self, index: int) -> np.ndarray:
        """Return frame ``index`` as uint8 RGB ``(H, W, 3)``; see :class:`FrameSource`."""
        picture = self.raw(index)
        if picture.dtype == np.bool_:
            picture = picture.astype(np.uint8) * np.uint8(WHITE)
        elif picture.dtype != np.uint8:
            picture = self._to_8_bits(picture)
        return to_rgb(picture)

    def _to_8_bits(self, picture: np.ndarray) -> np.ndarray:
        if self._range is None:
            self._range = self._intensity_range()
        low, high = self._range
        scaled = (picture - low) * (WHITE / (high - low))
        scaled = np.nan_to_num(scaled, nan=0.0, posinf=WHITE, neginf=0.0)
        picture = np.rint(scaled.clip(0, WHITE)).astype(np.uint8)
        return picture

    def _intensity_range(self) -> tuple[np.ndarray, np.ndarray]:
        """Return black and white levels, float64 ``(1,)`` for all channels or ``(C,)``."""
        frames = evenly(range(self.size[0]), self._config.intensity_frames)
        samples = [self._sample(i) for i in frames]
        if self.joint:
            groups = [np.concatenate([sample.ravel() for sample in samples])]
        else:
            groups = list(np.concatenate(samples).T)
        levels = np.array([self._levels(group) for group in groups])
        return levels[:, 0], levels[:, 1]

    def _sample(self, index: int) -> np.ndarray:
        picture = self.raw(index)
        pixels = picture.reshape(picture.shape[0] * picture.shape[1], -1)
        step = max(1, len(pixels) // self._config.intensity_pixels)
        return pixels[::step].astype(np.float64)

    def _levels(self, values: np.ndarray) -> tuple[float, float]:
        values = values[np.isfinite(values)]
        if not values.size:
            return 0.0, 1.0
        percent = (self._config.intensity_low, self._config.intensity_high)
        low, high = np.percentile(values, percent)
        if not high > low:
            low, high = values.min(), values.max()
        return float(low), float(high if high > low else low + 1)


def to_rgb(picture: np.ndarray) -> np.ndarray:
    """Return uint8 ``(H, W)`` or ``(H, W, C)`` as ``(H, W, 3)``; alpha is ignored."""
    if picture.ndim == 2:
        picture = picture[..., None]
    if picture.shape[2] == GREY:
        return np.repeat(picture, RGB, axis=2)
    if picture.shape[2] >= RGB:
        return picture[..., :RGB]
    blue = np.zeros_like(picture[..., :1])
    return np.concatenate([picture, blue], axis=2)


def check_readable(path: Path) -> None:
    """Raise InputError unless ``path`` is a file that can be opened and is not empty."""
    try:
        with path.open("rb") as file:
            empty = not file.read(1)
    except PermissionError:
        raise InputError(
            f"{path} may not be read (permission denied). Ask its owner, or copy it to a place "
            "that you may read."
        ) from None
    except OSError as error:
        raise InputError(
            f"{path} cannot be read ({error.strerror or error}). Copy it to this computer and "
            "try again."
        ) from None
    if empty:
        raise InputError(f"{path} is an empty file. Copy or record it again.")


@contextlib.contextmanager
def reading(what: str, remedy: str) -> Iterator[None]:
    """Turn whatever a decoder raises into one line: ``what`` cannot be read, do ``remedy``.

    Codecs, zarr stores and dask graphs raise anything; running out of memory stays what it is.
    """
    try:
        yield
    except (InputError, MemoryError):
        raise
    except Exception as error:
        remedy = CODECS_REMEDY if CODECS in str(error) else remedy
        raise InputError(f"{what} cannot be read ({first_line(error)}). {remedy}") from error


def first_line(error: Any) -> str:
    """Return the first line of an error's message, or its kind where it has none."""
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__
