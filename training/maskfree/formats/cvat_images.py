"""Reading CVAT for images, where each picture of a video lists its shapes.

CVAT itself writes tasks of pictures so, and datumaro every data set. A shape's track is what its
attribute ``track_id`` says; without one it is a track of its own frame.
"""

from __future__ import annotations

import re
import warnings
from typing import TYPE_CHECKING

from maskfree.config import FormatConfig
from maskfree.errors import InputError, InputWarning
from maskfree.formats.coco_images import Image, frames_of
from maskfree.formats.cvat_shapes import BOX, SHAPES, UNREAD, box_of, flag, mask_of
from maskfree.formats.cvat_walk import IMAGE, KIND, TRACK, walk, whole
from maskfree.formats.limits import check_size
from maskfree.formats.shape_list import Shape, ShapeList
from maskfree.formats.ytvis_walk import stem
from maskfree.json_checks import show

if TYPE_CHECKING:
    from pathlib import Path
    from xml.etree.ElementTree import Element

    from maskfree.formats.base import Annotations, VideoFacts
    from maskfree.formats.coco_images import Frames

__all__ = ["BOTH", "TURNED", "read_images"]

BOTH = "The {} has both images and tracks. Export it as CVAT for video 1.1."
TURNED = "each turned box is read as the smallest upright one around it ({})."
_TRACK_ID = "track_id"
"""The attribute of a shape that says which track it is of."""
_NUMBER = re.compile(r"\s*[0-9]{1,18}\s*", re.ASCII)


def read_images(path: Path, video: VideoFacts | None) -> Annotations:
    """Read a file of CVAT for images: its pictures first, then their shapes.

    Raises
    ------
    InputError
        As :func:`maskfree.formats.cvat_walk.walk`, for shapes at fault, pictures of several sizes,
        and those that are not the frames of ``video``.
    """
    where = f"{KIND} {path}"
    return _Images(path, where, _frames(path, where, video)).whole()


def _frames(path: Path, where: str, video: VideoFacts | None) -> Frames:
    """Return the frames that the pictures are."""
    images: list[Image] = []
    size = None if video is None else (video.height, video.width)
    most = FormatConfig().most_frames
    for name, element in walk(path):
        if name == TRACK:
            raise InputError(BOTH.format(where))
        if name != IMAGE:
            continue
        here = f"{where}: image {show(element.get('id'))}"
        number, width, height = (
            whole(element.get(field, ""), here, field) for field in ("id", "width", "height")
        )
        file_name = element.get("name", "")
        if number < 0 or not stem(file_name) or len(images) >= most:
            raise InputError(
                f"{here}: expected an id of at least 0, the name of the frame's file, and at most "
                f"{most} images, got name {show(file_name)} of image {len(images) + 1}. Export the "
                "file again."
            )
        check_size(height, width, here)
        size = size or (height, width)
        if (height, width) != size:
            raise InputError(
                f"{here} is {width} x {height} pixels, the video {size[1]} x {size[0]} (width x "
                "height). All frames of a video have one size; split the file, or give the video "
                "that it was made for."
            )
        images.append(Image(number, file_name, number, None))
    assert size is not None
    return frames_of(images, size, None, video, path)


class _Images:
    """Takes the shapes of the pictures as they come."""

    def __init__(self, path: Path, where: str, frames: Frames) -> None:
        self._path, self._where = path, where
        self._shapes, self._numbers = ShapeList(path, frames), frames.number
        self._categories: dict[str, int] = {}
        self._unread: set[str] = set()
        self._turned = self._nameless = 0

    def whole(self) -> Annotations:
        """Read the file and return what it holds."""
        image = frame = 0
        for name, element in walk(self._path):
            if name == IMAGE:
                image = whole(element.get("id", ""), self._where, "id")
                if image not in self._numbers:
                    raise InputError(f"The {self._where} changed while it was read. Try again.")
                frame = self._numbers[image]
            elif name in UNREAD:
                self._unread.add(name)
            elif name == BOX or name in SHAPES:
                self._take(name, element, frame, f"{self._where}: image {image}")
        self._shapes.labels = {number: label for label, number in self._categories.items()}
        self._warn()
        return self._shapes.whole()

    def _take(self, name: str, element: Element, frame: int, where: str) -> None:
        label = element.get("label")
        if label is None:
            raise InputError(f"{where}: a {name} has no label. Export the file again.")
        category = self._categories.setdefault(label, len(self._categories))
        occluded = flag(element, "occluded", where)
        video = self._shapes.video
        box, counts = None, None
        if name == BOX:
            box, turned = box_of(element, video, where)
            self._turned += turned
        else:
            counts = mask_of(element, video, where)
        number = _track_of(element)
        self._nameless += number is None
        place = self._shapes.place(number, category)
        self._shapes.add(frame, place, Shape(box, counts, occluded))

    def _warn(self) -> None:
        told = []
        if self._unread:
            names = ", ".join(sorted(self._unread))
            told.append(f"only boxes, masks and polygons are read, not {names}.")
        if self._turned:
            told.append(TURNED.format(self._turned))
        if self._nameless:
            told.append(
                f"each shape without an attribute {_TRACK_ID} is a track of its own "
                f"({self._nameless}). CVAT for video 1.1 keeps the tracks."
            )
        for text in told:
            warnings.warn(f"{self._where}: {text}", InputWarning, stacklevel=5)


def _track_of(element: Element) -> int | None:
    """Return the track that a shape says it is of, None where it says none."""
    for each in element.iterfind("attribute"):
        if each.get("name") == _TRACK_ID and _NUMBER.fullmatch(each.text or ""):
            return int(each.text or "")
    return None
