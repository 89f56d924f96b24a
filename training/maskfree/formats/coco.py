"""COCO: one JSON file, an annotation for each instance in each frame, masks as run lengths.

The format: https://cocodataset.org/#format-data; for videos as CocoVID has it:
https://github.com/open-mmlab/mmtracking/blob/master/docs/en/tutorials/customize_dataset.md.

Written: the frames as ``images`` with ``video_id`` and ``frame_id``, and annotations with the
track's id as ``track_id``, as ``instance_id`` and, beside ``occluded``, among the ``attributes``,
where CVAT and datumaro have it. In a frame that has masks an annotation is a mask
(compressed RLE) with its own box and ``score``; in a frame that was never predicted it is the
track's box and ``segmentation`` is ``[]``. So a file can hold boxes only. Ignore regions are crowds
(``iscrowd`` 1, a polygon) without track.

Read: masks may be compressed or uncompressed RLE or polygons; files with boxes only are read.
``track_id``, ``instance_id`` or CVAT's ``attributes.track_id`` tell which annotations are one
track; without them each is a track of its own frame. Crowds without track are ignore regions. The
images are the frames in order of ``frame_id``, else of their names. In a file without any mask no
frame has known masks; in one with masks, a frame that has boxes but no mask has none known, and a
frame that has neither is known to be empty. What is read is in `coco_reader.py`.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np
from pycocotools import mask as coco

from maskfree import rle
from maskfree.errors import InputError
from maskfree.formats.base import (
    DEFAULT_LABEL,
    Annotations,
    Compared,
    Format,
    boxes_in,
    loss_of_unpredicted,
    losses_of_giving_way,
    present,
    survey,
    tight_box,
)
from maskfree.formats.box_files import OCCLUDED_WHERE_SHOWN
from maskfree.formats.coco_reader import read, read_of, reopen
from maskfree.formats.compare import compare_boxes, compare_frame
from maskfree.formats.json_text import compact, file_names, utf8, xywh
from maskfree.formats.shape_list import LookedUp
from maskfree.formats.ytvis_walk import CROWD
from maskfree.ignore_regions import regions_at
from maskfree.tracks import boxes_at

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from maskfree.types import Box, IgnoreRegion, InstanceMasks, Track

__all__ = ["FORMAT", "read", "read_of", "write"]

IGNORED = "ignore"
"""The category of ignore regions."""
_UNPREDICTED = "get boxes only; one without boxes reads as empty"


def write(annotations: Annotations, path: Path) -> None:
    """Write the annotations to the file ``path``, a frame in memory at a time.

    Raises
    ------
    InputError
        When there is neither a box nor a mask, or a name or label is no text.
    """
    writer = _Writer(annotations)
    with path.open("wb") as out:
        for text in writer.texts():
            out.write(utf8(text))
    if not writer.instances:
        raise InputError(
            "There is neither a box nor a mask to export. Draw a box, or run `maskfree predict`."
        )


class _Writer:
    """The text of the file, piece by piece."""

    def __init__(self, annotations: Annotations) -> None:
        self._annotations, self._video = annotations, annotations.boxes
        self._tracks = {track.id: track for track in self._video.tracks}
        labels = dict.fromkeys(track.label for track in self._video.tracks)
        self._categories = {label: n for n, label in enumerate(labels, start=1)}
        self._written = self.instances = 0

    def texts(self) -> Iterator[str]:
        info = {"description": "written by napari-maskfree"}
        sizes = {"width": self._video.width, "height": self._video.height}
        count = len(self._annotations.frame_names)
        video = {"id": 1, "name": "video", **sizes, "length": count, "fps": self._video.fps}
        yield f'{{"info":{compact(info)},"licenses":[],"videos":[{compact(video)}],"images":['
        for frame, name in enumerate(file_names(self._annotations)):
            image = {"id": frame + 1, "video_id": 1, "frame_id": frame, "file_name": name, **sizes}
            yield f"{',' if frame else ''}{compact(image)}"
        yield '],"annotations":['
        for frame in range(count):
            for fields in self._frame(frame):
                comma = "," if self._written else ""
                self._written += 1
                head = {"id": self._written, "image_id": frame + 1, "video_id": 1}
                yield f"{comma}{compact({**head, 'frame_id': frame, **fields})}"
        # Last: only now is it known whether there are masks without a track, and so a label.
        kinds = [
            {"id": n, "name": label, "supercategory": DEFAULT_LABEL}
            for label, n in self._categories.items()
        ]
        yield f'],"categories":{compact(kinds)}}}'

    def _frame(self, frame: int) -> Iterator[dict[str, Any]]:
        for region in regions_at(self._video, frame).values():
            yield self._ignored(region)
        masks, hidden = self._annotations.read_masks(frame), _occluded(self._annotations, frame)
        if masks is None:
            for track_id, box in boxes_in(self._annotations, frame).items():
                width, height = box[2] - box[0], box[3] - box[1]
                fields = self._instance(track_id, [], box, width * height)
                yield fields | _attributes(track_id, hidden)
            return
        scores = dict(zip(masks.track_ids, masks.scores, strict=True))
        size = list(masks.masks.shape[1:])
        for track_id, mask in present(masks).items():
            segmentation = {"size": size, "counts": rle.encode(mask[None])[0]}
            area = int(np.count_nonzero(mask))
            fields = self._instance(track_id, segmentation, tight_box(mask), area)
            yield {**fields, "score": float(scores[track_id]), **_attributes(track_id, hidden)}

    def _instance(
        self, track_id: int, segmentation: object, box: Box, area: float
    ) -> dict[str, Any]:
        self.instances += 1
        track = self._tracks.get(track_id)
        return {
            "category_id": self._category(DEFAULT_LABEL if track is None else track.label),
            "track_id": track_id,
            "instance_id": track_id,
            "iscrowd": _crowd(track),
            "segmentation": segmentation,
            "bbox": xywh(box),
            "area": area,
        }

    def _ignored(self, region: IgnoreRegion) -> dict[str, Any]:
        polygon = [float(number) for corner in region.polygon for number in corner]
        rles = coco.frPyObjects([polygon], self._video.height, self._video.width)
        x, y = polygon[::2], polygon[1::2]
        return {
            "category_id": self._category(IGNORED),
            "iscrowd": 1,
            "segmentation": [polygon],
            "bbox": xywh((min(x), min(y), max(x), max(y))),
            "area": int(coco.area(rles)[0]),
        }

    def _category(self, label: str) -> int:
        return self._categories.setdefault(label, len(self._categories) + 1)


def _attributes(track_id: int, hidden: set[int]) -> dict[str, Any]:
    return {"attributes": {"track_id": track_id, "occluded": track_id in hidden}}


def _occluded(annotations: Annotations, frame: int) -> set[int]:
    """Return the tracks whose box is marked as occluded in ``frame``."""
    if isinstance(annotations, LookedUp):
        return annotations.read_occluded(frame)
    states = boxes_at(annotations.boxes, frame)
    return {track_id for track_id, state in states.items() if state.occluded}


def _crowd(track: Track | None) -> int:
    return 0 if track is None else int(track.extra.get(CROWD, 0))


def losses(annotations: Annotations) -> list[str]:
    """Name what a COCO file does not keep."""
    boxes = annotations.boxes
    found = survey(annotations, tracks=True)
    named = loss_of_unpredicted(annotations, found, _UNPREDICTED)
    if not found.masked:
        named.append("no frame has masks: the file holds boxes only")
    elif found.empty:
        named.append("no mask has a pixel: the file holds boxes only, and no frame known as empty")
    named += losses_of_giving_way(annotations, found)
    if any(len(track.keyframes) < len(annotations.frame_names) for track in boxes.tracks):
        named.append("every frame gets a box: which of them were drawn is not kept")
    if found.hidden:
        named.append(OCCLUDED_WHERE_SHOWN)
    if any(track.parent is not None for track in boxes.tracks):
        named.append("parents (divisions) are not kept")
    others = [boxes.extra, *(region.extra for region in boxes.ignore)]
    unknown = any(each.extra for track in boxes.tracks for each in track.keyframes)
    if unknown or any(others) or any(set(track.extra) - {CROWD} for track in boxes.tracks):
        named.append("other fields of the boxes file are not kept")
    return named


def compare(annotations: Annotations, back: Annotations) -> Compared:
    """Compare names, sizes, labels, masks, scores, boxes, occlusion and ignore regions."""
    if difference := _compare_video(annotations, back):
        return Compared(difference)
    tracks = _Tracks(annotations, back)
    masked = boxed = 0
    empty = ""
    for frame, name in enumerate(annotations.frame_names):
        masks, found = annotations.read_masks(frame), back.read_masks(frame)
        expected = None if masks is None or not present(masks) else masks
        if masks is not None and found is None:
            empty = empty or name
        boxes = boxes_in(back, frame)
        difference = (
            compare_frame(expected, found)
            or _compare_scores(expected, found)
            or compare_boxes(annotations, frame, masks, boxes)
            or tracks.compare(boxes)
        )
        if difference:
            return Compared(f"frame {name}: {difference}")
        if _occluded(back, frame) != _occluded(annotations, frame) & boxes.keys():
            return Compared(f"frame {name}: other tracks are occluded")
        if _polygons(annotations, frame) != _polygons(back, frame):
            return Compared(f"frame {name}: the ignore regions differ")
        masked += found is not None
        boxed += bool(boxes)
    # Where no mask of the file has a pixel, it does not tell which frames are known as empty.
    if masked and empty:
        return Compared(f"frame {empty}: it is not known as empty")
    return Compared("", masked or boxed, len(back.boxes.tracks))


def _compare_video(annotations: Annotations, back: Annotations) -> str:
    pairs = itertools.zip_longest(back.file_names, file_names(annotations))
    if any(got != wanted for got, wanted in pairs):
        return "the frames' names differ"
    wanted, got = annotations.boxes, back.boxes
    same = (wanted.height, wanted.width, wanted.fps) == (got.height, got.width, got.fps)
    return "" if same else "the size or fps of the video differ"


class _Tracks:
    """Compares labels and marks of the tracks that are in the file, each once."""

    def __init__(self, annotations: Annotations, back: Annotations) -> None:
        self._wanted = {track.id: track for track in annotations.boxes.tracks}
        self._got = {track.id: track for track in back.boxes.tracks}
        self._seen = set[int]()

    def compare(self, boxes: dict[int, Box]) -> str:
        for track_id in boxes.keys() - self._seen:
            self._seen.add(track_id)
            wanted, got = self._wanted.get(track_id), self._got[track_id]
            label = DEFAULT_LABEL if wanted is None else wanted.label
            if got.label != label:
                return f'track {track_id} is labelled "{got.label}", not "{label}"'
            if _crowd(got) != _crowd(wanted):
                return f"the mark {CROWD} of track {track_id} differs"
        return ""


def _compare_scores(expected: InstanceMasks | None, found: InstanceMasks | None) -> str:
    if expected is None or found is None:
        return ""
    wanted = dict(zip(expected.track_ids, expected.scores, strict=True))
    for track_id, score in zip(found.track_ids, found.scores, strict=True):
        if score != float(wanted[track_id]):
            return f"the score of track {track_id} is {score}, not {wanted[track_id]}"
    return ""


def _polygons(annotations: Annotations, frame: int) -> set[tuple[tuple[float, float], ...]]:
    return {region.polygon for region in regions_at(annotations.boxes, frame).values()}


FORMAT = Format(
    name="coco",
    title="COCO: one JSON file",
    write=write,
    read=read,
    losses=losses,
    compare=compare,
    reopen=reopen,
    read_of=read_of,
    needs_masks=False,
)
