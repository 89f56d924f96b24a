"""Reading COCO's instances: one JSON file of all images; each image is a video of one frame.

https://cocodataset.org/#format-data. An annotation's box is its ``bbox``; where it has none, that
of its segmentation.
"""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from maskfree.datasets.gathering import Gathering, OpenVideo, relative_name
from maskfree.datasets.image_list import walk
from maskfree.datasets.ytvis import boxes_and_segments, named
from maskfree.formats.ytvis_walk import CROWD
from maskfree.json_checks import as_object, as_whole

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["gather"]


def gather(path: Path, pictures: Path, *, masks: bool) -> tuple[Gathering, dict[int, str], bool]:
    """Read a file; see :func:`maskfree.datasets.ytvis.gather`."""
    reader = _Reader(Gathering(pictures), masks)
    categories, annotated = walk(path, "images", reader.image, reader.annotation)
    return reader.gathering, categories, annotated


class _Reader:
    def __init__(self, gathering: Gathering, masks: bool) -> None:
        self.gathering, self._masks = gathering, masks

    def image(self, value: object, place: int) -> None:
        what = named("image", value, place)
        with self.gathering.item(what):
            fields = as_object(value, what, "an image", "file_name")
            height, width = (as_whole(fields.get(s), what, s, low=1) for s in ("height", "width"))
            file = relative_name(fields.get("file_name"), what)
            number = as_whole(fields.get("id"), what, "id")
            name = PurePosixPath(file).stem
            self.gathering.open(OpenVideo(number, name, height, width, (file,)), what)

    def annotation(self, value: object, place: int) -> None:
        what = named("annotation", value, place)
        with self.gathering.item(what):
            fields = as_object(value, what, "an annotation", "image_id")
            number = as_whole(fields.get("id"), what, "id")
            self.gathering.once(number, what)
            owner = as_whole(fields.get("image_id"), what, "image_id")
            video = self.gathering.video(owner, what, "image")
            category = as_whole(fields.get("category_id"), what, "category_id")
            crowd = bool(as_whole(fields.get(CROWD, 0), what, CROWD, low=0))
            boxes, segments = boxes_and_segments(
                [fields.get("bbox")],
                [fields.get("segmentation")],
                video,
                masks=self._masks,
                gathering=self.gathering,
                where=what,
            )
            video.add(number, category, boxes, crowd=crowd, segments=segments, where=what)
