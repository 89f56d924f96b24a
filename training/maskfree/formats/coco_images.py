"""The images of a COCO file as the frames of one video."""

from __future__ import annotations

import dataclasses
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np

from maskfree.errors import InputError
from maskfree.formats.limits import check_size
from maskfree.formats.ytvis_walk import stem
from maskfree.json_checks import as_list, as_number, as_object, as_whole, show
from maskfree.types import BoxTracks
from maskfree.video_folder import natural_key

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from maskfree.formats.base import VideoFacts
    from maskfree.json_stream import JsonStream

__all__ = ["Frames", "Image", "frames_of", "take_images"]

_LONGEST_NAME = 4096


@dataclasses.dataclass(frozen=True)
class Image:
    """One image of a file: its own number, its place in the video where the file says it."""

    number: int
    file_name: str
    place: int | None
    video: object


@dataclasses.dataclass(frozen=True)
class Frames:
    """The frames of the video.

    ``video``: size and length, without tracks; ``names``, ``file_names``: see ``Annotations``;
    ``number``: an image's number to its frame; ``known``: int64, ascending, the frames that have
    an image.
    """

    video: BoxTracks
    names: Sequence[str]
    file_names: Sequence[str]
    number: Mapping[int, int]
    known: np.ndarray


class _Size:
    """Height and width that all images share; from the video where the file does not say them."""

    def __init__(self, facts: VideoFacts | None) -> None:
        self.size = None if facts is None else (facts.height, facts.width)

    def add(self, fields: dict[str, Any], where: str) -> None:
        given = fields.get("height"), fields.get("width")
        if given == (None, None) and self.size is not None:
            return
        if None in given:
            raise InputError(
                f"{where}: expected height and width, got {show(given[0])} and {show(given[1])}. "
                "Name the video that the images are of: --video PATH."
            )
        height = as_whole(given[0], where, "height", low=1)
        width = as_whole(given[1], where, "width", low=1)
        check_size(height, width, where)
        self.size = self.size or (height, width)
        if (height, width) != self.size:
            raise InputError(
                f"{where}: the image is {width} x {height} pixels, the video {self.size[1]} x "
                f"{self.size[0]} (width x height). All frames of a video have one size; split the "
                "file, or give the video that it was made for."
            )


def take_images(
    stream: JsonStream, facts: VideoFacts | None, path: Path
) -> tuple[list[Image], tuple[int, int]]:
    """Take the list that comes next; returns the images and their size, height and width.

    Raises
    ------
    InputError
        For an image at fault, none at all, several sizes, or none without ``facts``.
    """
    if stream.peek() != "[":
        as_list(stream.value(), str(path), "images")
    size, images = _Size(facts), list[Image]()
    for n in stream.items():
        where = f"{path}: images[{n}]"
        fields = as_object(stream.value(), where, "an image", "id")
        number = as_whole(fields.get("id"), where, "id")
        name = fields.get("file_name")
        if not isinstance(name, str) or not stem(name) or len(name) > _LONGEST_NAME:
            raise InputError(
                f"{where}: file_name must be the name of the frame's file, got {show(name)}. "
                "Export the file again."
            )
        size.add(fields, where)
        place = fields.get("frame_id", fields.get("frame_index"))
        place = None if place is None else as_whole(place, where, "frame_id", low=0)
        images.append(Image(number, name, place, fields.get("video_id")))
    if not images or size.size is None:
        raise InputError(
            f"{path}: expected at least one image, got none. Export the file again, with the "
            "images of the video."
        )
    return images, size.size


def frames_of(
    images: list[Image],
    size: tuple[int, int],
    videos: object,
    facts: VideoFacts | None,
    path: Path,
) -> Frames:
    """Return the frames that the images are, in order of ``frame_id``, else of their names.

    ``videos``: what the file has under that name, None where it has none; ``facts``: of the video
    itself; then an image is the frame of its name, else of its ``frame_id``, else they must be as
    many as the frames.

    Raises
    ------
    InputError
        For several videos, two images of one number, and images that are no frames of the video.
    """
    fps = _fps(images, videos, path)
    counted = Counter(image.number for image in images)
    if len(counted) < len(images):
        twice = next(number for number, count in counted.items() if count > 1)
        raise InputError(f"{path}: two images have the id {twice}. Give one another id.")
    images = _in_order(images)
    files: Sequence[str] = [image.file_name for image in images]
    if facts is None:
        names: Sequence[str] = [stem(name) for name in files]
        places = list(range(len(images)))
    else:
        names, places = facts.frame_names, _places(images, facts, path)
        fps = fps if facts.fps is None else facts.fps
        files = [files[n] for n in np.argsort(places)] if len(files) == len(names) else ()
    number = {image.number: place for image, place in zip(images, places, strict=True)}
    video = BoxTracks(len(names), *size, fps, ())
    return Frames(video, names, files, number, np.array(sorted(places), np.int64))


def _fps(images: list[Image], videos: object, path: Path) -> float | None:
    """Check that the file has one video, and return its fps where it says them."""
    listed = [] if videos is None else as_list(videos, str(path), "videos")
    of = {show(image.video) for image in images}
    count = max(len(listed), len(of))
    if count > 1:
        raise InputError(
            f"{path}: expected one video, got {count}. Split the file; each video has its own "
            "session."
        )
    if not listed:
        return None
    fps = as_number(as_object(listed[0], f"{path}: videos[0]", "a video", "id").get("fps"))
    return fps if fps and fps > 0 else None


def _in_order(images: list[Image]) -> list[Image]:
    places = {image.place for image in images}
    if None not in places and len(places) == len(images):
        return sorted(images, key=lambda image: image.place or 0)
    return sorted(images, key=lambda image: natural_key(stem(image.file_name)))


def _places(images: list[Image], facts: VideoFacts, path: Path) -> list[int]:
    """Return the frame of each image in the video, by name, else by number, else in order."""
    by_name = {name: frame for frame, name in enumerate(facts.frame_names)}
    count = facts.num_frames
    for places in (
        [by_name.get(stem(image.file_name)) for image in images],
        [image.place for image in images],
    ):
        found = [place for place in places if place is not None and place < count]
        if len(set(found)) == len(images):
            return found
    if len(images) == count:
        return list(range(count))
    raise InputError(
        f"{path}: its {len(images)} images are no frames of the video, neither by their names nor "
        f"by frame_id: expected {count}, from {facts.frame_names[0]} to {facts.frame_names[-1]}. "
        "Give the video that the file was made for."
    )
