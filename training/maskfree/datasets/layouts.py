"""Where a data set's annotations and pictures lie, in the layouts that are in use.

YouTube-VIS 2019 and 2021 (https://youtube-vos.org/dataset/vis): as downloaded, and as detectron2's
users and those of VisTR arrange them. OVIS: https://songbai.site/ovis. BDD100K:
https://doc.bdd100k.com/download.html. COCO: https://cocodataset.org.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from maskfree.errors import InputError, nearest

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["KINDS", "Layout", "Place", "find_place"]


@dataclasses.dataclass(frozen=True)
class Layout:
    """Paths below the data set's root, ``{split}`` in them; of each the first that is there counts.

    ``annotations``: files, or folders of one file a video; ``pictures``: folders that the names in
    the annotations are relative to.
    """

    annotations: tuple[str, ...]
    pictures: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Place:
    """Where one split lies: its file or folder of annotations, and the folder of its pictures."""

    annotations: Path
    pictures: Path


_YTVIS = Layout(
    (
        "{split}/instances.json",
        "{split}.json",
        "annotations/{split}.json",
        "annotations/instances_{split}.json",
        "annotations/instances_{split}_sub.json",
        "instances_{split}.json",
        "instances_{split}_sub.json",
    ),
    ("{split}/JPEGImages", "{split}"),
)
_OVIS = Layout(
    (
        "annotations_{split}.json",
        "annotations/annotations_{split}.json",
        "annotations/{split}.json",
        "{split}.json",
        "{split}/instances.json",
    ),
    ("{split}/JPEGImages", "{split}", "Images/{split}"),
)
_COCO = Layout(
    (
        "annotations/instances_{split}2017.json",
        "annotations/instances_{split}.json",
        "annotations/{split}.json",
        "{split}.json",
    ),
    ("{split}2017", "{split}", "images/{split}2017", "images/{split}"),
)
_SEGMENTED = Layout(
    (
        "labels/seg_track_20/rles/{split}",
        "labels/seg_track_20/polygons/{split}",
    ),
    ("images/seg_track_20/{split}",),
)
_BOXED = Layout(
    ("labels/box_track_20/{split}", "labels-20/box-track/{split}"),
    ("images/track/{split}", "images/box_track_20/{split}"),
)

_LAYOUTS: dict[str, tuple[Layout, ...]] = {
    "ytvis2019": (_YTVIS,),
    "ytvis2021": (_YTVIS,),
    "ovis": (_OVIS,),
    "bdd100k": (_SEGMENTED, _BOXED),
    "coco": (_COCO,),
}
KINDS = tuple(_LAYOUTS)
"""The data sets whose layouts are known; of BDD100K the masks' tracks come before the boxes'."""


def find_place(kind: str, root: Path, split: str, *, pictures: bool = True) -> Place:
    """Return where a split of a data set lies below ``root``; without ``pictures`` it names root.

    Raises
    ------
    InputError
        For an unknown ``kind``, a ``split`` that is no name, a root that is no folder, and where
        no annotations or no pictures are found: it names the places that were looked at.
    """
    if kind not in _LAYOUTS:
        raise InputError(
            f'There is no kind of data set "{kind}", only {", ".join(KINDS)}.{nearest(kind, KINDS)}'
        )
    if not split or split in (".", "..") or any(mark in split for mark in "/\\\0{}"):
        raise InputError(
            f'The split must be a name such as train or valid, got "{split}". Name the part of the '
            "data set that is meant."
        )
    if not root.is_dir():
        raise InputError(f"There is no folder {root}. Give the folder of the data set {kind}.")
    looked: list[str] = []
    for layout in _LAYOUTS[kind]:
        annotations = _first(root, layout.annotations, split)
        if annotations is None:
            looked += layout.annotations
            continue
        if not pictures:
            return Place(annotations, root)
        folder = _first(root, layout.pictures, split)
        if folder is not None and folder.is_dir():
            return Place(annotations, folder)
        looked += layout.pictures
    places = ", ".join(place.format(split=split) for place in looked)
    raise InputError(
        f"{root} does not hold the split {split} of {kind}: looked for {places}. Check the folder "
        "and the split, or move the files there."
    )


def _first(root: Path, places: tuple[str, ...], split: str) -> Path | None:
    paths = (root / place.format(split=split) for place in places)
    return next((path for path in paths if path.exists()), None)
