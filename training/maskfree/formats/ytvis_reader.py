"""Reading YouTube-VIS files, ours and those that other tools wrote.

Masks may be compressed or uncompressed RLE or polygons; files with boxes only or masks only are
read. Ids below 1 are numbered anew. In a file without any mask no frame has known masks; in one
with masks, a frame that has boxes but no mask has none known, and a frame that has neither is known
to be empty.
"""

from __future__ import annotations

import dataclasses
import itertools
import sys
import warnings
from typing import TYPE_CHECKING

import numpy as np
from pycocotools import mask as coco

from maskfree import rle
from maskfree.errors import InputError, InputWarning
from maskfree.formats.base import Annotations
from maskfree.formats.box_arrays import BoxArrays
from maskfree.formats.frame_records import FrameRecords
from maskfree.formats.segmentation import parse
from maskfree.formats.ytvis_walk import CROWD, T, box_of, stem, walk, xyxy
from maskfree.json_faults import first_twice
from maskfree.packed_keyframes import PackedKeyframes
from maskfree.types import InstanceMasks, Track

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from maskfree.formats.ytvis_walk import Instance
    from maskfree.json_stream import JsonStream
    from maskfree.types import BoxTracks

__all__ = ["LEVEL", "OWN", "masks_of", "numbered", "read", "read_file"]

OWN, LEVEL = "ovis", "occlusion"
"""Where a keyframe's extra fields keep OVIS' word for how much is hidden."""
_NOT_HIDDEN = "no_occlusion"


class _Kept:
    """Keeps what an annotation holds: masks in the ``records`` by frame, boxes packed.

    ``place``: the annotation's among those of the file.
    """

    def __init__(self, video: BoxTracks, records: FrameRecords, place: int) -> None:
        self._video, self._records, self._place = video, records, place
        self._own, self._given = BoxArrays(), BoxArrays()
        self._levels: dict[int, str] = {}

    def mask(self, stream: JsonStream, frame: int, where: str) -> None:
        size = self._video.height, self._video.width
        counts = parse(stream.value(), *size, where)
        if counts is not None:
            self._records.put(frame, [self._place, counts])
            self._own.put(frame, xyxy(coco.toBbox({"size": list(size), "counts": counts})))

    def box(self, stream: JsonStream, frame: int, where: str) -> None:
        box = box_of(stream.value(), self._video, where)
        if box is not None:
            self._given.put(frame, box)

    def level(self, stream: JsonStream, frame: int, where: str) -> None:
        level = stream.value()
        if isinstance(level, str) and level != _NOT_HIDDEN:
            self._levels[frame] = sys.intern(level)

    def every_level(self, stream: JsonStream) -> None:
        level = stream.value()
        if level != _NOT_HIDDEN:
            self._levels = dict.fromkeys(range(self._video.num_frames), level)

    def marked(self, found: PackedKeyframes) -> PackedKeyframes:
        """Return the keyframes, those occluded that are hidden."""
        if not self._levels:
            return found
        return PackedKeyframes(
            dataclasses.replace(each, occluded=True, extra={OWN: {LEVEL: self._levels[each.frame]}})
            if each.frame in self._levels and not each.outside
            else each
            for each in found
        )

    def masked(self) -> np.ndarray:
        """Return the frames in which it has a mask."""
        return self._own.frames()

    def boxes(self) -> BoxArrays:
        """Return its boxes, the mask's own where the file has none."""
        return self._given.with_others(self._own)


def read(path: Path) -> Annotations:
    """Read a YouTube-VIS file of one video; masks are decoded when a frame is read.

    Raises
    ------
    InputError
        For a file that is not JSON or no YouTube-VIS file, holds several videos, or whose lists,
        sizes, runs, boxes or categories do not fit each other.
    """
    return read_file(path, levels=False)


def read_file(path: Path, *, levels: bool) -> Annotations:
    """Read the file; ``levels``: OVIS' ``occlusion`` as well.

    Raises
    ------
    InputError
        As :func:`read`.
    """
    records, places = FrameRecords(), itertools.count()
    walked = walk(path, lambda video: _Kept(video, records, next(places)), levels=levels)
    video, length = walked.video, walked.video.num_frames
    ids = {each.taken: place for place, each in enumerate(walked.instances)}
    by_id = numbered(walked.instances, path)
    track_ids = {ids[each.taken]: track_id for track_id, each in by_id.items()}
    masked, boxed = np.zeros((2, length), bool)
    frames, tracks = np.arange(length), []
    for track_id, each in by_id.items():
        boxes = each.taken.boxes()
        masked[each.taken.masked()] = True
        boxed[boxes.frames()] = True
        drawn = each.taken.marked(boxes.keyframes(frames, f"{path}: annotation {track_id}"))
        extra = {CROWD: each.crowd} if each.crowd else {}
        tracks.append(Track(track_id, each.label, drawn, extra=extra))
    known = (masked | ~boxed) & masked.any()

    def read_masks(frame: int) -> InstanceMasks | None:
        if not known[frame]:
            return None
        counts = {track_ids[place]: text for place, text in records.at(frame)}
        return masks_of({track_id: counts[track_id] for track_id in sorted(counts)}, video)

    names = walked.file_names
    tracked = dataclasses.replace(video, tracks=tuple(tracks))
    return Annotations(tracked, [stem(name) for name in names], read_masks, names)


def masks_of(counts: Mapping[int, str | None], video: BoxTracks) -> InstanceMasks:
    """Return the masks of a frame from id to compressed counts; None: no mask."""
    here = {track_id: text for track_id, text in counts.items() if text is not None}
    masks = np.zeros((len(here), video.height, video.width), bool)
    for index, text in enumerate(here.values()):
        masks[index] = rle.decode(text, video.height, video.width)
    return InstanceMasks(tuple(here), masks, (1.0,) * len(here))


def numbered(instances: list[Instance[T]], path: Path) -> dict[int, Instance[T]]:
    """Return the instances by track id, in order.

    Raises
    ------
    InputError
        Where two have the same id.
    """
    ids = _ids([each.number for each in instances], path)
    by_id = dict(zip(ids, instances, strict=True))
    return {track_id: by_id[track_id] for track_id in sorted(by_id)}


def _ids(numbers: list[int], path: Path) -> list[int]:
    if len(set(numbers)) < len(numbers):
        twice = first_twice(numbers)
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
