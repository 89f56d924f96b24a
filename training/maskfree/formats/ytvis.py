"""YouTube-VIS: one JSON file, for each instance a list of RLE masks and boxes over the frames.

Written: one video, its ``file_names`` after the source's frames; one annotation a track whose id is
the track's. In a frame that has masks, ``segmentations``, ``bboxes`` and ``areas`` are the mask's
own, and null where the instance has no pixel; in a frame that was never predicted the segmentation
is null and the bbox is the track's box. So a file can hold boxes only.

What is read is in `ytvis_reader.py`, what is read back in `ytvis_reopen.py`.
"""

from __future__ import annotations

import itertools
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from maskfree import rle
from maskfree.config import FormatConfig
from maskfree.errors import InputError
from maskfree.formats.base import (
    DEFAULT_LABEL,
    Annotations,
    Compared,
    Format,
    boxes_in,
    loss_of_unpredicted,
    present,
    survey,
    tight_box,
)
from maskfree.formats.compare import compare_boxes, compare_frame, compare_labels
from maskfree.formats.json_text import compact, file_names, utf8, xywh
from maskfree.formats.spool import Spool
from maskfree.formats.ytvis_reader import read
from maskfree.formats.ytvis_reopen import reopen
from maskfree.formats.ytvis_walk import CROWD, LEVELS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from maskfree.types import BoxTracks

__all__ = ["FORMAT", "read", "write", "write_file"]

_LISTS = ("segmentations", "bboxes", "areas")


def write(annotations: Annotations, path: Path) -> None:
    """Write the annotations to the file ``path``, a frame in memory at a time.

    The lists of the tracks grow side by side beside ``path``, in a file that goes again.

    Raises
    ------
    InputError
        When there is neither a box nor a mask, or a name or label is no text.
    """
    write_file(annotations, path, levels=None)


def write_file(
    annotations: Annotations, path: Path, *, levels: Callable[[int, int], str] | None
) -> None:
    """Write the file; ``levels``: from track id and frame to its entry in ``occlusion`` (OVIS).

    Raises
    ------
    InputError
        As :func:`write`.
    """
    with Spool(path.parent, most_bytes=FormatConfig().spool_bytes) as spool:
        tracks = _collect(annotations, spool, levels)
        if not any(track.has_box for track in tracks.values()):
            raise InputError(
                "There is neither a box nor a mask to export. Draw a box, or run `maskfree "
                "predict`."
            )
        categories = {label: n for n, label in enumerate(_labels(tracks.values()), start=1)}
        with path.open("wb") as out:
            for text in _head(annotations, categories):
                out.write(utf8(text))
            for number, (_, track) in enumerate(sorted(tracks.items())):
                out.write(b"," if number else b"")
                track.copy(out, categories[track.label], annotations.boxes)
            out.write(b"]}")


def _head(annotations: Annotations, categories: dict[str, int]) -> Iterator[str]:
    """Yield the text of the file up to its annotations."""
    info = {"description": "written by napari-maskfree"}
    yield f'{{"info":{compact(info)},"videos":[{{"id":1,"file_names":['
    for number, name in enumerate(file_names(annotations)):
        yield f"{',' if number else ''}{compact(name)}"
    video = annotations.boxes
    sizes = {
        "width": video.width,
        "height": video.height,
        "length": len(annotations.frame_names),
        "fps": video.fps,
    }
    kinds = [
        {"id": n, "name": label, "supercategory": DEFAULT_LABEL} for label, n in categories.items()
    ]
    yield f'],{compact(sizes)[1:-1]}}}],"categories":{compact(kinds)},"annotations":['


class _Lists:
    """One annotation while it is written: lists of a value a frame, null where absent."""

    def __init__(
        self, track_id: int, label: str, crowd: int, spool: Spool, names: tuple[str, ...]
    ) -> None:
        self.label, self.has_box = label, False
        self._id, self._crowd, self._spool = track_id, crowd, spool
        self._lengths = dict.fromkeys(names, 0)

    def put(self, frame: int, name: str, value: Any) -> None:
        self.fill(frame, name)
        self._append(name, compact(value))
        self._lengths[name] += 1
        self.has_box = self.has_box or name == "bboxes"

    def fill_all(self, length: int) -> None:
        for name in self._lengths:
            self.fill(length, name)

    def fill(self, length: int, name: str) -> None:
        """Append null until there are ``length`` values."""
        absent = length - self._lengths[name]
        if absent:
            self._append(name, ",".join(["null"] * absent))
            self._lengths[name] = length

    def copy(self, out: IO[bytes], category: int, video: BoxTracks) -> None:
        head = {"id": self._id, "video_id": 1, "category_id": category, CROWD: self._crowd}
        head |= {"height": video.height, "width": video.width}  # so in the data set's own files
        out.write(compact(head)[:-1].encode())
        for name in self._lengths:
            out.write(f',"{name}":['.encode())
            self._spool.copy((self._id, name), out)
            out.write(b"]")
        out.write(b"}")

    def _append(self, name: str, text: str) -> None:
        comma = "," if self._lengths[name] else ""
        self._spool.append((self._id, name), f"{comma}{text}".encode())


