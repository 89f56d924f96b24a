"""A video file as packets and decoded frames; every call into PyAV that can fail is here."""

from __future__ import annotations

import enum
import itertools
from typing import TYPE_CHECKING, Any

import av

from maskfree.errors import InputError
from maskfree.video_source import first_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

__all__ = ["NO_FRAME", "Decoder", "Identify"]

NO_FRAME = "{} has no frame that can be decoded. Copy it again, or convert it to H.264."
MP4_MARK, MP4_MARK_AT = b"ftyp", slice(4, 8)


class Identify(enum.Enum):
    """What a decoded frame is known by.

    PTS: its presentation timestamp. PACKET: the number of its packet in the file, handed to the
    decoder in place of a timestamp. COUNT: how many frames came before it from the file's start.
    """

    PTS = enum.auto()
    PACKET = enum.auto()
    COUNT = enum.auto()


class Decoder:
    """One open video stream: read its packets, decode from its start or from a keyframe.

    ``stream`` is PyAV's; ``broken`` says that reading packets ended in an error, ``failures``
    counts the packets that could not be decoded. ``threaded``: several frames are decoded at a
    time, from the next rewind on.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.broken = False
        self.failures = 0
        self.threaded = True
        self._open()

    def _open(self) -> None:
        # Only this file: a playlist in disguise must not make us open others or the network.
        options = {"protocol_whitelist": "file"}
        try:
            self._container = av.open(str(self.path), options=options)
        except (av.FFmpegError, UnicodeError) as error:
            raise InputError(f"{self.path} {self._why_not_opened(error)}") from None
        try:
            self.stream = self._pick_stream()
        except InputError:
            self._container.close()
            raise
        self.stream.thread_type = "AUTO" if self.threaded else "NONE"

    def _why_not_opened(self, error: Exception) -> str:
        with self.path.open("rb") as file:
            cut_off = file.read(MP4_MARK_AT.stop)[MP4_MARK_AT] == MP4_MARK
        if cut_off:
            return "was cut off: the index at its end is missing. Copy or record it again."
        reason = getattr(error, "strerror", None) or first_line(error)
        return f"is not a video, or it is damaged ({reason}). Pass a video file."

    def _pick_stream(self) -> Any:
        attached = av.stream.Disposition.attached_pic
        streams = [s for s in self._container.streams.video if not s.disposition & attached]
        if not streams:
            raise InputError(f"{self.path} has no pictures, only sound or data. Pass a video file.")
        if streams[0].codec_context is None:
            raise InputError(
                f"{self.path} uses a codec that this FFmpeg cannot decode. Convert it to H.264."
            )
        return streams[0]

    @property
    def format_name(self) -> str:
        """The container's format, as FFmpeg calls it."""
        return str(self._container.format.name)

    def close(self) -> None:
        """Close the file."""
        self._container.close()

    def rewind(self) -> None:
        """Go to the very start of the file, with a fresh decoder."""
        self.close()
        self._open()

    def seek(self, timestamp: int) -> bool:
        """Go to the keyframe at or before ``timestamp`` (stream units); False where one cannot."""
        try:
            self._container.seek(timestamp, stream=self.stream, backward=True)
        except av.FFmpegError:
            return False
        return True

    def packets(self) -> Iterator[Any]:
        """Yield the packets from here on; empty ones carry no picture."""
        try:
            yield from self._container.demux(self.stream)
        except av.FFmpegError:
            self.broken = True

    def frames(
        self, identify: Identify, numbers: Mapping[int, int] | None = None
    ) -> Iterator[tuple[int | None, Any]]:
        """Yield (key, frame) from here on; packets that cannot be decoded are passed over.

        ``numbers`` maps a keyframe packet's byte position to its number, for PACKET after a seek;
        None: from the start of the file. Ends at once where the landing place is not among them.
        """
        number = 0 if numbers is None else None
        count = 0
        pictures = (packet for packet in self.packets() if packet.size)
        for packet in itertools.chain(pictures, [None]):
            if packet is not None and identify is Identify.PACKET:
                number = (numbers or {}).get(packet.pos) if number is None else number
                if number is None:
                    return
                packet.pts = number
                number += 1
            for frame in self._decode(packet):
                yield (count if identify is Identify.COUNT else frame.pts), frame
                count += 1

    def _decode(self, packet: Any) -> list[Any]:
        """Return the frames that come out; None in place of a packet brings out the last ones."""
        try:
            return list(self.stream.codec_context.decode(packet))
        except av.FFmpegError:
            self.failures += packet is not None
            return []
