"""The classes of one data set as those of another, by their names (joint training)."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from maskfree.datasets.types import DataVideo, Skipped, VideoDataset
from maskfree.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["class_map", "with_classes"]

_ALSO = {
    "bicycle": ("motorbike",),
    "bus": ("vehical",),
    "car": ("sedan", "vehical"),
    "frisbee": ("flying disc",),
    "motorcycle": ("motorbike",),
    "skis": ("snowboard",),
    "truck": ("vehical",),
}
"""What COCO's classes without a namesake become: the released code's tables for YouTube-VIS, and
those in use for OVIS (SeqFormer, VITA), which spells vehicle so."""


def class_map(classes: Sequence[str], target: Sequence[str]) -> dict[int, int]:
    """Return which of ``target`` each of ``classes`` is, by place, where it is one.

    Names are compared without regard to case, ``_`` and ``-``; where there is no namesake, COCO's
    classes become what joint training makes of them.
    """
    places = {_plain(name): place for place, name in enumerate(target)}
    found = {}
    for place, name in enumerate(classes):
        plain = _plain(name)
        at = next((places[n] for n in (plain, *_ALSO.get(plain, ())) if n in places), None)
        if at is not None:
            found[place] = at
    return found


def with_classes(dataset: VideoDataset, target: VideoDataset) -> VideoDataset:
    """Return a data set with the classes of another; instances of other classes are left out.

    Videos that are left without an object are skipped.

    Raises
    ------
    InputError
        Where no video is left.
    """
    mapped = class_map(dataset.classes, target.classes)
    videos: list[DataVideo] = []
    skipped = list(dataset.skipped)
    for video in dataset.videos:
        instances = tuple(
            dataclasses.replace(each, class_index=mapped[each.class_index])
            for each in video.instances
            if each.class_index in mapped
        )
        if all(each.crowd for each in instances):
            skipped.append(
                Skipped(f"video {video.name}", f"it has no object of a class of {target.name}")
            )
        else:
            videos.append(dataclasses.replace(video, instances=instances))
    if not videos:
        raise InputError(
            f"{dataset.name} has no object of a class of {target.name}. Train on one of the two."
        )
    return VideoDataset(
        dataset.name, dataset.root, target.classes, target.class_ids, videos, tuple(skipped)
    )


def _plain(name: str) -> str:
    return name.replace("_", " ").replace("-", " ").casefold()
