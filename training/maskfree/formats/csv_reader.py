"""Reading tables of boxes: a row a track and frame, as `csv_table.py` writes them.

Needed are the columns ``frame``, ``track``, ``x0``, ``y0``, ``x1``, ``y1``; others are understood
or passed over. A row whose ``source`` is "interpolated" is no keyframe unless it begins a stretch
or ``occluded`` changes there: its box follows from the keyframes anew. A track without a row is
outside. Only a track that has no box at all takes the boxes of its masks. The table does not say
how large and long the video is.
"""

from __future__ import annotations

import csv
import re
from array import array
from typing import TYPE_CHECKING

import numpy as np

from maskfree.boxes_json import checked_keyframe
from maskfree.config import FormatConfig
from maskfree.errors import InputError
from maskfree.formats.base import DEFAULT_LABEL, Annotations, VideoFacts
from maskfree.json_checks import show
from maskfree.packed_keyframes import PackedKeyframes
from maskfree.storage import not_text, open_bytes, reading
from maskfree.types import BoxTracks, Keyframe, Track

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path
    from typing import BinaryIO

__all__ = ["INTERPOLATED", "read", "read_of", "shielded", "table_rows"]

INTERPOLATED = "interpolated"
_KIND = "CSV table"
_BOX = ("x0", "y0", "x1", "y1")
_MASK_BOX = tuple(f"mask_{name}" for name in _BOX)
_NEEDED = ("frame", "track", *_BOX)
_YES, _NO = ("1", "true", "yes"), ("", "0", "false", "no")
_LONGEST_NUMBER = 18
_FORMULA = re.compile(r"'*[=+\-@\t\r]")
"""How a text begins that a spreadsheet would compute (OWASP, "CSV injection"), shielded or not."""
_WIDE = 7
"""Numbers kept of a row: frame, box, occluded, keyframe."""


def read(path: Path) -> Annotations:
    """Refuse: the table does not say the size of its video; see :func:`read_of`."""
    return read_of(path, None)


def read_of(path: Path, video: VideoFacts | None) -> Annotations:
    """Read a table of boxes of that video; no frame has masks.

    Raises
    ------
    InputError
        Without a ``video``; for a file that is no such table; for a row without frame, track or
        box, one beyond the video, two of one track and frame, and a track with two labels.
    """
    if video is None:
        raise InputError(
            f"{path}: a table does not say how large its video is. Give the video: --video PATH."
        )
    found: dict[int, _Rows] = {}
    rows = table_rows(path)
    columns = _columns(next(rows, []), path)
    for number, row in enumerate(rows, start=2):
        if row:
            _take(_Row(row, columns, f"{path}, row {number}"), found, video)
    bare = BoxTracks(video.num_frames, video.height, video.width, video.fps, ())
    tracks = tuple(
        Track(track_id, found[track_id].label, found[track_id].keyframes(bare, path, track_id))
        for track_id in sorted(found)
    )
    if not any(track.keyframes for track in tracks):
        raise InputError(f"{path} holds no box. Give a table that has one, or take another format.")
    boxes = BoxTracks(video.num_frames, video.height, video.width, video.fps, tracks)
    return Annotations(boxes, video.frame_names, lambda frame: None)


def table_rows(path: Path) -> Iterator[list[str]]:
    """Yield the rows of a table, the first one included; the file is read in a stream.

    Raises
    ------
    InputError
        For a file that cannot be read or is no UTF-8 text, or a line too long for a table.
    """
    with open_bytes(path, _KIND) as file, reading(f"{_KIND} {path}"):
        try:
            yield from csv.reader(_lines(file, path), strict=True)
        except csv.Error as error:
            raise InputError(
                f"{path} is not a CSV table ({error}). Values go between commas, in double quotes "
                "where they hold one."
            ) from None


def shielded(text: str) -> str:
    """Return text that no spreadsheet takes for a formula: a ' goes before it, which reading drops.

    Source: https://owasp.org/www-community/attacks/CSV_Injection.
    """
    return f"'{text}" if _FORMULA.match(text) else text


def _bare(text: str) -> str:
    return text[1:] if text.startswith("'") and _FORMULA.match(text) else text


def _lines(file: BinaryIO, path: Path) -> Iterator[str]:
    most = FormatConfig().line_characters
    while line := file.readline(most):
        if len(line) == most:
            raise InputError(
                f"{path} has a line of {most} bytes or more. Check that it is a table."
            )
        begin = file.tell() - len(line)
        try:
            yield line.decode("utf-8" if begin else "utf-8-sig")
        except UnicodeDecodeError as error:
            raise not_text(f"{_KIND} {path}", begin + error.start) from None


