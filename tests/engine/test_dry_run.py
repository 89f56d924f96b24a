"""``maskfree train --dry-run``: what a recipe will take, before anything is trained."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from maskfree.cli import main
from maskfree.config import RecipeConfig
from maskfree.datasets.types import DataVideo, VideoDataset
from maskfree.distributed.data import RunData
from maskfree.distributed.dry_run import dry_run, largest_size
from maskfree.errors import InputError
from maskfree.recipes.recipe import load_recipe
from small_dataset import write_dataset, write_recipe

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("data"))


@pytest.fixture
def words(tmp_path: Path, data: Path) -> list[str]:
    recipe = write_recipe(tmp_path / "tiny.toml", ("steps = 6", "steps = 2"))
    return ["train", str(recipe), "--data", str(data), "--device", "cpu"]


def test_a_dry_run_tells_and_writes_nothing(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(os.listdir(tmp_path))
    assert main([*words, "--dry-run", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["data"]["boxes"] == 21
    assert (found["size"], found["steps"]) == ([96, 96], 2)
    (own,) = found["ranks"]
    assert (own["clips"], own["clip"]) == (4, [2, 3, 96, 96])
    assert own["parameters"] > 100_000
    assert own["bytes"] > 4 * own["parameters"]
    assert found["seconds"] == pytest.approx(2 * own["seconds_a_step"])
    assert main([*words, "--dry-run"]) == 0
    text = capsys.readouterr().out
    assert "3 videos, 12 frames, 6 instances, 21 boxes, 2 classes; 0 items skipped" in text
    assert sorted(os.listdir(tmp_path)) == before


def test_a_dry_run_takes_the_largest_clip_of_either_way_to_scale() -> None:
    video = DataVideo(1, "v", 720, 1280, ("a.jpg",), ())
    dataset = VideoDataset("d", Path(), ("cat",), (1,), [video], ())
    recipe = RecipeConfig()
    assert largest_size(recipe, [dataset]) == (480, 864)
    cut = dataclasses.replace(
        recipe.data,
        crop=True,
        crop_short_sides=(400, 600),
        crop_long_side=1333,
        crop_sides=(384, 600),
    )  # a piece of 384 x 600 pixels stands upright: 480 wide, 750 high
    assert largest_size(dataclasses.replace(recipe, data=cut), [dataset]) == (768, 864)
    fitted = dataclasses.replace(recipe.data, scale_side=1000)
    assert largest_size(dataclasses.replace(recipe, data=fitted), [dataset]) == (1024, 1024)


def test_a_dry_run_refuses_what_a_run_would(words: list[str]) -> None:
    recipe = load_recipe(words[1])
    team = SimpleNamespace(size=recipe.schedule.batch_size + 1)
    with pytest.raises(
        InputError, match=r"schedule\.batch_size is 4, which 5 processes cannot share"
    ):
        dry_run(recipe, RunData((), {}), team=team, seed=0)  # type: ignore[arg-type]


def test_a_dry_run_says_what_is_wrong_with_a_crop(
    words: list[str], refuses: Callable[..., str]
) -> None:
    told = refuses(*words, "--dry-run", "--set", "data.crop=true", "data.crop_sides=384")
    assert "crop_sides must be the smallest and the largest side, got [384]" in told


def test_a_clip_that_is_too_large_to_try_is_estimated_from_a_smaller_one(
    words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*words, "--dry-run", "--json"]) == 0
    plain = json.loads(capsys.readouterr().out)["ranks"][0]
    assert plain["estimated"] is False
    monkeypatch.setattr("maskfree.distributed.dry_run._SAFE", 0.0)
    assert main([*words, "--dry-run", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["ranks"][0]
    assert found["estimated"] is True
    assert found["clip"] == plain["clip"]
    assert found["bytes"] > 0
    assert found["seconds_a_step"] > 0
