"""``maskfree train``: what a run leaves, begins with, goes on from and refuses."""

from __future__ import annotations

import builtins
import dataclasses
import json
import os
import shutil
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from maskfree.cli import main
from maskfree.config import ModelConfig, RecipeConfig
from maskfree.datasets.types import DataInstance, DataVideo, VideoDataset
from maskfree.distributed.data import need_queries
from maskfree.distributed.data_digest import data_facts
from maskfree.distributed.run_folder import RunFolder
from maskfree.errors import InputError, InputWarning
from maskfree.model.checkpoint import read_tensors
from maskfree.model.hub_folder import NotFetched
from maskfree.model.initial import Pretrained, find_pretrained
from maskfree.settings import from_dict
from small_dataset import write_dataset, write_recipe


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("data"))


@pytest.fixture
def words(tmp_path: Path, data: Path) -> list[str]:
    recipe = write_recipe(tmp_path / "tiny.toml", ("steps = 6", "steps = 2"))
    return ["train", str(recipe), "--data", str(data), "--device", "cpu"]


def fault(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """Run what the input is at fault for; return the one line that says so."""
    assert main(words) == 2
    out, err = capsys.readouterr()
    lines = [line for line in err.splitlines() if "error:" in line]
    assert (out, len(lines)) == ("", 1), err
    return lines[0]


def test_a_run_leaves_what_it_was_made_with(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    assert main([*words, "--out", str(run), "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["recipe"], result["steps"], result["processes"]) == ("tiny", 2, 1)
    assert result["checkpoint"] == str(run / "checkpoints" / "00000002")
    assert sorted(os.listdir(run)) == [
        "checkpoints",
        "metrics.jsonl",
        "recipe.json",
        "run.lock",
        "tensorboard",
    ]
    about = json.loads((run / "recipe.json").read_text())
    recipe = from_dict(RecipeConfig, about["recipe"])
    assert (about["seed"], about["weights"], about["processes"]) == (0, None, 1)
    assert (recipe.name, recipe.schedule.steps) == ("tiny", 2)
    counts = {"videos": 3, "frames": 12, "instances": 6, "boxes": 21, "skipped": 0}
    assert {name: about["data"][name] for name in counts} == counts
    assert about["data"]["classes"] == ["square", "block"]
    (events,) = (run / "tensorboard").iterdir()
    assert events.stat().st_size > 100
    # a second run does not write over it
    told = fault([*words, "--out", str(run)], capsys)
    assert "holds a training run already. Go on with it: --resume" in told
    # and another one does not go on with it
    others = ["--set", "schedule.learning_rate=3e-4", "schedule.workers=1"]
    others += ["schedule.accumulate=2", "--seed", "2"]
    told = fault([*words, "--out", str(run), "--resume", *others], capsys)
    assert "schedule.learning_rate=0.0003 (was 0.0001); --seed 2 (was 0). Resume it" in told
    assert "workers" not in told
    assert "accumulate" not in told
    moved = write_dataset(tmp_path / "moved", shift=1.0)
    told = fault([*words, "--data", str(moved), "--out", str(run), "--resume"], capsys)
    assert "begun with something else: the data (3 videos, 6 instances, 21 boxes, digest" in told


def test_two_processes_do_not_write_one_run(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    run.mkdir()
    other = RunFolder(run)
    other.hold()  # of an open file: one process has two as two processes do
    told = fault([*words, "--out", str(run)], capsys)
    assert f"Another process trains into {run}. Wait until it ends" in told
    assert os.listdir(run) == ["run.lock"]
    other.release()
    assert main([*words, "--out", str(run)]) == 0
    before = (run / "metrics.jsonl").read_bytes()
    other.hold()
    capsys.readouterr()
    assert "Another process trains" in fault([*words, "--out", str(run), "--resume"], capsys)
    assert (run / "metrics.jsonl").read_bytes() == before
    other.release()
    assert main([*words, "--out", str(run), "--resume"]) == 0


def test_what_cannot_be_trained_is_one_line(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = ["--out", str(tmp_path / "run")]
    unknown = ["train", "ytvis19-r5", *words[2:], *out]
    assert 'no recipe "ytvis19-r5". Did you mean "ytvis19-' in fault(unknown, capsys)
    told = fault([*words, *out, "--set", "schedule.stebs=3"], capsys)
    assert 'Did you mean "schedule.steps"' in told
    told = fault([*words, *out, "--data", str(tmp_path / "nowhere")], capsys)
    assert "There is no folder" in told
    assert "The run needs a folder: --out DIR" in fault(words, capsys)
    told = fault([*words, *out, "--set", "matching.mode=bound"], capsys)
    assert "gives each track of one video a query of its own" in told
    told = fault([*words, *out, "--set", "extra_share=0.5"], capsys)
    assert "(coco train). Say where it is: --extra-data ROOT" in told
    told = fault([*words, *out, "--extra-data", str(tmp_path)], capsys)
    assert "the recipe takes nothing from it" in told
    told = fault([*words, *out, "--extra-data", str(tmp_path), "--set", "extra_share=1"], capsys)
    assert "extra_share must leave each data set a clip in 1000, got 1." in told
    told = fault([*words, *out, "--set", "objective.supervision=masks"], capsys)
    assert "holds boxes alone (ytvis2021 train). Give its masks" in told
    told = fault([*words, *out, "--resume", "--weights", "model.pkl"], capsys)
    assert "Leave --weights out" in told
    assert "holds no training run to go on with" in fault([*words, *out, "--resume"], capsys)
    # what fails before its first step leaves nothing in the way of the next try
    told = fault([*words, *out, "--set", "model.num_queries=2"], capsys)
    assert "video3 shows 3 objects in one frame, and the network has 2 queries." in told
    assert "--set model.num_queries=3" in told
    assert not (tmp_path / "run").exists()
    assert main([*words, *out]) == 0


def test_data_without_a_box(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bare = write_dataset(tmp_path / "bare")
    path = bare / "train" / "instances.json"
    file = json.loads(path.read_text())
    path.write_text(json.dumps({**file, "annotations": []}))
    told = fault([*words, "--data", str(bare), "--out", str(tmp_path / "run")], capsys)
    assert "annotations" in told or "box" in told


def test_what_is_skipped_is_kept(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    holed = write_dataset(tmp_path / "holed")
    (holed / "train" / "JPEGImages" / "video2" / "00001.jpg").unlink()
    run = tmp_path / "run"
    assert main([*words, "--data", str(holed), "--out", str(run)]) == 0
    assert "skipped 1 item" in capsys.readouterr().err
    (line,) = (run / "skipped.jsonl").read_text().splitlines()
    assert json.loads(line)["what"] == "video video2"


def test_what_is_not_drawn_of_a_part_is_kept(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, run = write_dataset(tmp_path / "data"), tmp_path / "run"
    path = data / "train" / "instances.json"
    file = json.loads(path.read_text())
    file["annotations"][0]["bboxes"][0] = None  # the one object of video1; frame 0 is the part
    path.write_text(json.dumps(file))
    part = ["--set", "data.frame_share=0.25", "data.clip_length=2"]
    assert main([*words, "--data", str(data), "--out", str(run), *part]) == 0
    assert "1 of the 3 videos of the part that is used are not drawn" in capsys.readouterr().err
    (line,) = (run / "skipped.jsonl").read_text().splitlines()
    assert json.loads(line)["what"] == "video video1"


def test_without_accelerate_it_says_what_to_install(
    words: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any, **options: Any) -> Any:
        if name == "accelerate":
            raise ImportError(name)
        return real(name, *rest, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    told = fault([*words, "--out", str(tmp_path / "run")], capsys)
    assert "needs the package accelerate. Install it: pip install 'napari-maskfree[train]'" in told


def test_a_run_begins_with_the_weights_that_are_given(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    assert main([*words, "--out", str(first)]) == 0
    weights = first / "checkpoints" / "00000002" / "model.safetensors"
    still = ["--set", "schedule.learning_rate=1e-8", "schedule.weight_decay=0"]
    capsys.readouterr()
    assert main([*words, "--weights", str(weights), "--out", str(second), *still]) == 0
    said = capsys.readouterr().err
    assert "classes: known square, block" in said
    assert "begins with fresh weights" not in said
    by_run = ["--weights", str(first), "--out", str(tmp_path / "third"), *still]
    assert main([*words, *by_run]) == 0  # of its newest checkpoint
    assert "classes: known square, block" in capsys.readouterr().err
    given = read_tensors(weights)
    kept = read_tensors(second / "checkpoints" / "00000002" / "model.safetensors")
    for key, value in given.items():
        torch.testing.assert_close(kept[key], value, atol=1e-6, rtol=0)
    told = fault(
        [*words, "--weights", str(tmp_path / "no.pkl"), "--out", str(second / "x")], capsys
    )
    assert "no.pkl" in told
    named = ["--set", f"model.backbone_weights={tmp_path / 'nowhere'}"]
    assert "nowhere" in fault([*words, *named, "--out", str(second / "x")], capsys)


def test_what_is_said_of_weights_that_are_used_is_heard_once(
    words: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first = tmp_path / "first"
    assert main([*words, "--out", str(first)]) == 0
    capsys.readouterr()

    def found(config: ModelConfig) -> Pretrained:
        warnings.warn("Two tensors are left over.", InputWarning, stacklevel=1)
        return find_pretrained(config)

    monkeypatch.setattr("maskfree.distributed.beginning.find_pretrained", found)
    assert main([*words, "--weights", str(first), "--out", str(tmp_path / "run")]) == 0
    assert capsys.readouterr().err.count("Two tensors are left over.") == 1


def test_weights_that_cannot_be_had_are_not_passed_over_for_a_backbone(
    words: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    backbone = Pretrained(backbone={"any": torch.zeros(1)})

    def passed_over(_: ModelConfig) -> Pretrained:
        fault = NotFetched("It begins with a backbone.", "the network is down")
        warnings.warn(fault, stacklevel=1)
        return backbone

    monkeypatch.setattr("maskfree.distributed.beginning.find_pretrained", passed_over)
    given = ["--weights", "runs/coco", "--out", str(tmp_path / "run")]
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # it begins with nothing
        told = fault([*words, *given], capsys)
    assert "runs/coco cannot be had here (the network is down), and the network is to" in told
    assert "--weights FOLDER. To begin without it leave --weights out" in told
    assert not (tmp_path / "run").exists()


def test_frozen_norms_that_have_learnt_nothing_are_said(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*words, "--out", str(tmp_path / "run")]) == 0
    said = "The network begins with fresh weights, and its batch norms stay as they are"
    assert said in capsys.readouterr().err
    fresh = ["--set", "model.frozen_norms=false"]
    assert main([*words, "--out", str(tmp_path / "other"), *fresh]) == 0
    assert said not in capsys.readouterr().err


def test_a_lack_of_memory_says_what_to_do_and_leaves_nothing_in_the_way(
    words: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def no_memory(*_: Any, **__: Any) -> None:
        raise RuntimeError("CUDA out of memory. Tried to allocate 20.00 GiB")

    monkeypatch.setattr("maskfree.distributed.learner.clip_losses", no_memory)
    told = fault([*words, "--out", str(tmp_path / "run")], capsys)
    assert "--set schedule.accumulate=4" in told
    assert not (tmp_path / "run").exists()


def test_two_data_sets_are_trained_on_together(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    more = write_dataset(tmp_path / "more")
    joint = ["--extra-data", str(more), "--set", "extra_share=0.5", "extra.kind=ytvis2021"]
    joint += ["extra.short_sides=64"]
    assert main([*words, *joint, "extra.clip_length=2", "--out", str(tmp_path / "run")]) == 0
    capsys.readouterr()
    told = fault([*words, *joint, "extra.clip_length=3", "--out", str(tmp_path / "no")], capsys)
    assert "data.clip_length is 2, extra.clip_length 3. Set both to the same number." in told


def test_videos_of_more_objects_than_queries_are_said(tmp_path: Path) -> None:
    def instance(number: int, frames: tuple[int, ...]) -> DataInstance:
        boxes = np.full((2, 4), np.nan, np.float32)
        boxes[list(frames)] = 0, 0, 4, 4
        return DataInstance(number, 0, boxes, False, None)

    apart = (instance(1, (0,)), instance(2, (1,)), instance(3, (1,)))
    video = DataVideo(1, "v", 8, 8, ("a.jpg", "b.jpg"), apart)
    section = RecipeConfig().data
    dataset = VideoDataset("d", Path(), ("cat",), (1,), [video], ())
    with pytest.warns(InputWarning, match=r"videos of up to 3 objects.*model.num_queries=3"):
        need_queries(dataset, section, 2)
    with pytest.raises(InputError, match="v shows 2 objects in one frame, and the network has 1 q"):
        need_queries(dataset, section, 1)
    need_queries(dataset, section, 3)
    need_queries(dataset, dataclasses.replace(section, frame_share=0.5), 2)


def logged(run: Path) -> list[dict[str, float]]:
    lines = (run / "metrics.jsonl").read_text().splitlines()
    return [json.loads(line)["losses"] for line in lines]


def test_what_ended_before_its_first_checkpoint_goes_on_from_its_weights(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second, third = tmp_path / "first", tmp_path / "second", tmp_path / "third"
    assert main([*words, "--out", str(first)]) == 0
    weights = first / "checkpoints" / "00000002" / "model.safetensors"
    given = ["--weights", str(weights)]
    assert main([*words, *given, "--out", str(second)]) == 0
    whole = logged(second)
    assert main([*words, *given, "--out", str(third)]) == 0
    shutil.rmtree(third / "checkpoints")  # as after a kill
    capsys.readouterr()
    assert main([*words, "--resume", "--out", str(third)]) == 0
    again = logged(third)
    assert again == whole
    assert main([*words, "--resume", "--out", str(third), "--json"]) == 0  # there is no step left
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["losses"] == whole[-1]


@pytest.mark.parametrize("name", ["metrics.jsonl", "skipped.jsonl", "tensorboard/events"])
def test_a_folder_with_somebodys_files_is_left_alone(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    own = tmp_path / "run" / name
    own.parent.mkdir(parents=True)
    own.write_text("mine")
    told = fault([*words, "--out", str(tmp_path / "run")], capsys)
    assert f"has a {name.partition('/')[0]} already" in told
    assert own.read_text() == "mine"
    assert len(list((tmp_path / "run").rglob("*"))) == len(Path(name).parts)


def test_clips_of_two_lengths_are_refused_before_the_first_step(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    joint = ["--extra-data", str(tmp_path), "--set", "extra_share=0.01", "extra.kind=coco"]
    told = fault([*words, *joint, "extra.pseudo_frames=4", "--out", str(tmp_path / "x")], capsys)
    assert "data.clip_length is 2, extra.pseudo_frames 4. Set both to the same number." in told


def test_the_masks_of_the_data_are_part_of_what_is_known() -> None:
    def facts(runs: str) -> str:
        boxes = np.zeros((1, 4), np.float32)
        instance = DataInstance(1, 0, boxes, False, {0: runs})
        video = DataVideo(1, "v", 8, 8, ("a.jpg",), (instance,))
        dataset = VideoDataset("d", Path(), ("cat",), (1,), [video], ())
        return str(data_facts([dataset])["digest"])

    assert facts("abc") == facts("abc") != facts("abd")
