"""Frames on demand: one interface to video files, image folders, TIFF and zarr stacks, arrays."""

from __future__ import annotations

import math
import operator
import sys
import threading
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from maskfree.config import VideoConfig
from maskfree.errors import InputError, nearest
from maskfree.frame_cache import FrameCache
from maskfree.video_source import FileOptions, check_readable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from maskfree.video_source import FrameSource, Progress

__all__ = ["FrameCache", "Video", "as_dask", "open_video"]

CHANNELS = 3


class Video:
    """The frames of a video, decoded when asked for.

    ``video[i]`` is frame ``i`` as a read-only uint8 RGB array ``(H, W, 3)``; negative indices count
    from the end. Made by :func:`open_video`. Safe to use from several threads.
    """

    def __init__(self, frames: FrameSource, config: VideoConfig, fps: float | None = None) -> None:
        self._frames = frames
        self._fps = frames.fps if fps is None else fps
        self._lock = threading.RLock()
        self._closed = False
        room = 0 if frames.cheap else config.cache_bytes - frames.own_cache
        self.cache: FrameCache[np.ndarray] = FrameCache(room)

    def __len__(self) -> int:
        return self._frames.size[0]

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(T, H, W, 3): frames, pixels, RGB."""
        return (*self._frames.size, CHANNELS)

    @property
    def fps(self) -> float | None:
        """Frames per second, None where nobody says."""
        return self._fps

    @property
    def names(self) -> Sequence[str]:
        """A name for each frame: the stem of its file, or its number as five digits."""
        return self._frames.names

    @property
    def source(self) -> str | None:
        """Absolute path of the file or folder, None for an array."""
        return None if self._frames.path is None else str(self._frames.path)

    def entry(self, index: int) -> int:
        """Return the frame that must be decoded first to reach frame ``index``, often itself."""
        return self._frames.entry(index)

    def seconds(self, index: int) -> float | None:
        """Return when a frame is shown, in seconds since frame 0; None where nobody says."""
        told = self._frames.seconds(index)
        return index / self._fps if told is None and self._fps else told

    def __getitem__(self, index: int) -> np.ndarray:
        number = operator.index(index)
        if not -len(self) <= number < len(self):
            raise IndexError(f"frame {number} of a video of {len(self)} frames")
        number %= len(self)
        with self._lock:
            if self._closed:
                raise RuntimeError("This video was closed; open it again with open_video().")
            frame = self.cache.get(number)
            if frame is None:
                frame = self._frozen(self._frames.read(number))
                self.cache.put(number, frame)
            return frame

    def __iter__(self) -> Iterator[np.ndarray]:
        return (self[i] for i in range(len(self)))

    def _frozen(self, frame: np.ndarray) -> np.ndarray:
        """Return the frame read-only; one that is cached must not hold a larger array alive."""
        if self._frames.cheap:
            frame = frame.view()
        elif _bytes_held(frame) > frame.nbytes:
            frame = frame.copy()
        frame.flags.writeable = False
        return frame

    def keep_index(self, folder: str | Path) -> None:
        """Keep what was learnt by opening a video file in ``folder``, for `open_video` to read.

        Nothing happens where there is nothing to keep, or where it cannot be written.
        """
        self._frames.keep_index(Path(folder))

    def keep_at_most(self, frames: int) -> None:
        """Keep no more from now on than so many frames take as RGB, and as much as decoded.

        For who reads a video in order: what lies behind is not asked for again, and goes first.
        """
        nbytes = frames * math.prod(self.shape[1:])
        with self._lock:
            self.cache.shrink(nbytes)
            self._frames.keep_at_most(nbytes)

    def close(self) -> None:
        """Close the file and forget the cached frames."""
        with self._lock:
            self._closed = True
            self._frames.close()
            self.cache.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        length, height, width = self._frames.size
        return f"<Video {self.source or 'array'}: {length} frames of {width} x {height}>"


def _bytes_held(frame: np.ndarray) -> int:
    """Return how many bytes stay in memory as long as ``frame`` does; many where not known."""
    owner = frame
    while isinstance(owner.base, np.ndarray):
        owner = owner.base
    try:
        return owner.nbytes if owner.base is None else memoryview(owner.base).nbytes
    except TypeError:
        return sys.maxsize


def open_video(
    source: Any,
    *,
    axes: str | None = None,
    depth: int = 0,
    channels: tuple[int, ...] | None = None,
    fps: float | None = None,
    config: VideoConfig | None = None,
    index_folder: str | Path | None = None,
    progress: Progress | None = None,
) -> Video:
    """Open a video without reading its frames.

    Of a video file all packets are read, so that frame n is frame n: seconds for one of hours.
    That is done once where there is an ``index_folder``.

    Parameters
    ----------
    source : str, Path or array
        A video file, a folder of images (natural order), a TIFF stack, a zarr array or group, or
        anything with ``shape``, ``dtype`` and indexing (numpy, dask, zarr).
    axes : str, optional
        Letters of "tzcyx" in the order of the array's axes (TIFF, zarr and arrays only). None:
        taken from the file, else guessed as in :func:`maskfree.video_axes.guess_axes`.
    depth : int
        Which z is read.
    channels : tuple of int, optional
        One to three channels, shown as grey, red and green, or RGB. None: the first three.
    fps : float, optional
        Frames per second, where the source does not say or says it wrongly.
    config : VideoConfig, optional
        Size of the cache and how 16-bit data become 8-bit.
    index_folder : path, optional
        A folder that is there, in which the frame index of a video file is looked for and kept.
    progress : callable, optional
        Called now and then with the part of a video file that was read, in [0, 1], at first with
        0.0; never where the index was kept. What it raises ends the opening.

    Raises
    ------
    InputError
        With one line that says what is wrong with the source and what to do.
    """
    config = VideoConfig() if config is None else config
    if fps is not None and not (math.isfinite(fps) and fps > 0):
        raise InputError(f"fps must be a number above 0, got {fps}. Leave it out if unknown.")
    if isinstance(source, str | Path):
        files = FileOptions(None if index_folder is None else Path(index_folder), progress)
        frames = _open_path(source, axes, depth, channels, config, files)
    elif hasattr(source, "shape") and hasattr(source, "dtype"):
        from maskfree.video_stack import ArraySource

        frames = ArraySource(
            source, axes=axes, depth=depth, channels=channels, config=config, name="the array"
        )
    else:
        raise InputError(
            f"A video is a path or an array, got {type(source).__name__}. Stack a list of frames "
            "with numpy.stack()."
        )
    return Video(frames, config, fps)


def _open_path(
    source: str | Path,
    axes: str | None,
    depth: int,
    channels: tuple[int, ...] | None,
    config: VideoConfig,
    files: FileOptions,
) -> FrameSource:
    from maskfree import video_file, video_folder, video_stack

    path = _existing(source)
    suffix = path.suffix.lower()
    if video_stack.is_zarr(path):
        return video_stack.open_zarr(path, axes, depth, channels, config)
    if not path.is_dir():
        check_readable(path)
    if suffix in video_stack.TIFF_SUFFIXES and not path.is_dir():
        return video_stack.TiffStack(path, axes, depth, channels, config)
    if axes is not None or depth != 0 or channels is not None:
        raise InputError(
            f"{path} has no axes to choose from: axes, depth and channels are for TIFF stacks, "
            "zarr and arrays. Leave them out."
        )
    if path.is_dir():
        return video_folder.ImageFolder(path, config)
    if suffix in video_file.SUFFIXES:
        return video_file.VideoFile(path, config, files)
    if suffix in video_folder.SUFFIXES:
        raise InputError(
            f"{path} is one picture. Pass the folder that holds the frames ({path.parent})."
        )
    raise InputError(
        f"{path} is of a kind that is not read. Pass a video file "
        f"({' '.join(sorted(video_file.SUFFIXES))}), a folder of images, a TIFF stack or a zarr."
    )


def _existing(source: str | Path) -> Path:
    if "://" in str(source):
        raise InputError(f"{source} is a web address. Download it and pass the file.")
    path = Path(source).expanduser().absolute()
    try:
        if path.is_file() or path.is_dir():
            return path
        if path.exists():
            raise InputError(f"{path} is neither a file nor a folder. Pass a video file.")
        siblings = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
    except PermissionError:
        raise InputError(
            f"{path} may not be read (permission denied). Ask its owner, or copy it to a place "
            "that you may read."
        ) from None
    hint = nearest(path.name, siblings) or " Check the path."
    raise InputError(f"There is no file or folder {path}.{hint}")


def as_dask(video: Video) -> Any:
    """Return the video as a dask array uint8 ``(T, H, W, 3)``, one lazy chunk a frame.

    Raises
    ------
    InputError
        Where dask is not installed (napari brings it).
    """
    try:
        import dask.array as da
    except ImportError:
        raise InputError("Lazy layers need dask. Install it: pip install dask") from None

    def read(block_id: tuple[int, ...]) -> np.ndarray:
        return video[block_id[0]][None]

    length, *frame = video.shape
    return da.map_blocks(
        read,
        chunks=((1,) * length, *((side,) for side in frame)),
        dtype=np.uint8,
        meta=np.empty((0,) * len(video.shape), dtype=np.uint8),
        name=f"video-{uuid.uuid4().hex}",
    )
