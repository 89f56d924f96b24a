"""Cell Tracking Challenge: a folder of 16-bit label pictures and the table of tracks.

"Naming and file content conventions" (https://celltrackingchallenge.net/annotations/).

Written as a result folder: ``maskNNN.tif`` for every frame, numbered from 000, and
``res_track.txt`` (see `ctc_tracks.py` for how tracks become labels). Where instances overlap the
higher score wins, then the smaller id. A frame that was never predicted is a picture without
labels.

What is read is in `ctc_reader.py`.
"""

from __future__ import annotations

import dataclasses
import os
import re
from typing import TYPE_CHECKING

import numpy as np

from maskfree.errors import InputError
from maskfree.formats.base import DEFAULT_LABEL, Annotations, Compared, Format, list_names, survey
from maskfree.formats.compare import compare_frame
from maskfree.formats.ctc_reader import label_picture, read, read_of
from maskfree.formats.ctc_tracks import MAX_LABEL, Plan, TrackLine, read_track_file
from maskfree.formats.label_images import from_ids, losses_of_pictures, picture_size, to_ids
from maskfree.formats.label_tiff import is_ours as is_our_picture
from maskfree.formats.label_tiff import write_picture
from maskfree.types import Track

if TYPE_CHECKING:
    from pathlib import Path

    from maskfree.types import InstanceMasks

__all__ = ["FORMAT", "is_ours", "read", "reopen", "write"]

_TABLE = "res_track.txt"
_OURS = re.compile(r"mask\d{3,}\.tif")
_DIGITS = 3
_DTYPE = np.dtype(np.uint16)


@dataclasses.dataclass(frozen=True)
class _Reopened(Annotations):
    """What was read back, with the lines of the track file."""

    lines: tuple[TrackLine, ...] = ()


def write(annotations: Annotations, path: Path) -> None:
    """Write the result folder, a frame in memory at a time.

    Raises
    ------
    InputError
        When no frame has masks, they are not all of one size, or a label is beyond 16 bit.
    """
    size, plan = picture_size(annotations, "ctc"), Plan(annotations)
    if plan.largest > MAX_LABEL:
        raise InputError(
            f"ctc holds labels up to {MAX_LABEL} (16 bit), but one would be {plan.largest} (ids, "
            "and new labels after gaps). Take the format tiff, which holds ids up to 32 bit."
        )
    path.mkdir()
    count = len(annotations.frame_names)
    for frame in range(count):
        masks = annotations.read_masks(frame)
        ids = np.zeros(size, _DTYPE) if masks is None else _labels(plan, masks, frame)
        write_picture(_picture(path, frame, count), ids)
    lines = "".join(f"{' '.join(map(str, line))}\n" for line in plan.lines())
    (path / _TABLE).write_bytes(lines.encode("ascii"))


def _labels(plan: Plan, masks: InstanceMasks, frame: int) -> np.ndarray:
    return to_ids(masks, _DTYPE, plan.labels(masks, frame))


def _picture(folder: Path, frame: int, count: int) -> str:
    # Not a Path: those keep a table of names, which grows over a long video.
    digits = max(_DIGITS, len(str(count - 1)))
    return os.path.join(folder, f"mask{frame:0{digits}d}.tif")


def is_ours(path: Path) -> bool:
    """Return whether :func:`write` made this file; the table is known by the picture beside it."""
    if path.name == _TABLE:
        pictures = (each for each in path.parent.iterdir() if _OURS.fullmatch(each.name))
        first = next(pictures, None)
        return first is not None and is_our_picture(first)
    return _OURS.fullmatch(path.name) is not None and is_our_picture(path)


def reopen(path: Path, written: Annotations) -> Annotations:
    """Read the folder that :func:`write` made of ``written``, a picture when it is asked for."""
    count = len(written.frame_names)

    def read_masks(frame: int) -> InstanceMasks:
        picture = _picture(path, frame, count)
        return from_ids(label_picture(path / os.path.basename(picture)), picture)

    lines = tuple(read_track_file(path / _TABLE).values())
    tracks = tuple(Track(line.label, DEFAULT_LABEL, (), line.parent or None) for line in lines)
    video = dataclasses.replace(written.boxes, tracks=tracks)
    return _Reopened(video, written.frame_names, read_masks, lines=lines)


def losses(annotations: Annotations) -> list[str]:
    """Name what a result folder does not keep."""
    count = len(annotations.frame_names)
    digits = max(_DIGITS, len(str(count - 1)))
    names = (f"t{frame:0{digits}d}" for frame in range(count))
    unpredicted = "become pictures without labels, as if nothing were there"
    named = losses_of_pictures(annotations, survey(annotations), names, unpredicted)
    plan = Plan(annotations)
    if broken := plan.broken():
        named.append(
            "a label is one stretch of frames: after a gap a track goes on under a new one, as a "
            f"child of the one before (tracks {list_names([*map(str, broken)])})"
        )
    if orphans := plan.orphans():
        named.append(
            "a parent must have ended: parents that are never seen, or not only before their "
            f"child, are not kept (tracks {list_names([*map(str, orphans)])})"
        )
    return named


def compare(annotations: Annotations, back: Annotations) -> Compared:
    """Compare the labels and the track file with what was to be written."""
    plan = Plan(annotations)
    assert isinstance(back, _Reopened)
    if list(back.lines) != plan.lines():
        return Compared(f"the tracks in {_TABLE} differ")
    frames = 0
    for frame, name in enumerate(annotations.frame_names):
        masks, found = annotations.read_masks(frame), back.read_masks(frame)
        expected = None if masks is None else from_ids(_labels(plan, masks, frame), name)
        if difference := compare_frame(expected, found):
            return Compared(f"frame {name}: {difference}")
        frames += expected is not None
    return Compared("", frames, len(back.lines))


FORMAT = Format(
    name="ctc",
    title="Cell Tracking Challenge: a folder of TIFFs",
    write=write,
    read=read,
    losses=losses,
    compare=compare,
    folder=True,
    is_ours=is_ours,
    reopen=reopen,
    read_of=read_of,
    holds_classes=False,
)
