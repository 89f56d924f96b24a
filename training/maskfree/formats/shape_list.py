"""The shapes of a video's frames while a file is read that lists them one by one.

What it says of masks goes into a temporary file, so a frame's masks are decoded when the frame is
read. A shape is a track's, or where the file has no ids one of a track of its own.
"""

from __future__ import annotations

import dataclasses
import warnings
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from pycocotools import mask as coco

from maskfree.errors import InputError, InputWarning
from maskfree.formats.base import Annotations
from maskfree.formats.box_arrays import BoxArrays
from maskfree.formats.frame_records import FrameRecords, stacked
from maskfree.formats.ignored import Ignored
from maskfree.formats.ytvis_walk import CROWD, xyxy
from maskfree.json_checks import show
from maskfree.types import Track

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from maskfree.formats.coco_images import Frames
    from maskfree.types import Box, InstanceMasks

__all__ = ["LookedUp", "Shape", "ShapeList"]


@dataclasses.dataclass(frozen=True)
class LookedUp(Annotations):
    """What an export wrote, a frame at a time; ``read_occluded``: which tracks are occluded."""

    read_occluded: Callable[[int], set[int]] = lambda frame: set()


class Shape(NamedTuple):
    """One instance in one frame.

    ``box``: ``xyxy`` in pixels, None: that of the mask; ``counts``: the mask as compressed run
    lengths, None: not known; ``score`` in [0, 1].
    """

    box: Box | None
    counts: str | None
    occluded: bool = False
    score: float = 1.0


@dataclasses.dataclass
class _Found:
    """What is known of one track so far; ``number``: its id in the file."""

    number: int | None
    category: int
    crowd: int
    boxes: BoxArrays = dataclasses.field(default_factory=BoxArrays)


