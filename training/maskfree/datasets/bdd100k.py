"""Reading BDD100K's tracks: a folder of files in Scalabel's format, one a video.

https://doc.bdd100k.com/format.html. Labels may be boxes (``box2d`` holds its last pixel), ``rle``
or closed ``poly2d`` (curves are taken as straight lines). The eight tracked categories are classes,
with the names that they had before; what the benchmark does not score ("other person", "other
vehicle", "trailer", crowds, what is marked as ignored or has the id -1) is read as crowd, as the
package bdd100k has it (its ``configs/seg_track.toml`` and ``label/to_scalabel.py``). Frames' sizes
are those of their pictures.
"""

from __future__ import annotations

import io
from array import array
from typing import TYPE_CHECKING, Any

import numpy as np
from pycocotools import mask as coco

from maskfree.datasets.gathering import Gathering, OpenVideo, relative_name
from maskfree.errors import InputError
from maskfree.formats.limits import check_size
from maskfree.formats.segmentation import parse
from maskfree.formats.ytvis_walk import xyxy
from maskfree.json_checks import as_list, as_number, as_object, as_whole, show
from maskfree.json_stream import JsonStream
from maskfree.limits import check_length
from maskfree.storage import open_bytes, reading
from maskfree.video_folder import header_size

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from maskfree.types import Box

__all__ = ["gather"]

KIND = "Scalabel file"
_CLASSES = ("pedestrian", "rider", "car", "truck", "bus", "train", "motorcycle", "bicycle")
_RENAMED = {
    "bike": "bicycle",
    "caravan": "car",
    "motor": "motorcycle",
    "person": "pedestrian",
    "van": "car",
}
_UNSCORED = {"other person": "pedestrian", "other vehicle": "car", "trailer": "truck"}
_NOBODY = "-1"
"""Id of labels that are no track's: regions that are ignored."""
_MARKS = ("crowd", "ignored")
"""Attributes of what is not scored; the package writes the second where it renames a category."""
_FRAMES = "frames"
_NUMBER = ("frameIndex", "index")


def gather(folder: Path, pictures: Path, *, masks: bool) -> tuple[Gathering, dict[int, str], bool]:
    """Read a folder of files, or one; see :func:`maskfree.datasets.ytvis.gather`.

    A file that is not JSON, or no Scalabel file, is one video at fault: it is skipped.
    """
    gathering = Gathering(pictures)
    files = sorted(folder.glob("*.json")) if folder.is_dir() else [folder]
    if not files:
        raise InputError(f"{folder} holds no *.json file. Copy the labels there.")
    annotated = False
    for file in files:
        with gathering.item(f"file {file.name}"):
            for video in _read(file, gathering, masks):
                annotated = annotated or video.annotated
                with gathering.item(f"video {video.name}"):
                    video.finish()
    return gathering, dict(enumerate(_CLASSES, start=1)), annotated


def _read(path: Path, gathering: Gathering, masks: bool) -> list[_Video]:
    """Return the videos of a file; a frame at a time is in memory."""
    name, where = f"{KIND} {path}", f"file {path.name}"
    videos: dict[str, _Video] = {}
    with open_bytes(path, KIND) as opened, reading(name):
        file = opened if opened.seekable() else io.BytesIO(opened.read())
        stream = JsonStream(file, name)
        for place, value in _frames(stream, where):
            frame = as_object(value, f"{where}: frame {place}", "a frame", "name")
            given = frame.get("videoName")
            key = path.stem if given is None else str(given)
            if key not in videos:
                videos[key] = _Video(key, gathering, masks)
            videos[key].frame(frame, place, f"{where}: frame {place}")
        stream.end()
    if not videos:
        raise InputError(f"{where}: it holds no frame. Export it again.")
    return list(videos.values())


def _frames(stream: JsonStream, where: str) -> Iterator[tuple[int, Any]]:
    if stream.peek() == "{":
        for field in stream.fields():
            if field == _FRAMES and stream.peek() == "[":
                for place in stream.items():
                    yield place, stream.value()
        return
    if stream.peek() != "[":
        as_list(stream.value(), where, _FRAMES)
    for place in stream.items():
        yield place, stream.value()


class _Track:
    """An instance of a video: where in the file its boxes are, and its masks if asked for."""

    def __init__(self, category: int, crowd: bool) -> None:
        self.category, self.crowd, self.changed = category, crowd, False
        self.places, self.boxes = array("q"), array("f")
        self.segments: dict[int, str] = {}


