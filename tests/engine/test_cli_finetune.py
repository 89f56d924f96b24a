"""The command line: sessions reopened, resumed, for another video."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from command_line import SMALL, Result

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def test_finetune_reopens_resumes_and_predicts_another_video(
    cli: Callable[..., Result], clip: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "session"
    new = ("finetune", clip / "frames", "--boxes", clip / "boxes.json", "--session", folder)
    first = cli(*new, "--steps", 2, *SMALL, "--json").json
    assert (first["run"], first["steps"], first["status"]) == ("0001", 2, "done")
    assert first["loss"] == pytest.approx(sum(first["losses"].values()))
    again = cli("finetune", "--session", folder, "--steps", 1, "--seed", 3, *SMALL, "--json").json
    assert (again["run"], again["steps"]) == ("0002", 1)
    config = json.loads((folder / "runs/0002/config.json").read_text(encoding="utf-8"))
    assert config["seed"] == 3
    assert config["config"]["optimiser"]["steps"] == 1
    assert config["config"]["sampling"]["object_size"] == 8

    own = {file.name: file.read_bytes() for file in (folder / "masks").iterdir()}
    other = cli("predict", folder, "--video", clip / "frames", "--frames", "2:4", "--json").json
    assert other["frames"] == 2
    assert other["masks"] == str(folder / "other" / "frames" / "masks")
    assert sorted(os.listdir(other["masks"])) == ["00002.json", "00003.json"]
    assert own == {f.name: f.read_bytes() for f in (folder / "masks").iterdir()}, "untouched"


def test_boxes_replace_those_of_the_session(
    cli: Callable[..., Result], refuses: Callable[..., str], clip: Path, tmp_path: Path
) -> None:
    folder, fewer = tmp_path / "session", tmp_path / "fewer.json"
    new = ("finetune", clip / "frames", "--boxes", clip / "boxes.json", "--session", folder)
    assert cli(*new, "--steps", 1, *SMALL).code == 0
    data = json.loads((clip / "boxes.json").read_text(encoding="utf-8"))
    fewer.write_text(json.dumps({**data, "tracks": data["tracks"][:1]}), encoding="utf-8")
    before = (folder / "boxes.json").read_bytes()
    assert "no setting" in refuses(
        "finetune", "--session", folder, "--boxes", fewer, "--set", "optimiser.stps=3"
    )
    assert (folder / "boxes.json").read_bytes() == before, "nothing changed by a refused command"
    assert cli("finetune", "--session", folder, "--boxes", fewer, "--steps", 1, *SMALL).code == 0
    assert [t["id"] for t in cli("info", folder, "--json").json["tracks"]] == [1]


def test_resume_goes_on_where_a_run_was_stopped(
    cli: Callable[..., Result], clip: Path, tmp_path: Path
) -> None:
    from maskfree.presets import preset
    from maskfree.session import Session
    from maskfree.settings import override
    from maskfree.tracks import read_boxes
    from maskfree.train import finetune

    folder = tmp_path / "session"
    session = Session.create(
        folder, video_source=clip / "frames", boxes=read_boxes(clip / "boxes.json")
    )
    small = dict(pair.split("=") for pair in SMALL[1:])
    steps = finetune(session, override(preset("tiny"), {"optimiser.steps": 3, **small}))
    next(steps)
    steps.close()
    result = cli("finetune", "--session", folder, "--resume", "--steps", 9, "--json")
    assert (result.json["run"], result.json["steps"]) == ("0001", 3)
    assert "those given now are not used" in result.err
    records = session.runs()[0].records()
    assert [r["step"] for r in records if "losses" in r] == [1, 2, 3]


def test_there_is_no_run_yet_to_go_on_with(
    cli: Callable[..., Result], clip: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "session"
    words = ("finetune", clip / "frames", "--boxes", clip / "boxes.json", "--session", folder)
    result = cli(*words, "--resume", "--steps", 1, *SMALL, "--json")
    assert (result.json["run"], result.json["steps"]) == ("0001", 1)
    said = f"{folder} has no run to go on with: --resume begins the first one."
    assert said in " ".join(result.err.split())


def test_another_preset_than_the_newest_runs_is_said(
    cli: Callable[..., Result], clip: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "session"
    words = ("finetune", clip / "frames", "--boxes", clip / "boxes.json", "--session", folder)
    cli(*words, "--preset", "resnet18", "--steps", 1, *SMALL)
    said = "Run 0001 was made with the preset resnet18; this one is of tiny and begins anew."
    result = cli("finetune", "--session", folder, "--steps", 1, *SMALL)
    assert said in " ".join(result.err.split())
    again = cli("finetune", "--session", folder, "--preset", "tiny", "--steps", 1, *SMALL)
    assert "was made with the preset" not in again.err


def test_weights_that_a_fresh_run_does_not_begin_with_again_are_said(
    cli: Callable[..., Result], clip: Path, tmp_path: Path
) -> None:
    first, folder = tmp_path / "first", tmp_path / "session"
    words = ("finetune", clip / "frames", "--boxes", clip / "boxes.json", "--session")
    cli(*words, first, "--steps", 1, *SMALL)
    weights = first / "runs" / "0001"
    cli(*words, folder, "--steps", 1, "--weights", weights, *SMALL)
    said = f"Run 0001 began with the weights of {weights}; this one begins anew, and with none."
    result = cli("finetune", "--session", folder, "--preset", "tiny", "--steps", 1, *SMALL)
    assert said in " ".join(result.err.split())
    config = folder / "runs" / "0002" / "config.json"
    whole = config.read_text()
    config.write_text("{")  # nothing is compared with what cannot be read
    result = cli("finetune", "--session", folder, "--preset", "tiny", "--steps", 1, *SMALL)
    assert result.code == 0, result.err
    config.write_text(whole)
    again = ("--weights", weights)
    result = cli("finetune", "--session", folder, "--steps", 1, *again, *SMALL)
    assert "this one begins anew" not in result.err


def test_previews_and_the_best_weights_from_the_shell(
    cli: Callable[..., Result], refuses: Callable[..., str], clip: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "session"
    new = ("finetune", clip / "frames", "--boxes", clip / "boxes.json", "--session", folder)
    assert refuses(*new, "--preview", "a,b", *SMALL) == (
        '--preview expects frames such as 0,30,60, or auto, got "a,b".'
    )
    assert "Expected 1 to 4 frames to preview, from 0 to " in refuses(*new, "--preview", "900")
    assert not folder.exists()
    told = cli(*new, "--steps", 2, "--preview", "1,2", "--keep", "best", *SMALL, "--json").json
    run = folder / "runs" / "0001"
    assert told["weights"] == str(run / "best.safetensors")
    assert told["kept_step"] == 2
    assert {path.name for path in (run / "previews").iterdir()} == {
        *("before.json", "best.json", "frames.json", "now.json"),
        *("00001.png", "00002.png"),
    }
    assert cli("predict", folder, "--frames", "0:1").code == 0


def test_an_export_of_first_masks_says_so(
    cli: Callable[..., Result], clip: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "session"
    new = ("finetune", clip / "frames", "--boxes", clip / "boxes.json", "--session", folder)
    assert cli(*new, "--steps", 1, *SMALL).code == 0
    export = ("export", folder, "--format")
    said = cli(*export, "davis", "--out", tmp_path / "first").err
    assert "warning: The masks of 12 frames are first masks, made before a network" in said
    assert cli(*export, "boxes", "--out", tmp_path / "boxes.json").err == ""
    assert cli("predict", folder, "--frames", "0:11").code == 0
    assert "masks of 1 frame are" in cli(*export, "davis", "--out", tmp_path / "most").err
    assert cli("predict", folder).code == 0
    assert cli(*export, "davis", "--out", tmp_path / "all").err == ""
