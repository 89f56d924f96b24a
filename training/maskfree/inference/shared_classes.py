"""Which of a model's classes are those of a data set: by name."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from maskfree.errors import InputError, InputWarning
from maskfree.json_checks import show
from maskfree.model.class_names import same_classes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from maskfree.datasets.types import VideoDataset

__all__ = ["shared_classes"]


def shared_classes(model_classes: Sequence[str], dataset: VideoDataset) -> list[tuple[int, int]]:
    """Return (the model's number, the data set's) of every class that both have.

    Names are compared as `same_classes` does: "giant_panda" is "Giant panda".

    Raises
    ------
    InputError
        Where there is none.
    """
    known = same_classes(tuple(model_classes), dataset.classes)
    pairs = [(was, place) for place, was in known.items()]
    if not pairs:
        raise InputError(
            f"The model knows {show(list(model_classes))}, {dataset.name} has "
            f"{show(list(dataset.classes))}: no class is common. Take a model that was trained on "
            "this data set's classes."
        )
    missing = [name for place, name in enumerate(dataset.classes) if place not in known]
    if missing:
        warnings.warn(
            f"The model does not know {len(missing)} of the {len(dataset.classes)} classes of "
            f"{dataset.name}: {show(missing)}. No result is of them.",
            InputWarning,
            stacklevel=2,
        )
    return pairs
