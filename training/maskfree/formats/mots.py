"""MOTS: one text file, a line for each object in each frame, masks as run lengths.

The format: https://www.vision.rwth-aachen.de/page/mots; a line is
``time_frame id class_id img_height img_width rle``, numbers as in `mots_objects.py`.

Written: KITTI MOTS's form, whose frames count from 0. Where objects overlap the higher score wins,
then the smaller id: the format allows no overlap. The first and the last frame have a line even
where nothing is in them (an ignored part without a pixel), so the file says its size, its length
and where it counts from.

Read: the frames of MOTSChallenge count from 1, and the file alone does not tell. A frame 0 tells
that they count from 0; a frame numbered as high as the video is long, or a video whose own frames
are named by numbers from 1, that they count from 1; otherwise they are taken to count from 0, with
a warning where the first is 1. Every frame is known: one without a line is empty. Objects of class
10 are ignore regions.
"""

from __future__ import annotations

import dataclasses
import warnings
from typing import TYPE_CHECKING

import numpy as np
from pycocotools import mask as coco

from maskfree import rle
from maskfree.config import FormatConfig
from maskfree.errors import InputError, InputWarning
from maskfree.formats.base import Annotations, Format
from maskfree.formats.box_arrays import BoxArrays
from maskfree.formats.frame_records import FrameRecords, stacked
from maskfree.formats.ignored import Ignored
from maskfree.formats.limits import check_size
from maskfree.formats.mots_objects import (
    IGNORED,
    IGNORED_CLASS,
    Plan,
    class_of,
    compare_objects,
    label_of,
    losses_of_objects,
    nothing_to_write,
    track_ids,
)
from maskfree.formats.segmentation import parse
from maskfree.formats.ytvis_walk import xyxy
from maskfree.json_checks import show
from maskfree.numbered_names import NumberedNames
from maskfree.storage import open_bytes, reading
from maskfree.types import BoxTracks, Track

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from maskfree.formats.base import VideoFacts
    from maskfree.types import InstanceMasks

__all__ = ["FORMAT", "read", "read_of", "reopen", "write"]

KIND = "MOTS file"
"""In messages."""
_FIELDS = 6
_DIGITS = 18
"""Of a number in the file, at most."""


def write(annotations: Annotations, path: Path) -> None:
    """Write the file ``path``, a frame in memory at a time.

    Raises
    ------
    InputError
        When no frame has masks, they are not of the video's size, or as :class:`Plan`.
    """
    plan, known = Plan(annotations), False
    last = len(annotations.frame_names) - 1
    with path.open("w", encoding="ascii", newline="\n") as out:
        for frame in range(last + 1):
            masks = annotations.read_masks(frame)
            known = known or masks is not None
            lines = [] if masks is None else _lines_of(plan.picture(masks, frame), frame)
            if not lines and frame in (0, last):
                empty = np.zeros((annotations.boxes.height, annotations.boxes.width), bool)
                lines = [_line(frame, IGNORED, empty)]
            out.writelines(lines)
    if not known:
        raise nothing_to_write("mots")


def _lines_of(objects: np.ndarray, frame: int) -> list[str]:
    numbers = np.flatnonzero(np.bincount(objects.ravel())).tolist()
    return [_line(frame, number, objects == number) for number in numbers if number]


def _line(frame: int, number: int, mask: np.ndarray) -> str:
    height, width = mask.shape
    counts = rle.encode(mask[None])[0]
    return f"{frame} {number} {class_of(number)} {height} {width} {counts}\n"


@dataclasses.dataclass(frozen=True)
class _Line:
    """One line of a file; ``counts``: compressed, None where no pixel is."""

    frame: int
    number: int
    class_number: int
    size: tuple[int, int]
    counts: str | None
    where: str


