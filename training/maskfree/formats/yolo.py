"""YOLO: a folder with a label file a frame, boxes or outlines, as Ultralytics trains on it.

https://docs.ultralytics.com/datasets/detect and …/segment.

Written: ``labels/NAME.txt`` for every frame, named by its stem: a line for each instance that has a
pixel, its outline (`outline.py`: to the pixel, parts and holes joined by lines), or, in a frame
that was never predicted, its box. An empty file says that nothing is there. ``track_ids/NAME.txt``
has the id of each line: Ultralytics refuses labels with one. ``data.yaml`` names the classes, and
holds the frames' size, frames a second and a hash of the files, by which a later export knows its
own. Put the pictures beside it as ``images``.

Read: `yolo_reader.py`.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
from typing import TYPE_CHECKING

from maskfree.errors import InputError
from maskfree.formats.base import (
    DEFAULT_LABEL,
    Annotations,
    Compared,
    Format,
    loss_of_unpredicted,
    losses_of_giving_way,
    survey,
)
from maskfree.formats.box_files import interpolated_loss, losses_of_boxes
from maskfree.formats.davis import check_names
from maskfree.formats.frame_order import loss_of_order
from maskfree.formats.instances import Instance, Shown, difference
from maskfree.formats.outline import outline
from maskfree.formats.yolo_layout import DATA, IDS, LABELS, OWN, SUFFIX, Layout
from maskfree.formats.yolo_lines import box_line, outline_line
from maskfree.formats.yolo_reader import Folder, read_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from maskfree.types import BoxTracks

__all__ = ["FORMAT", "read", "read_of", "reopen", "write"]

_MARK_BITS = 256


def write(annotations: Annotations, path: Path) -> None:
    """Write the new folder ``path``, a frame in memory at a time.

    Raises
    ------
    InputError
        When there is neither a box nor a mask, a frame's name cannot name a file, or masks are not
        of the video's size.
    """
    check_names(annotations.frame_names)
    for folder in (path, path / LABELS, path / IDS):
        folder.mkdir()
    shown, kinds = Shown(annotations), _kinds(annotations)
    total, used = 0, set[str]()
    for frame, name in enumerate(annotations.frame_names):
        here = shown.at(frame)
        used.update(each.label for each in here.values())
        lines = [_line(each, kinds[each.label], annotations.boxes) for each in here.values()]
        # Not a Path: those keep a table of names, which grows over a long video.
        for part, text in ((LABELS, "".join(lines)), (IDS, "".join(f"{i}\n" for i in here))):
            data = text.encode()
            with open(os.path.join(path, part, f"{name}{SUFFIX}"), "wb") as out:
                out.write(data)
            total += _number_of(part, name, data)
    if not used:
        raise InputError(
            "There is neither a box nor a mask to export. Draw a box, or run `maskfree predict`."
        )
    used.update(track.label for track in annotations.boxes.tracks)
    named = {label: n for label, n in kinds.items() if label in used}
    (path / DATA).write_bytes(_data(annotations, named, _mark(total)).encode())


def _line(each: Instance, kind: int, video: BoxTracks) -> str:
    if each.mask is None:
        return box_line(kind, each.xyxy, video)
    return outline_line(kind, outline(each.mask), video)


def _number_of(part: str, name: str, data: bytes) -> int:
    """Return a number that a file's place and content stand for; their sum has no order."""
    digest = hashlib.sha256(os.fsencode(f"{part}/{name}") + b"\0" + data).digest()
    return int.from_bytes(digest, "big")


def _mark(total: int) -> str:
    return f"{total % (1 << _MARK_BITS):x}"


def _kinds(annotations: Annotations) -> dict[str, int]:
    """Return the class of each label, from 0; masks without a track have the default's."""
    labels = [track.label for track in annotations.boxes.tracks]
    return {label: n for n, label in enumerate(dict.fromkeys([*labels, DEFAULT_LABEL]))}


