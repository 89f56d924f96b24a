"""What growth is measured on: videos of any length, made by a rule, with boxes, masks and sessions.

A ground with texture that sways, and two discs that go round on it; everything repeats after
``PERIOD`` frames, so that one period is encoded and its packets are put one behind another.
"""

from __future__ import annotations

import json
import math
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import av
import cv2
import numpy as np

from maskfree.mask_store import masks_to_json
from maskfree.session import Session
from maskfree.types import BoxTracks, InstanceMasks, Keyframe, Track

if TYPE_CHECKING:
    from pathlib import Path

    from maskfree.types import Box

__all__ = ["HEIGHT", "PERIOD", "WIDTH", "make_session", "make_video", "masks_at", "write_masks"]

HEIGHT, WIDTH = 180, 320
PERIOD = 100
"""Frames after which the video repeats itself."""
FPS = 25
RADII = (22, 14)
COLOURS = ((230, 120, 40), (60, 200, 220))
SWAY = 12
"""Pixels by which the ground sways to either side."""
KEYFRAME_EVERY = 5


def _turn(frame: int) -> float:
    return 2 * math.pi * (frame % PERIOD) / PERIOD


def _centre(number: int, frame: int) -> tuple[float, float]:
    angle = _turn(frame) + number * math.pi
    return WIDTH / 2 + 90 * math.cos(angle), HEIGHT / 2 + 45 * math.sin(angle)


def _ground() -> np.ndarray:
    small = np.random.default_rng(0).integers(30, 200, (23, 44, 3)).astype(np.uint8)
    size = (WIDTH + 2 * SWAY, HEIGHT + 2 * SWAY)
    return np.asarray(cv2.resize(small, size, interpolation=cv2.INTER_CUBIC))


def picture(frame: int, ground: np.ndarray) -> np.ndarray:
    """Return a frame, uint8 RGB ``(HEIGHT, WIDTH, 3)``."""
    x = SWAY + round(SWAY * math.sin(_turn(frame)))
    y = SWAY + round(SWAY * math.cos(_turn(frame)))
    out = ground[y : y + HEIGHT, x : x + WIDTH].copy()
    for number, (radius, colour) in enumerate(zip(RADII, COLOURS, strict=True)):
        place = tuple(round(v) for v in _centre(number, frame))
        cv2.circle(out, place, radius, colour, -1, cv2.LINE_AA)
    return out


def make_video(path: Path, frames: int) -> None:
    """Write a video file of so many frames, a multiple of ``PERIOD``."""
    once = path.with_name(f"once-{path.name}")
    ground = _ground()
    with av.open(str(once), "w") as out:
        stream: Any = out.add_stream("libx264", rate=FPS, options={"preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.codec_context.max_b_frames = 0
        stream.codec_context.gop_size = 25
        stream.codec_context.time_base = Fraction(1, FPS)
        for frame in range(PERIOD):
            out.mux(stream.encode(av.VideoFrame.from_ndarray(picture(frame, ground), "rgb24")))
        out.mux(stream.encode())
    with av.open(str(path), "w") as out:
        joined: Any = None
        for turn in range(frames // PERIOD):
            with av.open(str(once)) as source:
                one: Any = source.streams.video[0]
                joined = joined or out.add_stream_from_template(one)
                later = round(turn * PERIOD / FPS / one.time_base)
                for packet in source.demux(one):
                    if packet.size:
                        packet.pts, packet.dts = packet.pts + later, packet.dts + later
                        packet.stream = joined
                        out.mux(packet)
    once.unlink()


def _box(number: int, frame: int) -> Box:
    (x, y), radius = _centre(number, frame), RADII[number]
    return x - radius, y - radius, x + radius + 1, y + radius + 1


def boxes_of(
    frames: int, first: int = 0, last: int | None = None, every: int = KEYFRAME_EVERY
) -> BoxTracks:
    """Return both discs' boxes in the frames from ``first`` to before ``last``; then outside."""
    last = frames if last is None else last
    tracks = []
    for number in range(len(RADII)):
        places = sorted({*range(first, last, every), last - 1})
        keyframes = [Keyframe(t, _box(number, t)) for t in places]
        if last < frames:
            keyframes.append(Keyframe(last, None, outside=True))
        tracks.append(Track(number + 1, "disc", tuple(keyframes)))
    return BoxTracks(frames, HEIGHT, WIDTH, float(FPS), tuple(tracks))


def make_session(
    folder: Path,
    video: Path,
    frames: int,
    *,
    first: int = 0,
    last: int | None = None,
    every: int = KEYFRAME_EVERY,
) -> Session:
    """Make a session of a video and its boxes, one drawn in ``every`` so many frames."""
    boxes = boxes_of(frames, first, last, every)
    return Session.create(folder, video_source=video, boxes=boxes)


def masks_at(frame: int) -> InstanceMasks:
    """Return the discs' true masks."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    found = []
    for number, radius in enumerate(RADII):
        across, down = _centre(number, frame)
        found.append(np.hypot(x - across, y - down) <= radius)
    ids = tuple(number + 1 for number in range(len(RADII)))
    return InstanceMasks(ids, np.stack(found), (0.9,) * len(ids))


def write_masks(session: Session, frames: int) -> int:
    """Write the masks of all frames into a session; return the bytes that they take.

    As a prediction does, but without waiting for the disk after each file.
    """
    store = session.mask_store()
    store.path.mkdir(parents=True, exist_ok=True)
    texts = [json.dumps(masks_to_json(masks_at(t))) + "\n" for t in range(PERIOD)]
    for frame in range(frames):
        (store.path / f"{frame:05d}.json").write_text(texts[frame % PERIOD])
    return sum(len(texts[frame % PERIOD]) for frame in range(frames))
