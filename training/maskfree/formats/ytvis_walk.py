"""Walking over a YouTube-VIS file in a stream: what it says of its video and of each instance.

The values of the frames are handed on one by one, and what is made of them is the caller's: the
lists of a long video are never a whole.
"""

from __future__ import annotations

import dataclasses
import io
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, BinaryIO, Generic, Protocol, TypeVar, cast

from maskfree.errors import InputError
from maskfree.formats.limits import check_size
from maskfree.json_checks import as_list, as_number, as_object, as_whole, show
from maskfree.json_stream import JsonStream
from maskfree.storage import open_bytes, reading
from maskfree.types import BoxTracks

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from maskfree.types import Box

__all__ = [
    "CROWD",
    "KIND",
    "LEVELS",
    "Instance",
    "Taker",
    "Walked",
    "box_of",
    "stem",
    "walk",
    "xyxy",
]

CROWD = "iscrowd"
"""COCO's mark of an annotation that covers a group; kept in the track's extras."""

LEVELS = "occlusion"
"""OVIS' list of how much of the instance is hidden in each frame."""

KIND = "YouTube-VIS file"
"""In messages."""
_SUFFIXES = frozenset(
    (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".gif", ".ppm", ".pgm")
)


class Taker(Protocol):
    """Takes what comes next in the stream, one frame's value; ``where`` begins every message."""

    def mask(self, stream: JsonStream, frame: int, where: str) -> None:
        """Take a segmentation."""

    def box(self, stream: JsonStream, frame: int, where: str) -> None:
        """Take an ``xywh`` box."""

    def level(self, stream: JsonStream, frame: int, where: str) -> None:
        """Take how much is hidden (OVIS)."""

    def every_level(self, stream: JsonStream) -> None:
        """Take how much is hidden in all frames."""


T = TypeVar("T", bound=Taker)


@dataclasses.dataclass(frozen=True)
class Instance(Generic[T]):
    """One annotation of a file: its own number, label and mark, and who took its values."""

    number: int
    label: str
    crowd: int
    taken: T


@dataclasses.dataclass(frozen=True)
class Walked(Generic[T]):
    """What a file holds: the video, without tracks, the frames' ``file_names``, the instances."""

    video: BoxTracks
    file_names: list[str]
    instances: list[Instance[T]]


def walk(path: Path, taker: Callable[[BoxTracks], T], *, levels: bool = False) -> Walked[T]:
    """Walk over the file of one video; ``taker`` is asked for somebody to take each annotation.

    ``levels``: whether OVIS' ``occlusion`` is taken too.

    Raises
    ------
    InputError
        For a file that is not JSON or no YouTube-VIS file, holds several videos, or whose lists or
        categories do not fit each other.
    """
    name = f"{KIND} {path}"
    with open_bytes(path, KIND) as opened, reading(name):
        file = opened if opened.seekable() else io.BytesIO(opened.read())
        return _Walk(path, file, name, taker, levels).walked()


