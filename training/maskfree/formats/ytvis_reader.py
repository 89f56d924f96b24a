"""Reading YouTube-VIS files, ours and those that other tools wrote.

Masks may be compressed or uncompressed RLE or polygons; files with boxes only or masks only are
read. Ids below 1 are numbered anew. In a file without any mask no frame has known masks; in one
with masks, a frame that has boxes but no mask has none known, and a frame that has neither is known
to be empty.
"""

from __future__ import annotations

import dataclasses
import warnings
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np
from pycocotools import mask as coco

from maskfree import rle
from maskfree.errors import InputError, InputWarning
from maskfree.formats.base import Annotations, keyframes
from maskfree.formats.segmentation import parse
from maskfree.json_checks import as_list, as_number, as_object, as_whole, show
from maskfree.storage import read_json
from maskfree.types import BoxTracks, InstanceMasks, Track

if TYPE_CHECKING:
    from collections.abc import Sequence

    from maskfree.types import Box

__all__ = ["CROWD", "read"]

CROWD = "iscrowd"
"""COCO's mark of an annotation that covers a group; kept in the track's extras."""

_KIND = "YouTube-VIS file"
_SUFFIXES = frozenset(
    (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".gif", ".ppm", ".pgm")
)


def read(path: Path) -> Annotations:
    """Read a YouTube-VIS file of one video; masks are decoded when a frame is read.

    Raises
    ------
    InputError
        For a file that is not JSON or no YouTube-VIS file, holds several videos, or whose lists,
        sizes, runs, boxes or categories do not fit each other.
    """
    data = as_object(read_json(path, _KIND), str(path), f"a {_KIND}", "videos")
    video, names = _video(data, path)
    length = len(names)
    labels = _categories(data, path)
    items = as_list(data.get("annotations"), str(path), "annotations")
    parsed = [_parse(item, n, video, length, labels, path) for n, item in enumerate(items)]
    ids = _ids([each.number for each in parsed], path)
    by_id = dict(zip(ids, parsed, strict=True))
    known = _known_frames(parsed, length)
    tracks = tuple(
        Track(
            track_id,
            each.label,
            keyframes(each.boxes, range(length)),
            extra={CROWD: each.crowd} if each.crowd else {},
        )
        for track_id, each in sorted(by_id.items())
    )

    def read_masks(frame: int) -> InstanceMasks | None:
        if frame not in known:
            return None
        here = {i: each.counts[frame] for i, each in sorted(by_id.items()) if frame in each.counts}
        masks = np.zeros((len(here), video.height, video.width), bool)
        for index, counts in enumerate(here.values()):
            masks[index] = rle.decode(counts, video.height, video.width)
        return InstanceMasks(tuple(here), masks, (1.0,) * len(here))

    boxes = dataclasses.replace(video, tracks=tracks)
    return Annotations(boxes, [_stem(name) for name in names], read_masks, names)


@dataclasses.dataclass(frozen=True)
class _Parsed:
    """One annotation of a file: its own number, frame to compressed counts, frame to box."""

    number: int
    label: str
    crowd: int
    counts: dict[int, str]
    boxes: dict[int, Box]


def _video(data: dict[str, Any], path: Path) -> tuple[BoxTracks, list[str]]:
    videos = as_list(data.get("videos"), str(path), "videos")
    if len(videos) != 1:
        raise InputError(
            f"{path}: expected one video, got {len(videos)}. Split the file; each video has its "
            "own session."
        )
    where = f"{path}: videos[0]"
    video = as_object(videos[0], where, "a video", "file_names")
    height = as_whole(video.get("height"), where, "height", low=1)
    width = as_whole(video.get("width"), where, "width", low=1)
    names = as_list(video.get("file_names"), where, "file_names")
    if not names or not all(isinstance(name, str) and _stem(name) for name in names):
        raise InputError(
            f"{where}: file_names must be the names of the video's frames, got {show(names)}. "
            "Export the file again."
        )
    length = as_whole(video.get("length", len(names)), where, "length", low=1)
    if length != len(names):
        raise InputError(
            f"{where}: length is {length}, but there are {len(names)} file_names. Correct the one "
            "or the other."
        )
    fps = as_number(video.get("fps"))
    return BoxTracks(length, height, width, fps if fps and fps > 0 else None, ()), names