class _Video:
    """Takes the frames of one video; ``annotated``: whether any has a label.

    Its size is known from its first picture: without that it is passed over.
    """

    def __init__(self, name: str, gathering: Gathering, masks: bool) -> None:
        self.name, self.annotated = name, False
        self._gathering, self._masks = gathering, masks
        self._names: list[str] = []
        self._numbers = array("q")
        self._size: tuple[int, int] | None = None
        self._fault: InputError | None = None
        self._tracks: dict[tuple[str, bool], _Track] = {}
        self._unknown: set[str] = set()

    def frame(self, frame: dict[str, Any], place: int, where: str) -> None:
        """Take a frame; ``place``: its own in the file."""
        try:
            folder = relative_name(self.name, where)
            self._names.append(f"{folder}/{relative_name(frame.get('name'), where)}")
            given = next((frame[n] for n in _NUMBER if frame.get(n) is not None), place)
            number = as_whole(given, where, _NUMBER[0], low=0)
            check_length(number, where)
            self._numbers.append(number)
            if self._size is None:
                self._size = self._size_of(self._names[0])
        except InputError as error:
            self._fault = self._fault or error
        labels = frame.get("labels")
        for n, label in enumerate([] if labels is None else as_list(labels, where, "labels")):
            self.annotated = True
            what = f"video {self.name}, frame {place}, label {n}"
            if self._fault is None and self._size is not None:
                with self._gathering.item(what):
                    self._label(label, self._size, what)

    def _size_of(self, file: str) -> tuple[int, int]:
        path = self._gathering.root / file
        if not path.is_file():
            raise InputError(f"its first picture {file} is missing. Copy it there.")
        height, width = header_size(path)
        check_size(height, width, file)
        return height, width

    def _label(self, value: object, size: tuple[int, int], where: str) -> None:
        label = as_object(value, where, "a label", "id")
        given, name = label.get("id"), str(label.get("category"))
        if isinstance(given, bool) or not isinstance(given, str | int):
            raise InputError(f"{where}: id must be the track's, text, got {show(given)}.")
        scored = _RENAMED.get(name, name)
        category = _UNSCORED.get(scored, scored)
        if category not in _CLASSES:
            if category in self._unknown:
                return  # said once: there may be one in every frame
            self._unknown.add(category)
            raise InputError(f"{where}: {show(name)} is none of the tracked categories.")
        crowd = scored in _UNSCORED or str(given) == _NOBODY or _is_crowd(label)
        box = _box(label, size, where)
        counts = _counts(label, size, where) if box is None or self._masks else None
        if box is None and counts is not None:
            box = xyxy(coco.toBbox({"size": list(size), "counts": counts}))
        if box is None:
            raise InputError(f"{where}: it has no box or mask with a pixel of its frame.")
        here = len(self._names) - 1
        number = _CLASSES.index(category) + 1
        track = self._track(str(given), crowd, number, here)
        if track.places and track.places[-1] == here:
            raise InputError(f"{where}: track {show(given)} comes twice in this frame. Remove one.")
        if track.category != number and not track.changed and str(given) != _NOBODY:
            track.changed = True  # said once: it may be so in every frame from here on
            self._gathering.note(
                where,
                f"track {show(given)} is a {_CLASSES[number - 1]} here, and was a "
                f"{_CLASSES[track.category - 1]}: it stays what it was first.",
            )
        track.places.append(here)
        track.boxes.extend(box)
        if counts is not None and self._masks:
            track.segments[here] = counts

    def _track(self, given: str, crowd: bool, number: int, here: int) -> _Track:
        """Return the track of a label; what is nobody's goes with the first that is free here."""
        name = given
        while True:
            track = self._tracks.setdefault((name, crowd), _Track(number, crowd))
            if given != _NOBODY or not track.places or track.places[-1] != here:
                return track
            name += _NOBODY

    def finish(self) -> None:
        """Hand the video on, its frames in the order of their numbers.

        Raises
        ------
        InputError
            Where it is at fault.
        """
        where = f"video {self.name}"
        if self._fault is not None or self._size is None:
            raise InputError(f"{where}: {self._fault}")
        numbers = np.frombuffer(self._numbers, np.int64)
        order = np.argsort(numbers, kind="stable")
        if len(np.unique(numbers)) < len(order):
            raise InputError(f"{where}: two frames have the same {_NUMBER[0]}. Correct them.")
        rank = np.argsort(order)
        files = tuple(self._names[place] for place in order)
        self._gathering.room(len(files) * len(self._tracks), where)
        video = OpenVideo(len(self._gathering.videos) + 1, self.name, *self._size, files)
        self._gathering.open(video, where)
        for number, track in enumerate(self._tracks.values(), start=1):
            boxes = np.full((len(files), 4), np.nan, np.float32)
            places = rank[np.frombuffer(track.places, np.int64)]
            boxes[places] = np.frombuffer(track.boxes, np.float32).reshape(-1, 4)
            segments = {int(rank[place]): counts for place, counts in track.segments.items()}
            video.add(
                number,
                track.category,
                boxes,
                crowd=track.crowd,
                segments=segments if self._masks else None,
                where=where,
            )


def _is_crowd(label: dict[str, Any]) -> bool:
    attributes = label.get("attributes")
    return isinstance(attributes, dict) and any(attributes.get(m) in (True, 1) for m in _MARKS)


def _box(label: dict[str, Any], size: tuple[int, int], where: str) -> Box | None:
    given = label.get("box2d")
    if given is None:
        return None
    box = as_object(given, where, "a box2d", "x1")
    numbers = [as_number(box.get(side)) for side in ("x1", "y1", "x2", "y2")]
    sides = [number for number in numbers if number is not None]
    if len(sides) < len(numbers):
        raise InputError(f"{where}: box2d must have x1, y1, x2 and y2, got {show(given)}.")
    x0, y0 = max(sides[0], 0.0), max(sides[1], 0.0)
    x1, y1 = min(sides[2] + 1, float(size[1])), min(sides[3] + 1, float(size[0]))
    return (x0, y0, x1, y1) if x0 < x1 and y0 < y1 else None


def _counts(label: dict[str, Any], size: tuple[int, int], where: str) -> str | None:
    value = label.get("rle")
    if value is None and label.get("poly2d") is not None:
        value = []
        for item in as_list(label["poly2d"], where, "poly2d"):
            polygon = as_object(item, where, "a polygon", "vertices")
            if polygon.get("closed") is not False:
                points = as_list(polygon.get("vertices"), where, "vertices")
                value.append([each for p in points for each in as_list(p, where, "a vertex")])
    return parse(value, *size, where)
