from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from maskfree.errors import InputError
from maskfree.recipes.recipe import load_recipe, recipe_names
from small_dataset import write_recipe

if TYPE_CHECKING:
    from pathlib import Path


def test_a_file_says_what_differs_and_is_called_as_it_is(tmp_path: Path) -> None:
    recipe = load_recipe(write_recipe(tmp_path / "mine.toml"), {"schedule.steps": "7"})
    assert (recipe.name, recipe.about) == ("mine", "as small as it gets")
    assert recipe.schedule.steps == 7
    assert recipe.model.backbone_sizes == (16, 16, 16, 16)
    # what it does not name is the released code's, also in a table that it begins
    assert recipe.temporal.weight == 0.1
    assert recipe.matching.mode == "tube"


def test_what_an_objective_takes_has_nothing_of_ours() -> None:
    config = load_recipe("ytvis19-r50").config()
    assert config.evidence.weight == config.prior.weight == config.objective.outside_weight == 0
    assert not config.consensus.train
    assert config.sampling.clip_length == 5
    assert config.temporal == load_recipe("ytvis19-r50").temporal


def test_one_recipe_stands_on_another(tmp_path: Path) -> None:
    write_recipe(tmp_path / "base.toml")
    (tmp_path / "more").mkdir()
    upper = tmp_path / "more" / "upper.toml"
    upper.write_text('extends = "../base.toml"\n[schedule]\nsteps = 9\n')
    recipe = load_recipe(upper)
    assert (recipe.name, recipe.schedule.steps, recipe.schedule.batch_size) == ("upper", 9, 4)
    ours = tmp_path / "ours.toml"
    ours.write_text('extends = "ytvis19-r50"\n[schedule]\nbatch_size = 8\n')
    assert load_recipe(ours).schedule.batch_size == 8
    assert load_recipe(ours).model == load_recipe("ytvis19-r50").model


def test_an_unknown_recipe_is_told_with_the_nearest() -> None:
    with pytest.raises(
        InputError, match=r'There is no recipe "ytvis19-r5". Did you mean "ytvis19-'
    ):
        load_recipe("ytvis19-r5")
    assert "ytvis19-r50" in recipe_names()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[shedule]\nsteps = 3\n", 'no setting "shedule.steps". Did you mean "schedule.steps"'),
        ("[schedule]\nsteps = 0\n", "steps must lie in 1 to 10000000"),
        ('[schedule]\nsteps = "many"\n', "steps must be a whole number, got 'many'"),
        ('schedule = "fast"\n', '"schedule" is a group of settings'),
        ("[schedule\n", "is not TOML .*Mend it there"),
        ("extends = 3\n", 'extends must be the name of a recipe, got "3"'),
        ('extends = "mine.toml"\n', "stands on more than 8 recipes, or on itself"),
        ("a." * 2000 + "b = 1\n", "mine.toml is nested too deeply"),
    ],
)
def test_what_is_wrong_in_a_file_is_told(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        load_recipe(path)


def test_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"There is no recipe .*no.toml. Check the path"):
        load_recipe(tmp_path / "no.toml")
    (tmp_path / "folder.toml").mkdir()
    with pytest.raises(InputError, match=r"is a folder. Give the file itself"):
        load_recipe(tmp_path / "folder.toml")
    (tmp_path / "bytes.toml").write_bytes(b"a = '\xff'")
    with pytest.raises(InputError, match=r"is not UTF-8 text"):
        load_recipe(tmp_path / "bytes.toml")
    (tmp_path / "long.toml").write_bytes(b"#" * ((1 << 20) + 1))
    with pytest.raises(InputError, match=r"is longer than 1048576 bytes"):
        load_recipe(tmp_path / "long.toml")
