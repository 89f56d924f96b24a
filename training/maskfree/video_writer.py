"""A video file written frame by frame, and the proof that it shows what was written."""

from __future__ import annotations

import dataclasses
from array import array
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import av
import cv2
import numpy as np

from maskfree.config import FormatConfig
from maskfree.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

__all__ = ["Written", "check_video", "write_video"]

_CODEC, _PIXELS = "libx264", "yuv420p"
_SMALL = (16, 9)
"""Width and height of what is kept of a frame to know it again."""
_RATE_LIMIT = 1 << 16
"""Largest denominator of a frame rate, which files hold as a fraction."""


@dataclasses.dataclass(frozen=True)
class Written:
    """What was written: ``count`` frames of ``size`` (height, width), and what each looks like."""

    count: int
    size: tuple[int, int]
    fps: Fraction
    looks: array[int]


def write_video(path: Path, frames: Iterable[np.ndarray], fps: float) -> Written:
    """Write frames, uint8 RGB ``(H, W, 3)``, as H.264 in an MP4 file that plays everywhere.

    Sides are made even by repeating the last row or column. One frame is in memory at a time, and
    432 bytes of each to compare with.

    Raises
    ------
    InputError
        Where there is no encoder, or it fails.
    OSError
        Where the file cannot be written.
    """
    rate = Fraction(fps).limit_denominator(_RATE_LIMIT)
    looks, count, size = array("B"), 0, (0, 0)
    options = {"crf": str(FormatConfig().video_crf), "preset": "medium"}
    try:
        with av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"}) as out:
            stream: Any = None
            for frame in frames:
                even = _even(frame)
                if stream is None:
                    stream = out.add_stream(_CODEC, rate=rate, options=options)
                    stream.height, stream.width = size = (even.shape[0], even.shape[1])
                    stream.pix_fmt = _PIXELS
                picture = av.VideoFrame.from_ndarray(even, format="rgb24")
                picture.pts, picture.time_base = count, 1 / rate
                out.mux(stream.encode(picture))
                looks.extend(_look(even))
                count += 1
            if stream is not None:
                out.mux(stream.encode())
    except (av.FFmpegError, ValueError) as error:
        if isinstance(error, (OSError, InputError)):
            raise
        raise InputError(
            f"The video could not be encoded ({error}). Reinstall PyAV: pip install --upgrade av"
        ) from error
    return Written(count, size, rate, looks)


def _even(frame: np.ndarray) -> np.ndarray:
    height, width = frame.shape[:2]
    padding = ((0, height % 2), (0, width % 2), (0, 0))
    return np.pad(frame, padding, mode="edge") if height % 2 or width % 2 else frame


def _look(frame: np.ndarray) -> bytes:
    return bytes(cv2.resize(frame, _SMALL, interpolation=cv2.INTER_AREA).astype(np.uint8).data)


def check_video(path: Path, written: Written) -> None:
    """Decode a file that :func:`write_video` made, and check every frame.

    Raises
    ------
    InputError
        Where it has another number of frames, size or times, or a frame shows something else.
    """
    bytes_of_one, most = 3 * _SMALL[0] * _SMALL[1], FormatConfig().picture_difference
    count = 0
    with av.open(str(path), format="mp4") as file:
        for picture in file.decode(video=0):
            frame = picture.to_ndarray(format="rgb24")
            if frame.shape[:2] != written.size:
                raise _differs(path, f"frame {count} is {frame.shape[1]} x {frame.shape[0]} pixels")
            seconds = float(picture.pts * picture.time_base)
            if abs(seconds * written.fps - count) > 0.5:
                raise _differs(path, f"frame {count} is shown at {seconds:.3f} s")
            part = written.looks[count * bytes_of_one : (count + 1) * bytes_of_one]
            found = np.frombuffer(_look(frame), np.uint8).astype(float)
            if len(part) != len(found) or np.abs(found - np.array(part)).mean() > most:
                raise _differs(path, f"frame {count} shows something else")
            count += 1
    if count != written.count:
        raise _differs(path, f"{count} frames instead of {written.count}")


def _differs(path: Path, what: str) -> InputError:
    return InputError(
        f"{path.name}: what was decoded is not what was drawn ({what}). Nothing was changed. Check "
        "the disk, or choose another one, and export again."
    )