class _Walk(Generic[T]):
    """The fields of an object may come in any order: where the annotations come too early, they
    are passed over and taken in a second turn.
    """

    def __init__(
        self,
        path: Path,
        file: BinaryIO,
        name: str,
        taker: Callable[[BoxTracks], T],
        levels: bool,
    ) -> None:
        self._path, self._file, self._name, self._taker = path, file, name, taker
        self._levels = levels
        self._head: dict[str, Any] = {}

    def walked(self) -> Walked[T]:
        found = self._turn()
        if found is None:
            self._head = {"videos": None, "categories": None, **self._head}
            found = self._turn()
        if found is None:
            _video(self._head, self._path)
            as_list(None, str(self._path), "annotations")
        return cast("Walked[T]", found)

    def _turn(self) -> Walked[T] | None:
        stream, found = JsonStream(self._file, self._name), None
        if stream.peek() != "{":
            as_object(stream.value(), str(self._path), f"a {KIND}", "videos")
        for field in stream.fields():
            if field in ("videos", "categories"):
                self._head[field] = stream.value()
            elif field == "annotations" and len(self._head) == 2:
                found = self._annotations(stream)
        stream.end()
        return found

    def _annotations(self, stream: JsonStream) -> Walked[T]:
        video, names = _video(self._head, self._path)
        labels = _categories(self._head, self._path)
        if stream.peek() != "[":
            as_list(stream.value(), str(self._path), "annotations")
        instances = []
        for n in stream.items():
            where, taker = f"{self._path}: annotations[{n}]", self._taker(video)
            instances.append(self._instance(stream, where, video, labels, taker))
        return Walked(video, names, instances)

    def _instance(
        self, stream: JsonStream, where: str, video: BoxTracks, labels: dict[int, str], taker: T
    ) -> Instance[T]:
        if stream.peek() != "{":
            as_object(stream.value(), where, "an annotation", "id")
        fields: dict[str, Any] = {}
        for field in stream.fields():
            if field == "id":
                fields[field] = as_whole(stream.value(), where, field)
                where = f"{self._path}: annotation {fields[field]}"
            elif field in ("category_id", CROWD):
                fields[field] = stream.value()
            elif field == "segmentations":
                _frames(stream, field, video.num_frames, where, taker.mask)
            elif field == "bboxes":
                _frames(stream, field, video.num_frames, where, taker.box)
            elif field == LEVELS and self._levels and stream.peek() == '"':
                taker.every_level(stream)
            elif field == LEVELS and self._levels:
                _frames(stream, field, video.num_frames, where, taker.level)
        number = as_whole(fields.get("id"), where, "id")
        category = as_whole(fields.get("category_id"), where, "category_id")
        if category not in labels:
            raise InputError(
                f"{where}: there is no category {category}, only {show(sorted(labels))}. Add it to "
                '"categories".'
            )
        return Instance(
            number, labels[category], as_whole(fields.get(CROWD, 0), where, CROWD, low=0), taker
        )


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
    check_size(height, width, where)
    names = as_list(video.get("file_names"), where, "file_names")
    if not names or not all(isinstance(name, str) and stem(name) for name in names):
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


def stem(file_name: str) -> str:
    """Return the name of a frame whose file is called so."""
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


def _frames(
    stream: JsonStream,
    name: str,
    length: int,
    where: str,
    take: Callable[[JsonStream, int, str], None],
) -> None:
    if stream.peek() != "[":
        value = stream.value()
        if value is not None:
            as_list(value, where, name)
        return
    count = 0
    for frame in stream.items():
        count += 1
        if frame < length:
            take(stream, frame, f"{where}, frame {frame}")
    if count != length:
        raise InputError(
            f"{where}: {name} must have one entry for each of the {length} frames, got {count}. "
            "Write null where the object is absent."
        )


def box_of(value: object, video: BoxTracks, where: str) -> Box | None:
    """Return an ``xywh`` box of the file as ``xyxy`` within the frame, None where it is empty.

    Raises
    ------
    InputError
        Where it is no box; ``where`` begins the message.
    """
    if value is None or value == []:
        return None
    items = value if isinstance(value, list) else []
    numbers = [number for item in items if (number := as_number(item)) is not None]
    if len(items) != 4 or len(numbers) != 4:
        raise InputError(
            f"{where}: a bbox must be four finite numbers [x, y, width, height] or null, got "
            f"{show(value)}. Correct it."
        )
    x0, y0, x1, y1 = xyxy(numbers)
    box = (max(x0, 0.0), max(y0, 0.0), min(x1, float(video.width)), min(y1, float(video.height)))
    return box if box[0] < box[2] and box[1] < box[3] else None


def xyxy(xywh: Sequence[float]) -> Box:
    """Return ``[x, y, width, height]`` as ``xyxy``."""
    x, y, width, height = (float(value) for value in xywh)
    return x, y, x + width, y + height
