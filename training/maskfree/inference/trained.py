"""What inference is made with: weights, and the recipe that they were trained by."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from maskfree.config import RecipeConfig
from maskfree.errors import InputError
from maskfree.json_checks import as_object
from maskfree.recipes.recipe import load_recipe
from maskfree.settings import from_dict, override
from maskfree.storage import read_json

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["find_recipe", "find_weights"]

_RECIPE, _CHECKPOINTS = "recipe.json", "checkpoints"
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
    """Return where a run's recipe may lie: in a run, above its checkpoint, above that's weights."""
    return [path, *list(path.absolute().parents)[:3]]
