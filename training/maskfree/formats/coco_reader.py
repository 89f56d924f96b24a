"""Reading COCO files, ours and those that other tools wrote; see `coco.py`.

A file is walked over once; what it says of its masks goes into a temporary file, so a frame's masks
are decoded when the frame is read.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any, BinaryIO

from maskfree import rle
from maskfree.errors import InputError
from maskfree.formats.coco_images import Image, frames_of, take_images
from maskfree.formats.segmentation import parse
from maskfree.formats.shape_list import LookedUp, Shape, ShapeList
from maskfree.formats.ytvis_walk import CROWD, box_of
from maskfree.ignore_regions import rectangle
from maskfree.json_checks import as_list, as_number, as_object, as_whole, show
from maskfree.json_stream import JsonStream
from maskfree.storage import open_bytes, reading

if TYPE_CHECKING:
    from pathlib import Path

    from maskfree.formats.base import Annotations, VideoFacts

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
    return _walk(path, video).whole()


def reopen(path: Path, written: Annotations) -> LookedUp:
    """Read the file that an export made of ``written``; boxes are looked up, not kept.

    Raises
    ------
    InputError
        As :func:`read_of`.
    """
    return _walk(path, None, keep_boxes=False).looked_up()


class _Annotations(ShapeList):
    """Takes the annotations of a file one by one."""

    def take(self, value: object, where: str) -> None:
        """Take one annotation; ``where`` begins every message."""
        fields = as_object(value, where, "an annotation", "image_id")
        if "id" in fields:
            where = f"{self.path}: annotation {show(fields['id'])}"
        image = as_whole(fields.get("image_id"), where, "image_id")
        frame = self.frames.number.get(image)
        if frame is None:
            raise InputError(f'{where}: there is no image {image}. Add it to "images".')
        crowd = as_whole(fields.get(CROWD, 0), where, CROWD, low=0)
        number = _track_number(fields, where)
        if crowd and number is None:
            self._ignore(fields, frame, where)
            return
        counts = parse(fields.get("segmentation"), self.video.height, self.video.width, where)
        box = box_of(fields.get("bbox"), self.video, where)
        category = as_whole(fields.get("category_id"), where, "category_id")
        shape = Shape(box, counts, _occluded(fields), _score(fields, where))
        self.add(frame, self.place(number, category, crowd), shape)

    def _ignore(self, fields: dict[str, Any], frame: int, where: str) -> None:
        """Take a crowd without a track: a part of the picture that is ignored."""
        height, width = self.video.height, self.video.width
        drawn = fields.get("segmentation")
        counts = parse(drawn, height, width, where)
        if isinstance(drawn, list) and drawn:
            for polygon in drawn:
                numbers = [float(number) for number in polygon]
                corners = tuple(zip(numbers[::2], numbers[1::2], strict=True))
                self.ignored.polygon(frame, corners)
        elif counts is not None:
            self.ignore_crowd(frame, rle.decode(counts, height, width))
        elif (box := box_of(fields.get("bbox"), self.video, where)) is not None:
            self.ignored.polygon(frame, rectangle(box))


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


def _walk(path: Path, facts: VideoFacts | None, *, keep_boxes: bool = True) -> _Annotations:
    name = f"{KIND} {path}"
    with open_bytes(path, KIND) as opened, reading(name):
        file = opened if opened.seekable() else io.BytesIO(opened.read())
        return _Walk(path, file, name, facts, keep_boxes).walked()


class _Walk:
    """The fields of a file may come in any order: where the annotations come before what they need,
    they are passed over and taken in a second turn.
    """

    def __init__(
        self,
        path: Path,
        file: BinaryIO,
        name: str,
        facts: VideoFacts | None,
        keep_boxes: bool,
    ) -> None:
        self._path, self._file, self._name = path, file, name
        self._facts, self._keep_boxes = facts, keep_boxes
        self._images: tuple[list[Image], tuple[int, int]] | None = None
        self._videos: object = None
        self._labels: dict[int, str] | None = None

    def walked(self) -> _Annotations:
        found = self._turn(first=True) or self._turn(first=False)
        if found is None:
            where = str(self._path)
            as_list(None, where, "annotations" if self._images else "images")
        assert found is not None
        if self._labels is None:
            as_list(None, str(self._path), "categories")
        found.labels = self._labels or {}
        return found

    def _turn(self, *, first: bool) -> _Annotations | None:
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

    def _annotations(self, stream: JsonStream) -> _Annotations:
        assert self._images is not None
        frames = frames_of(*self._images, self._videos, self._facts, self._path)
        taken = _Annotations(self._path, frames, keep_boxes=self._keep_boxes)
        if stream.peek() != "[":
            as_list(stream.value(), str(self._path), "annotations")
        for n in stream.items():
            taken.take(stream.value(), f"{self._path}: annotations[{n}]")
        return taken


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