def _walk(path: Path) -> Iterator[_Line]:
    """Yield the lines of a file, all of one size."""
    most, size = FormatConfig().line_bytes, None
    with open_bytes(path, KIND) as file, reading(f"{KIND} {path}"):
        n = 0
        while raw := file.readline(most + 1):
            n += 1
            where = f"{path}: line {n}"
            if len(raw) > most:
                raise InputError(
                    f"{where} has more than {most} bytes. Check that it is the file you meant."
                )
            if not raw.strip():
                continue
            line = _parsed(raw, where)
            size = size or line.size
            if line.size != size:
                raise InputError(
                    f"{where}: the frame is {line.size[1]} x {line.size[0]} pixels, in the lines "
                    f"before {size[1]} x {size[0]} (width x height). All frames of a video have "
                    "one size; split the file."
                )
            yield line


def _parsed(raw: bytes, where: str) -> _Line:
    fields = raw.split()
    numbers = [int(field) for field in fields[:-1] if field.isdigit() and len(field) <= _DIGITS]
    if len(fields) != _FIELDS or len(numbers) != _FIELDS - 1:
        raise InputError(
            f"{where}: expected `time_frame id class_id img_height img_width rle`, five whole "
            f"numbers and run lengths, got {show(raw.decode('ascii', 'replace').strip())}. Export "
            "the file again."
        )
    frame, number, class_number, height, width = numbers
    check_size(height, width, where)
    if class_number != IGNORED_CLASS and not (number and class_number):
        raise InputError(
            f"{where}: id and class_id must be 1 or more, got {number} and {class_number}; 0 is "
            "background. Number the objects anew."
        )
    text = fields[-1].decode("ascii", "replace")
    counts = parse({"size": [height, width], "counts": text}, height, width, where)
    return _Line(frame, number, class_number, (height, width), counts, where)


@dataclasses.dataclass
class _Object:
    class_number: int
    boxes: BoxArrays = dataclasses.field(default_factory=BoxArrays)


class _Taken:
    """Takes the lines of a file one by one; frames are counted as in the file."""

    def __init__(self, path: Path, facts: VideoFacts | None) -> None:
        self._path, self._facts = path, facts
        self._size = None if facts is None else (facts.height, facts.width)
        self._lines = self._largest = 0
        self._smallest: int | None = None
        self._objects: dict[int, _Object] = {}
        self._several = set[int]()
        self._records, self._ignored = FrameRecords(), Ignored()

    def add(self, line: _Line) -> None:
        """Take a line."""
        self._size = self._size or line.size
        if line.size != self._size:
            raise InputError(
                f"{line.where}: the frame is {line.size[1]} x {line.size[0]} pixels, the video "
                f"{self._size[1]} x {self._size[0]} (width x height). Give the video that the file "
                "was made for."
            )
        self._lines += 1
        smallest = line.frame if self._smallest is None else self._smallest
        self._smallest = min(smallest, line.frame)
        self._largest = max(self._largest, line.frame)
        if line.counts is None:
            return
        if line.class_number == IGNORED_CLASS:
            self._ignored.mask(line.frame, rle.decode(line.counts, *line.size))
            return
        found = self._objects.setdefault(line.number, _Object(line.class_number))
        if found.class_number != line.class_number:
            self._several.add(line.number)
        box = xyxy(coco.toBbox({"size": list(line.size), "counts": line.counts}))
        found.boxes.put(line.frame, box)
        self._records.put(line.frame, [line.number, line.counts])

    def whole(self) -> Annotations:
        """Return all that was taken."""
        if self._size is None:
            raise InputError(
                f"{self._path} has no line, so it does not say the video's size. Name the video: "
                "--video PATH."
            )
        self._warn_of_several()
        first = self._first()
        names = self._names(first)
        known = np.arange(len(names), dtype=np.int64)
        ids = track_ids({number: found.class_number for number, found in self._objects.items()})
        tracks = []
        for number, track_id in sorted(ids.items(), key=lambda pair: pair[1]):
            found = self._objects[number]
            drawn = found.boxes.keyframes(known, f"{self._path}: object {number}", first=first)
            tracks.append(Track(track_id, label_of(found.class_number), drawn))
        fps = None if self._facts is None else self._facts.fps
        video = BoxTracks(len(names), *self._size, fps, ())
        ignore = self._ignored.regions(video, str(self._path), first=first)

        def read_masks(frame: int) -> InstanceMasks | None:
            records = self._records.at(frame + first)
            counts = {ids[number]: text for number, text in records}
            return _masks(counts, video, f"{self._path}: frame {frame + first}")

        tracked = dataclasses.replace(video, tracks=tuple(tracks), ignore=ignore)
        return Annotations(tracked, names, read_masks)

    def _first(self) -> int:
        """Return what the file counts frames from, 0 or 1."""
        if not self._smallest:
            return 0
        if self._facts is not None and self._largest == self._facts.num_frames:
            return 1
        names = () if self._facts is None else self._facts.frame_names
        if names and not isinstance(names, NumberedNames):
            return int(all(n.isdecimal() for n in names) and int(names[0]) == 1)
        if self._smallest == 1:
            warnings.warn(
                f"{self._path}: its first frame is 1; it is taken to count from 0, as KITTI MOTS "
                "does. If it counts from 1, as MOTSChallenge does, name the folder of its frames: "
                "--video PATH.",
                InputWarning,
                stacklevel=2,
            )
        return 0

    def _names(self, first: int) -> Sequence[str]:
        length = self._largest - first + 1
        if self._facts is not None:
            if self._lines and length > self._facts.num_frames:
                raise InputError(
                    f"{self._path}: it has a frame {self._largest}, the video only "
                    f"{self._facts.num_frames} frames. Give the video that the file was made for."
                )
            return self._facts.frame_names
        if length > self._lines * FormatConfig().frames_per_file:
            raise InputError(
                f"{self._path}: it has a frame {self._largest}, but only {self._lines} lines. "
                "Check the numbers of its frames, or name the video: --video PATH."
            )
        return NumberedNames(length)

    def _warn_of_several(self) -> None:
        if self._several:
            warnings.warn(
                f"{self._path}: an object has one class, but these have several: "
                f"{show(sorted(self._several))}. Each keeps its first.",
                InputWarning,
                stacklevel=2,
            )