def _stem(file_name: str) -> str:
    path = PurePosixPath(file_name.replace("\\", "/"))
    return path.stem if path.suffix.lower() in _SUFFIXES else path.name


def _categories(data: dict[str, Any], path: Path) -> dict[int, str]:
    items = as_list(data.get("categories"), str(path), "categories")
    labels: dict[int, str] = {}
    for n, item in enumerate(items):
        where = f"{path}: categories[{n}]"
        category = as_object(item, where, "a category", "id")
        name = category.get("name")
        if not isinstance(name, str):
            raise InputError(f"{where}: name must be text, got {show(name)}. Correct it.")
        labels[as_whole(category.get("id"), where, "id")] = name
    return labels


def _parse(
    item: object, index: int, video: BoxTracks, length: int, labels: dict[int, str], path: Path
) -> _Parsed:
    where = f"{path}: annotations[{index}]"
    fields = as_object(item, where, "an annotation", "id")
    number = as_whole(fields.get("id"), where, "id")
    where = f"{path}: annotation {number}"
    category = as_whole(fields.get("category_id"), where, "category_id")
    if category not in labels:
        raise InputError(
            f"{where}: there is no category {category}, only {show(sorted(labels))}. Add it to "
            '"categories".'
        )
    crowd = as_whole(fields.get(CROWD, 0), where, CROWD, low=0)
    masks, boxes = {}, {}
    for frame, value in enumerate(_per_frame(fields, "segmentations", length, where)):
        counts = parse(value, video.height, video.width, f"{where}, frame {frame}")
        if counts is not None:
            masks[frame] = counts
    for frame, value in enumerate(_per_frame(fields, "bboxes", length, where)):
        box = _box(value, video, f"{where}, frame {frame}")
        if box is None and frame in masks:
            size = [video.height, video.width]
            box = _xyxy(coco.toBbox({"size": size, "counts": masks[frame]}))
        if box is not None:
            boxes[frame] = box
    return _Parsed(number, labels[category], crowd, masks, boxes)


def _per_frame(fields: dict[str, Any], name: str, length: int, where: str) -> list[Any]:
    if fields.get(name) is None:
        return [None] * length
    values = as_list(fields[name], where, name)
    if len(values) != length:
        raise InputError(
            f"{where}: {name} must have one entry for each of the {length} frames, got "
            f"{len(values)}. Write null where the object is absent."
        )
    return values


def _box(value: object, video: BoxTracks, where: str) -> Box | None:
    """Return an ``xywh`` box of the file as ``xyxy`` within the frame, None where it is empty."""
    if value is None or value == []:
        return None
    items = value if isinstance(value, list) else []
    numbers = [number for item in items if (number := as_number(item)) is not None]
    if len(items) != 4 or len(numbers) != 4:
        raise InputError(
            f"{where}: a bbox must be four finite numbers [x, y, width, height] or null, got "
            f"{show(value)}. Correct it."
        )
    x0, y0, x1, y1 = _xyxy(numbers)
    box = (max(x0, 0.0), max(y0, 0.0), min(x1, float(video.width)), min(y1, float(video.height)))
    return box if box[0] < box[2] and box[1] < box[3] else None


def _xyxy(xywh: Sequence[float]) -> Box:
    x, y, width, height = (float(value) for value in xywh)
    return x, y, x + width, y + height


def _ids(numbers: list[int], path: Path) -> list[int]:
    if len(set(numbers)) < len(numbers):
        twice = next(number for number in numbers if numbers.count(number) > 1)
        raise InputError(f"{path}: two annotations have the id {twice}. Give one another id.")
    if all(number >= 1 for number in numbers):
        return numbers
    warnings.warn(
        f"{path}: annotation ids below 1 cannot be track ids; the tracks are numbered 1 to "
        f"{len(numbers)} in the file's order.",
        InputWarning,
        stacklevel=2,
    )
    return list(range(1, len(numbers) + 1))


def _known_frames(parsed: list[_Parsed], length: int) -> frozenset[int]:
    masked = {frame for each in parsed for frame in each.counts}
    boxed = {frame for each in parsed for frame in each.boxes}
    return frozenset(range(length)) - (boxed - masked) if masked else frozenset()
