"""A data set while its annotations are read: its videos, and what of it is skipped.

One item at fault (a video, an annotation, a picture that is missing) is left out and kept with the
reason; it never ends the reading.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import warnings
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import numpy as np

from maskfree.config import FormatConfig
from maskfree.datasets.types import DataInstance, DataVideo, Skipped, VideoDataset
from maskfree.errors import InputError, InputWarning
from maskfree.formats.limits import check_size
from maskfree.json_checks import show

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

__all__ = ["Gathering", "OpenVideo", "PictureFolder", "relative_name"]


@dataclasses.dataclass(frozen=True, slots=True)
class _Found:
    """An instance whose category, as the file numbers it, may not be known yet."""

    id: int
    category: int
    boxes: np.ndarray
    crowd: bool
    segments: dict[int, str] | None


@dataclasses.dataclass(slots=True)
class OpenVideo:
    """A video whose instances are still coming; fields as those of `DataVideo`."""

    id: int
    name: str
    height: int
    width: int
    files: tuple[str, ...]
    found: list[_Found] = dataclasses.field(default_factory=list)

    def add(
        self,
        number: int,
        category: int,
        boxes: np.ndarray,
        *,
        crowd: bool,
        segments: dict[int, str] | None,
        where: str,
    ) -> None:
        """Add an instance; ``category``: its id in the file; ``boxes``: ``(T, 4)``.

        Raises
        ------
        InputError
            Where it is absent from every frame; ``where`` begins the message.
        """
        if not np.isfinite(boxes).any():
            raise InputError(f"{where}: it has no box in any frame. Draw one, or remove it.")
        self.found.append(_Found(number, category, boxes, crowd, segments))


class PictureFolder:
    """Which pictures there are below a folder; the names of one folder at a time are kept."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._folder: str | None = None
        self._names: frozenset[str] = frozenset()

    def missing(self, files: tuple[str, ...]) -> list[str]:
        """Return those of ``files``, relative to the folder, that are not there."""
        return [file for file in files if not self._holds(file)]

    def _holds(self, file: str) -> bool:
        folder, _, name = file.rpartition("/")
        if folder != self._folder:
            self._folder = folder
            try:
                self._names = frozenset(os.listdir(self._root / folder))
            except OSError:
                self._names = frozenset()
        return name in self._names


