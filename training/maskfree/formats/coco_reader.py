"""Reading COCO files, ours and those that other tools wrote; see `coco.py`.

A file is walked over once; what it says of its masks goes into a temporary file, so a frame's masks
are decoded when the frame is read.
"""

from __future__ import annotations

import dataclasses
import io
import warnings
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from pycocotools import mask as coco

from maskfree import rle
from maskfree.errors import InputError, InputWarning
from maskfree.formats.base import Annotations
from maskfree.formats.box_arrays import BoxArrays
from maskfree.formats.coco_images import Frames, Image, frames_of, take_images
from maskfree.formats.frame_records import FrameRecords, stacked
from maskfree.formats.ignored import Ignored
from maskfree.formats.segmentation import parse
from maskfree.formats.ytvis_walk import CROWD, box_of, xyxy
from maskfree.ignore_regions import rectangle
from maskfree.json_checks import as_list, as_number, as_object, as_whole, show
from maskfree.json_stream import JsonStream
from maskfree.storage import open_bytes, reading
from maskfree.types import Track

if TYPE_CHECKING:
    from pathlib import Path

    from maskfree.formats.base import VideoFacts
    from maskfree.types import Box, InstanceMasks

__all__ = ["read", "read_of", "reopen"]

KIND = "COCO file"
"""In messages."""
_TRACK_FIELDS = ("track_id", "instance_id")


def read(path: Path) -> Annotations:
    """Read a COCO file of one video; see :func:`read_of`."""
    return read_of(path, None)


def read_of(path: Path, video: VideoFacts | None) -> Annotations:
    """Read a COCO file; ``video``: of the video itself, for files without the images' sizes.

    Raises
    ------
    InputError
        For a file that is not JSON or no COCO file, holds several videos, or whose images, sizes,
        runs, boxes, scores or categories do not fit each other.
    """
    taken, frames = _walk(path, _Annotations, video)
    return taken.whole(frames)


def reopen(path: Path, written: Annotations) -> Annotations:
    """Read the file that an export made of ``written``; boxes are looked up, not kept.

    Raises
    ------
    InputError
        As :func:`read_of`.
    """
    taken, frames = _walk(path, _Looked, None)
    return taken.looked_up(frames)


@dataclasses.dataclass
class _Found:
    """What is known of one track while the file is walked over."""

    number: int | None
    category: int
    crowd: int
    boxes: BoxArrays = dataclasses.field(default_factory=BoxArrays)


