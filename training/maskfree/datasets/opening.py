"""Opening a data set of many videos in its published layout."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from maskfree.datasets import bdd100k, coco, ytvis
from maskfree.datasets.layouts import find_place
from maskfree.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

    from maskfree.datasets.types import VideoDataset

__all__ = ["open_dataset"]

Pictures = Literal["needed", "later", "unused"]
_GATHER = {
    "ytvis2019": ytvis.gather,
    "ytvis2021": ytvis.gather,
    "ovis": ytvis.gather,
    "bdd100k": bdd100k.gather,
    "coco": coco.gather,
}


def open_dataset(
    kind: str,
    root: Path,
    split: str,
    *,
    masks: bool = False,
    without_boxes: bool = False,
    pictures: Pictures = "needed",
) -> VideoDataset:
    """Read the annotations of one split of a data set; its pictures are looked for, not read.

    Parameters
    ----------
    kind
        One of :data:`maskfree.datasets.layouts.KINDS`.
    root
        The data set's folder; see :mod:`maskfree.datasets.layouts`.
    split
        ``train``, ``valid``, …, as its files are named.
    masks
        Whether true masks are kept, as run lengths. Without them a file of boxes only is the same
        as one with masks, and memory grows with the boxes alone.
    without_boxes
        Whether videos without a box are kept too, and files without annotations read: to predict
        on, and to score on.
    pictures
        "needed": videos without theirs are skipped; "later": they are kept, and whoever reads them
        finds out; "unused": pictures are not looked for, as where results are scored. BDD100K's
        sizes are those of its pictures: it needs them.

    Warns
    -----
    InputWarning
        Where something is skipped: how much, and the first with its reason;
        ``VideoDataset.skipped`` has all.

    Raises
    ------
    InputError
        Where the files are not found, are not JSON or none of that kind, or no video is left.
    """
    place = find_place(kind, root, split, pictures=pictures != "unused")
    gathering, categories, annotated = _GATHER[kind](place.annotations, place.pictures, masks=masks)
    if not annotated and not without_boxes and gathering.videos:
        raise InputError(
            f"{place.annotations} has no annotations: one can predict on it, not train. Give a "
            "split with annotations."
        )
    return gathering.dataset(
        f"{kind} {split}",
        categories,
        without_boxes=without_boxes,
        pictures=pictures == "needed",
        source=str(place.annotations),
    )
