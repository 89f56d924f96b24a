"""labelme: a folder with a JSON file a frame, named as its picture.

https://github.com/wkentaro/labelme (``labelme/label_file.py``; masks since version 5.2).

Written: in a frame that has masks, a shape of type ``mask`` for each instance that has a pixel,
and none where nothing is there; in a frame that was never predicted, a ``rectangle`` for each box,
and the file's flag ``boxes only``. ``group_id`` is the track's id; a hidden object has the flag
``occluded``; ``imagePath`` is the picture's name beside the file, ``imageData`` null: copy the
files to the pictures and open that folder in labelme.

Read: `labelme_reader.py`. Pictures are never opened, and their paths never followed.
"""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np

from maskfree.config import FormatConfig
from maskfree.errors import InputError
from maskfree.formats.base import (
    DEFAULT_LABEL,
    Annotations,
    Compared,
    Format,
    boxes_in,
    losses_of_giving_way,
    present,
    survey,
    tight_box,
)
from maskfree.formats.box_files import (
    OCCLUDED_WHERE_SHOWN,
    interpolated_loss,
    losses_of_boxes,
)
from maskfree.formats.davis import check_names
from maskfree.formats.frame_order import loss_of_order
from maskfree.formats.labelme_reader import (
    BOXES_ONLY,
    OCCLUDED,
    SUFFIX,
    Instance,
    read_of,
    read_shapes,
)
from maskfree.formats.labelme_shapes import mask_shape, rectangle
from maskfree.tracks import boxes_at

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["FORMAT", "read", "read_of", "reopen", "write"]

_VERSION = "5.5.0-napari-maskfree"
"""labelme puts its own in its place when a person saves the file."""
_HEAD = json.dumps({"version": _VERSION})[:-1].encode()


def write(annotations: Annotations, path: Path) -> None:
    """Write a file for each frame into the new folder ``path``.

    Raises
    ------
    InputError
        When there is neither a box nor a mask, a frame's name cannot name a file, or masks are not
        of the video's size.
    """
    check_names(annotations.frame_names)
    path.mkdir()
    labels = {track.id: track.label for track in annotations.boxes.tracks}
    any_shape = any(k.xyxy is not None for t in annotations.boxes.tracks for k in t.keyframes)
    for frame in range(len(annotations.frame_names)):
        shown = _shown(annotations, frame, labels)
        any_shape = any_shape or bool(shown[0])
        with open(_file(path, annotations, frame), "w", encoding="utf-8") as out:
            out.write(json.dumps(_content(annotations, frame, *shown)))
    if not any_shape:
        raise InputError(
            "There is neither a box nor a mask to export. Draw a box, or run `maskfree predict`."
        )


def _file(folder: Path, annotations: Annotations, frame: int) -> str:
    # Not a Path: those keep a table of names, which grows over a long video.
    return os.path.join(folder, f"{annotations.frame_names[frame]}{SUFFIX}")


def _shown(
    annotations: Annotations, frame: int, labels: dict[int, str]
) -> tuple[dict[int, Instance], bool]:
    """Return what a file holds of a frame, and whether it is for boxes only."""
    states = boxes_at(annotations.boxes, frame)
    hidden = {track_id for track_id, state in states.items() if state.occluded}
    masks = annotations.read_masks(frame)
    if masks is None:
        boxes = boxes_in(annotations, frame)
        return {i: Instance(labels[i], box, None, i in hidden) for i, box in boxes.items()}, True
    size = annotations.boxes.height, annotations.boxes.width
    if masks.masks.shape[1:] != size:
        raise InputError(
            f"The masks of frame {annotations.frame_names[frame]} are {masks.masks.shape[2]} x "
            f"{masks.masks.shape[1]} pixels, the video has {size[1]} x {size[0]}. Predict it again."
        )
    found = {
        i: Instance(labels.get(i, DEFAULT_LABEL), tight_box(mask), mask, i in hidden)
        for i, mask in present(masks).items()
    }
    return found, False


