"""``maskfree infer`` and ``maskfree ap`` on a small data set that is written here."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest
import torch

from maskfree.cli import main
from maskfree.config import InferenceConfig, RecipeConfig
from maskfree.datasets.opening import open_dataset
from maskfree.errors import InputError, InputWarning
from maskfree.infer_command import check_out
from maskfree.inference import dataset_inference
from maskfree.inference.average_precision import AP_METRICS
from maskfree.inference.dataset_inference import evaluate, evaluator
from maskfree.inference.video_inference import FoundTrack
from maskfree.model.build import build_model
from walking_squares import FRAMES, SMALL, VIDEOS, saved

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from maskfree.config import Config
    from maskfree.datasets.types import DataVideo
    from maskfree.model.mask2former_video import Mask2FormerVideo

CPU = torch.device("cpu")


def test_every_video_has_its_results(
    infer: Callable[..., Any], weights: Path, tmp_path: Path
) -> None:
    done = infer(weights, "--kind", "ytvis2021", "--json")
    assert done.code == 0, done.err
    said = json.loads(done.out)
    results = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))
    assert (said["videos"], said["results"], said["before"]) == (VIDEOS, len(results), 0)
    assert len(results) == VIDEOS * 8  # four queries, two classes
    assert {each["video_id"] for each in results} == {1, 2, 3}
    assert {each["category_id"] for each in results} == {4, 9}
    assert all(len(each["segmentations"]) == FRAMES for each in results)
    assert not (tmp_path / "results.json.parts").exists()


def test_a_lack_of_memory_says_what_to_do_and_several_processes_are_refused(
    infer: Callable[..., Any], weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_memory(*_: Any, **__: Any) -> None:
        raise RuntimeError("CUDA out of memory. Tried to allocate 20.00 GiB")

    with monkeypatch.context() as patch:
        patch.setattr("maskfree.inference.dataset_inference.infer_video", no_memory)
        done = infer(weights)
    assert done.code == 2
    assert "(0 of 3 are done and kept). Take clips of it: --set inference.clip" in done.err
    monkeypatch.setenv("WORLD_SIZE", "8")
    monkeypatch.setenv("RANK", "3")
    assert "this is process 3 of 8. Start it without torchrun" in infer(weights).err


def test_the_results_are_scored(
    cli: Callable[..., Any], infer: Callable[..., Any], weights: Path, root: Path, tmp_path: Path
) -> None:
    pytest.importorskip("trackeval")
    infer(weights)
    words = ("ap", tmp_path / "results.json", "--data", root, "--kind", "ytvis2019")
    found = json.loads(cli(*words, "--json").out)
    assert (found["videos"], list(found["classes"])) == (VIDEOS, ["cat", "dog"])
    assert set(found["all"]) == set(AP_METRICS)
    lines = cli(*words, "--full").out.splitlines()
    assert lines[0].split() == ["class", *AP_METRICS]
    assert [line.split()[0] for line in lines[1:]] == ["all", "cat", "dog"]


def test_the_truth_as_results_has_an_ap_of_100(
    cli: Callable[..., Any], root: Path, tmp_path: Path
) -> None:
    pytest.importorskip("trackeval")
    truth = json.loads((root / "valid/instances.json").read_text(encoding="utf-8"))
    kept = ("video_id", "category_id", "segmentations")
    results = [{**{key: a[key] for key in kept}, "score": 1.0} for a in truth["annotations"]]
    path = tmp_path / "truth.json"
    path.write_text(json.dumps(results), encoding="utf-8")
    all_right = ["all", "100.0", "100.0", "100.0", "100.0", "100.0"]
    done = cli("ap", path, "--data", root)
    assert (done.out.splitlines()[1].split(), done.err) == (all_right, "")
    shutil.rmtree(root / "valid/JPEGImages")
    done = cli("ap", path, "--data", root)
    assert (done.out.splitlines()[1].split(), done.err) == (all_right, "")


def test_videos_without_a_result_are_said(
    cli: Callable[..., Any], root: Path, tmp_path: Path
) -> None:
    pytest.importorskip("trackeval")
    truth = json.loads((root / "valid/instances.json").read_text(encoding="utf-8"))
    kept = ("video_id", "category_id", "segmentations")
    results = [{**{key: truth["annotations"][0][key] for key in kept}, "score": 1.0}]
    path = tmp_path / "some.json"
    path.write_text(json.dumps(results), encoding="utf-8")
    done = cli("ap", path, "--data", root)
    assert done.out.splitlines()[1].split()[1] == "50.0"  # of two classes one
    assert "has no result for 1 of the 3 videos" in " ".join(done.err.split())
    assert "v1" in done.err


def test_during_training_it_is_the_same_number(
    cli: Callable[..., Any],
    infer: Callable[..., Any],
    model: Mask2FormerVideo,
    weights: Path,
    root: Path,
    tmp_path: Path,
) -> None:
    pytest.importorskip("trackeval")
    infer(weights)
    words = ("ap", tmp_path / "results.json", "--data", root, "--json")
    dataset = open_dataset("ytvis2019", root, "valid", masks=True, without_boxes=True)
    recipe = RecipeConfig(inference=InferenceConfig(short_side=32, long_side=64))
    model.train()
    scores = evaluate(model, dataset, recipe, device=CPU)
    assert scores == json.loads(cli(*words).out)["all"]
    assert model.training
    score = evaluator(recipe, str(root), ("cat", "dog"), device=CPU)
    assert score(model) == scores
    (root / "valid/JPEGImages/v1/00002.jpg").unlink()
    with pytest.warns(InputWarning, match="pictures of 1 of 3 videos cannot be used"):
        without = score(model)
    assert without.pop("unread") == 1
    infer(weights)
    assert without == json.loads(cli(*words).out)["all"]


def test_a_video_that_cannot_be_read_scores_as_one_where_nothing_is_found(
    model: Mask2FormerVideo, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("trackeval")

    def truth(_: Any, video: DataVideo, *__: Any, **___: Any) -> list[FoundTrack]:
        if video.name == "v1":
            raise InputError("it is damaged")
        return [
            FoundTrack(each.class_index, 1.0, tuple(each.segments[t] for t in range(FRAMES)))
            for each in video.instances
            if each.segments
        ]

    monkeypatch.setattr(dataset_inference, "infer_video", truth)
    with pytest.warns(InputWarning, match="first v1: it is damaged"):
        found = evaluator(RecipeConfig(), str(root), ("cat", "dog"), device=CPU)(model)
    assert found["AP"] == pytest.approx(0.5)  # the cat is found, the dog is not
    assert found["unread"] == 1


def test_what_cannot_be_evaluated_is_said_before_training(root: Path) -> None:
    pytest.importorskip("trackeval")
    recipe = RecipeConfig()
    pictures = root / "valid/JPEGImages"
    (pictures / "v0/00001.jpg").unlink()
    with pytest.warns(
        InputWarning, match="of 1 of 3 videos cannot be used, which count as nothing"
    ):
        evaluator(recipe, str(root), ("cat", "dog"), device=CPU)
    pictures.rename(root / "elsewhere")
    with pytest.raises(InputError, match="No video of ytvis2019 valid can be scored, first v0: 3 "):
        evaluator(recipe, str(root), ("cat", "dog"), device=CPU)
    (root / "elsewhere").rename(pictures)
    shutil.copy(pictures / "v0/00000.jpg", pictures / "v0/00001.jpg")
    with pytest.raises(InputError, match="ytvis2019 valid has other classes than what is trained"):
        evaluator(recipe, str(root), ("dog", "cat"), device=CPU)
    path = root / "valid/instances.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    for each in content["annotations"]:
        del each["segmentations"]
    path.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(InputError, match="ytvis2019 valid has no true masks"):
        evaluator(recipe, str(root), ("cat", "dog"), device=CPU)


def test_a_stopped_run_is_gone_on_with(
    infer: Callable[..., Any], weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    infer(weights)
    whole = (tmp_path / "results.json").read_bytes()
    (tmp_path / "results.json").unlink()
    seen, original = [], dataset_inference.infer_video

    def stopped(*args: Any, **options: Any) -> Any:
        seen.append(args[1].name)
        if seen == ["v0", "v1"]:
            raise KeyboardInterrupt
        return original(*args, **options)

    monkeypatch.setattr(dataset_inference, "infer_video", stopped)
    assert infer(weights).code == 130
    assert not (tmp_path / "results.json").exists()
    again = infer(weights)
    assert "(1 of them before)" in again.out
    assert seen == ["v0", "v1", "v1", "v2"]
    assert (tmp_path / "results.json").read_bytes() == whole


def test_other_weights_do_not_go_on(
    infer: Callable[..., Any],
    refuses: Callable[..., str],
    weights: Path,
    root: Path,
    model: Mask2FormerVideo,
    small_config: Config,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def stopped(*args: Any, **options: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(dataset_inference, "infer_video", stopped)
    infer(weights)
    torch.manual_seed(1)
    other = build_model(small_config.model, num_classes=2, num_queries=4)
    path = saved(tmp_path / "other.safetensors", other, small_config)
    words = ("infer", path, "--data", root, "--out", tmp_path / "results.json", *SMALL)
    assert "holds results of other weights" in refuses(*words)


def test_bad_input_is_one_line(
    refuses: Callable[..., str], weights: Path, root: Path, tmp_path: Path
) -> None:
    out = tmp_path / "r.json"
    assert "There is no folder" in refuses(
        "infer", weights, "--data", tmp_path / "no", "--out", out
    )
    words = ("infer", weights, "--data", root)
    assert "would be lost" in refuses(*words, "--out", weights)
    assert "is a folder. Name the results file" in refuses(*words, "--out", tmp_path)
    assert "no kind of data set" in refuses(*words, "--out", out, "--kind", "ytvis")
    assert "no recipe" in refuses(*words, "--out", out, "--recipe", "ytvis19-r51")
    assert "inference.shorter" in refuses(*words, "--out", out, "--set", "inference.shorter=3")
    assert "scored with pycocotools" in refuses("ap", out, "--data", root, "--kind", "coco")


def test_results_take_the_place_of_nothing_that_is_read(
    weights: Path, root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    annotations = next(root.rglob("*.json"))
    kept = annotations.read_bytes()
    words = ["infer", str(weights), "--data", str(root), "--kind", "ytvis2019", "--split", "valid"]
    assert main([*words, "--out", str(annotations), *SMALL]) == 2
    assert "is a file of" in capsys.readouterr().err
    assert annotations.read_bytes() == kept
    run = tmp_path / "run"
    run.mkdir()
    (run / "recipe.json").write_text("{}")
    with pytest.raises(InputError, match=r"is a file of .*, which is read, and would be lost"):
        check_out(run / "recipe.json", (root, run))
    (run / "results.json").write_text("[]")
    check_out(run / "results.json", (root, run))  # earlier results may be written over