class _Annotations:
    """Takes the annotations of a file one by one."""

    def __init__(self, path: Path, frames: Frames) -> None:
        self._path, self._frames, self._video = path, frames, frames.video
        self._tracks: list[_Found] = []
        self._places: dict[int, int] = {}
        self._records, self._ignored = FrameRecords(), Ignored()
        self._masked, self._boxed = np.zeros((2, frames.video.num_frames), bool)
        self._several = set[int]()
        self._crowds = 0
        self.labels: dict[int, str] = {}

    def take(self, value: object, where: str) -> None:
        """Take one annotation; ``where`` begins every message."""
        fields = as_object(value, where, "an annotation", "image_id")
        if "id" in fields:
            where = f"{self._path}: annotation {show(fields['id'])}"
        image = as_whole(fields.get("image_id"), where, "image_id")
        frame = self._frames.number.get(image)
        if frame is None:
            raise InputError(f'{where}: there is no image {image}. Add it to "images".')
        crowd = as_whole(fields.get(CROWD, 0), where, CROWD, low=0)
        number = _track_number(fields, where)
        if crowd and number is None:
            self._ignore(fields, frame, where)
            return
        counts = parse(fields.get("segmentation"), self._video.height, self._video.width, where)
        box = self._box(fields, counts, where)
        category = as_whole(fields.get("category_id"), where, "category_id")
        place = self._place(number, category, crowd)
        if box is None:
            return
        if counts is None:
            self._boxed[frame] = True
        else:
            self._masked[frame] = True
        self._keep(place, frame, box, _occluded(fields))
        self._records.put(frame, [place, _score(fields, where), box, counts])

    def _box(self, fields: dict[str, Any], counts: str | None, where: str) -> Box | None:
        box = box_of(fields.get("bbox"), self._video, where)
        if box is None and counts is not None:
            size = [self._video.height, self._video.width]
            return xyxy(coco.toBbox({"size": size, "counts": counts}))
        return box

    def _place(self, number: int | None, category: int, crowd: int) -> int:
        """Return the place of the track in the list; a new one where there is no number."""
        place = None if number is None else self._places.get(number)
        if place is None:
            place = len(self._tracks)
            self._tracks.append(_Found(number, category, crowd))
            if number is not None:
                self._places[number] = place
        elif self._tracks[place].category != category:
            self._several.add(place)
        return place

    def _keep(self, place: int, frame: int, box: Box, occluded: bool) -> None:
        self._tracks[place].boxes.put(frame, box, occluded)

    def _ignore(self, fields: dict[str, Any], frame: int, where: str) -> None:
        """Take a crowd without a track: a part of the picture that is ignored."""
        height, width = self._video.height, self._video.width
        drawn = fields.get("segmentation")
        counts = parse(drawn, height, width, where)
        if isinstance(drawn, list) and drawn:
            for polygon in drawn:
                numbers = [float(number) for number in polygon]
                corners = tuple(zip(numbers[::2], numbers[1::2], strict=True))
                self._ignored.polygon(frame, corners)
        elif counts is not None:
            self._crowds += 1
            self._ignored.mask(frame, rle.decode(counts, height, width))
        elif (box := box_of(fields.get("bbox"), self._video, where)) is not None:
            self._ignored.polygon(frame, rectangle(box))

    def whole(self, frames: Frames) -> Annotations:
        """Return all that was taken, with a keyframe for each box."""
        ids = self._ids()
        tracks = []
        for track_id, found in sorted(
            zip(ids, self._tracks, strict=True), key=lambda pair: pair[0]
        ):
            where = f"{self._path}: track {track_id}"
            drawn = found.boxes.keyframes(frames.known, where)
            tracks.append(self._track(track_id, found, drawn))
        return self._annotations(frames, ids, tracks)

    def looked_up(self, frames: Frames) -> Annotations:
        """Return all that was taken, with boxes that are read a frame at a time."""
        ids = self._ids()
        tracks = [self._track(i, found, ()) for i, found in zip(ids, self._tracks, strict=True)]

        def read_boxes(frame: int) -> dict[int, Box]:
            found = {ids[place]: tuple(box) for place, _, box, _ in self._records.at(frame)}
            return {track_id: found[track_id] for track_id in sorted(found)}

        whole = self._annotations(frames, ids, tracks)
        return dataclasses.replace(whole, read_boxes=read_boxes)

    def _track(self, track_id: int, found: _Found, drawn: Any) -> Track:
        if found.category not in self.labels:
            raise InputError(
                f"{self._path}: there is no category {found.category}, only "
                f'{show(sorted(self.labels))}. Add it to "categories".'
            )
        extra = {CROWD: found.crowd} if found.crowd else {}
        return Track(track_id, self.labels[found.category], drawn, extra=extra)

    def _annotations(self, frames: Frames, ids: list[int], tracks: list[Track]) -> Annotations:
        self._warn(ids)
        where, video = str(self._path), frames.video
        ignore = self._ignored.regions(video, where)
        known = np.zeros(video.num_frames, bool)
        if self._masked.any():
            known[frames.known] = True
            known &= self._masked | ~self._boxed

        def read_masks(frame: int) -> InstanceMasks | None:
            if not known[frame]:
                return None
            records = [record for record in self._records.at(frame) if record[3] is not None]
            counts = {ids[place]: text for place, _, _, text in records}
            scores = {ids[place]: score for place, score, _, _ in records}
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
                f"{self._path}: track ids must be 1 or more, but one is {given[0]}; the tracks are "
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
                f"{self._path}: {self._crowds} masks marked as crowds ({CROWD} 1) have no track "
                "id: they are ignore regions, the boxes of their connected parts. If they are "
                f"instances (datumaro marks all masks so), set {CROWD} to 0.",
                InputWarning,
                stacklevel=2,
            )
        if self._several:
            shown = show(sorted(ids[place] for place in self._several))
            warnings.warn(
                f"{self._path}: a track has one label, but the annotations of these have several "
                f"categories: {shown}. Each keeps its first.",
                InputWarning,
                stacklevel=2,
            )


