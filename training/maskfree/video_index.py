"""The frame index of a video file: which frames there are, in the order of display.

Made by reading all packets without decoding them and sorting their timestamps. Where those cannot
be trusted (none, doubled, made up by the container, packets without a picture), the file is decoded
once instead and the frames are known by their packets.
"""

from __future__ import annotations

import dataclasses
import itertools
from array import array
from typing import TYPE_CHECKING

import numpy as np

from maskfree.errors import InputError
from maskfree.video_decode import NO_FRAME, Identify

if TYPE_CHECKING:
    from maskfree.config import VideoConfig
    from maskfree.video_decode import Decoder
    from maskfree.video_source import Progress

__all__ = ["FrameIndex", "build_index"]

NO_PTS_CONTAINERS = frozenset({"avi"})
"""Containers that store the decoding order only; FFmpeg makes up their timestamps."""
HIDDEN_FRAME_CODECS = frozenset({"vp8"})
"""Codecs some of whose packets hold a reference picture that is never shown."""
UNSEEKABLE_CONTAINERS = frozenset({"mpeg"})
"""Containers whose first timestamps after a seek are guesses (MPEG program streams)."""
UNKNOWN = -(2**63)
TOLD_EVERY = 256
"""Packets between two words on how far the reading is."""


@dataclasses.dataclass(frozen=True)
class Packets:
    """All packets of a stream in the order of the file, int64 or bool ``(P,)``.

    ``pts``, ``dts`` (stream units) and ``pos`` (bytes) are UNKNOWN where the file does not say.
    ``discard``: decoded but not shown (edit lists). ``found`` counts the empty packets as well.
    ``cut``: an incomplete packet followed, or reading ended in an error. ``end``: when the last
    frame's presentation ends, in stream units, or UNKNOWN.
    """

    pts: np.ndarray
    dts: np.ndarray
    pos: np.ndarray
    key: np.ndarray
    discard: np.ndarray
    found: int
    cut: bool
    end: int


class FrameIndex:
    """T frames in the order of display.

    ``identify`` says what a frame is known by, ``keys`` int64 ``(T,)`` are those. ``starts`` int64
    ``(S,)``: the frames at which decoding can start, ascending, with ``start_times`` ``(S, 2)``,
    the timestamps to seek for (two are tried). ``numbers``: byte position to packet number of the
    keyframes. ``announced``: how many frames the container says it has, 0 where it says nothing.
    ``cut``: the file ends in the middle.
    """

    def __init__(
        self,
        identify: Identify,
        keys: np.ndarray,
        *,
        starts: np.ndarray | None = None,
        start_times: np.ndarray | None = None,
        numbers: dict[int, int] | None = None,
        announced: int = 0,
        cut: bool = False,
    ) -> None:
        self.identify = identify
        self.keys = keys
        self.announced = announced
        self.cut = cut
        self._order = np.argsort(keys, kind="stable")
        self._sorted = keys[self._order]
        self.numbers = {} if numbers is None else numbers
        self.starts = np.empty(0, np.int64) if starts is None else starts
        self.start_times = np.empty((0, 2), np.int64) if start_times is None else start_times

    @classmethod
    def of_packets(
        cls,
        identify: Identify,
        keys: np.ndarray,
        packets: Packets,
        announced: int,
        seekable: bool = True,
    ) -> FrameIndex:
        """Return the index of frames that are known by ``keys``; keyframes are the starts."""
        cut = packets.cut or announced > packets.found
        index = cls(identify, keys, announced=announced, cut=cut)
        known = packets.key & ~packets.discard & seekable
        if identify is not Identify.PTS:
            known &= (packets.pos != UNKNOWN) & (packets.dts != UNKNOWN)
        numbers = np.flatnonzero(known)
        pts, dts = packets.pts[numbers], packets.dts[numbers]
        if identify is Identify.PACKET:
            index.numbers = {int(packets.pos[n]): int(n) for n in numbers}
            pts = dts
        starts = index._locate(pts if identify is Identify.PTS else numbers)
        order = np.argsort(starts, kind="stable")
        order = order[(starts[order] >= 0) & (identify is not Identify.COUNT)]
        index.starts = starts[order]
        index.start_times = np.stack([pts, np.where(dts == UNKNOWN, pts, dts)], axis=1)[order]
        return index

    def __len__(self) -> int:
        return len(self.keys)

    def find(self, key: int | None) -> int | None:
        """Return the frame that is known by ``key``, or None."""
        if key is None:
            return None
        place = int(self._sorted.searchsorted(key))
        if place == len(self._sorted) or self._sorted[place] != key:
            return None
        frame = int(self._order[place])
        return frame if frame < len(self.keys) else None

    def _locate(self, keys: np.ndarray) -> np.ndarray:
        """Return the frame of each key, -1 where there is none."""
        places = np.searchsorted(self._sorted, keys).clip(max=len(self._sorted) - 1)
        return np.where(self._sorted[places] == keys, self._order[places], -1)

    def start_before(self, frame: int) -> int:
        """Return which of ``starts`` is the last at or before ``frame``; -1 where none is."""
        return int(np.searchsorted(self.starts, frame, side="right")) - 1

    def drop_last(self) -> None:
        """Take the last frame off the end."""
        self.keys = self.keys[:-1]
        self.cut = True


