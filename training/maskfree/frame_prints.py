"""What a video shows, in a few dozen frames: by this a session knows its video again.

In the session, beside its boxes: ``frame_prints.json``, ::

    {"version": 1, "file": "…",
     "video": {"frames": 240, "height": 480, "width": 854, "fps": 24.0},
     "prints": [{"frame": 0, "name": "00000", "seconds": 0.0, "pixels": "…", "grey": "…"}, …]}

``file`` is a digest of the video file's length, first and last bytes (null for a folder): while it
is the same nothing is looked at. ``pixels`` is the SHA-256 of the frame's RGB values, ``grey`` the
frame in grey as a small square, which another encoding or size of the same frame hardly changes
(base64 of the bytes, row by row).
"""

from __future__ import annotations

import base64
import binascii
import dataclasses
import hashlib
import json
import math
import os
from typing import TYPE_CHECKING, Any

import numpy as np

from maskfree.config import FramePrintsConfig
from maskfree.errors import InputError
from maskfree.evenly import evenly
from maskfree.json_checks import as_list, as_number, as_object, as_whole
from maskfree.storage import atomic_write, read_json

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from maskfree.video import Video

__all__ = [
    "PRINTS_FILE",
    "FramePrint",
    "FramePrints",
    "file_digest",
    "grey_of",
    "make_prints",
    "pixels_of",
    "read_prints",
    "write_prints",
]

PRINTS_FILE = "frame_prints.json"
VERSION = 1
_MOST, _MOST_SIDE = 256, 64
"""Prints in a file, and pixels of a square's side: more are not read."""
_LONGEST = 2**31
"""No video has as many frames, rows or columns."""
_ENDS = 2**16
"""Bytes at a file's start and at its end that tell it from others."""


@dataclasses.dataclass(frozen=True)
class FramePrint:
    """One frame.

    ``name``: that of its file, or its number; ``seconds`` since frame 0, None where nobody says;
    ``pixels``: digest of its RGB values; ``grey``: bytes of the square of `grey_of`.
    """

    frame: int
    name: str
    seconds: float | None
    pixels: str
    grey: bytes


@dataclasses.dataclass(frozen=True)
class FramePrints:
    """The prints of a video, in order of their frames, and what the video is.

    ``file``: its digest, None for a folder. ``extra`` keeps the fields of the file that we do not
    know.
    """

    num_frames: int
    height: int
    width: int
    fps: float | None
    file: str | None
    prints: tuple[FramePrint, ...]
    extra: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def greys(self) -> np.ndarray:
        """The squares, uint8 ``(P, S, S)``."""
        side = math.isqrt(len(self.prints[0].grey))
        flat = np.frombuffer(b"".join(each.grey for each in self.prints), np.uint8)
        return flat.reshape(len(self.prints), side, side)


def file_digest(path: str | os.PathLike[str] | None) -> str | None:
    """Return what a video file is known by; None for what is no file, or cannot be read.

    Its length, first and last bytes: a copy is the same file.
    """
    try:
        if path is None or not os.path.isfile(path):
            return None
        with open(path, "rb") as file:
            size = file.seek(0, os.SEEK_END)
            found = hashlib.sha256(str(size).encode())
            for start in (0, max(0, size - _ENDS)):
                file.seek(start)
                found.update(file.read(_ENDS))
    except OSError:
        return None
    return found.hexdigest()


def grey_of(frame: np.ndarray, side: int) -> np.ndarray:
    """Return a frame, uint8 RGB ``(H, W, 3)``, in grey as a square: uint8 ``(side, side)``."""
    import cv2  # takes a while, and what is wrong with a run's input is said before

    small = cv2.resize(np.ascontiguousarray(frame), (side, side), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY))


def pixels_of(frame: np.ndarray) -> str:
    """Return the digest of a frame's RGB values."""
    return hashlib.sha256(np.ascontiguousarray(frame).data).hexdigest()