class Gathering:
    """Takes what the annotations say; `dataset` makes a data set of it.

    Parameters
    ----------
    root
        The folder of the pictures.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.videos: dict[int, OpenVideo] = {}
        self.skipped: list[Skipped] = []
        self._names: set[str] = set()
        self._numbers: set[int] = set()
        self._places = 0

    @contextlib.contextmanager
    def item(self, what: str) -> Iterator[None]:
        """Skip the item ``what`` where an InputError is raised inside; its message is the reason.

        ``what`` begins the messages of what is checked inside.
        """
        try:
            yield
        except InputError as error:
            self.note(what, str(error).removeprefix(f"{what}: "))

    def note(self, what: str, why: str) -> None:
        """Keep that ``what`` is not used, or a part of it, and ``why``."""
        self.skipped.append(Skipped(what, why))

    def open(self, video: OpenVideo, where: str) -> None:
        """Add a video without instances; its name is made unique.

        Raises
        ------
        InputError
            Where its size is out of bounds, or another has its id.
        """
        check_size(video.height, video.width, where)
        if video.id in self.videos:
            raise InputError(f"{where}: its id comes twice. Number them anew.")
        if video.name in self._names:
            video.name = f"{video.name} ({video.id})"
        self._names.add(video.name)
        self.videos[video.id] = video

    def once(self, number: int, where: str) -> None:
        """Check that an annotation's id comes for the first time.

        Raises
        ------
        InputError
            Where another annotation has it.
        """
        if number in self._numbers:
            raise InputError(f"{where}: its id comes twice. Number them anew.")
        self._numbers.add(number)

    def room(self, places: int, where: str) -> None:
        """Check that there is room for so many more boxes, those of absent frames included.

        Raises
        ------
        InputError
            Where all together are more than ``FormatConfig.most_boxes``: a small file may ask for
            many, since it lists only those that are there.
        """
        most = FormatConfig().most_boxes
        if self._places + places > most:
            raise InputError(
                f"{where}: its frames times its instances are {places}, {most - self._places} are "
                f"left of the {most} of a data set. Split the video."
            )
        self._places += places

    def video(self, number: int, where: str, field: str) -> OpenVideo:
        """Return the video with that id.

        Raises
        ------
        InputError
            Where there is none.
        """
        if number not in self.videos:
            raise InputError(f"{where}: there is no {field} {number}, or it was skipped.")
        return self.videos[number]

    def dataset(
        self,
        name: str,
        categories: Mapping[int, str],
        *,
        without_boxes: bool,
        pictures: bool,
        source: str,
    ) -> VideoDataset:
        """Return what was gathered; ``categories``: the classes' names by their published ids.

        Parameters
        ----------
        without_boxes
            Whether videos without any box are kept.
        pictures
            Whether a video without its pictures is skipped.
        source
            The annotations' path, for messages.

        Raises
        ------
        InputError
            Where no video is left.
        """
        ids = tuple(sorted(categories))
        places = {number: place for place, number in enumerate(ids)}
        folder = PictureFolder(self.root) if pictures else None
        videos = []
        for number in list(self.videos):  # one at a time is held twice
            video = self.videos.pop(number)
            with self.item(f"video {video.name}"):
                videos.append(self._whole(video, places, folder, without_boxes))
        if not videos:
            first = f": {_told(self.skipped[0])}" if self.skipped else "."
            raise InputError(
                f"{source} and {self.root} hold no video that can be used{first} "
                "Check that they belong together."
            )
        if self.skipped:
            warnings.warn(
                f"{source}: skipped {len(self.skipped)} "
                f"{'item' if len(self.skipped) == 1 else 'items'}, first {_told(self.skipped[0])}",
                InputWarning,
                stacklevel=4,
            )
        classes = tuple(categories[number] for number in ids)
        return VideoDataset(name, self.root, classes, ids, videos, tuple(self.skipped))

    def _whole(
        self,
        video: OpenVideo,
        places: Mapping[int, int],
        pictures: PictureFolder | None,
        without_boxes: bool,
    ) -> DataVideo:
        where = f"video {video.name}"
        missing = pictures.missing(video.files) if pictures is not None else []
        if missing:
            raise InputError(
                f"{where}: {len(missing)} of its {len(video.files)} pictures are missing, first "
                f"{missing[0]}. Copy them there."
            )
        instances = []
        for found in video.found:
            with self.item(f"annotation {found.id} of {where}"):
                if found.category not in places:
                    raise InputError(f"there is no category {found.category}. Add it.")
                place = places[found.category]
                instances.append(
                    DataInstance(found.id, place, found.boxes, found.crowd, found.segments)
                )
        if not without_boxes and all(each.crowd for each in instances):
            raise InputError(f"{where}: it has no box of an object. Annotate it, or leave it.")
        return DataVideo(
            video.id, video.name, video.height, video.width, video.files, tuple(instances)
        )


def _told(skipped: Skipped) -> str:
    return f"{skipped.what}: {skipped.why}"


def relative_name(value: object, where: str) -> str:
    """Return the name of a picture, relative to the pictures' folder, with forward slashes.

    Raises
    ------
    InputError
        Where it is none, or leads out of that folder; ``where`` begins the message.
    """
    path = PurePosixPath(value.replace("\\", "/")) if isinstance(value, str) else PurePosixPath()
    drive = path.parts[:1] and ":" in path.parts[0]
    if not path.parts or path.is_absolute() or drive or ".." in path.parts or "\0" in str(path):
        raise InputError(
            f"{where}: the name of a picture must be a path below the folder of the pictures, got "
            f"{show(value)}. Correct it."
        )
    return str(path)