def _data(annotations: Annotations, kinds: dict[str, int], mark: str) -> str:
    import yaml

    video = annotations.boxes
    own = {"height": video.height, "width": video.width, "fps": video.fps, "mark": mark}
    content = {
        "path": ".",
        "train": "images",
        "val": "images",
        "names": {n: label for label, n in kinds.items()},
        OWN: own,
    }
    text: str = yaml.safe_dump(content, allow_unicode=True, sort_keys=False)
    return text


def is_ours(path: Path) -> bool:
    """Return whether an export wrote this file or folder, and nobody changed its labels since."""
    try:
        layout = Layout(path.parent)
        if path.name == DATA and path.is_file():
            return bool(layout.mark)
        return path.name in (LABELS, IDS) and layout.mark == _mark_of(layout)
    except (OSError, InputError):
        return False


def _mark_of(layout: Layout) -> str:
    """Return the mark of the label files and their ids as they are now."""
    total = 0
    for part in (LABELS, IDS):
        folder = os.path.join(layout.labels.parent, part)
        for file in os.listdir(folder):
            with open(os.path.join(folder, file), "rb") as opened:
                total += _number_of(part, os.path.splitext(file)[0], opened.read())
    return _mark(total)


def read(path: Path) -> Annotations:
    """Read a folder that says the size of its frames: one of ours."""
    return read_of(path, None)


@dataclasses.dataclass(frozen=True)
class _Reopened(Annotations):
    """What an export wrote, looked up a frame at a time."""

    read_shown: Callable[[int], dict[int, Instance]] = lambda frame: {}


def reopen(path: Path, written: Annotations) -> Annotations:
    """Read the folder that :func:`write` made of ``written``, a frame when it is asked for."""
    layout = Layout(path)
    facts = dataclasses.replace(layout.said, num_frames=len(written.frame_names))
    video = facts.of(f"YOLO folder {path}", None)
    folder = Folder(layout, video, dict(enumerate(written.frame_names)))
    names = written.frame_names
    return _Reopened(video, names, lambda frame: None, read_shown=folder.instances)


def losses(annotations: Annotations) -> list[str]:
    """Name what a YOLO folder does not keep."""
    found = survey(annotations, tracks=True)
    named = loss_of_unpredicted(annotations, found, "get boxes only, or none")
    if found.masked and found.empty:
        named.append("no mask has a pixel: there are boxes only, and no frame known as empty")
    named += losses_of_giving_way(annotations, found)
    if found.masked and not found.empty and found.unpredicted:
        named.append("Ultralytics takes a folder of outlines and boxes for one of boxes")
    named += losses_of_boxes(
        annotations, own="", masks=True, names=True, fps=True, occluded=False, absent=False
    )
    named += interpolated_loss(annotations)
    named += loss_of_order(annotations.frame_names)
    if annotations.file_names:
        named.append("names of picture files are not kept, only those of frames")
    if found.scored:
        named.append("scores are not kept")
    return named


def compare(annotations: Annotations, back: Annotations) -> Compared:
    """Compare size, frames a second, and masks, boxes and labels of every frame."""
    one, other = annotations.boxes, back.boxes
    if (one.height, one.width, one.fps) != (other.height, other.width, other.fps):
        return Compared("the video's size or frames a second differ")
    shown = Shown(annotations)
    read = back.read_shown if isinstance(back, _Reopened) else Shown(back).at
    frames, tracks = 0, set[int]()
    for frame, name in enumerate(annotations.frame_names):
        found = read(frame)
        if said := difference(shown.at(frame), found, frozenset()):
            return Compared(f"frame {name}: {said}")
        frames += bool(found)
        tracks.update(found)
    return Compared("", frames, len(tracks))


FORMAT = Format(
    name="yolo",
    title="YOLO: boxes and outlines, one text file a frame",
    write=write,
    read=read,
    losses=losses,
    compare=compare,
    folder=True,
    is_ours=is_ours,
    reopen=reopen,
    read_of=read_of,
    needs_masks=False,
)