def _content(
    annotations: Annotations, frame: int, found: dict[int, Instance], boxes_only: bool
) -> dict[str, Any]:
    return {
        "version": _VERSION,
        "flags": {BOXES_ONLY: True} if boxes_only else {},
        "shapes": [
            {
                "label": each.label,
                "group_id": track_id,
                "description": "",
                "flags": {OCCLUDED: True} if each.occluded else {},
                **(rectangle(each.xyxy) if each.mask is None else mask_shape(each.mask)),
            }
            for track_id, each in found.items()
        ],
        "imagePath": _picture(annotations, frame),
        "imageData": None,
        "imageHeight": annotations.boxes.height,
        "imageWidth": annotations.boxes.width,
    }


def _picture(annotations: Annotations, frame: int) -> str:
    if annotations.file_names:
        return PurePosixPath(annotations.file_names[frame].replace("\\", "/")).name
    return f"{annotations.frame_names[frame]}{FormatConfig().frame_suffix}"


def is_ours(path: Path) -> bool:
    """Return whether an export wrote this file, and nobody saved it in labelme since."""
    try:
        with path.open("rb") as file:
            return path.suffix == SUFFIX and file.read(len(_HEAD)) == _HEAD
    except OSError:
        return False


def read(path: Path) -> Annotations:
    """Read a folder whose files say their size."""
    return read_of(path, None)


@dataclasses.dataclass(frozen=True)
class _Reopened(Annotations):
    """What an export wrote, looked up a frame at a time."""

    read_shown: Callable[[int], tuple[dict[int, Instance], bool] | None] = lambda frame: None


def reopen(path: Path, written: Annotations) -> Annotations:
    """Read the folder that :func:`write` made of ``written``, a frame when it is asked for."""

    def read_shown(frame: int) -> tuple[dict[int, Instance], bool] | None:
        file = _file(path, written, frame)
        return read_shapes(Path(file), written.boxes) if os.path.isfile(file) else None

    return _Reopened(
        dataclasses.replace(written.boxes, tracks=()),
        written.frame_names,
        lambda frame: None,
        read_shown=read_shown,
    )


def losses(annotations: Annotations) -> list[str]:
    """Name what labelme does not keep."""
    found = survey(annotations, tracks=True)
    named = losses_of_giving_way(annotations, found)
    if found.hidden:
        named.append(OCCLUDED_WHERE_SHOWN)
    named += loss_of_order(annotations.frame_names)
    named += losses_of_boxes(annotations, own="", masks=True, names=True, absent=False)
    named += interpolated_loss(annotations)
    if any("/" in name or "\\" in name for name in annotations.file_names):
        named.append("folders of the pictures are not kept, only their names")
    if found.scored:
        named.append("scores are not kept")
    return named


def compare(annotations: Annotations, back: Annotations) -> Compared:
    """Compare masks, boxes, labels and flags of every frame."""
    labels = {track.id: track.label for track in annotations.boxes.tracks}
    known = {track.id: track.label for track in back.boxes.tracks}
    frames, tracks = 0, set[int]()
    for frame, name in enumerate(annotations.frame_names):
        if isinstance(back, _Reopened):
            shown = back.read_shown(frame)
        else:
            shown = _shown(back, frame, known)
        if shown is None:
            return Compared(f"frame {name}: its file is missing")
        if difference := _difference(_shown(annotations, frame, labels), shown):
            return Compared(f"frame {name}: {difference}")
        frames += bool(shown[0])
        tracks.update(shown[0])
    return Compared("", frames, len(tracks))


def _difference(
    expected: tuple[dict[int, Instance], bool], shown: tuple[dict[int, Instance], bool]
) -> str:
    (wanted, boxes_only), (found, marked) = expected, shown
    if marked != boxes_only:
        return "it must tell whether masks are known"
    if wanted.keys() != found.keys():
        return f"ids {sorted(found)} instead of {sorted(wanted)}"
    for track_id, one in wanted.items():
        other = found[track_id]
        same = (one.label, one.xyxy, one.occluded) == (other.label, other.xyxy, other.occluded)
        if not same or not _equal(one.mask, other.mask):
            return f"track {track_id} differs"
    return ""


def _equal(one: np.ndarray | None, other: np.ndarray | None) -> bool:
    return one is other or (one is not None and other is not None and np.array_equal(one, other))


FORMAT = Format(
    name="labelme",
    title="labelme: one JSON file a frame",
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
