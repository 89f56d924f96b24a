"""Long video files, made in seconds: one encoded minute, put into a file again and again.

The packets are copied with shifted timestamps, so that a file of two hours at 1080p costs what
writing it costs. Every minute begins with a keyframe.
"""

from __future__ import annotations

import dataclasses
import itertools
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import av
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["RATE", "Kind", "encode_minute", "make_long"]

RATE = 30
MINUTE = 60 * RATE
"""Frames of a minute."""
GRAIN = 48
"""Pixels of a grain of the texture that moves through the picture."""
STEPS = (1, 1, 3, 2, 1, 4)
"""What lies between two frames of a video of variable rate, in frames of a constant one."""


@dataclasses.dataclass(frozen=True)
class Kind:
    """How a file is made: keyframe every ``gop`` frames, ``b_frames``, container, ``variable``."""

    name: str
    gop: int
    b_frames: int
    suffix: str
    variable: bool = False
    quality: int = 30
    """x264's crf: the larger, the smaller the file."""


def encode_minute(path: Path, kind: Kind, size: tuple[int, int], frames: int = MINUTE) -> None:
    """Encode a minute of a moving texture and a square, ``size`` (height, width), with x264."""
    height, width = size
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 255, (height // GRAIN + 1, width // GRAIN + 1), dtype=np.uint8)
    ramp = np.kron(coarse, np.ones((GRAIN, GRAIN), np.uint8))[:height, :width]
    planes = np.full((height * 3 // 2, width), 128, np.uint8)
    side = height // 5
    options = {"preset": "ultrafast", "crf": str(kind.quality), "sc_threshold": "0"}
    options |= {"g": str(kind.gop), "keyint_min": str(kind.gop), "bf": str(kind.b_frames)}
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("libx264", rate=RATE, options=options)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for i in range(frames):
            planes[:height] = np.roll(ramp, 2 * i, axis=1)
            y, x = (3 * i) % (height - side), (7 * i) % (width - side)
            planes[y : y + side, x : x + side] = (5 * i) % 255
            frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
            frame.pts, frame.time_base = i, Fraction(1, RATE)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def make_long(minute: Path, path: Path, frames: int, *, variable: bool = False) -> None:
    """Copy the minute's packets into ``path`` until it has ``frames`` frames.

    Where the last copy is cut short by B-frames there are some frames more.
    """
    with av.open(str(minute)) as source, av.open(str(path), "w") as target:
        stream = source.streams.video[0]
        unit = round(1 / (RATE * stream.time_base))
        packets = [
            (bytes(p), _frames(p.pts, unit), _frames(p.dts, unit), p.is_keyframe)
            for p in source.demux(stream)
            if p.size
        ]
        copied = target.add_stream_from_template(stream)
        when = _clock(variable)
        for number, (data, pts, dts, key) in _repeated(packets, frames):
            packet = av.Packet(data)
            packet.stream, packet.time_base = copied, stream.time_base
            packet.pts, packet.dts = when(number + pts) * unit, when(number + dts) * unit
            packet.duration = (when(number + pts + 1) - when(number + pts)) * unit
            packet.is_keyframe = key
            target.mux_one(packet)


def _repeated(packets: list[Any], frames: int) -> Iterator[tuple[int, Any]]:
    for start in itertools.count(0, len(packets)):
        for index, packet in enumerate(packets):
            if start + index >= frames:
                return
            yield start, packet


def _frames(timestamp: int, unit: int) -> int:
    return timestamp // unit


def _clock(variable: bool) -> Any:
    """Return a function from a frame's number to its time, in frames of a constant rate."""
    if not variable:
        return int
    ends = [0, *itertools.accumulate(STEPS)]

    def when(number: int) -> int:
        rounds, rest = divmod(number, len(STEPS))
        return rounds * ends[-1] + ends[rest]

    return when
