"""Inference over the videos of a data set, and its AP while a network is trained."""

from __future__ import annotations

import dataclasses
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from maskfree.datasets.gathering import PictureFolder
from maskfree.datasets.opening import open_dataset
from maskfree.errors import InputError, InputWarning
from maskfree.inference.average_precision import AveragePrecision
from maskfree.inference.layouts import require_tracks
from maskfree.inference.video_inference import infer_video

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    import torch

    from maskfree.config import InferenceConfig, RecipeConfig
    from maskfree.datasets.types import DataVideo, VideoDataset
    from maskfree.inference.video_inference import FoundTrack
    from maskfree.model.mask2former_video import Mask2FormerVideo

__all__ = ["evaluate", "evaluator", "infer_videos", "without_pictures"]


def infer_videos(
    model: Mask2FormerVideo,
    dataset: VideoDataset,
    config: InferenceConfig,
    *,
    device: torch.device,
    classes: list[tuple[int, int]] | None = None,
    skip: Collection[int] = (),
    unread: Callable[[DataVideo, str], None] | None = None,
) -> Iterator[tuple[int, DataVideo, list[FoundTrack]]]:
    """Yield number, video and results of each video in order; the results' classes are the set's.

    Parameters
    ----------
    classes
        See `shared_classes`; None: the model's classes are the data set's.
    skip
        Numbers of videos that are left out.
    unread
        Told of a video whose pictures cannot be used, and why; it is passed over. None: that is an
        error.

    Raises
    ------
    InputError
        Where a picture is missing, damaged, or not of its video's size, as ``unread`` says; where
        the model has other classes than the data set and none were given.
    """
    known = model.class_predictor.out_features - 1
    if classes is None and known != len(dataset.classes):
        raise InputError(
            f"The model has {known} classes, {dataset.name} has {len(dataset.classes)}. Take a "
            "model that was trained on this data set's classes."
        )
    pairs = classes or [(place, place) for place in range(known)]
    asked, own = [place for place, _ in pairs], [place for _, place in pairs]
    pictures = all(len(video.files) == 1 for video in dataset.videos)
    for number, video in enumerate(dataset.videos):
        if number in skip:
            continue
        try:
            found = infer_video(
                model, video, dataset.root, config, device=device, classes=asked, picture=pictures
            )
        except InputError as error:
            if unread is None:
                raise
            unread(video, str(error))
            continue
        yield (
            number,
            video,
            [dataclasses.replace(each, class_index=own[each.class_index]) for each in found],
        )


def evaluate(
    model: Mask2FormerVideo, dataset: VideoDataset, recipe: RecipeConfig, *, device: torch.device
) -> dict[str, float]:
    """Return AP, AP50, AP75, AR1 and AR10 of a model over a data set, each in [0, 1].

    A video whose pictures cannot be used counts as one where nothing was found, as in the results
    of `maskfree infer`; how many there are is returned as well, as "unread", where there are any.

    Parameters
    ----------
    dataset
        Opened with masks, without a look at its pictures; its classes are the model's, in that
        order.
    recipe
        Whose ``inference`` says how.

    Raises
    ------
    InputError
        As `infer_videos`; where TrackEval is not installed, or the data set has no masks.
    """
    scored = AveragePrecision(dataset)
    faults: list[str] = []

    def unread(video: DataVideo, why: str) -> None:
        faults.append(f"{video.name}: {why}")
        scored.add(video, [])

    settings = recipe.inference
    for _, video, found in infer_videos(model, dataset, settings, device=device, unread=unread):
        scored.add(video, found)
    if not faults:
        return scored.scores().mean
    _say_unread(dataset, faults)
    return {**scored.scores().mean, "unread": float(len(faults))}


def evaluator(
    recipe: RecipeConfig, root: str, classes: tuple[str, ...], *, device: torch.device
) -> Callable[[Mask2FormerVideo], dict[str, float]]:
    """Return what scores a model on the recipe's ``inference.split``, while it is trained.

    Parameters
    ----------
    root
        The data set's folder.
    classes
        Of the data set that is trained on, in the model's order.

    Raises
    ------
    InputError
        Where the split cannot be read, has no masks or other classes, or AP over tracks is not what
        its kind is scored by. All that is found before the first step.
    """
    require_tracks(recipe.data.kind)
    split = recipe.inference.split
    dataset = open_dataset(
        recipe.data.kind, Path(root), split, masks=True, without_boxes=True, pictures="later"
    )
    AveragePrecision(dataset)  # raises where there is nothing to score on
    if missing := without_pictures(dataset):
        _say_unread(
            dataset, [f"{dataset.videos[number].name}: {why}" for number, why in missing.items()]
        )
    if dataset.classes != classes:
        raise InputError(
            f"{dataset.name} has other classes than what is trained on: {len(dataset.classes)} and "
            f"{len(classes)}, or in another order. Take splits of one release of the data set."
        )
    return lambda model: evaluate(model, dataset, recipe, device=device)


def without_pictures(dataset: VideoDataset) -> dict[int, str]:
    """Return the numbers of the videos that lack a picture, and what is missing in words."""
    folder, found = PictureFolder(dataset.root), {}
    for number, video in enumerate(dataset.videos):
        if missing := folder.missing(video.files):
            found[number] = (
                f"{len(missing)} of its {len(video.files)} pictures are missing, first "
                f"{missing[0]}."
            )
    return found


def _say_unread(dataset: VideoDataset, faults: Sequence[str]) -> None:
    """Warn of videos that cannot be scored by what was found; where none can, that is an error."""
    if len(faults) == len(dataset.videos):
        raise InputError(f"No video of {dataset.name} can be scored, first {faults[0]}")
    warnings.warn(
        f"{dataset.name}: the pictures of {len(faults)} of {len(dataset.videos)} videos cannot be "
        f"used, which count as nothing found, first {faults[0]}",
        InputWarning,
        stacklevel=3,
    )
