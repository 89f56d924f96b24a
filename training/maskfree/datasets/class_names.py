"""The classes of one data set as those of another, by their names (joint training)."""

from __future__ import annotations

import collections
import dataclasses
from typing import TYPE_CHECKING

from maskfree.datasets.types import DataVideo, Skipped, VideoDataset
from maskfree.errors import InputError
from maskfree.formats.base import list_names
from maskfree.model.class_names import plain_name, same_classes

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["class_map", "with_classes"]

_ALSO = {
    "bicycle": ("motorcycle",),
    "bus": ("vehicle",),
    "car": ("sedan", "vehicle"),
    "skis": ("snowboard",),
    "truck": ("vehicle",),
}
"""What COCO's classes without a namesake become: the released code's tables for YouTube-VIS, and
those in use for OVIS (SeqFormer, VITA), by `plain_name`: a motorbike is a motorcycle."""


def class_map(classes: Sequence[str], target: Sequence[str]) -> dict[int, int]:
    """Return which of ``target`` each of ``classes`` is, by place, where it is one.

    Names are compared as `same_classes` does; where there is no namesake, COCO's classes become
    what joint training makes of them.
    """
    found = same_classes(tuple(target), tuple(classes))
    places = {plain_name(name): place for place, name in enumerate(target)}
    for place, name in enumerate(classes):
        others = (places[each] for each in _ALSO.get(plain_name(name), ()) if each in places)
        at = next(others, None)
        if place not in found and at is not None:
            found[place] = at
    return dict(sorted(found.items()))


def _left_out(dataset: VideoDataset, mapped: dict[int, int], target: VideoDataset) -> list[Skipped]:
    """Return which classes are those of no target, in one item, and how much is left out."""
    counts = collections.Counter(
        each.class_index
        for video in dataset.videos
        for each in video.instances
        if each.class_index not in mapped
    )
    if not counts:
        return []
    names = [dataset.classes[place] for place in sorted(counts)]
    why = f"{target.name} has no such class: {counts.total()} instances of them are left out"
    return [Skipped(f"classes {list_names(names)} of {dataset.name}", why)]


def with_classes(dataset: VideoDataset, target: VideoDataset) -> VideoDataset:
    """Return a data set with the classes of another; instances of other classes are left out.

    Which classes those are is said in ``skipped``. Videos that are left without an object are
    skipped.

    Raises
    ------
    InputError
        Where no video is left.
    """
    mapped = class_map(dataset.classes, target.classes)
    videos: list[DataVideo] = []
    skipped = [*dataset.skipped, *_left_out(dataset, mapped, target)]
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
