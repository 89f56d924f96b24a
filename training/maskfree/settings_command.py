"""``maskfree settings``: every setting of a preset or a recipe, with its unit, range and source."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from maskfree.errors import InputError, nearest
from maskfree.presets import preset
from maskfree.recipes.recipe import load_recipe
from maskfree.settings import as_text, iter_settings

if TYPE_CHECKING:
    from maskfree.settings import Setting

__all__ = ["settings_of"]


def settings_of(
    preset_name: str, match: str = "", *, recipe: str | None = None
) -> tuple[list[dict[str, Any]], str]:
    """Return the settings that have ``match`` in their key: as plain values, and as text.

    Those of a preset, or of a ``recipe`` by its name or file.

    Raises
    ------
    InputError
        Where there is no such preset or recipe, or no such setting.
    """
    every = list(iter_settings(preset(preset_name) if recipe is None else load_recipe(recipe)))
    found = [each for each in every if match in each.key]
    if not found:
        hint = nearest(match, [each.key for each in every])
        raise InputError(f'No setting has "{match}" in its key.{hint} Leave it out to see all.')
    listing = [
        {
            "key": each.key,
            "default": each.value,
            "type": each.kind.__name__,
            "unit": each.unit,
            "low": each.low,
            "high": each.high,
            "choices": list(each.choices),
            "help": each.help,
            "source": each.source,
        }
        for each in found
    ]
    return listing, "\n".join(_describe(each) for each in found)


def _describe(setting: Setting) -> str:
    limits = _range(setting)
    line = f"{setting.key}={as_text(setting.value)}" + (f"  ({limits})" if limits else "")
    return f"{line}\n    {setting.help}" + (f"  [{setting.source}]" if setting.source else "")


def _range(setting: Setting) -> str:
    if setting.choices:
        return " | ".join(as_text(choice) for choice in setting.choices)
    bounds = ""
    if setting.low is not None and setting.high is not None:
        bounds = f"{setting.low} to {setting.high}"
    elif setting.low is not None:
        bounds = f"{setting.low} or more"
    elif setting.high is not None:
        bounds = f"at most {setting.high}"
    return ", ".join(part for part in (bounds, setting.unit) if part)
