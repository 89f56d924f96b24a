"""YouTube-VIS: one JSON file, for each instance a list of RLE masks and boxes over the frames.

Written: one video, its ``file_names`` after the source's frames; one annotation a track whose id is
the track's. In a frame that has masks, ``segmentations``, ``bboxes`` and ``areas`` are the mask's
own, and null where the instance has no pixel; in a frame that was never predicted the segmentation
is null and the bbox is the track's box. So a file can hold boxes only.

What is read is in `ytvis_reader.py`.
"""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Any

import numpy as np

from maskfree import rle
from maskfree.config import FormatConfig
from maskfree.errors import InputError
from maskfree.formats.base import (
    DEFAULT_LABEL,
    Annotations,
    Compared,
    Format,
    loss_of_unpredicted,
    present,
    survey,
    tight_box,
)
from maskfree.formats.compare import compare_frame, compare_labels
from maskfree.formats.ytvis_reader import CROWD, read
from maskfree.tracks import boxes_at

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from maskfree.types import Box, InstanceMasks

__all__ = ["FORMAT", "read", "write"]


def write(annotations: Annotations, path: Path) -> None:
    """Write the annotations to the file ``path``; masks are held as RLE text only.

    Raises
    ------
    InputError
        When there is neither a box nor a mask.
    """
    tracks = _collect(annotations)
    if not any(box is not None for track in tracks.values() for box in track.bboxes):
        raise InputError(
            "There is neither a box nor a mask to export. Draw a box, or run `maskfree predict`."
        )
    categories = {label: n for n, label in enumerate(_labels(tracks.values()), start=1)}
    video = annotations.boxes
    data = {
        "info": {"description": "written by napari-maskfree"},
        "videos": [
            {
                "id": 1,
                "file_names": _file_names(annotations),
                "width": video.width,
                "height": video.height,
                "length": len(annotations.frame_names),
                "fps": video.fps,
            }
        ],
        "categories": [
            {"id": n, "name": label, "supercategory": DEFAULT_LABEL}
            for label, n in categories.items()
        ],
        "annotations": [
            _annotation(track_id, tracks[track_id], categories) for track_id in sorted(tracks)
        ],
    }
    with path.open("w", encoding="utf-8") as file:
        json.dump(data, file, separators=(",", ":"), ensure_ascii=False)


@dataclasses.dataclass
class _Lists:
    """One annotation while it is collected: a value a frame, None where absent."""

    label: str
    crowd: int
    segmentations: list[dict[str, Any] | None]
    bboxes: list[list[float] | None]
    areas: list[float | None]

    @classmethod
    def empty(cls, label: str, crowd: int, length: int) -> _Lists:
        return cls(label, crowd, [None] * length, [None] * length, [None] * length)


def _collect(annotations: Annotations) -> dict[int, _Lists]:
    length = len(annotations.frame_names)
    tracks = {
        track.id: _Lists.empty(track.label, int(track.extra.get(CROWD, 0)), length)
        for track in annotations.boxes.tracks
    }
    for frame in range(length):
        masks = annotations.read_masks(frame)
        if masks is None:
            for track_id, state in boxes_at(annotations.boxes, frame).items():
                tracks[track_id].bboxes[frame] = _xywh(state.xyxy)
            continue
        size = list(masks.masks.shape[1:])
        for track_id, mask in present(masks).items():
            track = tracks.setdefault(track_id, _Lists.empty(DEFAULT_LABEL, 0, length))
            track.segmentations[frame] = {"size": size, "counts": rle.encode(mask[None])[0]}
            track.bboxes[frame] = _xywh(tight_box(mask))
            track.areas[frame] = int(np.count_nonzero(mask))
    return tracks


def _labels(tracks: Iterable[_Lists]) -> list[str]:
    return list(dict.fromkeys(track.label for track in tracks)) or [DEFAULT_LABEL]


def _file_names(annotations: Annotations) -> list[str]:
    if annotations.file_names:
        return list(annotations.file_names)
    suffix = FormatConfig().frame_suffix
    return [f"{name}{suffix}" for name in annotations.frame_names]


def _annotation(track_id: int, track: _Lists, categories: dict[str, int]) -> dict[str, Any]:
    return {
        "id": track_id,
        "video_id": 1,
        "category_id": categories[track.label],
        CROWD: track.crowd,
        "segmentations": track.segmentations,
        "bboxes": track.bboxes,
        "areas": track.areas,
    }


def _xywh(box: Box) -> list[float]:
    x0, y0, x1, y1 = box
    return [x0, y0, x1 - x0, y1 - y0]


def losses(annotations: Annotations) -> list[str]:
    """Name what a YouTube-VIS file does not keep."""
    found = survey(annotations)
    boxes = annotations.boxes
    named = loss_of_unpredicted(annotations, found, "get boxes only")
    if not found.masked:
        named.append("no frame has masks: the file holds boxes only")
    elif boxes.tracks:
        named.append("where there are masks, the boxes drawn give way to the masks' own boxes")
    all_keyframes = [keyframe for track in boxes.tracks for keyframe in track.keyframes]
    if any(len(track.keyframes) < len(annotations.frame_names) for track in boxes.tracks):
        named.append("every frame gets a box: which of them were drawn is not kept")
    if any(keyframe.occluded for keyframe in all_keyframes):
        named.append("'occluded' is not kept")
    if any(track.parent is not None for track in boxes.tracks):
        named.append("parents (divisions) are not kept")
    if boxes.ignore:
        named.append("'ignore' regions are not kept")
    if found.scored:
        named.append("scores are not kept")
    return named


def compare(annotations: Annotations, back: Annotations) -> Compared:
    """Compare names, labels, masks and boxes."""
    if list(back.file_names) != _file_names(annotations):
        return Compared("the frames' names differ")
    if difference := compare_labels(annotations, back):
        return Compared(difference)
    masked = boxed = 0
    for frame, name in enumerate(annotations.frame_names):
        masks, found = annotations.read_masks(frame), back.read_masks(frame)
        boxes = {track_id: state.xyxy for track_id, state in boxes_at(back.boxes, frame).items()}
        difference = compare_frame(masks, found) or _compare_boxes(annotations, frame, masks, boxes)
        if difference:
            return Compared(f"frame {name}: {difference}")
        masked += found is not None
        boxed += bool(boxes)
    return Compared("", masked or boxed, len(back.boxes.tracks))


def _compare_boxes(
    annotations: Annotations, frame: int, masks: InstanceMasks | None, found: dict[int, Box]
) -> str:
    if masks is None:
        states = boxes_at(annotations.boxes, frame).items()
        wanted = {track_id: state.xyxy for track_id, state in states}
    else:
        wanted = {track_id: tight_box(mask) for track_id, mask in present(masks).items()}
    tolerance = FormatConfig().box_tolerance
    same = wanted.keys() == found.keys() and all(
        np.allclose(box, found[track_id], rtol=0, atol=tolerance)
        for track_id, box in wanted.items()
    )
    return "" if same else f"boxes {found} instead of {wanted}"


FORMAT = Format(
    name="ytvis",
    title="YouTube-VIS: one JSON file",
    write=write,
    read=read,
    losses=losses,
    compare=compare,
)