def _columns(names: Sequence[str], path: Path) -> dict[str, int]:
    columns = {name.strip(): place for place, name in enumerate(names)}
    missing = [name for name in _NEEDED if name not in columns]
    if missing:
        raise InputError(
            f"{path}: expected a first row with the columns {', '.join(_NEEDED)}, missing are "
            f"{', '.join(missing)}. Write the names of the columns there."
        )
    return columns


class _Row:
    """One row; ``where`` begins every message about it."""

    def __init__(self, values: list[str], columns: dict[str, int], where: str) -> None:
        self._values, self._columns, self.where = values, columns, where

    def text(self, name: str) -> str:
        """Return a value, empty where there is none."""
        place = self._columns.get(name, len(self._values))
        return self._values[place] if place < len(self._values) else ""

    def whole(self, name: str) -> int:
        """Return a whole number."""
        text = self.text(name).strip()
        if not (text.isascii() and text.isdecimal() and len(text) <= _LONGEST_NUMBER):
            raise InputError(
                f"{self.where}: {name} must be a whole number, got {show(text)}. Correct it."
            )
        return int(text)

    def box(self, names: Sequence[str]) -> list[float] | None:
        """Return a box, None where its columns are empty."""
        texts = [self.text(name).strip() for name in names]
        if not any(texts):
            return None
        try:
            return [float(text) for text in texts]
        except ValueError:
            raise InputError(
                f"{self.where}: {', '.join(names)} must be four numbers or all empty, got "
                f"{show(', '.join(texts))}. Correct them."
            ) from None

    def flag(self, name: str) -> bool:
        """Return a value that is yes or no."""
        text = self.text(name).strip().lower()
        if text not in (*_YES, *_NO):
            raise InputError(f"{self.where}: {name} must be 1 or 0, got {show(text)}. Correct it.")
        return text in _YES


def _take(row: _Row, found: dict[int, _Rows], video: VideoFacts) -> None:
    frame, track_id = row.whole("frame"), row.whole("track")
    if frame >= video.num_frames or track_id < 1:
        raise InputError(
            f"{row.where}: frame must lie in 0 to {video.num_frames - 1} and track be 1 or more, "
            f"got frame {frame} and track {track_id}. Give the video that the table was made for."
        )
    label = _bare(row.text("label"))
    rows = found.setdefault(track_id, _Rows(label or DEFAULT_LABEL))
    if rows.label != (label or rows.label):
        raise InputError(
            f"{row.where}: track {track_id} is {show(label)} here and {show(rows.label)} before. "
            "Give it one label."
        )
    keyframe = row.text("source").strip() != INTERPOLATED
    if box := row.box(_BOX):
        rows.drawn.extend((frame, *box, row.flag("occluded"), keyframe))
    elif box := row.box(_MASK_BOX):
        rows.masks.extend((frame, *box, False, True))


class _Rows:
    """What the rows of a track hold; packed: a long table has many. ``_WIDE`` numbers a row."""

    def __init__(self, label: str) -> None:
        self.label = label
        self.drawn, self.masks = array("d"), array("d")

    def keyframes(self, video: BoxTracks, path: Path, track_id: int) -> PackedKeyframes:
        """Return the keyframes that the rows tell of."""
        rows = np.array(self.drawn or self.masks).reshape(-1, _WIDE)
        rows = rows[np.argsort(rows[:, 0], kind="stable")]
        where, found = f"{path}: track {track_id}", list[Keyframe]()
        last, hidden = -1, False
        for number, x0, y0, x1, y1, occluded, told in rows.tolist():
            frame = int(number)
            if frame == last:
                raise InputError(f"{where} has two rows for frame {frame}. Remove one.")
            gap = frame > last + 1
            if gap and found:
                found.append(Keyframe(last + 1, None, outside=True))
            keyframe = Keyframe(frame, (x0, y0, x1, y1), False, bool(occluded))
            keyframe = checked_keyframe(keyframe, video, where)
            if told or gap or not found or keyframe.occluded != hidden:
                found.append(keyframe)
            last, hidden = frame, keyframe.occluded
        if found and last + 1 < video.num_frames:
            found.append(Keyframe(last + 1, None, outside=True))
        return PackedKeyframes(found)
