"""Reading back a YouTube-VIS file that was just written, a frame in memory at a time.

The file has a list for each track, comparing goes frame by frame: where each value begins is noted
in one walk, and a frame's values are looked up there.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np

from maskfree.config import FormatConfig
from maskfree.formats.base import Annotations
from maskfree.formats.segmentation import parse
from maskfree.formats.ytvis_reader import masks_of, numbered
from maskfree.formats.ytvis_walk import KIND, box_of, walk
from maskfree.json_stream import JsonStream
from maskfree.storage import reading
from maskfree.types import Track

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from maskfree.types import Box, BoxTracks, InstanceMasks

__all__ = ["Reopened", "reopen", "reopen_file"]


class _Places:
    """Where an annotation's values begin, by frame: bytes of the file, 0 where there is null."""

    def __init__(self, video: BoxTracks) -> None:
        self.masks, self.boxes, self.levels = np.zeros((3, video.num_frames), np.int64)

    def mask(self, stream: JsonStream, frame: int, where: str) -> None:
        self.masks[frame] = _place(stream)

    def box(self, stream: JsonStream, frame: int, where: str) -> None:
        self.boxes[frame] = _place(stream)

    def level(self, stream: JsonStream, frame: int, where: str) -> None:
        self.levels[frame] = _place(stream)

    def every_level(self, stream: JsonStream) -> None:
        """Leave it: what we write has one for each frame."""


def _place(stream: JsonStream) -> int:
    return 0 if stream.peek() == "n" else stream.byte()


class _Values:
    """The values of the tracks, looked up in the file."""

    def __init__(self, path: Path, video: BoxTracks, places: dict[int, _Places]) -> None:
        self._path, self._video, self._places = path, video, places
        nowhere = np.zeros(video.num_frames, bool)
        masked = sum(((each.masks > 0) for each in places.values()), nowhere)
        boxed = sum(((each.boxes > 0) for each in places.values()), nowhere)
        self._known = masked | ~boxed if masked.any() else nowhere

    def masks(self, frame: int) -> InstanceMasks | None:
        if not self._known[frame]:
            return None
        height, width = self._video.height, self._video.width
        found = self._at(frame, {i: int(each.masks[frame]) for i, each in self._places.items()})
        counts = {
            i: parse(value, height, width, self._where(i, frame)) for i, value in found.items()
        }
        return masks_of(counts, self._video)

    def boxes(self, frame: int) -> dict[int, Box]:
        found = self._at(frame, {i: int(each.boxes[frame]) for i, each in self._places.items()})
        boxes = {i: box_of(value, self._video, self._where(i, frame)) for i, value in found.items()}
        return {i: box for i, box in boxes.items() if box is not None}

    def levels(self, frame: int) -> dict[int, str]:
        return self._at(frame, {i: int(each.levels[frame]) for i, each in self._places.items()})

    def _at(self, frame: int, places: dict[int, int]) -> dict[int, Any]:
        """Return id to value; opens the file anew each time, so that it can be moved meanwhile."""
        name, chunk = f"{KIND} {self._path}", FormatConfig().value_bytes
        with reading(name), self._path.open("rb", buffering=0) as file:
            return {
                i: JsonStream(file, name, start=start, chunk=chunk).value()
                for i, start in places.items()
                if start
            }

    def _where(self, track_id: int, frame: int) -> str:
        return f"{self._path}: annotation {track_id}, frame {frame}"


@dataclasses.dataclass(frozen=True)
class Reopened(Annotations):
    """What an export wrote, looked up a frame at a time; ``read_levels``: OVIS' words by track."""

    read_levels: Callable[[int], dict[int, str]] = lambda frame: {}


def reopen(path: Path, written: Annotations) -> Annotations:
    """Read the file that an export made of ``written``; boxes are looked up, not kept.

    Raises
    ------
    InputError
        As :func:`maskfree.formats.ytvis.read`; what is wrong with a frame's values, when they are
        looked up.
    """
    return reopen_file(path, written, levels=False)


def reopen_file(path: Path, written: Annotations, *, levels: bool) -> Reopened:
    """Read the file back; ``levels``: OVIS' ``occlusion`` as well.

    Raises
    ------
    InputError
        As :func:`reopen`.
    """
    walked = walk(path, _Places, levels=levels)
    by_id = numbered(walked.instances, path)
    values = _Values(path, walked.video, {i: each.taken for i, each in by_id.items()})
    tracks = tuple(Track(i, each.label, ()) for i, each in by_id.items())
    video = dataclasses.replace(walked.video, tracks=tracks)
    return Reopened(
        video,
        written.frame_names,
        values.masks,
        walked.file_names,
        values.boxes,
        values.levels,
    )
