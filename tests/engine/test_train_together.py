"""Two processes that train as one: started as torchrun starts them, on this machine, by gloo."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
import torch

from maskfree.distributed.data import open_data
from maskfree.distributed.team import Team
from maskfree.errors import InputError
from maskfree.model.checkpoint import read_tensors
from maskfree.recipes.recipe import load_recipe
from maskfree.settings import override
from maskfree.train_command import TrainJob, check_same, train_dataset
from small_dataset import write_dataset, write_recipe

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.filterwarnings("ignore:The network begins with fresh weights")
STEPS = 3
MOST = 1e-5
"""How far losses and weights may differ: rounding, as sums are made in another order."""
SWIN = {
    "model.backbone": "swin",
    "model.backbone_sizes": "16,32,64,128",
    "model.backbone_depths": "1,1,1,1",
    "model.backbone_heads": "1,2,4,8",
    "model.backbone_window": "4",
    "model.drop_path": "0",
}
KEYS = "k_proj.bias", "in_proj_bias"
"""What moves all scores of a softmax alike has no gradient but rounding's, which Adam's division
makes as large as any: there the weights may differ by more, and nothing comes of it."""


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def start(rank: int, port: int, *words: str) -> subprocess.Popen[str]:
    world = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": "2"}
    place = {"RANK": str(rank), "LOCAL_RANK": str(rank), "LOCAL_WORLD_SIZE": "2"}
    return subprocess.Popen(
        [sys.executable, "-m", "maskfree", "train", *words],
        env={**os.environ, **world, **place, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )


def steps_of(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("backbone", ["resnet", "swin"])
def test_two_processes_are_as_one(tmp_path: Path, backbone: str) -> None:
    data, recipe = write_dataset(tmp_path / "data"), write_recipe(tmp_path / "tiny.toml")
    words = [str(recipe), "--data", str(data), "--out", str(tmp_path / "two"), "--device", "cpu"]
    settings = {"schedule.steps": str(STEPS), **(SWIN if backbone == "swin" else {})}
    words += ["--json", "--set", *(f"{key}={value}" for key, value in settings.items())]
    port = free_port()
    both = [start(rank, port, *words) for rank in (0, 1)]
    job = TrainJob(str(recipe), str(data), str(tmp_path / "one"), device="cpu", settings=settings)
    train_dataset(job)
    told = [each.communicate(timeout=120) for each in both]
    assert [each.returncode for each in both] == [0, 0], told
    result = json.loads(told[0][0])
    assert (result["processes"], result["steps"]) == (2, STEPS)
    assert told[1] == ("", ""), "one process speaks"
    one, two = steps_of(tmp_path / "one"), steps_of(tmp_path / "two")
    for single, shared in zip(one, two, strict=True):
        assert single["instances"] == shared["instances"]
        assert single["size"] == shared["size"]
        assert single["gradient_norm"] == pytest.approx(shared["gradient_norm"], rel=MOST)
        for name, value in single["losses"].items():
            assert shared["losses"][name] == pytest.approx(value, rel=MOST), name
    name = f"checkpoints/{STEPS:08d}/model.safetensors"
    expected, found = (read_tensors(tmp_path / run / name) for run in ("one", "two"))
    assert set(expected) == set(found)
    moved = 0
    for key, value in expected.items():
        moved += value.is_floating_point()
        if not key.endswith(KEYS):
            assert float((value.float() - found[key].float()).abs().max()) < MOST, key
    assert moved > 50


@pytest.mark.slow
def test_two_processes_go_on_with_the_run_of_one(tmp_path: Path) -> None:
    data, recipe = write_dataset(tmp_path / "data"), write_recipe(tmp_path / "tiny.toml")
    runs = {name: str(tmp_path / name) for name in ("whole", "parted")}
    settings = {"schedule.steps": "4", "schedule.checkpoint_every": "2"}
    for name in runs:
        job = TrainJob(str(recipe), str(data), runs[name], device="cpu", settings=settings)
        train_dataset(job)
    shutil.rmtree(tmp_path / "parted" / "checkpoints" / "00000004")
    words = [str(recipe), "--data", str(data), "--out", runs["parted"], "--device", "cpu"]
    words += ["--resume", "--set", *(f"{k}={v}" for k, v in settings.items())]
    port = free_port()
    both = [start(rank, port, *words, "schedule.accumulate=2") for rank in (0, 1)]
    told = [each.communicate(timeout=120) for each in both]
    assert [each.returncode for each in both] == [0, 0], told
    one, two = steps_of(tmp_path / "whole"), steps_of(tmp_path / "parted")
    assert [each["step"] for each in two] == [1, 2, 3, 4]
    for single, shared in zip(one, two, strict=True):
        assert shared["total"] == pytest.approx(single["total"], rel=MOST)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("other", "said"),
    [
        ("data", "rank 1 sees other data than rank 0 (3 videos, 21 boxes"),
        ("rate", "rank 1 was asked for another run than rank 0: it alone has schedule.learning_"),
    ],
)
def test_processes_of_different_runs_end_with_the_reason(
    tmp_path: Path, other: str, said: str
) -> None:
    here, there = write_dataset(tmp_path / "a"), write_dataset(tmp_path / "b", shift=1.0)
    recipe, port = write_recipe(tmp_path / "tiny.toml"), free_port()
    both = []
    for rank in (0, 1):
        data = there if other == "data" and rank else here
        words = [str(recipe), "--data", str(data), "--out", str(tmp_path / "run")]
        words += ["--device", "cpu", "--set", "schedule.steps=2"]
        words += ["schedule.learning_rate=0.5"] if other == "rate" and rank else []
        both.append(start(rank, port, *words))
    told = [each.communicate(timeout=120) for each in both]
    assert [each.returncode for each in both] == [2, 2], told
    assert said in " ".join(told[0][1].split())
    assert not (tmp_path / "run").exists()


def test_processes_that_are_asked_for_other_runs(tmp_path: Path) -> None:
    recipe = load_recipe(write_recipe(tmp_path / "tiny.toml"))
    job = TrainJob("tiny", "data")
    team = Team(torch.device("cpu"))
    team.gather = lambda value: [value, {*value, "schedule.steps=9"}]  # type: ignore[method-assign, return-value, misc]
    with pytest.raises(InputError, match="rank 1 was asked for another run than rank 0: it alone"):
        check_same(recipe, job, team)
    seen: list[set[str]] = []
    team.gather = lambda value: (seen.append(value), [value])[1]  # type: ignore[method-assign, func-returns-value]
    own = {"workers": "1", "accumulate": "2", "gradient_checkpointing": "true"}
    of_its_own = {f"schedule.{name}": value for name, value in own.items()}
    check_same(override(recipe, of_its_own), job, team)
    check_same(recipe, job, team)
    assert seen[0] == seen[1]


def test_processes_that_see_other_data(tmp_path: Path) -> None:
    here, there = write_dataset(tmp_path / "a"), write_dataset(tmp_path / "b", shift=1.0)
    recipe = load_recipe(write_recipe(tmp_path / "tiny.toml"))
    team = Team(torch.device("cpu"))
    other = open_data(recipe, str(there), None, masks=False, team=team).facts
    team.gather = lambda value: [value, other if isinstance(value, dict) else value]  # type: ignore[method-assign, return-value]
    with pytest.raises(InputError, match=r"rank 1 sees other data than rank 0 .3 videos, 21 boxes"):
        open_data(recipe, str(here), None, masks=False, team=team)
