"""The data of a recipe: opened in every process, seen the same by all, and drawn from by number."""

from __future__ import annotations

import dataclasses
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from maskfree.datasets.class_names import with_classes
from maskfree.datasets.clips import DatasetClips
from maskfree.datasets.mixed import LEAST_SHARE, MixedClips
from maskfree.datasets.opening import open_dataset
from maskfree.datasets.subsets import frame_part, video_part
from maskfree.distributed.data_digest import data_facts
from maskfree.errors import InputError, InputWarning

if TYPE_CHECKING:
    from maskfree.config import DataConfig, RecipeConfig
    from maskfree.datasets.types import VideoDataset
    from maskfree.distributed.team import Team

__all__ = ["RunData", "need_queries", "open_data"]

_SHOWN = 12
"""Characters of a digest that a message shows."""


@dataclasses.dataclass(frozen=True)
class RunData:
    """Data sets, the first of which says the classes; their ``facts``, see `data_facts`."""

    datasets: tuple[VideoDataset, ...]
    facts: dict[str, Any]

    @property
    def classes(self) -> list[str]:
        """Names of the class outputs."""
        return list(self.datasets[0].classes)

    def clips(self, recipe: RecipeConfig, *, seed: int) -> DatasetClips | MixedClips:
        """Return the recipe's training clips by number."""
        sampling = recipe.config().sampling
        sections = (recipe.data, recipe.extra)
        drawn = [
            DatasetClips(dataset, section, sampling, seed=seed)
            for dataset, section in zip(self.datasets, sections, strict=False)
        ]
        if len(drawn) == 1:
            return drawn[0]
        return MixedClips(drawn, [1 - recipe.extra_share, recipe.extra_share])


def open_data(
    recipe: RecipeConfig, root: str, extra_root: str | None, *, masks: bool, team: Team
) -> RunData:
    """Open a recipe's data in every process, and check that all see the same.

    Raises
    ------
    InputError
        In every process: for data that cannot be read or hold no box, a second data set that is
        missing or not asked for, and processes that see other data than the first.
    """
    data = team.together(lambda: _opened(recipe, root, extra_root, masks, quiet=not team.main))
    seen = team.gather(data.facts)
    other = next((r for r, each in enumerate(seen) if each["digest"] != seen[0]["digest"]), None)
    if other is not None:
        told = [
            f"{each['videos']} videos, {each['boxes']} boxes" for each in (seen[other], seen[0])
        ]
        marks = [str(each["digest"])[:_SHOWN] for each in (seen[other], seen[0])]
        raise InputError(
            f"rank {other} sees other data than rank 0 ({told[0]}, digest {marks[0]}; rank 0: "
            f"{told[1]}, digest {marks[1]}). Give every machine the same annotations in --data."
        )
    return data


def _need_masks(dataset: VideoDataset, place: str) -> None:
    """Check that there is a mask to learn from."""
    objects = (each for video in dataset.videos for each in video.instances if not each.crowd)
    if not any(each.segments for each in objects):
        raise InputError(
            f"objective.supervision=masks learns from masks, and {place} holds boxes alone "
            f"({dataset.name}). Give its masks, or leave the setting out to learn from boxes."
        )


def need_queries(dataset: VideoDataset, section: DataConfig, queries: int) -> None:
    """Check that a query can be had for each object of a clip, as far as that is known before.

    A clip may show more than a frame does: that is warned of.

    Raises
    ------
    InputError
        Where a single frame shows more objects than there are queries.
    """
    most, shown, where = 0, 0, ""
    names = [video.name for video in dataset.videos]
    for video in video_part(dataset.videos, names, section.video_share):
        objects = [each for each in video.instances if not each.crowd]
        if len(objects) > queries:
            used = frame_part(len(video.files), section.frame_share)
            there = np.stack([np.isfinite(each.boxes[used]).all(-1) for each in objects])
            most = max(most, int(there.any(1).sum()))
            if (count := int(there.sum(0).max())) > shown:
                shown, where = count, video.name
    if shown > queries:
        raise InputError(
            f"{dataset.name}: {where} shows {shown} objects in one frame, and the network has "
            f"{queries} queries. Give it as many as the objects of any video: --set "
            f"model.num_queries={most}"
        )
    if most > queries:
        warnings.warn(
            f"{dataset.name} has videos of up to {most} objects, and the network {queries} "
            "queries: a clip that shows more would end the run. Surely enough: --set "
            f"model.num_queries={most}",
            InputWarning,
            stacklevel=2,
        )


def _frames(section: DataConfig) -> tuple[str, int]:
    """Return which setting says how many frames its clips have, and how many these are."""
    name = "pseudo_frames" if section.kind == "coco" else "clip_length"
    return name, int(getattr(section, name))


def _opened(
    recipe: RecipeConfig, root: str, extra_root: str | None, masks: bool, *, quiet: bool
) -> RunData:
    if (extra_root is None) == (recipe.extra_share > 0):
        wanted = (
            f"The recipe takes {recipe.extra_share:g} of its clips from a second data set "
            f"({recipe.extra.kind} {recipe.extra.split}). Say where it is: --extra-data ROOT"
            if extra_root is None
            else "--extra-data is given, and the recipe takes nothing from it. Set "
            "extra_share=0.5, or leave it out."
        )
        raise InputError(wanted)
    if recipe.extra_share and not LEAST_SHARE <= recipe.extra_share <= 1 - LEAST_SHARE:
        raise InputError(
            f"extra_share must leave each data set a clip in {round(1 / LEAST_SHARE)}, got "
            f"{recipe.extra_share:g}. For one data set alone take a recipe without a second one."
        )
    own, other = (_frames(each) for each in (recipe.data, recipe.extra))
    if recipe.extra_share and own[1] != other[1]:
        raise InputError(
            f"The clips of one batch must have one length, and data.{own[0]} is {own[1]}, "
            f"extra.{other[0]} {other[1]}. Set both to the same number."
        )
    sections = [(recipe.data, root)]
    if extra_root is not None:
        sections.append((recipe.extra, extra_root))
    with warnings.catch_warnings():
        if quiet:
            warnings.simplefilter("ignore", InputWarning)
        found = [
            open_dataset(section.kind, Path(place), section.split, masks=masks)
            for section, place in sections
        ]
        for (section, _), dataset in zip(sections, found, strict=True):
            need_queries(dataset, section, recipe.model.num_queries)
    first, *others = found
    datasets = (first, *(with_classes(each, first) for each in others))
    facts = data_facts(datasets)
    if not facts["boxes"]:
        raise InputError(f"{root} holds no box to learn from. Check the split ({first.name}).")
    if masks:
        for (_, place), dataset in zip(sections, datasets, strict=True):
            _need_masks(dataset, place)
    return RunData(datasets, facts)