class _Looked(_Annotations):
    """Keeps no box in memory."""

    def _keep(self, place: int, frame: int, box: Box, occluded: bool) -> None:
        return


def _track_number(fields: dict[str, Any], where: str) -> int | None:
    for name in _TRACK_FIELDS:
        if fields.get(name) is not None:
            return as_whole(fields[name], where, name)
    # As CVAT and datumaro write it.
    attributes = fields.get("attributes")
    given = attributes.get("track_id") if isinstance(attributes, dict) else None
    return None if given is None else as_whole(given, where, "track_id")


def _occluded(fields: dict[str, Any]) -> bool:
    attributes = fields.get("attributes")
    inner = attributes.get("occluded") if isinstance(attributes, dict) else None
    return any(value is True or value == 1 for value in (fields.get("occluded"), inner))


def _score(fields: dict[str, Any], where: str) -> float:
    given = fields.get("score")
    score = 1.0 if given is None else as_number(given)
    if score is None or not 0 <= score <= 1:
        raise InputError(
            f"{where}: score must be a number from 0 to 1, got {show(given)}. Correct it."
        )
    return score


def _walk(
    path: Path, taker: type[_Annotations], facts: VideoFacts | None
) -> tuple[_Annotations, Frames]:
    name = f"{KIND} {path}"
    with open_bytes(path, KIND) as opened, reading(name):
        file = opened if opened.seekable() else io.BytesIO(opened.read())
        return _Walk(path, file, name, taker, facts).walked()


class _Walk:
    """The fields of a file may come in any order: where the annotations come before what they need,
    they are passed over and taken in a second turn.
    """

    def __init__(
        self,
        path: Path,
        file: BinaryIO,
        name: str,
        taker: type[_Annotations],
        facts: VideoFacts | None,
    ) -> None:
        self._path, self._file, self._name = path, file, name
        self._taker, self._facts = taker, facts
        self._images: tuple[list[Image], tuple[int, int]] | None = None
        self._videos: object = None
        self._labels: dict[int, str] | None = None

    def walked(self) -> tuple[_Annotations, Frames]:
        found = self._turn(first=True) or self._turn(first=False)
        if found is None:
            where = str(self._path)
            as_list(None, where, "annotations" if self._images else "images")
        assert found is not None
        taken, _ = found
        if self._labels is None:
            as_list(None, str(self._path), "categories")
        taken.labels = self._labels or {}
        return found

    def _turn(self, *, first: bool) -> tuple[_Annotations, Frames] | None:
        """Walk over the file; ``first``: ``videos`` may still come."""
        stream, found = JsonStream(self._file, self._name), None
        if stream.peek() != "{":
            as_object(stream.value(), str(self._path), f"a {KIND}", "images")
        late = False
        for field in stream.fields():
            if field == "videos" and first:
                self._videos, late = stream.value(), found is not None
            elif field == "images" and first:
                self._images = take_images(stream, self._facts, self._path)
            elif field == "categories":
                self._labels = _categories(stream.value(), self._path)
            elif field == "annotations" and self._images is not None:
                found = self._annotations(stream)
        stream.end()
        return None if late else found

    def _annotations(self, stream: JsonStream) -> tuple[_Annotations, Frames]:
        assert self._images is not None
        frames = frames_of(*self._images, self._videos, self._facts, self._path)
        taken = self._taker(self._path, frames)
        if stream.peek() != "[":
            as_list(stream.value(), str(self._path), "annotations")
        for n in stream.items():
            taken.take(stream.value(), f"{self._path}: annotations[{n}]")
        return taken, frames


def _categories(value: object, path: Path) -> dict[int, str]:
    labels: dict[int, str] = {}
    for n, item in enumerate(as_list(value, str(path), "categories")):
        where = f"{path}: categories[{n}]"
        category = as_object(item, where, "a category", "id")
        name = category.get("name")
        if not isinstance(name, str):
            raise InputError(f"{where}: name must be text, got {show(name)}. Correct it.")
        labels[as_whole(category.get("id"), where, "id")] = name
    return labels