def make_prints(
    video: Video,
    *,
    config: FramePrintsConfig | None = None,
    watch: Callable[[], None] | None = None,
) -> FramePrints:
    """Look at a few dozen frames of a video, those that are quickly decoded.

    Parameters
    ----------
    video
        Is read from; one that a window shows as well is better opened twice.
    watch
        Called before each frame; an error that it raises ends the work.

    Raises
    ------
    InputError
        Where a frame cannot be decoded.
    """
    config = FramePrintsConfig() if config is None else config
    found = []
    for frame in _chosen(video, config):
        if watch is not None:
            watch()
        picture = video[frame]
        grey = grey_of(picture, config.side).tobytes()
        told = str(video.names[frame])
        found.append(FramePrint(frame, told, video.seconds(frame), pixels_of(picture), grey))
    length, height, width, _ = video.shape
    return FramePrints(length, height, width, video.fps, file_digest(video.source), tuple(found))


def _chosen(video: Video, config: FramePrintsConfig) -> list[int]:
    """Return the frames to look at: keyframes all over the video; of its start where they are few.

    Between two keyframes everything must be decoded.
    """
    spread = evenly(range(len(video)), config.samples)
    entries = {video.entry(frame) for frame in spread}
    if 2 * len(entries) < len(spread):
        entries |= set(evenly(range(min(len(video), config.decoded)), config.samples))
    return sorted(entries)


def write_prints(folder: Path, prints: FramePrints) -> None:
    """Keep the prints in a session's folder.

    Raises
    ------
    InputError
        Where the disk is full or the folder may not be written.
    """
    video = {
        "frames": prints.num_frames,
        "height": prints.height,
        "width": prints.width,
        "fps": prints.fps,
    }
    listed = [
        {**vars(each), "grey": base64.b64encode(each.grey).decode()} for each in prints.prints
    ]
    content = {**prints.extra, "version": VERSION, "file": prints.file, "video": video}
    text = json.dumps({**content, "prints": []})[: -len("]}")]
    rows = ",\n ".join(json.dumps(each) for each in listed)
    atomic_write(folder / PRINTS_FILE, f"{text}\n {rows}]}}\n")


def read_prints(folder: Path) -> FramePrints | None:
    """Return the prints that a session's folder keeps; None: there are none.

    Those that are damaged, or of a newer version, count as none.
    """
    path = folder / PRINTS_FILE
    try:
        return _decode(read_json(path, "file of prints"), str(path)) if path.is_file() else None
    except (InputError, OSError):
        return None


def _decode(data: object, where: str) -> FramePrints:
    fields = as_object(data, where, "prints", "prints")
    if as_whole(fields.pop("version", None), where, "version", low=1) > VERSION:
        raise InputError(f"{where} was made by a newer version.")
    video = as_object(fields.pop("video", None), where, "the video", "frames")
    frames, height, width = (
        min(as_whole(video.get(name), where, name, low=1), _LONGEST)
        for name in ("frames", "height", "width")
    )
    file = fields.pop("file", None)
    listed = as_list(fields.pop("prints", None), where, "prints")
    if len(listed) > _MOST:
        raise InputError(f"{where} has more prints than are ever made.")
    prints = tuple(_print(each, where, frames) for each in listed)
    sides = {math.isqrt(len(each.grey)) for each in prints}
    if len({len(each.grey) for each in prints}) != 1 or not 0 < max(sides) <= _MOST_SIDE:
        raise InputError(f"{where}: the squares are too large, or differ in size.")
    if max(sides) ** 2 != len(prints[0].grey):
        raise InputError(f"{where}: the squares are none.")
    known = file if isinstance(file, str) else None
    rate = as_number(video.get("fps"))
    return FramePrints(frames, height, width, rate, known, prints, fields)


def _print(data: object, where: str, num_frames: int) -> FramePrint:
    fields = as_object(data, where, "a print", "frame")
    frame = as_whole(fields.get("frame"), where, "frame", low=0)
    if frame >= num_frames:
        raise InputError(f"{where}: a print is of frame {frame}, beyond the video.")
    try:
        grey = base64.b64decode(str(fields.get("grey")), validate=True)
    except (binascii.Error, ValueError):
        raise InputError(f"{where}: grey is no base64.") from None
    return FramePrint(
        frame,
        str(fields.get("name")),
        as_number(fields.get("seconds")),
        str(fields.get("pixels")),
        grey,
    )