def build_index(
    decoder: Decoder, config: VideoConfig, progress: Progress | None = None
) -> FrameIndex:
    """Return the index of the frames that ``decoder``'s file shows.

    ``progress`` is called now and then with the part that is done, in [0, 1]; what it raises ends
    the work.

    Raises
    ------
    InputError
        Where no frame can be decoded.
    """
    progress = progress or (lambda part: None)
    progress(0.0)
    packets = _read_packets(decoder, progress)
    announced = _announced_frames(decoder, packets, config)
    keys = _keys_by_pts(decoder, packets, config)
    if keys is not None:
        seekable = decoder.format_name not in UNSEEKABLE_CONTAINERS
        return FrameIndex.of_packets(Identify.PTS, keys, packets, announced, seekable)
    identify, keys = _keys_by_decoding(decoder, len(packets.pts), progress)
    return FrameIndex.of_packets(identify, keys, packets, announced)


def _read_packets(decoder: Decoder, progress: Progress) -> Packets:
    """Read the whole file without decoding; an incomplete packet at its end is left out."""
    pts, dts, pos = array("q"), array("q"), array("q")
    key, discard, corrupt, end, empty = array("b"), array("b"), array("b"), UNKNOWN, 0
    size = max(decoder.path.stat().st_size, 1)
    for packet in decoder.packets():
        if not packet.size:
            empty += packet.dts is not None
            continue
        pts.append(UNKNOWN if packet.pts is None else packet.pts)
        dts.append(UNKNOWN if packet.dts is None else packet.dts)
        pos.append(UNKNOWN if packet.pos is None else packet.pos)
        key.append(packet.is_keyframe)
        discard.append(packet.is_discard)
        corrupt.append(packet.is_corrupt)
        if packet.pts is not None:
            end = max(end, packet.pts + (packet.duration or 0))
        if len(pts) % TOLD_EVERY == 0:
            progress(min(max(pos[-1], 0) / size, 1.0))
    kept = len(pts)
    while kept and corrupt[kept - 1]:
        kept -= 1
    cut = kept < len(pts) or decoder.broken
    times = np.array([pts[:kept], dts[:kept], pos[:kept]], dtype=np.int64)
    flags = np.array([key[:kept], discard[:kept]], dtype=np.bool_)
    return Packets(times[0], times[1], times[2], flags[0], flags[1], kept + empty, cut, end)


def _announced_frames(decoder: Decoder, packets: Packets, config: VideoConfig) -> int:
    """Return how many frames the container says it has, 0 where it says nothing.

    MP4's sample table and AVI's header count them; Matroska states the duration of the stream.
    """
    stream = decoder.stream
    if decoder.format_name.startswith("mov"):
        return len(getattr(stream, "index_entries", ()))
    if decoder.format_name in NO_PTS_CONTAINERS:
        return int(stream.frames)
    seconds = _seconds(stream.metadata.get("DURATION", ""))
    if seconds is None or not stream.average_rate or packets.end == UNKNOWN:
        return 0
    late = (seconds - float(packets.end * stream.time_base)) * float(stream.average_rate)
    return packets.found + (round(late) if late > config.end_slack else 0)


def _seconds(clock: str) -> float | None:
    """Return the seconds of "HH:MM:SS.fraction", None for anything else."""
    try:
        hours, minutes, seconds = (float(part) for part in clock.split(":"))
    except ValueError:
        return None
    return 60 * (60 * hours + minutes) + seconds


def _keys_by_pts(decoder: Decoder, packets: Packets, config: VideoConfig) -> np.ndarray | None:
    """Return the sorted timestamps of the frames, None where they cannot be trusted.

    The first frames are decoded to check them; those before the first that decodes are left out
    (a file may start in the middle of a group of pictures).
    """
    shown = np.sort(packets.pts[~packets.discard])
    codec = decoder.stream.codec_context
    doubtful = shown.size == 0 or shown[0] == UNKNOWN or bool((np.diff(shown) == 0).any())
    if decoder.format_name in NO_PTS_CONTAINERS and codec.has_b_frames:
        doubtful |= bool((np.diff(packets.pts) > 0).all())
    if doubtful or codec.name in HIDDEN_FRAME_CODECS:
        return None
    decoder.rewind()
    decoded = decoder.frames(Identify.PTS)
    first = [key for key, _ in itertools.islice(decoded, config.index_checks)]
    if not first or first[0] is None or first[0] not in shown:
        return None
    keys = shown[np.searchsorted(shown, first[0]) :]
    damaged = decoder.failures > 0
    return keys if damaged or first == keys[: len(first)].tolist() else None


def _keys_by_decoding(
    decoder: Decoder, num_packets: int, progress: Progress
) -> tuple[Identify, np.ndarray]:
    """Decode the file once; return the packet number of each frame, in the order of display."""
    decoder.rewind()
    decoded = []
    for key, _ in decoder.frames(Identify.PACKET):
        decoded.append(key)
        progress(min(len(decoded) / max(num_packets, 1), 1.0))
    if not decoded:
        raise InputError(NO_FRAME.format(decoder.path))
    keys = [key for key in decoded if key is not None and key < num_packets]
    if None in decoded or len(set(keys)) != len(keys) or not keys:
        return Identify.COUNT, np.arange(len(decoded))
    return Identify.PACKET, np.array(keys, dtype=np.int64)
