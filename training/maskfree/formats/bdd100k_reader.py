"""Reading Scalabel files, ours and those of BDD100K; see `bdd100k.py`.

A file is walked over once. Where each frame begins is kept, and its labels are looked up there when
they are asked for. Masks are ``rle`` or closed ``poly2d`` (curves are taken as straight lines); in
a file with any mask, a frame that has boxes but no mask has none known, and one that has neither is
known to be empty. ``frameIndex`` numbers the frames from 0; a number without a frame is one that
nobody looked at. The size is the frame's ``size`` or ``config.imageSize``; BDD100K's own files have
neither, there the video says it (``--video``).
"""

from __future__ import annotations

import dataclasses
import io
import warnings
from array import array
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from maskfree import rle
from maskfree.config import FormatConfig
from maskfree.errors import InputError, InputWarning
from maskfree.formats.base import Annotations, tight_box
from maskfree.formats.box_arrays import BoxArrays
from maskfree.formats.box_files import Said, within
from maskfree.formats.instances import Instance
from maskfree.formats.limits import check_masks
from maskfree.formats.segmentation import parse
from maskfree.formats.ytvis_walk import CROWD as COCO_CROWD
from maskfree.formats.ytvis_walk import stem
from maskfree.json_checks import as_list, as_number, as_object, as_whole, show
from maskfree.json_stream import JsonStream
from maskfree.limits import check_length
from maskfree.storage import open_bytes, reading
from maskfree.types import InstanceMasks, Track

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from maskfree.formats.base import VideoFacts
    from maskfree.types import Box, BoxTracks

__all__ = ["CROWD", "OCCLUDED", "Frames", "open_frames", "read_of"]

KIND = "Scalabel file"
OCCLUDED, CROWD = "occluded", "crowd"
_FRAMES = "frames"
_NUMBER = ("frameIndex", "index")


def read_of(path: Path, video: VideoFacts | None) -> Annotations:
    """Read a file of one video; masks are decoded when a frame is read.

    Raises
    ------
    InputError
        For a file that is not JSON or no Scalabel file, holds several videos, says no size and
        there is no ``video``, or whose labels are at fault.
    """
    frames = open_frames(path, video)
    return frames.whole()


def open_frames(path: Path, video: VideoFacts | None) -> Frames:
    """Walk over a file once; see :class:`Frames`."""
    name = f"{KIND} {path}"
    with open_bytes(path, KIND) as opened, reading(name):
        file = opened if opened.seekable() else io.BytesIO(opened.read())
        return Frames(path, _Head(path, file, name), video)


class _Head:
    """Where the frames of a file begin, and what each says of itself."""

    def __init__(self, path: Path, file: BinaryIO, name: str) -> None:
        self.path = path
        self.places, self.numbers = array("q"), array("q")
        self.names: list[str] = []
        self.ids: dict[str, int] = {}
        self.size: tuple[int, int] | None = None
        self._video: str | None = None
        stream = JsonStream(file, name)
        if stream.peek() == "[":
            self._frames(stream)
        else:
            if stream.peek() != "{":
                as_object(stream.value(), str(path), f"a {KIND}", _FRAMES)
            found = False
            for field in stream.fields():
                if field == _FRAMES:
                    found = True
                    self._frames(stream)
                elif field == "config":
                    self._config(stream.value())
            if not found:
                as_list(None, str(path), _FRAMES)
        stream.end()
        if not self.places:
            raise InputError(f"{path} holds no frame. Export it again.")

    def _frames(self, stream: JsonStream) -> None:
        if stream.peek() != "[":
            as_list(stream.value(), str(self.path), _FRAMES)
        for n in stream.items():
            place, where = stream.byte(), f"{self.path}: frame {n}"
            frame = as_object(stream.value(), where, "a frame", "name")
            self.places.append(place)
            self.numbers.append(_number_of(frame, n, where))
            name = frame.get("name")
            if not isinstance(name, str) or not stem(name):
                raise InputError(
                    f"{where}: name must be the picture's file, got {show(name)}. Correct it."
                )
            self.names.append(name)
            self._one_video(frame.get("videoName"), where)
            self._one_size(frame.get("size"), where)
            for label in _labels_of(frame, where):
                self.ids.setdefault(_id_of(label, where), len(self.ids))

    def _one_video(self, name: object, where: str) -> None:
        text = "" if name is None else str(name)
        self._video = text if self._video is None else self._video
        if text != self._video:
            raise InputError(
                f"{where} is of another video ({show(text)}) than those before it "
                f"({show(self._video)}). Split the file; each video has its own session."
            )

    def _one_size(self, value: object, where: str) -> None:
        if value is None:
            return
        found = as_object(value, where, "a size", "width")
        size = tuple(as_whole(found.get(side), where, side, low=1) for side in ("height", "width"))
        self.size = self.size or (size[0], size[1])
        if size != self.size:
            raise InputError(
                f"{where} is {size[1]} x {size[0]} pixels (width x height), those before it "
                f"{self.size[1]} x {self.size[0]}. All frames of a video have one size."
            )

    def _config(self, value: object) -> None:
        size = value.get("imageSize") if isinstance(value, dict) else None
        self._one_size(size, f"{self.path}: config.imageSize")


