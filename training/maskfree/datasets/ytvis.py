"""Reading YouTube-VIS and OVIS: one JSON file of all videos; boxes only, masks only, or both.

https://youtube-vos.org/dataset/vis, https://songbai.site/ovis. A frame's box is the one of
``bboxes``; where there is none, that of its segmentation. Both are null where the object is absent.
"""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np
from pycocotools import mask as coco

from maskfree.datasets.gathering import Gathering, OpenVideo, relative_name
from maskfree.datasets.image_list import walk
from maskfree.errors import InputError
from maskfree.formats.segmentation import parse
from maskfree.formats.ytvis_walk import CROWD, box_of, xyxy
from maskfree.json_checks import as_list, as_object, as_whole, show
from maskfree.types import BoxTracks

if TYPE_CHECKING:
    from pathlib import Path

    from maskfree.types import Box

__all__ = ["boxes_and_segments", "gather", "named"]


def gather(path: Path, pictures: Path, *, masks: bool) -> tuple[Gathering, dict[int, str], bool]:
    """Read a file; return what it holds, its categories, and whether it has annotations.

    Parameters
    ----------
    pictures
        The folder that ``file_names`` are relative to.
    masks
        Whether segmentations are kept; else they are looked at where a box is missing alone.

    Raises
    ------
    InputError
        Where the file is not JSON, or no file of that kind. What one video or annotation has at
        fault is skipped.
    """
    reader = _Reader(Gathering(pictures), masks)
    categories, annotated = walk(path, "videos", reader.video, reader.annotation)
    return reader.gathering, categories, annotated


class _Reader:
    def __init__(self, gathering: Gathering, masks: bool) -> None:
        self.gathering, self._masks = gathering, masks

    def video(self, value: object, place: int) -> None:
        what = named("video", value, place)
        with self.gathering.item(what):
            fields = as_object(value, what, "a video", "file_names")
            height, width = (as_whole(fields.get(s), what, s, low=1) for s in ("height", "width"))
            names = as_list(fields.get("file_names"), what, "file_names")
            files = tuple(relative_name(name, what) for name in names)
            length = as_whole(fields.get("length", len(files)), what, "length")
            if not files or length != len(files):
                raise InputError(
                    f"{what}: its length is {length}, but there are {len(files)} file_names. "
                    "Correct the one or the other."
                )
            number = as_whole(fields.get("id"), what, "id")
            name = PurePosixPath(files[0]).parent.name or str(number)
            self.gathering.open(OpenVideo(number, name, height, width, files), what)

    def annotation(self, value: object, place: int) -> None:
        what = named("annotation", value, place)
        with self.gathering.item(what):
            fields = as_object(value, what, "an annotation", "video_id")
            number = as_whole(fields.get("id"), what, "id")
            self.gathering.once(number, what)
            owner = as_whole(fields.get("video_id"), what, "video_id")
            video = self.gathering.video(owner, what, "video")
            category = as_whole(fields.get("category_id"), what, "category_id")
            crowd = bool(as_whole(fields.get(CROWD, 0), what, CROWD, low=0))
            boxes, segments = boxes_and_segments(
                _frames(fields, "bboxes", len(video.files), what),
                _frames(fields, "segmentations", len(video.files), what),
                video,
                masks=self._masks,
                gathering=self.gathering,
                where=what,
            )
            video.add(number, category, boxes, crowd=crowd, segments=segments, where=what)


def named(kind: str, value: object, place: int) -> str:
    """Return what an item of a file is called: by its id where it has one, else by its place."""
    number = value.get("id") if isinstance(value, dict) else None
    return f"{kind} {place} of the list" if number is None else f"{kind} {show(number)}"


def _frames(fields: dict[str, Any], field: str, length: int, where: str) -> list[Any]:
    """Return a list of something for each frame; of nothing where the field is not there."""
    given = fields.get(field)
    if given is None:
        return [None] * length
    items = as_list(given, where, field)
    if len(items) != length:
        raise InputError(
            f"{where}: {field} must have one entry for each of the {length} frames, got "
            f"{len(items)}. Write null where the object is absent."
        )
    return items


def boxes_and_segments(
    boxes: list[Any],
    segmentations: list[Any],
    video: OpenVideo,
    *,
    masks: bool,
    gathering: Gathering,
    where: str,
) -> tuple[np.ndarray, dict[int, str] | None]:
    """Return an instance's boxes, float32 ``(T, 4)`` xyxy, and its masks' run lengths by frame.

    Parameters
    ----------
    boxes, segmentations
        T values each as COCO's: ``xywh`` or null, and a segmentation or null.
    masks
        Whether the run lengths are kept; else None, and a segmentation is parsed for its box alone.
    gathering
        Is told of boxes without a pixel of the frame, which are taken for none; four zeros say as
        much as null.

    Raises
    ------
    InputError
        For a value that is none; ``where`` begins the message.
    """
    size = BoxTracks(len(boxes), video.height, video.width, None, ())
    found = np.full((len(boxes), 4), np.nan, np.float32)
    segments: dict[int, str] = {}
    empty: list[int] = []
    for frame, (given, drawn) in enumerate(zip(boxes, segmentations, strict=True)):
        box = box_of(given, size, where)
        if box is None and given and any(given):
            empty.append(frame)
        if drawn is not None and (masks or box is None):
            counts = parse(drawn, video.height, video.width, where)
            if counts is not None:
                box = _tight(counts, video) if box is None else box
                segments[frame] = counts
        if box is not None:
            found[frame] = box
    if empty and np.isfinite(found).any():
        gathering.note(
            where,
            f"{len(empty)} of its {len(boxes)} boxes hold no pixel of their frame, first "
            f"{show(boxes[empty[0]])} in frame {empty[0]}: they count as none.",
        )
    return found, segments if masks else None


def _tight(counts: str, video: OpenVideo) -> Box:
    encoded = {"size": [video.height, video.width], "counts": counts}
    return xyxy(coco.toBbox(encoded))
