"""The command line: help and settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from maskfree.formats import FORMATS

if TYPE_CHECKING:
    from collections.abc import Callable

    from command_line import Result


def test_help_names_commands_settings_and_formats(cli: Callable[..., Result]) -> None:
    text = cli("--help").out
    for command in ("finetune", "predict", "export", "evaluate", "correspond", "convert", "info"):
        assert f"    {command} " in text
        assert "usage: maskfree" in cli(command, "--help").out
    assert "optimiser.learning_rate=" in cli("finetune", "--help").out
    for name in FORMATS:
        assert name in cli("export", "--help").out
    assert cli("--version").out.startswith("maskfree ")


def test_settings_in_the_help_exist(cli: Callable[..., Result]) -> None:
    import re

    keys = {each["key"] for each in cli("settings", "--json").json}
    named = re.findall(r"^  (\w+\.\w+)=", cli("finetune", "--help").out, re.MULTILINE)
    assert len(named) >= 5
    assert set(named) <= keys


def test_settings_lists_unit_range_and_source(cli: Callable[..., Result]) -> None:
    listed = {each["key"]: each for each in cli("settings", "--json").json}
    radius = listed["temporal.search_radius"]
    assert radius["type"] == "int"
    assert (radius["low"], radius["high"], radius["unit"]) == (1, 32, "grid cells")
    text = cli("settings", "search_radius", "--preset", "released").out
    assert text.startswith("temporal.search_radius=3  (1 to 32, grid cells)\n")
    assert "[paper]" in text


def test_settings_lists_those_of_a_recipe(cli: Callable[..., Result]) -> None:
    listed = {
        each["key"]: each for each in cli("settings", "--recipe", "ytvis19-r50", "--json").json
    }
    assert listed["schedule.learning_rate"]["default"] == 1e-4
    assert all(each["source"] for key, each in listed.items() if key.startswith("schedule."))
