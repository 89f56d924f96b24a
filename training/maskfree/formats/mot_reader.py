"""Reading MOTChallenge: a folder or one file of rows, ours and what other tools wrote.

Size and length come from a ``seqinfo.ini`` beside the rows or above, else from the video. In a
frame without its row a track is absent. Without ``labels.txt`` the classes are those of MOT16. That
file is CVAT's and datumaro's addition: beside it, pixels count from 0, as those two write them,
unless the export was ours.
"""

from __future__ import annotations

import configparser
import dataclasses
import re
import warnings
from typing import TYPE_CHECKING

import numpy as np

from maskfree.config import FormatConfig
from maskfree.errors import InputError, InputWarning
from maskfree.formats.base import DEFAULT_LABEL, Annotations
from maskfree.formats.box_arrays import BoxArrays
from maskfree.formats.box_files import Said, frame_names, read_head, within
from maskfree.formats.mot_rows import rows
from maskfree.json_checks import as_number
from maskfree.storage import open_bytes
from maskfree.types import Track

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from maskfree.formats.base import VideoFacts
    from maskfree.formats.mot_rows import Row
    from maskfree.types import BoxTracks

__all__ = [
    "FOLDER",
    "INFO",
    "KIND",
    "LABELS",
    "MARK",
    "OWN",
    "ROWS",
    "SECTION",
    "is_occluded",
    "mark_of",
    "read_classes",
    "read_of",
    "read_said",
    "read_settings",
]

KIND = "MOT file"
"""In messages."""
OWN = "mot"
"""The extra field of keyframes in which the rows' own numbers are kept."""
INFO, FOLDER, ROWS, LABELS = "seqinfo.ini", "gt", "gt.txt", "labels.txt"
SECTION = "Sequence"
"""Of ``seqinfo.ini``."""
MARK = "; napari-maskfree"
"""Begins the line of a ``seqinfo.ini`` that ends in the hash of our rows."""
_FOUND = (f"{FOLDER}/{ROWS}", ROWS, "det/det.txt")
_CLASSES = (
    "pedestrian",
    "person on vehicle",
    "car",
    "bicycle",
    "motorbike",
    "non motorized vehicle",
    "static person",
    "distractor",
    "occluder",
    "occluder on the ground",
    "occluder full",
    "reflection",
    "crowd",
)
"""MOT16's, from 1."""


def read_of(path: Path, video: VideoFacts | None) -> Annotations:
    """Read a folder or a file; no frame has masks.

    Raises
    ------
    InputError
        For a row at fault, two boxes of a track in one frame, detections without ids, and where
        nothing says the size or the length of the video.
    """
    table = _table(path)
    where = f"{KIND} {table}"
    with open_bytes(table, KIND) as file:
        facts = read_said(table).of(where, video)
        kept = _Kept(facts, where)
        for _, row in rows(file, where, origin=_origin(table)):
            kept.take(row)
    tracks = kept.tracks(read_classes(table))
    boxes = dataclasses.replace(facts, tracks=tracks)
    return Annotations(boxes, frame_names(facts.num_frames, video), lambda frame: None)


def _table(path: Path) -> Path:
    if not path.is_dir():
        return path
    for name in _FOUND:
        if (path / name).is_file():
            return path / name
    raise InputError(f"{path} holds none of {', '.join(_FOUND)}. Give the file itself.")


def _origin(table: Path) -> int:
    """Return the number of the first pixel."""
    info = _info(table)
    ours = info is not None and mark_of(info) is not None
    return 1 if ours or not (table.parent / LABELS).is_file() else 0


def _info(table: Path) -> Path | None:
    above = table.absolute().parent
    places = (folder / INFO for folder in (above, above.parent))
    return next((place for place in places if place.is_file()), None)


def mark_of(path: Path) -> str | None:
    """Return what an export of ours left in a ``seqinfo.ini``, None in that of another.

    It is a comment: datumaro knows every field and refuses others.
    """
    with open_bytes(path, INFO) as file:
        text = read_head(file, f"{INFO} {path}")
    found = re.search(rf"^{MARK} ([0-9a-f]+)$", text, re.MULTILINE)
    return found[1] if found else None


