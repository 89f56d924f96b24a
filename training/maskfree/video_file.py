"""Frames of a video file at random, exact to the frame."""

from __future__ import annotations

import dataclasses
import functools
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from av.video.reformatter import VideoReformatter

from maskfree.errors import InputError, InputWarning
from maskfree.frame_cache import FrameCache
from maskfree.numbered_names import NumberedNames
from maskfree.video_decode import NO_FRAME, Decoder, Identify
from maskfree.video_index import build_index
from maskfree.video_index_file import fingerprint, read_index, write_index
from maskfree.video_source import FileOptions, FrameSource

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from maskfree.config import VideoConfig
    from maskfree.video_index import FrameIndex

__all__ = ["SUFFIXES", "VideoFile", "first_frame", "is_video_file"]

SUFFIXES = frozenset(
    ".3gp .avi .flv .gif .m2ts .m4v .mkv .mov .mp4 .mpeg .mpg .mts .mxf .ogv .ts .webm .wmv".split()
)
STARTS_TRIED = 2
QUARTER_TURN = 90
RGB_FORMAT = "rgb24"


@dataclasses.dataclass(frozen=True)
class _Decoded:
    """A frame as it came from the decoder: half the bytes of RGB, and kept without a copy."""

    frame: Any
    nbytes: int


