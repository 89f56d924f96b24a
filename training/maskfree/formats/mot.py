"""MOTChallenge: a folder with ``gt/gt.txt``, one row a box, and ``seqinfo.ini``.

https://arxiv.org/abs/1603.00831 (section 3.3 and table 5), https://motchallenge.net/instructions;
``gt/labels.txt`` (a class a line, from 1) is CVAT's addition. Rows and coordinates: `mot_rows.py`;
what is read: `mot_reader.py`.

Written: a row for every frame in which a track is present, in order of frame, then of track. The
confidence is 1 (what was read, where a row said something else), the class is that of
``labels.txt``, the visibility 0 where the box is occluded (as CVAT writes it). ``seqinfo.ini``
holds size, length and frames a second, and the hash of the rows, by which a later export knows
its own.
"""

from __future__ import annotations

import dataclasses
import hashlib
from array import array
from typing import TYPE_CHECKING

from maskfree.config import FormatConfig
from maskfree.errors import InputError
from maskfree.formats.base import Annotations, Compared, Format
from maskfree.formats.box_files import (
    close_boxes,
    frame_names,
    interpolated_loss,
    losses_of_boxes,
    need_a_box,
    own_fields,
)
from maskfree.formats.mot_reader import (
    FOLDER,
    INFO,
    KIND,
    LABELS,
    MARK,
    OWN,
    ROWS,
    SECTION,
    is_occluded,
    mark_of,
    read_classes,
    read_of,
    read_said,
)
from maskfree.formats.mot_rows import LARGEST, MOST_ID, Row, plain, rows, text_of
from maskfree.json_checks import as_number
from maskfree.storage import open_bytes
from maskfree.tracks import box_at, keyframe_at
from maskfree.types import Track

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from maskfree.types import BoxTracks

__all__ = ["FORMAT", "read", "read_of", "reopen", "write"]


def write(annotations: Annotations, path: Path) -> None:
    """Write the folder ``path``, a frame in memory at a time.

    Raises
    ------
    InputError
        When no track has a box, or a label has a line break.
    """
    need_a_box(annotations, "mot")
    labels = _labels(annotations)
    kinds = {label: number for number, label in enumerate(labels, start=1)}
    folder = path / FOLDER
    folder.mkdir(parents=True)
    (folder / LABELS).write_bytes(_text_of_labels(labels))
    with (folder / ROWS).open("wb") as out:
        for frame in range(len(annotations.frame_names)):
            for row in _rows_at(annotations.boxes, frame, kinds):
                out.write(text_of(row).encode())
    (path / INFO).write_text(_info(annotations, _hash(folder)), encoding="utf-8", newline="\n")


def _labels(annotations: Annotations) -> list[str]:
    tracks = sorted(annotations.boxes.tracks, key=lambda track: track.id)
    return list(dict.fromkeys(track.label for track in tracks))


def _text_of_labels(labels: Sequence[str]) -> bytes:
    for label in labels:
        if "\n" in label or "\r" in label:
            raise InputError(f"mot holds a label a line, {label!a} has several. Rename it.")
    try:
        return "".join(f"{label}\n" for label in labels).encode()
    except UnicodeEncodeError as error:
        raise InputError(
            f"A label is no text that UTF-8 can hold ({error.reason}). Rename it."
        ) from None


def _rows_at(boxes: BoxTracks, frame: int, kinds: dict[str, int]) -> list[Row]:
    """Return the rows of one frame, in order of track."""
    found = []
    for track in sorted(boxes.tracks, key=lambda track: track.id):
        state = box_at(track, frame)
        if state is None:
            continue
        drawn = keyframe_at(track, frame)
        kept = own_fields({} if drawn is None else drawn.extra, OWN)
        confidence, visibility = _kept(kept, "confidence"), _kept(kept, "visibility")
        if visibility is None or is_occluded(visibility) != state.occluded:
            visibility = 0.0 if state.occluded else 1.0
        found.append(
            Row(
                frame,
                track.id,
                state.xyxy,
                kinds[track.label],
                1.0 if confidence is None else confidence,
                visibility,
            )
        )
    return found


def _kept(kept: dict[str, object], name: str) -> float | None:
    value = as_number(kept.get(name))
    return None if value is None or abs(value) > LARGEST else value


def _info(annotations: Annotations, mark: str) -> str:
    boxes = annotations.boxes
    lines = [f"[{SECTION}]", f"{MARK} {mark}", "name=sequence", "imDir=img1"]
    if boxes.fps is not None:
        lines.append(f"frameRate={plain(float(boxes.fps))}")
    lines += [
        f"seqLength={len(annotations.frame_names)}",
        f"imWidth={boxes.width}",
        f"imHeight={boxes.height}",
        f"imExt={FormatConfig().frame_suffix}",
    ]
    return "\n".join([*lines, ""])


