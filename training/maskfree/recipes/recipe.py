"""Recipes: TOML files whose tables are the sections of :class:`maskfree.config.RecipeConfig`.

A file need only name what differs from the released code's way, or with ``extends = "other"`` from
another recipe: one of ours by its name, or a file, beside this one where its path is relative.
"""

from __future__ import annotations

import os
import tomllib
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from maskfree.bounded_file import BoundedFile
from maskfree.config import FormatConfig, RecipeConfig
from maskfree.errors import InputError, nearest
from maskfree.settings import override
from maskfree.storage import not_text, reading

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["load_recipe", "recipe_names"]

_SUFFIX = ".toml"
_BASE = "extends"
_MOST_BASES = 8
"""Recipes that stand on each other; more is a circle."""


def recipe_names() -> list[str]:
    """Return the names of the recipes that come with the program."""
    folder = resources.files("maskfree.recipes")
    names = (each.name for each in folder.iterdir())
    return sorted(name.removesuffix(_SUFFIX) for name in names if name.endswith(_SUFFIX))


def load_recipe(
    name_or_path: str | os.PathLike[str], changes: Mapping[str, Any] | None = None
) -> RecipeConfig:
    """Return a recipe by its name, or from a file; its own name is that of the file.

    Parameters
    ----------
    changes
        Settings by dotted key, as ``--set`` gives them; they come last.

    Raises
    ------
    InputError
        For an unknown recipe, setting or choice (each with the nearest valid one), a value out of
        range, and a file that cannot be read or is no TOML.
    """
    text = os.fspath(name_or_path)
    recipe = RecipeConfig()
    for path in reversed(list(_bases(text))):
        recipe = _applied(recipe, path)
    return override(recipe, changes or {})


def _bases(text: str) -> Iterator[Path]:
    """Yield a recipe's file, the one that it extends, and so on."""
    path: Path | None = _found(text, None)
    for _ in range(_MOST_BASES):
        if path is None:
            return
        yield path
        base = _read(path).get(_BASE)
        if base is not None and not isinstance(base, str):
            raise InputError(f'{path}: {_BASE} must be the name of a recipe, got "{base}".')
        path = None if base is None else _found(base, path.parent)
    raise InputError(
        f"{path} stands on more than {_MOST_BASES} recipes, or on itself. Check its {_BASE}."
    )


def _found(text: str, beside: Path | None) -> Path:
    """Return the file of a recipe; one that another names lies ``beside`` that one."""
    names = recipe_names()
    if text in names:
        return Path(str(resources.files("maskfree.recipes") / f"{text}{_SUFFIX}"))
    if text.endswith(_SUFFIX) or os.sep in text:
        return Path(text) if beside is None else beside / text
    raise InputError(
        f'There is no recipe "{text}".{nearest(text, names)} Choose one of {", ".join(names)}, or '
        f"give a file whose name ends in {_SUFFIX}."
    )


def _applied(recipe: RecipeConfig, path: Path) -> RecipeConfig:
    table = {key: value for key, value in _read(path).items() if key != _BASE}
    try:
        return override(recipe, {**dict(_flat(table)), "name": path.stem})
    except RecursionError:
        raise _too_deep(path) from None
    except InputError as error:
        raise InputError(f"The recipe {path} is not right. {error}") from error


def _flat(table: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in table.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def _read(path: Path) -> dict[str, Any]:
    where, most = f"recipe {path}", FormatConfig().most_head_bytes
    if path.is_dir():
        raise InputError(f"Expected a recipe, but {path} is a folder. Give the file itself.")
    with reading(where), BoundedFile(path) as file:
        raw = file.read(most + 1)
    if len(raw) > most:
        raise InputError(
            f"The {where} is longer than {most} bytes. Check that it is the file you meant."
        )
    try:
        return tomllib.loads(raw.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise not_text(where, error.start) from None
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"The {where} is not TOML ({error}). Mend it there.") from None
    except RecursionError:
        raise _too_deep(path) from None


def _too_deep(path: Path) -> InputError:
    return InputError(f"The recipe {path} is nested too deeply: tables hold settings. Mend it.")