def _masks(counts: dict[int, str], video: BoxTracks, where: str) -> InstanceMasks:
    return stacked(counts, dict.fromkeys(counts, 1.0), video.height, video.width, where)


def read(path: Path) -> Annotations:
    """Read a MOTS file; see :func:`read_of`."""
    return read_of(path, None)


def read_of(path: Path, video: VideoFacts | None) -> Annotations:
    """Read a MOTS file; boxes are the masks' own. ``video``: of the video itself.

    Raises
    ------
    InputError
        For a line that is none of MOTS, several sizes, an object twice in a frame, frames that the
        video does not have, and a file without a line where there is no ``video``.
    """
    taken = _Taken(path, video)
    for line in _walk(path):
        taken.add(line)
    return taken.whole()


def reopen(path: Path, written: Annotations) -> Annotations:
    """Read the file that :func:`write` made of ``written``: masks by object number, no tracks.

    Raises
    ------
    InputError
        As :func:`read_of`.
    """
    records = FrameRecords()
    for line in _walk(path):
        if line.counts is not None:
            records.put(line.frame, [line.number, line.counts])
    video = dataclasses.replace(written.boxes, tracks=(), ignore=())

    def read_masks(frame: int) -> InstanceMasks:
        return _masks(dict(records.at(frame)), video, f"{path}: frame {frame}")

    return Annotations(video, written.frame_names, read_masks)


def losses(annotations: Annotations) -> list[str]:
    """Name what a MOTS file does not keep."""
    named = losses_of_objects(annotations, "get no line, which reads as empty")
    for frame, name in enumerate(annotations.frame_names):
        if not name.isdecimal() or int(name) != frame:
            named.append(f'names of frames are not kept: frame {frame} is "{name}"')
            break
    return named


FORMAT = Format(
    name="mots",
    title="MOTS: one text file, as KITTI MOTS",
    write=write,
    read=read,
    losses=losses,
    compare=compare_objects,
    reopen=reopen,
    read_of=read_of,
)