def read_said(table: Path) -> Said:
    """Return what the ``seqinfo.ini`` beside a file of rows, or one folder above, says."""
    info = _info(table)
    if info is None:
        return Said()
    settings = read_settings(info)

    def number(name: str) -> float | None:
        text = settings.get(SECTION, name, fallback="")
        try:
            return as_number(float(text)) if text else None
        except ValueError:
            raise InputError(
                f"{INFO} {info}: {name} must be a number, got {text!a}. Correct it."
            ) from None

    length, height, width = (
        None if (value := number(name)) is None else int(value)
        for name in ("seqLength", "imHeight", "imWidth")
    )
    fps = number("frameRate")
    return Said(length, height, width, fps if fps and fps > 0 else None)


def read_classes(table: Path) -> Sequence[str]:
    """Return the names of the classes, the first is number 1."""
    path = table.parent / LABELS
    if not path.is_file():
        return _CLASSES
    with open_bytes(path, LABELS) as file:
        text = read_head(file, f"{LABELS} {path}")
    lines = text.split("\n")
    return [line.removesuffix("\r") for line in (lines if lines[-1] else lines[:-1])]


def read_settings(path: Path) -> configparser.ConfigParser:
    """Return the content of a ``seqinfo.ini``.

    Raises
    ------
    InputError
        Where it is none.
    """
    where = f"{INFO} {path}"
    found = configparser.ConfigParser(interpolation=None, strict=False)
    with open_bytes(path, INFO) as file:
        text = read_head(file, where)
    try:
        found.read_string(text)
    except configparser.Error as error:
        raise InputError(
            f"The {where} is no settings file ({' '.join(error.message.split())}). Mend it."
        ) from None
    return found


class _Kept:
    """Keeps the boxes of a file by track."""

    def __init__(self, video: BoxTracks, where: str) -> None:
        self._video, self._where = video, where
        self._boxes: dict[int, BoxArrays] = {}
        self._kinds: dict[int, set[int]] = {}

    def take(self, row: Row) -> None:
        video = self._video
        if row.frame >= video.num_frames:
            raise self._fault(
                row,
                f"the video has only {video.num_frames} frames. Give the video that the "
                "file was made on, or correct its seqinfo.ini.",
            )
        if row.number < 0:
            raise self._fault(
                row,
                "the box has no id: the file holds detections, not tracks. Give what a tracker "
                "wrote.",
            )
        boxes = self._boxes.setdefault(row.number, BoxArrays())
        self._kinds.setdefault(row.number, set()).add(row.kind)
        xyxy = within(row.xyxy, video)
        if xyxy is None:
            return
        occluded = is_occluded(row.visibility)
        own: dict[str, float] = {}
        if row.confidence != 1:
            own["confidence"] = row.confidence
        if row.visibility != (0 if occluded else 1):
            own["visibility"] = row.visibility
        extra = {OWN: own} if own else {}
        boxes.put(row.frame + 1, xyxy, occluded, extra)

    def _fault(self, row: Row, what: str) -> InputError:
        return InputError(f"{self._where}: track {row.number}, frame {row.frame + 1}: {what}")

    def tracks(self, classes: Sequence[str]) -> tuple[Track, ...]:
        """Return the tracks in order of id, their gaps marked."""
        first = 1 if 0 in self._boxes else 0
        if first:
            _warn(f"{self._where}: ids begin at 0, they are raised by 1.")
        known, found = np.arange(self._video.num_frames), []
        for number in sorted(self._boxes):
            # What was packed by row goes as soon as it is packed by track.
            drawn = self._boxes.pop(number).keyframes(
                known, f"{self._where}: track {number}", first=1
            )
            found.append(Track(number + first, self._label(number, classes), drawn))
        return tuple(found)

    def _label(self, number: int, classes: Sequence[str]) -> str:
        kinds = sorted(self._kinds[number])
        if len(kinds) > 1:
            _warn(f"{self._where}: track {number} has the classes {kinds}; the first is taken.")
        kind = kinds[0]
        if kind < 1:
            return DEFAULT_LABEL
        return classes[kind - 1] if kind <= len(classes) else f"class {kind}"


def _warn(text: str) -> None:
    warnings.warn(text, InputWarning, stacklevel=3)


def is_occluded(visibility: float) -> bool:
    """Return whether a box of that visibility counts as occluded; below 0: it is not known."""
    return 0 <= visibility < FormatConfig().least_visible
