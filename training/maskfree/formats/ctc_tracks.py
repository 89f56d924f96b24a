"""The track file of the Cell Tracking Challenge, and how our tracks become its labels.

"Naming and file content conventions" (https://celltrackingchallenge.net/annotations/): a line
``L B E P`` for each track: its label (16 bit, above 0), the first and the last frame in which it is
seen (from 0), and its parent's label (0: none). In between it is seen in every frame. A track that
was out of sight goes on under a new label, whose parent is the label before; a parent has ended
before its children begin.
"""

from __future__ import annotations

import bisect
import itertools
from array import array
from typing import TYPE_CHECKING, NamedTuple

from maskfree.errors import InputError
from maskfree.formats.label_images import visible
from maskfree.storage import not_text, open_bytes, reading

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import BinaryIO

    from maskfree.formats.base import Annotations
    from maskfree.types import InstanceMasks

__all__ = ["MAX_LABEL", "Plan", "TrackLine", "read_track_file"]

MAX_LABEL = 65535
"""The largest label that a 16-bit picture holds."""
_LONGEST_LINE = 1024


class TrackLine(NamedTuple):
    """A line of the track file; frames from 0, both included; ``parent`` 0: none."""

    label: int
    begin: int
    end: int
    parent: int


def read_track_file(path: Path) -> dict[int, TrackLine]:
    """Read a track file; returns label to line, in order of label.

    Raises
    ------
    InputError
        For a file that cannot be read, a line that is not four whole numbers, a label beyond 16 bit
        or twice, an end before the beginning, and a parent that is no track which began before.
    """
    found: dict[int, TrackLine] = {}
    with open_bytes(path, "track file") as file, reading(f"track file {path}"):
        for number, words in _words(file, path):
            line = _line(words, f"{path}, line {number}")
            if line.label in found:
                raise InputError(
                    f"{path}, line {number}: label {line.label} comes twice, expected every label "
                    "once. Remove one of the two lines."
                )
            found[line.label] = line
    for line in found.values():
        parent = found.get(line.parent)
        if line.parent and (parent is None or parent.begin >= line.begin):
            raise InputError(
                f"{path}: the parent of track {line.label} must be a track that begins before it, "
                f"got {line.parent}. Correct it, or write 0 where there is none."
            )
    return dict(sorted(found.items()))


def _words(file: BinaryIO, path: Path) -> Iterator[tuple[int, list[str]]]:
    for number in itertools.count(1):
        raw = file.readline(_LONGEST_LINE)
        if not raw:
            return
        if not raw.isascii():
            raise not_text(f"track file {path}", file.tell() - len(raw))
        if words := raw.decode("ascii").split():
            yield number, words


def _line(words: list[str], where: str) -> TrackLine:
    whole = all(word.isdecimal() and len(word) <= len(str(2**31)) for word in words)
    values = TrackLine(*map(int, words)) if whole and len(words) == 4 else None
    if values is None or not 1 <= values.label <= MAX_LABEL or values.end < values.begin:
        raise InputError(
            f"{where}: expected four whole numbers, label (1 to {MAX_LABEL}), first frame, last "
            f'frame and parent, got "{" ".join(words)[:60]}". Correct it.'
        )
    return values


class Plan:
    """Which label each track gets in which frames, from one walk over the masks.

    A track keeps its id as label; after a gap it goes on under a new one, above all ids. Only what
    is left where instances overlap is seen.
    """

    def __init__(self, annotations: Annotations) -> None:
        self._pieces: dict[int, _Pieces] = {}
        for frame in range(len(annotations.frame_names)):
            masks = annotations.read_masks(frame)
            for place in visible(masks) if masks is not None else ():
                assert masks is not None
                self._pieces.setdefault(masks.track_ids[place], _Pieces()).see(frame)
        self._number()
        self._parents = {
            track.id: track.parent
            for track in annotations.boxes.tracks
            if track.parent is not None and track.id in self._pieces
        }
        self.largest = max((max(each.labels) for each in self._pieces.values()), default=0)

    def _number(self) -> None:
        free = itertools.count(max(self._pieces, default=0) + 1)
        later = [
            (begin, track_id)
            for track_id, each in self._pieces.items()
            for begin in each.begins[1:]
        ]
        for track_id, each in self._pieces.items():
            each.labels.append(track_id)
        for _, track_id in sorted(later):
            self._pieces[track_id].labels.append(next(free))

    def labels(self, masks: InstanceMasks, frame: int) -> list[int]:
        """Return the label of each mask in a frame, 0 where no pixel of it is seen."""
        pieces = (self._pieces.get(track_id) for track_id in masks.track_ids)
        return [each.label(frame) if each is not None else 0 for each in pieces]

    def lines(self) -> list[TrackLine]:
        """Return the lines of the track file, in order of label."""
        found = []
        for track_id, each in self._pieces.items():
            parent = self._parent(track_id)
            for begin, end, label in zip(each.begins, each.ends, each.labels, strict=True):
                found.append(TrackLine(label, begin, end, parent))
                parent = label
        return sorted(found)

    def broken(self) -> list[int]:
        """Return the ids of the tracks that have gaps, in order."""
        return sorted(track_id for track_id, each in self._pieces.items() if len(each.labels) > 1)

    def orphans(self) -> list[int]:
        """Return the ids of the tracks whose parent cannot be written, in order."""
        return sorted(track_id for track_id in self._parents if not self._parent(track_id))

    def _parent(self, track_id: int) -> int:
        """Return the label of the parent, 0 where there is none that has ended before."""
        pieces = self._pieces.get(self._parents.get(track_id, 0))
        if pieces is None or pieces.ends[-1] >= self._pieces[track_id].begins[0]:
            return 0
        return pieces.labels[-1]


class _Pieces:
    """The stretches of frames in which a track is seen; packed, a long video may have many."""

    def __init__(self) -> None:
        self.begins, self.ends = array("q"), array("q")
        self.labels: list[int] = []

    def see(self, frame: int) -> None:
        if self.ends and self.ends[-1] == frame - 1:
            self.ends[-1] = frame
        else:
            self.begins.append(frame)
            self.ends.append(frame)

    def label(self, frame: int) -> int:
        place = bisect.bisect_right(self.begins, frame) - 1
        return self.labels[place] if place >= 0 and frame <= self.ends[place] else 0