def _collect(
    annotations: Annotations, spool: Spool, levels: Callable[[int, int], str] | None
) -> dict[int, _Lists]:
    names = _LISTS if levels is None else (*_LISTS, LEVELS)

    def lists(track_id: int, label: str, crowd: int) -> _Lists:
        return _Lists(track_id, label, crowd, spool, names)

    tracks = {
        track.id: lists(track.id, track.label, int(track.extra.get(CROWD, 0)))
        for track in annotations.boxes.tracks
    }
    for frame in range(len(annotations.frame_names)):
        masks = annotations.read_masks(frame)
        if masks is None:
            here = boxes_in(annotations, frame)
            for track_id, box in here.items():
                tracks[track_id].put(frame, "bboxes", xywh(box))
        else:
            size = list(masks.masks.shape[1:])
            here = {i: tight_box(mask) for i, mask in present(masks).items()}
            for track_id, mask in present(masks).items():
                track = tracks.setdefault(track_id, lists(track_id, DEFAULT_LABEL, 0))
                counts = rle.encode(mask[None])[0]
                track.put(frame, "segmentations", {"size": size, "counts": counts})
                track.put(frame, "bboxes", xywh(here[track_id]))
                track.put(frame, "areas", int(np.count_nonzero(mask)))
        if levels is not None:
            for track_id in here:
                tracks[track_id].put(frame, LEVELS, levels(track_id, frame))
    for track in tracks.values():
        track.fill_all(len(annotations.frame_names))
    return tracks


def _labels(tracks: Iterable[_Lists]) -> list[str]:
    return list(dict.fromkeys(track.label for track in tracks)) or [DEFAULT_LABEL]


def losses(annotations: Annotations) -> list[str]:
    """Name what a YouTube-VIS file does not keep."""
    found = survey(annotations)
    boxes = annotations.boxes
    named = loss_of_unpredicted(annotations, found, "get boxes only")
    if not found.masked:
        named.append("no frame has masks: the file holds boxes only")
    elif found.empty:
        named.append("no mask has a pixel: the file holds boxes only, and no frame known as empty")
    if found.masked and boxes.tracks:
        named.append("in predicted frames the boxes drawn give way to the masks' own boxes")
    all_keyframes = (keyframe for track in boxes.tracks for keyframe in track.keyframes)
    if any(len(track.keyframes) < len(annotations.frame_names) for track in boxes.tracks):
        named.append("every frame gets a box: which of them were drawn is not kept")
    if any(keyframe.occluded for keyframe in all_keyframes):
        named.append("'occluded' is not kept")
    if any(track.parent is not None for track in boxes.tracks):
        named.append("parents (divisions) are not kept")
    if boxes.ignore:
        named.append("'ignore' regions are not kept")
    if found.scored:
        named.append("scores are not kept")
    return named


def compare(annotations: Annotations, back: Annotations) -> Compared:
    """Compare names, labels, masks and boxes."""
    pairs = itertools.zip_longest(back.file_names, file_names(annotations))
    if any(got != wanted for got, wanted in pairs):
        return Compared("the frames' names differ")
    if difference := compare_labels(annotations, back):
        return Compared(difference)
    masked = boxed = 0
    for frame, name in enumerate(annotations.frame_names):
        masks, found = annotations.read_masks(frame), back.read_masks(frame)
        # Where no mask of the file has a pixel, it does not tell which frames are known as empty.
        expected = None if masks is None or not present(masks) else masks
        boxes = boxes_in(back, frame)
        difference = compare_frame(expected, found) or compare_boxes(
            annotations, frame, masks, boxes
        )
        if difference:
            return Compared(f"frame {name}: {difference}")
        masked += found is not None
        boxed += bool(boxes)
    return Compared("", masked or boxed, len(back.boxes.tracks))


FORMAT = Format(
    name="ytvis",
    title="YouTube-VIS: one JSON file",
    write=write,
    read=read,
    losses=losses,
    compare=compare,
    reopen=reopen,
    needs_masks=False,
)
