"""What inference is made with: weights, and the recipe that they were trained by."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from maskfree.config import RecipeConfig
from maskfree.errors import InputError, InputWarning
from maskfree.json_checks import as_object
from maskfree.model.build import build_model
from maskfree.model.checkpoint import load_model
from maskfree.model.initial import read_initial
from maskfree.recipes.recipe import load_recipe
from maskfree.settings import from_dict, override
from maskfree.storage import read_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    import torch

    from maskfree.model.mask2former_video import Mask2FormerVideo

__all__ = ["find_recipe", "find_weights", "load_trained"]

_RECIPE, _CHECKPOINTS = "recipe.json", "checkpoints"
_HEAD = "class_predictor.weight"
_WEIGHTS = ("ema.safetensors", "model.safetensors")
"""Of a checkpoint, the first that is there: the running mean where one was kept."""


def find_weights(source: str) -> Path:
    """Return the weights of a run (of its newest checkpoint), of a checkpoint, or the file itself.

    Raises
    ------
    InputError
        Where there are none.
    """
    path = Path(source)
    if path.is_file():
        return path
    if not path.is_dir():
        raise InputError(
            f"There is no {source}. Give a run's folder, or weights (.safetensors with their "
            ".json beside them)."
        )
    places = [path]
    if (path / _CHECKPOINTS).is_dir():
        names = [each.name for each in (path / _CHECKPOINTS).iterdir() if each.name.isdecimal()]
        places += [path / _CHECKPOINTS / name for name in sorted(names, key=int, reverse=True)]
    for place in places:
        for name in _WEIGHTS:
            if (place / name).is_file():
                return place / name
    raise InputError(
        f"{source} holds no weights: neither {' nor '.join(_WEIGHTS)}, there or in a checkpoint. "
        "Let the training go on to its first checkpoint, or name the weights' file."
    )


def load_trained(
    path: Path, recipe: RecipeConfig, classes: tuple[str, ...], device: torch.device
) -> tuple[Mask2FormerVideo, tuple[str, ...]]:
    """Return a network and its classes' names; its pixel decoder computes in single precision.

    Weights that a description lies beside (a run's) are that network. Others, as the released
    ones of Mask2Former and MaskFreeVIS, are of the recipe's network; where nobody names their
    classes they are the data set's ``classes``, in that order.

    Raises
    ------
    InputError
        As `load_model` and `read_initial`; where the classes' names are needed and not known.
    """
    if path.with_suffix(".json").is_file():
        model, _, names, _ = load_model(path, device)
        model.decoder_in_single = True
        return model, tuple(names)
    initial = read_initial(str(path), recipe.model)
    assert initial is not None  # a hub's alone cannot be had
    known, count = initial.classes or classes, len(initial.weights.get(_HEAD, ())) - 1
    if not initial.classes and len(known) == count:
        warnings.warn(
            f"Nobody names the {count} class outputs of {path}: they are taken for the data set's "
            f"classes in their order, {known[0]} first. If it was trained on others, name them: "
            "maskfree convert-weights --classes.",
            InputWarning,
            stacklevel=2,
        )
    if len(known) != count:
        raise InputError(
            f"{path} has {count} class outputs without names, the data set {len(known)} classes. "
            "Name them: maskfree convert-weights --classes."
        )
    queries = recipe.model.num_queries
    model = build_model(recipe.model, num_classes=count, num_queries=queries)
    initial.into(model, known)
    model.decoder_in_single = True
    return model.to(device), known


def find_recipe(source: str, name: str | None, changes: Mapping[str, str]) -> RecipeConfig:
    """Return the recipe ``name``, else that of a run, else the released code's way.

    Parameters
    ----------
    changes
        Settings by dotted key, which come last.

    Raises
    ------
    InputError
        As `load_recipe`; where the run's recipe cannot be read.
    """
    if name is not None:
        return load_recipe(name, changes)
    kept = next(
        (folder / _RECIPE for folder in _folders(Path(source)) if (folder / _RECIPE).is_file()),
        None,
    )
    if kept is None:
        return override(RecipeConfig(), changes)
    about = as_object(read_json(kept, "recipe"), str(kept), "a recipe", "recipe")
    return override(from_dict(RecipeConfig, about.get("recipe", {}), kept.name, kept=True), changes)


def _folders(path: Path) -> list[Path]:
    """Return where the recipe may lie: in the run itself, or above its checkpoints."""
    above = list(path.absolute().parents)[:2]
    return [path, *(each.parent for each in above if each.name == _CHECKPOINTS)]