def _number_of(frame: dict[str, Any], place: int, where: str) -> int:
    given = next((frame[name] for name in _NUMBER if frame.get(name) is not None), None)
    if given is None:
        return place
    number = as_whole(given, where, _NUMBER[0], low=0)
    check_length(number, where)
    return number


def _labels_of(frame: dict[str, Any], where: str) -> Iterator[dict[str, Any]]:
    labels = frame.get("labels")
    for label in [] if labels is None else as_list(labels, where, "labels"):
        yield as_object(label, where, "a label", "id")


def _id_of(label: dict[str, Any], where: str) -> str:
    given = label.get("id")
    if isinstance(given, bool) or not isinstance(given, str | int):
        raise InputError(f"{where}: id must be the track's, text, got {show(given)}. Correct it.")
    return str(given)


class Frames:
    """The labels of a file, looked up a frame at a time.

    ``video``: its size and length; ``names``, ``file_names``: of the frames.
    """

    def __init__(self, path: Path, head: _Head, video: VideoFacts | None) -> None:
        self._path, self._curved = path, False
        self._places = self._by_frame(head, video)
        height, width = head.size or (None, None)
        length = len(self._places) if video is None else None
        self.video: BoxTracks = Said(length, height, width).of(f"{KIND} {path}", video)
        self._ids = _track_ids(head.ids, path)
        self.file_names: Sequence[str] = () if len(head.names) < len(self._places) else head.names
        if video is not None:
            self.names: Sequence[str] = video.frame_names
            self.file_names = ()
        elif self.file_names:
            self.names = [stem(name) for name in head.names]
        else:
            self.names = self._gapped(head)

    def _by_frame(self, head: _Head, video: VideoFacts | None) -> array[int]:
        """Return where each frame begins, -1 for one that the file does not have."""
        count, last = len(head.numbers), max(head.numbers)
        length = last + 1 if video is None else video.num_frames
        if video is not None and last >= length:
            raise InputError(
                f"{self._path} has a frame {last}, the video has only {length} frames, counted "
                "from 0. Give the video that it was made on."
            )
        if video is None and last >= count * FormatConfig().frames_per_file:
            raise InputError(
                f"{self._path} has a frame {last} and only {count} frames. {_NUMBER[0]} counts "
                "from 0; correct it."
            )
        places = array("q", [-1]) * length
        for number, place in zip(head.numbers, head.places, strict=True):
            if places[number] >= 0:
                raise InputError(f"{self._path} has frame {number} twice. Remove one.")
            places[number] = place
        in_order = all(a < b for a, b in zip(head.numbers, head.numbers[1:], strict=False))
        if not in_order:
            order = sorted(range(count), key=head.numbers.__getitem__)
            head.names[:] = [head.names[n] for n in order]
            head.numbers = array("q", sorted(head.numbers))
        return places

    def _gapped(self, head: _Head) -> list[str]:
        digits = FormatConfig().name_digits
        names = [f"{number:0{digits}d}" for number in range(len(self._places))]
        for number, name in zip(head.numbers, head.names, strict=True):
            names[number] = stem(name)
        return names

    def _labels(self, frame: int) -> list[dict[str, Any]]:
        """Return the labels of a frame; opens the file anew, so that it can be moved meanwhile."""
        name = f"{KIND} {self._path}"
        if self._places[frame] < 0:
            return []
        with reading(name), self._path.open("rb") as file:
            value = JsonStream(file, name, start=self._places[frame]).value()
        where = f"{self._path}: frame {frame}"
        return list(_labels_of(as_object(value, where, "a frame", "name"), where))

    def instances(self, frame: int) -> dict[int, Instance]:
        """Return the instances of a frame by track id; those without a pixel are left out.

        Raises
        ------
        InputError
            For a label at fault, and an instance that comes twice.
        """
        found: dict[int, Instance] = {}
        masked = 0
        for n, label in enumerate(self._labels(frame)):
            where = f"{self._path}: frame {frame}, label {n}"
            track_id = self._ids.get(_id_of(label, where))
            if track_id is None:
                raise InputError(f"{where}: the file was changed while it was read. Read it again.")
            if track_id in found:
                raise InputError(f"{where}: track {show(label.get('id'))} comes twice. Remove one.")
            mask = self._mask(label, where)
            masked += mask is not None
            check_masks(masked, self.video.height, self.video.width, where)
            box = self._box(label, where)
            if mask is not None and box is None:
                box = tight_box(mask)
            category = label.get("category")
            if not isinstance(category, str):
                raise InputError(
                    f"{where}: category must be text, got {show(category)}. Correct it."
                )
            if box is not None:
                occluded, crowd = (_flag(label, name) for name in (OCCLUDED, CROWD))
                score = _score(label, where)
                found[track_id] = Instance(category, box, mask, occluded, score, crowd)
        return found

    def _box(self, label: dict[str, Any], where: str) -> Box | None:
        given = label.get("box2d")
        if given is None:
            return None
        box = as_object(given, where, "a box2d", "x1")
        numbers = [as_number(box.get(side)) for side in ("x1", "y1", "x2", "y2")]
        sides = [number for number in numbers if number is not None]
        if len(sides) < len(numbers):
            raise InputError(f"{where}: box2d must have x1, y1, x2 and y2, got {show(box)}.")
        x0, y0, x1, y1 = sides
        return within((x0, y0, x1 + 1, y1 + 1), self.video)

    def _mask(self, label: dict[str, Any], where: str) -> np.ndarray | None:
        height, width = self.video.height, self.video.width
        value = label.get("rle")
        if value is None and label.get("poly2d") is not None:
            value = self._polygons(label["poly2d"], where)
        counts = parse(value, height, width, where)
        return None if counts is None else rle.decode(counts, height, width)

    def _polygons(self, value: object, where: str) -> list[list[Any]]:
        found = []
        for item in as_list(value, where, "poly2d"):
            polygon = as_object(item, where, "a polygon", "vertices")
            if polygon.get("closed") is False:
                continue
            if "C" in str(polygon.get("types", "")):
                self._warn_of_curves()
            vertices = as_list(polygon.get("vertices"), where, "vertices")
            flat = [part for point in vertices for part in as_list(point, where, "a vertex")]
            found.append(flat)
        return found

    def _warn_of_curves(self) -> None:
        if not self._curved:
            self._curved = True
            warnings.warn(
                f"{self._path}: curves of polygons are taken as straight lines between their "
                "points.",
                InputWarning,
                stacklevel=2,
            )

    def whole(self) -> Annotations:
        """Return all that the file holds, with a keyframe for each box."""
        boxes: dict[int, BoxArrays] = {}
        labels: dict[int, str] = {}
        crowds, several = set[int](), set[int]()
        masked, boxed = np.zeros((2, len(self._places)), bool)
        for frame, place in enumerate(self._places):
            if place < 0:
                continue
            for track_id, each in self.instances(frame).items():
                boxes.setdefault(track_id, BoxArrays()).put(frame, each.xyxy, each.occluded)
                (boxed if each.mask is None else masked)[frame] = True
                if labels.setdefault(track_id, each.label) != each.label:
                    several.add(track_id)
                if each.crowd:
                    crowds.add(track_id)
        if several:
            warnings.warn(
                f"{self._path}: a track has one label, but these have several categories: "
                f"{show(sorted(several))}. Each keeps its first.",
                InputWarning,
                stacklevel=2,
            )
        there = np.frombuffer(self._places, np.int64) >= 0
        known = np.flatnonzero(there)
        tracks = tuple(
            Track(
                track_id,
                labels[track_id],
                boxes[track_id].keyframes(known, f"{self._path}: track {track_id}"),
                extra={COCO_CROWD: 1} if track_id in crowds else {},
            )
            for track_id in sorted(boxes)
        )
        told = there & (masked | ~boxed) & bool(masked.any())

        def read_masks(frame: int) -> InstanceMasks | None:
            return self._masks(frame) if told[frame] else None

        video = dataclasses.replace(self.video, tracks=tracks)
        return Annotations(video, self.names, read_masks, self.file_names)

    def _masks(self, frame: int) -> InstanceMasks:
        here = sorted(self.instances(frame).items())
        masked = {i: each for i, each in here if each.mask is not None}
        masks = np.zeros((len(masked), self.video.height, self.video.width), bool)
        for index, each in enumerate(masked.values()):
            masks[index] = each.mask
        return InstanceMasks(tuple(masked), masks, tuple(each.score for each in masked.values()))


def _flag(label: dict[str, Any], name: str) -> bool:
    attributes = label.get("attributes")
    return isinstance(attributes, dict) and attributes.get(name) in (True, 1)


def _score(label: dict[str, Any], where: str) -> float:
    given = label.get("score")
    score = 1.0 if given is None else as_number(given)
    if score is None or not 0 <= score <= 1:
        raise InputError(
            f"{where}: score must be a number from 0 to 1, got {show(given)}. Correct it."
        )
    return score


def _track_ids(places: dict[str, int], path: Path) -> dict[str, int]:
    """Return the track id of each text; those that are no numbers from 1 are numbered in turn."""
    whole = [text.isascii() and text.isdecimal() and len(text) < 19 for text in places]
    if all(whole) and all(int(text) for text in places):
        numbers = {text: int(text) for text in places}
        if len(set(numbers.values())) == len(numbers):
            return numbers
    first = next(iter(places), "")
    warnings.warn(
        f"{path}: ids that are no whole numbers from 1 (such as {show(first)}) cannot be track "
        f"ids; the tracks are numbered 1 to {len(places)} in the file's order.",
        InputWarning,
        stacklevel=3,
    )
    return {text: place + 1 for text, place in places.items()}