class VideoFile(FrameSource):
    """Frames of a file that FFmpeg reads, turned as its display matrix says.

    A frame is reached by seeking to the keyframe before it and decoding forward until exactly that
    frame comes out. A frame shortly after the last one is reached without seeking. What is decoded
    on the way is kept as decoded, as far as memory allows, for stepping back.
    """

    def __init__(self, path: Path, config: VideoConfig, options: FileOptions | None = None) -> None:
        self.path = path
        self._config = config
        self._options = FileOptions() if options is None else options
        self._known_by = fingerprint(path, config)
        self._decoder = Decoder(path)
        self._reformatter = VideoReformatter()
        self._frames: Iterator[tuple[int | None, Any]] | None = None
        self._position = -1
        self.own_cache = round(config.cache_bytes * config.decoded_part)
        self._passed: FrameCache[_Decoded] = FrameCache(self.own_cache)
        self.seeks = 0
        self._damaged: set[int] = set()
        try:
            self._index = self._kept_index() or self._new_index()
            if self._index.cut:
                self._warn_of_cut()
            first = self._decode(0)
        except BaseException:
            self.close()
            raise
        self.size = (len(self._index), *first.shape[:2])
        self.fps = self._frame_rate()

    @functools.cached_property
    def names(self) -> Sequence[str]:  # type: ignore[override]
        """The frames' numbers as five digits."""
        return NumberedNames(len(self._index))

    def _kept_index(self) -> FrameIndex | None:
        folder = self._options.index_folder
        return None if folder is None else read_index(folder, self._known_by)

    def _new_index(self) -> FrameIndex:
        self._index = build_index(self._decoder, self._config, self._options.progress)
        if self._index.cut or (self._index.announced == 0 and len(self._index.starts)):
            self._drop_unreadable_end()
        if self._options.index_folder is not None:
            self.keep_index(self._options.index_folder)
        return self._index

    def entry(self, index: int) -> int:
        """Return the keyframe at or before a frame; see :class:`FrameSource`."""
        nearest = self._index.start_before(index)
        return int(self._index.starts[nearest]) if nearest >= 0 else 0

    def seconds(self, index: int) -> float | None:
        """Return a frame's timestamp, counted from that of frame 0; see :class:`FrameSource`."""
        base = self._decoder.stream.time_base
        if self._index.identify is not Identify.PTS or base is None:
            return None
        return float((self._index.keys[index] - self._index.keys[0]) * base)

    def keep_index(self, folder: Path) -> None:
        """Keep the frame index in ``folder``; see `maskfree.video.Video.keep_index`."""
        write_index(folder, self._index, self._known_by)

    def _drop_unreadable_end(self) -> None:
        while len(self._index) > 1:
            last = self._find(len(self._index) - 1)
            if last is not None and not last.is_corrupt:
                return
            self._index.drop_last()

    def _warn_of_cut(self) -> None:
        count, announced = len(self._index), self._index.announced
        of = f" of about {announced}" if announced > count else ""
        warnings.warn(
            f"{self.path} is cut off or damaged; frames that can be read: {count}{of}. Only those "
            "are used; copy the file again if it should be longer.",
            InputWarning,
            stacklevel=2,
        )

    def _frame_rate(self) -> float | None:
        """Return the announced rate if it explains the timestamps, else the mean one."""
        stream, last = self._decoder.stream, len(self._index) - 1
        rate = float(stream.average_rate or 0)
        if self._index.identify is Identify.PTS and last > 0:
            seconds = float((self._index.keys[-1] - self._index.keys[0]) * stream.time_base)
            if round(seconds * rate) != last:
                rate = last / seconds
        return rate or None

    def read(self, index: int) -> np.ndarray:
        """Return frame ``index`` as uint8 RGB ``(H, W, 3)``; see :class:`FrameSource`."""
        passed = self._passed.get(index)
        picture = self._decode(index) if passed is None else self._to_rgb(passed.frame)
        if picture.shape[:2] != self.size[1:]:
            raise InputError(
                f"Frame {index} of {self.path} is {picture.shape[1]} x {picture.shape[0]} pixels, "
                f"the first is {self.size[2]} x {self.size[1]}. Convert the video to one size."
            )
        return picture

    def _decode(self, index: int) -> np.ndarray:
        frame = self._find(index)
        if frame is None:
            raise InputError(
                f"Frame {index} of {self.path} cannot be decoded: the file is damaged there. Copy "
                "it again, or leave that frame out."
            )
        if frame.is_corrupt and index not in self._damaged:
            self._damaged.add(index)
            warnings.warn(
                f"Frame {index} of {self.path} is damaged: part of its picture may be wrong.",
                InputWarning,
                stacklevel=2,
            )
        return self._to_rgb(frame)

    def _find(self, index: int) -> Any | None:
        """Return the decoded frame, or None where it does not come out of the decoder."""
        frame = self._search(index)
        if frame is None and self._decoder.threaded:
            # With threads, damage in one packet can take its neighbours at the end along.
            self._decoder.threaded = False
            self._decoder.rewind()
            self._frames = None
            frame = self._search(index)
        return frame

    def _search(self, index: int) -> Any | None:
        for start in self._ways_to(index):
            first, frame = self._forward(index, start)
            if frame is not None:
                return frame
            if first is not None and first <= max(start, 0):
                return None
        return None

    def _ways_to(self, index: int) -> Iterator[int]:
        """Put the decoder before ``index`` in one way after the other; yield the frame it is at."""
        nearest = self._index.start_before(index)
        if self._frames is not None and index > self._position:
            saved = self._index.starts[nearest] - self._position if nearest >= 0 else 0
            if saved <= self._config.max_decode_ahead:
                yield self._position
        for which in range(nearest, max(nearest - STARTS_TRIED, -1), -1):
            for timestamp in dict.fromkeys(self._index.start_times[which].tolist()):
                if self._decoder.seek(timestamp):
                    self._start(self._index.numbers)
                    yield int(self._index.starts[which])
        self._decoder.rewind()
        self._start(None)
        yield 0

    def _start(self, numbers: dict[int, int] | None) -> None:
        self.seeks += 1
        self._position = -1
        self._frames = self._decoder.frames(self._index.identify, numbers)

    def _forward(self, index: int, start: int) -> tuple[int | None, Any | None]:
        """Decode until frame ``index`` or one after it; return the first frame met and the one.

        What is shown before ``start``, where decoding began, may lack what it was made from and is
        not kept.
        """
        first = None
        for key, frame in self._frames or ():
            number = self._index.find(key)
            if number is None:
                continue
            first = number if first is None else first
            self._position = number
            if number >= start and index - number <= self._config.keep_behind:
                self._keep(number, frame)
            if number >= index:
                return first, frame if number == index else None
        self._frames = None
        return first, None

    def _keep(self, number: int, frame: Any) -> None:
        if not frame.is_corrupt:
            nbytes = sum(plane.buffer_size for plane in frame.planes)
            self._passed.put(number, _Decoded(frame, nbytes))

    def _to_rgb(self, frame: Any) -> np.ndarray:
        """Return a decoded frame as uint8 RGB ``(H, W, 3)``, turned as it is meant to be seen."""
        rgb = self._reformatter.reformat(frame, format=RGB_FORMAT)
        picture: np.ndarray = rgb.to_ndarray()
        turns = round(frame.rotation / QUARTER_TURN) % 4
        return np.ascontiguousarray(np.rot90(picture, turns) if turns else picture)

    def keep_at_most(self, nbytes: int) -> None:
        """Keep no more bytes of frames as they were decoded; see :class:`FrameSource`."""
        self._passed.shrink(nbytes)

    def close(self) -> None:
        """Close the file."""
        self._frames = None
        self._passed.clear()
        self._decoder.close()


def is_video_file(path: str | Path) -> bool:
    """Say whether ``path`` is opened as a video file, by its name."""
    return Path(path).suffix.lower() in SUFFIXES and not Path(path).is_dir()


def first_frame(path: Path) -> np.ndarray:
    """Return the first frame that comes out of a video file, to be shown while it is opened.

    uint8 RGB ``(H, W, 3)``. Nothing is known of the others, and in a damaged file it need not be
    frame 0: use `maskfree.video.open_video` for all else.

    Raises
    ------
    InputError
        As `maskfree.video.open_video`.
    """
    decoder = Decoder(path)
    try:
        for _, frame in decoder.frames(Identify.PTS):
            picture = frame.to_ndarray(format=RGB_FORMAT)
            return np.rot90(picture, round(frame.rotation / QUARTER_TURN) % 4)
    finally:
        decoder.close()
    raise InputError(NO_FRAME.format(path))
