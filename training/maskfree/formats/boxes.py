"""Our own boxes file: tracks and keyframes as they were drawn, no masks."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Any

from maskfree.boxes_file import read_boxes, write_boxes
from maskfree.boxes_json import boxes_to_json, track_to_json
from maskfree.errors import InputError
from maskfree.formats.base import Annotations, Compared, Format
from maskfree.numbered_names import NumberedNames

if TYPE_CHECKING:
    from pathlib import Path

    from maskfree.types import BoxTracks

__all__ = ["FORMAT", "read", "write"]


def write(annotations: Annotations, path: Path) -> None:
    """Write the boxes file ``path``.

    Raises
    ------
    InputError
        When no track has a box.
    """
    tracks = annotations.boxes.tracks
    if not any(keyframe.xyxy is not None for track in tracks for keyframe in track.keyframes):
        raise InputError(
            "boxes holds boxes, but no track has any. Draw a box, or take a format for masks: "
            "davis or ytvis."
        )
    write_boxes(path, annotations.boxes)


def read(path: Path) -> Annotations:
    """Read a boxes file; no frame has masks.

    Raises
    ------
    InputError
        As :func:`maskfree.tracks.read_boxes`.
    """
    boxes = read_boxes(path, packed=True)
    return Annotations(boxes, NumberedNames(boxes.num_frames), lambda frame: None)


def losses(annotations: Annotations) -> list[str]:
    """Name what a boxes file does not keep."""
    named = []
    names = annotations.frame_names
    if any(annotations.read_masks(frame) is not None for frame in range(len(names))):
        named.append("masks are not kept, only boxes")
    for frame, name in enumerate(names):
        if not name.isdecimal() or int(name) != frame:
            named.append(f'names of frames are not kept: frame {frame} is "{name}"')
            break
    return named


def compare(annotations: Annotations, back: Annotations) -> Compared:
    """Compare the tracks written with the tracks read back."""
    written, tracks = annotations.boxes.tracks, back.boxes.tracks
    if _head(annotations.boxes) != _head(back.boxes) or len(written) != len(tracks):
        return Compared("the video or the number of tracks differs")
    for track, found in zip(written, tracks, strict=True):
        if json.loads(json.dumps(track_to_json(track))) != track_to_json(found):
            return Compared(f"track {track.id} differs")
    drawn = {each.frame for track in tracks for each in track.keyframes if each.xyxy is not None}
    return Compared("", len(drawn), len(tracks))


def _head(boxes: BoxTracks) -> Any:
    return json.loads(json.dumps(boxes_to_json(dataclasses.replace(boxes, tracks=()))))


FORMAT = Format(
    name="boxes",
    title="napari-maskfree: the boxes file",
    write=write,
    read=read,
    losses=losses,
    compare=compare,
    holds_masks=False,
    needs_masks=False,
)