class ShapeList:
    """Takes the shapes of the frames of one video, in any order.

    ``keep_boxes``: False where each frame's boxes are looked up afterwards, see `looked_up`.
    """

    def __init__(self, path: Path, frames: Frames, *, keep_boxes: bool = True) -> None:
        self.path, self.frames, self.video = path, frames, frames.video
        self._keep_boxes = keep_boxes
        self._tracks: list[_Found] = []
        self._places: dict[int, int] = {}
        self._records, self.ignored = FrameRecords(), Ignored()
        self._masked, self._boxed = np.zeros((2, frames.video.num_frames), bool)
        self._several = set[int]()
        self._crowds = 0
        self.labels: dict[int, str] = {}

    def place(self, number: int | None, category: int, crowd: int = 0) -> int:
        """Return the place of a track, a new one's where the file has no ``number`` for it.

        ``category``: a key of ``labels``; ``crowd``: the track's ``iscrowd``.
        """
        place = None if number is None else self._places.get(number)
        if place is None:
            place = len(self._tracks)
            self._tracks.append(_Found(number, category, crowd))
            if number is not None:
                self._places[number] = place
        elif self._tracks[place].category != category:
            self._several.add(place)
        return place

    def add(self, frame: int, place: int, shape: Shape) -> None:
        """Take a shape of the track at ``place``; one without box and mask says nothing."""
        box, counts = shape.box, shape.counts
        if box is None and counts is not None:
            size = [self.video.height, self.video.width]
            box = xyxy(coco.toBbox({"size": size, "counts": counts}))
        if box is None:
            return
        (self._boxed if counts is None else self._masked)[frame] = True
        if self._keep_boxes:
            self._tracks[place].boxes.put(frame, box, shape.occluded)
        self._records.put(frame, [place, shape.score, box, counts, shape.occluded])

    def ignore_crowd(self, frame: int, mask: np.ndarray) -> None:
        """Take a mask, bool ``(H, W)``, that is no instance but a part that is ignored."""
        self._crowds += 1
        self.ignored.mask(frame, mask)

    def whole(self) -> Annotations:
        """Return all that was taken, with a keyframe for each box."""
        ids = self._ids()
        tracks = []
        for track_id, found in sorted(
            zip(ids, self._tracks, strict=True), key=lambda pair: pair[0]
        ):
            where = f"{self.path}: track {track_id}"
            drawn = found.boxes.keyframes(self.frames.known, where)
            tracks.append(self._track(track_id, found, drawn))
        return self._annotations(ids, tracks)

    def looked_up(self) -> LookedUp:
        """Return all that was taken, with boxes that are read a frame at a time."""
        ids = self._ids()
        tracks = [self._track(i, found, ()) for i, found in zip(ids, self._tracks, strict=True)]

        def read_boxes(frame: int) -> dict[int, Box]:
            found = {ids[place]: tuple(box) for place, _, box, *_ in self._records.at(frame)}
            return {track_id: found[track_id] for track_id in sorted(found)}

        def read_occluded(frame: int) -> set[int]:
            return {ids[place] for place, *_, occluded in self._records.at(frame) if occluded}

        whole = self._annotations(ids, tracks)
        fields = {each.name: getattr(whole, each.name) for each in dataclasses.fields(whole)}
        return LookedUp(**fields | {"read_boxes": read_boxes}, read_occluded=read_occluded)

    def _track(self, track_id: int, found: _Found, drawn: Any) -> Track:
        if found.category not in self.labels:
            raise InputError(
                f"{self.path}: there is no category {found.category}, only "
                f'{show(sorted(self.labels))}. Add it to "categories".'
            )
        extra = {CROWD: found.crowd} if found.crowd else {}
        return Track(track_id, self.labels[found.category], drawn, extra=extra)

    def _annotations(self, ids: list[int], tracks: list[Track]) -> Annotations:
        self._warn(ids)
        where, video, frames = str(self.path), self.video, self.frames
        ignore = self.ignored.regions(video, where)
        known = np.zeros(video.num_frames, bool)
        if self._masked.any():
            known[frames.known] = True
            known &= self._masked | ~self._boxed

        def read_masks(frame: int) -> InstanceMasks | None:
            if not known[frame]:
                return None
            records = [record for record in self._records.at(frame) if record[3] is not None]
            counts = {ids[place]: text for place, _, _, text, _ in records}
            scores = {ids[place]: score for place, score, *_ in records}
            here = f"{where}: frame {frame}"
            return stacked(counts, scores, video.height, video.width, here)

        tracked = dataclasses.replace(video, tracks=tuple(tracks), ignore=ignore)
        return Annotations(tracked, frames.names, read_masks, frames.file_names)

    def _ids(self) -> list[int]:
        """Return each track's id: the file's; numbers after those for annotations without one."""
        given = sorted(self._places)
        ids = {number: number for number in given}
        if given and given[0] < 1:
            ids = {number: n for n, number in enumerate(given, start=1)}
            warnings.warn(
                f"{self.path}: track ids must be 1 or more, but one is {given[0]}; the tracks are "
                f"numbered 1 to {len(given)} in the order of their ids.",
                InputWarning,
                stacklevel=2,
            )
        last = max(ids.values(), default=0)
        found = []
        for track in self._tracks:
            last += track.number is None
            found.append(last if track.number is None else ids[track.number])
        return found

    def _warn(self, ids: list[int]) -> None:
        if self._crowds:
            warnings.warn(
                f"{self.path}: {self._crowds} masks marked as crowds ({CROWD} 1) have no track "
                "id: they are ignore regions, the boxes of their connected parts. If they are "
                f"instances (datumaro marks all masks so), set {CROWD} to 0.",
                InputWarning,
                stacklevel=2,
            )
        if self._several:
            shown = show(sorted(ids[place] for place in self._several))
            warnings.warn(
                f"{self.path}: a track has one label, but the annotations of these have several "
                f"categories: {shown}. Each keeps its first.",
                InputWarning,
                stacklevel=2,
            )