def _hash(folder: Path) -> str:
    with (folder / ROWS).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def is_ours(path: Path) -> bool:
    """Return whether an export wrote this file or folder, and nobody changed its rows since."""
    try:
        if path.name == INFO and path.is_file():
            return mark_of(path) is not None
        names = {each.name for each in path.iterdir()}
        ours = path.name == FOLDER and names == {ROWS, LABELS}
        return ours and mark_of(path.parent / INFO) == _hash(path)
    except (OSError, InputError):
        return False


def read(path: Path) -> Annotations:
    """Read a folder or a file whose ``seqinfo.ini`` says all of its video."""
    return read_of(path, None)


@dataclasses.dataclass(frozen=True)
class _Reopened(Annotations):
    """What an export wrote, its rows looked up a frame at a time."""

    read_rows: Callable[[int], list[Row]] = lambda frame: []


def reopen(path: Path, written: Annotations) -> Annotations:
    """Read back what an export has just written; only where each frame begins is kept.

    Raises
    ------
    InputError
        As :func:`read`, and where the frames are not in order.
    """
    table = path / FOLDER / ROWS
    where = f"{KIND} {table}"
    video = read_said(table).of(where, None)
    starts = array("q", [-1]) * video.num_frames
    last = -1
    with open_bytes(table, KIND) as file:
        for start, row in rows(file, where):
            if not last <= row.frame < video.num_frames:
                raise InputError(f"{where}: frame {row.frame + 1} comes after {last + 1}.")
            if row.frame > last:
                starts[row.frame] = start
            last = row.frame

    def read_rows(frame: int) -> list[Row]:
        found: list[Row] = []
        if starts[frame] >= 0:
            with open_bytes(table, KIND) as file:
                for _, row in rows(file, where, start=starts[frame]):
                    if row.frame != frame:
                        break
                    found.append(row)
        return found

    labels = tuple(Track(n, label, ()) for n, label in enumerate(read_classes(table), start=1))
    names = frame_names(video.num_frames, None)
    boxes = dataclasses.replace(video, tracks=labels)
    return _Reopened(boxes, names, lambda frame: None, read_rows=read_rows)


def losses(annotations: Annotations) -> list[str]:
    """Name what a MOT folder does not keep."""
    return [*losses_of_boxes(annotations, own=OWN, fps=True), *interpolated_loss(annotations)]


def compare(annotations: Annotations, back: Annotations) -> Compared:
    """Compare length, size, frames a second and every row."""
    boxes, found = annotations.boxes, back.boxes
    wanted = (len(annotations.frame_names), boxes.height, boxes.width, boxes.fps)
    if (found.num_frames, found.height, found.width, found.fps) != wanted:
        return Compared("the video's length, size or frames a second differ")
    labels = _labels(annotations)
    kinds = {label: number for number, label in enumerate(labels, start=1)}
    if isinstance(back, _Reopened):
        read_rows = back.read_rows
        if [track.label for track in found.tracks] != labels:
            return Compared("the labels differ")
    else:
        # Labels that were not written are of tracks without a box.
        known = {track.label: kinds.get(track.label, 0) for track in found.tracks}

        def read_rows(frame: int) -> list[Row]:
            return _rows_at(found, frame, known)

    frames, tracks = 0, set[int]()
    for frame, name in enumerate(annotations.frame_names):
        here = read_rows(frame)
        if difference := _difference(_rows_at(boxes, frame, kinds), here):
            return Compared(f"frame {name}: {difference}")
        frames += bool(here)
        tracks.update(row.number for row in here)
    return Compared("", frames, len(tracks))


def _difference(wanted: list[Row], found: list[Row]) -> str:
    for one, other in zip(wanted, found, strict=False):
        same = dataclasses.replace(one, xyxy=other.xyxy) == other
        if not same or not close_boxes(one.xyxy, other.xyxy):
            return f"{other} instead of {one}"
    return "" if len(wanted) == len(found) else f"{len(found)} rows instead of {len(wanted)}"


FORMAT = Format(
    name="mot",
    title="MOTChallenge: gt.txt and seqinfo.ini",
    write=write,
    read=read,
    losses=losses,
    compare=compare,
    folder=True,
    is_ours=is_ours,
    reopen=reopen,
    read_of=read_of,
    holds_masks=False,
    needs_masks=False,
    most_id=MOST_ID,
)
