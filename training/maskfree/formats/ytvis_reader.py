"""Reading YouTube-VIS files, ours and those that other tools wrote.

Masks may be compressed or uncompressed RLE or polygons; files with boxes only or masks only are
read. Ids below 1 are numbered anew. In a file without any mask no frame has known masks; in one
with masks, a frame that has boxes but no mask has none known, and a frame that has neither is known
to be empty.
"""

from __future__ import annotations

import dataclasses
import warnings
from typing import TYPE_CHECKING

import numpy as np
from pycocotools import mask as coco

from maskfree import rle
from maskfree.errors import InputError, InputWarning
from maskfree.formats.base import Annotations, keyframes
from maskfree.formats.segmentation import parse
from maskfree.formats.ytvis_walk import CROWD, T, box_of, stem, walk, xyxy
from maskfree.json_faults import first_twice
from maskfree.types import InstanceMasks, Track

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from maskfree.formats.ytvis_walk import Instance
    from maskfree.json_stream import JsonStream
    from maskfree.types import Box, BoxTracks

__all__ = ["masks_of", "numbered", "read"]


class _Kept:
    """Keeps what an annotation holds: frame to compressed counts, frame to box."""

    def __init__(self, video: BoxTracks) -> None:
        self._video = video
        self.counts: dict[int, str] = {}
        self._boxes: dict[int, Box] = {}

    def mask(self, stream: JsonStream, frame: int, where: str) -> None:
        counts = parse(stream.value(), self._video.height, self._video.width, where)
        if counts is not None:
            self.counts[frame] = counts

    def box(self, stream: JsonStream, frame: int, where: str) -> None:
        box = box_of(stream.value(), self._video, where)
        if box is not None:
            self._boxes[frame] = box

    def boxes(self) -> dict[int, Box]:
        """Return frame to box, the mask's own where the file has none."""
        size = [self._video.height, self._video.width]
        own = {
            frame: xyxy(coco.toBbox({"size": size, "counts": counts}))
            for frame, counts in self.counts.items()
            if frame not in self._boxes
        }
        return {**self._boxes, **own}


def read(path: Path) -> Annotations:
    """Read a YouTube-VIS file of one video; masks are decoded when a frame is read.

    Raises
    ------
    InputError
        For a file that is not JSON or no YouTube-VIS file, holds several videos, or whose lists,
        sizes, runs, boxes or categories do not fit each other.
    """
    walked = walk(path, _Kept)
    video, length = walked.video, walked.video.num_frames
    by_id = numbered(walked.instances, path)
    boxes = {track_id: each.taken.boxes() for track_id, each in by_id.items()}
    known = _known_frames([each.taken.counts for each in by_id.values()], boxes.values(), length)
    tracks = tuple(
        Track(
            track_id,
            each.label,
            keyframes(boxes[track_id], range(length)),
            extra={CROWD: each.crowd} if each.crowd else {},
        )
        for track_id, each in by_id.items()
    )

    def read_masks(frame: int) -> InstanceMasks | None:
        if frame not in known:
            return None
        counts = {i: each.taken.counts.get(frame) for i, each in by_id.items()}
        return masks_of(counts, video)

    names = walked.file_names
    tracked = dataclasses.replace(video, tracks=tracks)
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


def _known_frames(
    counts: Iterable[dict[int, str]], boxes: Iterable[dict[int, Box]], length: int
) -> frozenset[int]:
    masked = {frame for each in counts for frame in each}
    boxed = {frame for each in boxes for frame in each}
    return frozenset(range(length)) - (boxed - masked) if masked else frozenset()
