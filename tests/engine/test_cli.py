"""The command line: every command on the generated clip, and every kind of bad input."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from maskfree.cli import main
from maskfree.formats import FORMATS
from napari_maskfree.sample_data import generated_clip

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NUM_FRAMES, HEIGHT, WIDTH = 12, 96, 128
STEPS = 60
SMALL = ("--set", "sampling.frame_area=12288", "sampling.object_size=8")
"""Training frames of the clip's own size, so that a step takes a tenth of a second."""
FLOOR_J, FLOOR_F = 0.56, 0.45
"""Seeds 0, 1, 2 gave J 0.619, 0.632, 0.676 and F 0.551, 0.610, 0.683; the filled boxes have J 0.508
and F 0.348."""


class Result:
    """What a command did: exit code, stdout, stderr."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err

    @property
    def json(self) -> Any:
        assert self.code == 0, self.err
        return json.loads(self.out)


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]) -> Callable[..., Result]:
    """Run the command in this process."""

    def run(*words: object) -> Result:
        capsys.readouterr()
        code = main([str(word) for word in words])
        return Result(code, *capsys.readouterr())

    return run


@pytest.fixture
def refuses(cli: Callable[..., Result]) -> Callable[..., str]:
    """Run a command that must end with exit code 2 and one line; return what the line says."""

    def run(*words: object) -> str:
        result = cli(*words)
        assert result.code == 2, result.out + result.err
        assert result.out == ""
        assert result.err.startswith("maskfree: error: ")
        assert result.err.count("\n") == 1
        assert result.err.endswith("\n")
        return result.err.removeprefix("maskfree: error: ").rstrip("\n")

    return run


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The generated clip on disk: frames/, masks/, boxes.json."""
    folder = tmp_path_factory.mktemp("clip")
    generated_clip(NUM_FRAMES, HEIGHT, WIDTH, seed=0).write(folder)
    return folder


@pytest.fixture(scope="module")
def session(clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A session that was fine-tuned and predicted by the command line; not to be changed."""
    folder = tmp_path_factory.mktemp("work") / "session"
    boxes = ["--boxes", str(clip / "boxes.json"), "--session", str(folder)]
    assert main(["finetune", str(clip / "frames"), *boxes, "--steps", str(STEPS), *SMALL]) == 0
    assert main(["predict", str(folder)]) == 0
    return folder


# ---- the job, end to end


def test_masks_are_better_than_filled_boxes(
    cli: Callable[..., Result], session: Path, clip: Path
) -> None:
    scores = cli("evaluate", session, "--truth", clip / "masks", "--json").json
    assert set(scores) == {"J", "F", "JF", "tracks"}
    assert set(scores["tracks"]) == {"1", "2"}
    assert scores["J"] >= FLOOR_J
    assert scores["F"] >= FLOOR_F
    assert scores["JF"] == pytest.approx((scores["J"] + scores["F"]) / 2)


def test_evaluate_prints_a_table(cli: Callable[..., Result], session: Path, clip: Path) -> None:
    lines = cli("evaluate", session, "--truth", clip / "masks").out.splitlines()
    assert lines[0].split() == ["track", "J", "F", "J&F"]
    assert [line.split()[0] for line in lines[1:]] == ["1", "2", "mean"]


def test_export_davis_and_convert_keep_every_pixel(
    cli: Callable[..., Result], session: Path, tmp_path: Path
) -> None:
    davis, ytvis, again = tmp_path / "davis", tmp_path / "ytvis.json", tmp_path / "again"
    report = cli("export", session, "--format", "davis", "--out", davis, "--json").json
    assert (report["format"], report["frames"], report["instances"]) == ("davis", NUM_FRAMES, 2)
    names = [f"{frame:05d}.png" for frame in range(NUM_FRAMES)]
    assert sorted(path.name for path in davis.rglob("*.png")) == names
    assert cli("convert", davis, ytvis, "--from", "davis", "--to", "ytvis").code == 0
    assert cli("convert", ytvis, again, "--from", "ytvis", "--to", "davis").code == 0
    for name in names:
        assert (davis / name).read_bytes() == (again / name).read_bytes()


def test_export_says_what_the_format_does_not_keep(
    cli: Callable[..., Result], session: Path, tmp_path: Path
) -> None:
    result = cli("export", session, "--format", "davis", "--out", tmp_path / "davis")
    assert "note: scores are not kept" in result.out
    assert result.err == ""


def test_info_says_what_a_session_holds(cli: Callable[..., Result], session: Path) -> None:
    info = cli("info", session, "--json").json
    assert (info["frames"], info["size"]) == (NUM_FRAMES, [HEIGHT, WIDTH])
    assert [track["label"] for track in info["tracks"]] == ["blob", "star"]
    assert info["runs"][0] == {
        "name": "0001",
        "status": "done",
        "steps": STEPS,
        "preset": "tiny",
        "checkpoint": True,
    }
    text = cli("info", session).out
    assert f"{NUM_FRAMES} frames, {WIDTH}x{HEIGHT}" in text
    assert "blob" in text


def test_correspond_writes_the_matches_of_the_contract(
    cli: Callable[..., Result], clip: Path, tmp_path: Path
) -> None:
    out = tmp_path / "matches.npz"
    words = ("correspond", clip / "frames", 3, 4, "--out", out, "--json")
    result = cli(*words, "--set", "num_neighbors=3", "temporal.search_radius=2").json
    assert result["shape"] == [3, HEIGHT // 4, WIDTH // 4]
    with np.load(out) as data:
        matches = dict(data)
    assert matches["frames"].tolist() == [3, 4]
    assert matches["target_yx"].shape == (3, HEIGHT // 4, WIDTH // 4, 2)
    assert matches["valid"].dtype == bool
    assert (np.diff(matches["distance"], axis=0) >= 0).all(), "nearest first"
    rows = np.arange(HEIGHT // 4)[:, None]
    steps = np.abs(matches["target_yx"][0, ..., 0] - rows)
    assert steps.max() == 2, "absolute cells, within the radius"


def test_correspond_of_a_frame_with_itself_is_itself(
    cli: Callable[..., Result], clip: Path, tmp_path: Path
) -> None:
    out = tmp_path / "matches.npz"
    assert cli("correspond", clip / "frames", 0, 0, "--out", out).code == 0
    with np.load(out) as data:
        nearest, distance = data["target_yx"][0], data["distance"][0]
    cells = np.stack(np.mgrid[: HEIGHT // 4, : WIDTH // 4], axis=-1)
    np.testing.assert_array_equal(nearest, cells)
    assert (distance == 0).all()


# ---- sessions: reopened, resumed, another video


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

    other = cli("predict", folder, "--video", clip / "frames", "--frames", "2:4", "--json").json
    assert other["frames"] == 2
    assert other["masks"] == str(folder / "other" / "frames" / "masks")
    assert sorted(os.listdir(other["masks"])) == ["00002.json", "00003.json"]
    assert not (folder / "masks").exists(), "the session's own masks are untouched"


def test_resume_needs_a_run_that_was_stopped(
    refuses: Callable[..., str], session: Path, clip: Path
) -> None:
    said = refuses("finetune", "--session", session, "--resume")
    assert "0001" in said
    assert "cannot go on" in said
    assert "Leave --resume out" in said


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


def stoppable(words: list[str], ready: Callable[[], bool]) -> subprocess.CompletedProcess[str]:
    """Start ``maskfree`` in a process of its own and send Ctrl-C once it is ready."""
    if sys.platform == "win32":
        group: dict[str, Any] = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
    else:  # where the tests run in the background, a shell has switched Ctrl-C off
        group = {"preexec_fn": lambda: signal.signal(signal.SIGINT, signal.default_int_handler)}
    process = subprocess.Popen(
        [sys.executable, "-m", "maskfree", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        **group,
    )
    end = time.monotonic() + 120
    while not ready() and process.poll() is None and time.monotonic() < end:
        time.sleep(0.05)
    if sys.platform == "win32":
        process.send_signal(signal.CTRL_BREAK_EVENT)
    else:
        process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    return subprocess.CompletedProcess(words, process.returncode, out, err)


def test_ctrl_c_keeps_what_was_learnt(
    cli: Callable[..., Result], clip: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "session"
    metrics = folder / "runs" / "0001" / "metrics.jsonl"
    words = ["finetune", str(clip / "frames"), "--boxes", str(clip / "boxes.json")]
    words += ["--session", str(folder), "--steps", "100000", *SMALL]
    done = stoppable(words, lambda: metrics.is_file() and '"step"' in metrics.read_text())
    assert done.returncode in {130, 149}, done.stderr  # 149: Ctrl-Break of Windows
    last = done.stderr.splitlines()[-1]
    assert last.startswith("maskfree: stopped; what was learnt in ")
    assert "--resume" in last
    run = cli("info", folder, "--json").json["runs"][0]
    assert run["status"] == "stopped"
    assert run["checkpoint"]
    records = [json.loads(line) for line in metrics.read_text(encoding="utf-8").splitlines()]
    assert f"in {records[-1]['step']} of 100000 steps" in last


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


# ---- bad input: one line, exit code 2, nothing left behind


@pytest.fixture
def bad(refuses: Callable[..., str], clip: Path, tmp_path: Path) -> Callable[..., str]:
    """Fine-tune with something wrong; no session may be left behind."""

    def run(
        *more: object, video: object = clip / "frames", boxes: object = clip / "boxes.json"
    ) -> str:
        folder = tmp_path / "made" / "session"
        said = refuses(
            "finetune", video, "--boxes", boxes, "--session", folder, "--steps", 1, *more
        )
        assert not (tmp_path / "made").exists()
        return said

    return run


def test_bad_video(bad: Callable[..., str], tmp_path: Path, clip: Path) -> None:
    assert "There is no file or folder" in bad(video=tmp_path / "absent.mp4")
    for name, content in (("empty.mp4", b""), ("text.mp4", b"not a video at all"), ("a.doc", b"x")):
        (tmp_path / name).write_bytes(content)
        assert name in bad(video=tmp_path / name)
    (tmp_path / "folder").mkdir()
    assert "folder" in bad(video=tmp_path / "folder")


def test_truncated_video(bad: Callable[..., str], tmp_path: Path) -> None:
    from napari_maskfree.sample_data import rabbit_boxes_path, rabbit_path

    whole = rabbit_path().read_bytes()
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(whole[: len(whole) // 2])
    assert "cut.mp4" in bad(video=cut, boxes=rabbit_boxes_path())


def test_a_frame_that_cannot_be_read_once_training_begins(
    bad: Callable[..., str], clip: Path, tmp_path: Path
) -> None:
    import shutil

    shutil.copytree(clip / "frames", tmp_path / "frames")
    broken = tmp_path / "frames" / "00006.png"
    broken.write_bytes(broken.read_bytes()[:200])
    assert "00006.png" in bad(video=tmp_path / "frames")


def _boxes_file(folder: Path, *keyframes: dict[str, Any], **changes: Any) -> Path:
    video = {"frames": NUM_FRAMES, "height": HEIGHT, "width": WIDTH, "fps": None}
    data = {
        "version": 1,
        "video": video,
        "tracks": [{"id": 1, "label": "blob", "boxes": list(keyframes)}],
    }
    path = folder / "boxes.json"
    path.write_text(json.dumps({**data, **changes}), encoding="utf-8")
    return path


BOX = {"frame": 0, "xyxy": [10.0, 10.0, 40.0, 40.0]}
TRACK = {"id": 1, "label": "blob", "boxes": [BOX]}


@pytest.mark.parametrize(
    ("keyframes", "changes", "expected"),
    [
        ([BOX], {"version": 7}, "version"),
        ([{"frame": 0, "xyxy": [40.0, 10.0, 40.0, 40.0]}], {}, "x1"),
        ([{"frame": 0, "xyxy": [float("nan"), 10.0, 40.0, 40.0]}], {}, "xyxy"),
        ([{"frame": NUM_FRAMES, "xyxy": [1.0, 1.0, 4.0, 4.0]}], {}, f"got {NUM_FRAMES}"),
        ([{"frame": 0, "xyxy": [400.0, 10.0, 440.0, 40.0]}], {}, "outside"),
        ([], {"tracks": [TRACK, TRACK]}, "id"),
        ([], {"tracks": []}, "at least one track"),
        ([], {}, "at least one box"),
        ([BOX], {"video": {"frames": 12, "height": 50, "width": 128, "fps": None}}, "128 x 50"),
        ([BOX], {"video": {"frames": 99, "height": 96, "width": 128, "fps": None}}, "99"),
    ],
)
def test_bad_boxes(
    bad: Callable[..., str],
    tmp_path: Path,
    keyframes: list[dict[str, Any]],
    changes: dict[str, Any],
    expected: str,
) -> None:
    assert expected in bad(boxes=_boxes_file(tmp_path, *keyframes, **changes))


def test_boxes_that_are_no_json(bad: Callable[..., str], tmp_path: Path) -> None:
    path = tmp_path / "boxes.json"
    path.write_text('{"version": 1,', encoding="utf-8")
    assert "is not JSON" in bad(boxes=path)
    assert "There is no boxes file" in bad(boxes=tmp_path / "absent.json")


def test_a_box_beyond_the_frame_is_clipped_with_one_warning(
    cli: Callable[..., Result], clip: Path, tmp_path: Path
) -> None:
    boxes = _boxes_file(tmp_path, {"frame": 0, "xyxy": [90.0, 10.0, 170.0, 40.0]})
    words = ("finetune", clip / "frames", "--boxes", boxes, "--session", tmp_path / "session")
    result = cli(*words, "--steps", 1, *SMALL)
    assert result.code == 0
    warned = [line for line in result.err.splitlines() if "warning" in line]
    assert len(warned) == 1
    assert warned[0].startswith("maskfree: warning: ")
    assert "clipped" in warned[0]


def test_bad_settings(bad: Callable[..., str]) -> None:
    assert 'Did you mean "tiny"?' in bad("--preset", "tin")
    assert 'Did you mean "temporal.search_radius"?' in bad("--set", "temporal.serch_radius=3")
    assert "expects key=value" in bad("--set", "temporal.search_radius")
    assert "must lie in" in bad("--set", "temporal.search_radius=0")
    assert "whole number" in bad("--set", "optimiser.steps=many")
    assert 'Did you mean "cuda"?' in bad("--device", "cud")
    assert "invalid int value" in bad("--seed", "x")


def test_cuda_without_cuda(bad: Callable[..., str]) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is a CUDA device here")
    assert "--device cuda was asked for" in bad("--device", "cuda")


def test_session_folders_that_are_none(
    refuses: Callable[..., str], clip: Path, tmp_path: Path
) -> None:
    file, full = tmp_path / "file", tmp_path / "full"
    file.write_text("x", encoding="utf-8")
    full.mkdir()
    (full / "thesis.txt").write_text("years of work", encoding="utf-8")
    new = ("finetune", clip / "frames", "--boxes", clip / "boxes.json", "--steps", 1, "--session")
    assert "is a file" in refuses(*new, file)
    assert "thesis.txt" in refuses(*new, full)
    assert os.listdir(full) == ["thesis.txt"]
    assert "needs VIDEO and --boxes" in refuses("finetune", "--session", tmp_path / "absent")
    assert "needs --boxes" in refuses("finetune", clip, "--session", tmp_path / "absent")
    for command in (("predict",), ("info",), ("evaluate", "--truth", clip / "masks")):
        assert "There is no session folder" in refuses(
            command[0], tmp_path / "absent", *command[1:]
        )
        assert "is not a session" in refuses(command[0], full, *command[1:])


def test_predict_needs_a_run_and_frames_that_exist(
    refuses: Callable[..., str], session: Path, clip: Path, tmp_path: Path
) -> None:
    from maskfree.session import Session
    from maskfree.tracks import read_boxes

    fresh = tmp_path / "fresh"
    Session.create(fresh, video_source=clip / "frames", boxes=read_boxes(clip / "boxes.json"))
    assert "no fine-tuned run" in refuses("predict", fresh)
    assert "0:12" in refuses("predict", session, "--frames", "3:40")
    assert "expects A:B" in refuses("predict", session, "--frames", "3")
    assert "no frame has any" in refuses(
        "export", fresh, "--format", "davis", "--out", tmp_path / "out"
    )
    assert not (tmp_path / "out").exists()


def test_bad_arguments_name_the_nearest(refuses: Callable[..., str], tmp_path: Path) -> None:
    assert 'Did you mean "finetune"?' in refuses("finetun")
    assert 'Did you mean "--steps"?' in refuses("finetune", "--session", tmp_path, "--step", 3)
    assert "--out" in refuses("export", tmp_path, "--format", "davis")
    assert "Name a command" in refuses()
    assert 'Did you mean "davis"?' in refuses(
        "convert", "a", "b", "--from", "davi", "--to", "ytvis"
    )
    assert 'Did you mean "davis"?' in refuses("export", "x", "--format", "davs", "--out", "y")


def test_correspond_refuses_frames_that_are_not_there(
    refuses: Callable[..., str], clip: Path, tmp_path: Path
) -> None:
    words = ("correspond", clip / "frames", 0, NUM_FRAMES, "--out", tmp_path / "m.npz")
    assert f"0 to {NUM_FRAMES - 1}" in refuses(*words)
    assert ".npz" in refuses("correspond", clip / "frames", 0, 1, "--out", tmp_path / "m.txt")
    assert 'Did you mean "temporal.num_neighbors"?' in refuses(
        "correspond", clip / "frames", 0, 1, "--out", tmp_path / "m.npz", "--set", "neighbors=3"
    )
    assert list(tmp_path.iterdir()) == []


def test_bad_truth(refuses: Callable[..., str], session: Path, tmp_path: Path) -> None:
    (tmp_path / "none").mkdir()
    assert "none" in refuses("evaluate", session, "--truth", tmp_path / "none")
    assert "absent" in refuses("evaluate", session, "--truth", tmp_path / "absent")


def test_a_full_disk_is_one_line(
    refuses: Callable[..., str],
    session: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import errno

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(tmp_path / "out"))

    monkeypatch.setattr(os, "replace", full)
    monkeypatch.setattr(os, "rename", full)
    said = refuses("export", session, "--format", "ytvis", "--out", tmp_path / "out.json")
    assert said.startswith("The disk is full")
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_fills_up_anywhere_is_one_line(
    refuses: Callable[..., str], session: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import errno

    import maskfree.session

    def full(_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "some/file")

    monkeypatch.setattr(maskfree.session.Session, "info", full)
    assert refuses("info", session).startswith("The disk is full (some/file could not be written)")


def test_a_fault_of_ours_is_one_line_and_a_log(
    cli: Callable[..., Result],
    clip: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import maskfree.session
    from maskfree.tracks import read_boxes

    folder = tmp_path / "session"
    maskfree.session.Session.create(
        folder, video_source=clip / "frames", boxes=read_boxes(clip / "boxes.json")
    )

    def broken(_: object) -> None:
        raise KeyError("masks\nand more")

    monkeypatch.setattr(maskfree.session.Session, "info", broken)
    result = cli("info", folder)
    assert result.code == 1
    assert result.err.count("\n") == 1
    assert result.err.startswith("maskfree: internal error: KeyError")
    log = folder / "maskfree-error.log"
    assert str(log) in result.err
    assert "Traceback" in log.read_text(encoding="utf-8")


# ---- convert-weights


class Attack:
    """Runs a command when unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.marker),)


@pytest.mark.parametrize("key", ["model", "state_dict", None])
def test_convert_weights(cli: Callable[..., Result], tmp_path: Path, key: str | None) -> None:
    import safetensors.torch
    import torch

    weight = torch.arange(6.0).reshape(2, 3)
    tensors = {"a.weight": weight, "tied": weight, "turned": weight.T}
    content = tensors if key is None else {key: tensors, "iteration": 5}
    torch.save(content, tmp_path / "in.pth")
    out = tmp_path / "out.safetensors"
    result = cli("convert-weights", tmp_path / "in.pth", out, "--json").json
    assert result == {"out": str(out), "tensors": 3, "parameters": 18}
    loaded = safetensors.torch.load_file(out)
    assert loaded.keys() == tensors.keys()
    for name, tensor in tensors.items():
        torch.testing.assert_close(loaded[name], tensor, rtol=0, atol=0)
    again = tmp_path / "again.safetensors"
    assert cli("convert-weights", out, again).code == 0
    assert safetensors.torch.load_file(again).keys() == tensors.keys()


def test_convert_weights_takes_arrays_and_leaves_the_rest_out(
    cli: Callable[..., Result], tmp_path: Path
) -> None:
    import safetensors.torch
    import torch

    torch.save({"model": {"a": np.arange(3.0), "note": "x"}}, tmp_path / "in.pth")
    result = cli("convert-weights", tmp_path / "in.pth", tmp_path / "out.safetensors")
    assert result.code == 0
    assert result.err.count("\n") == 1
    assert '"note"' in result.err
    tensor = safetensors.torch.load_file(tmp_path / "out.safetensors")["a"]
    assert tensor.tolist() == [0.0, 1.0, 2.0]


@pytest.mark.parametrize("kind", ["zip", "old", "pickle"])
def test_convert_weights_refuses_code(
    refuses: Callable[..., str], tmp_path: Path, kind: str
) -> None:
    import pickle

    import torch

    path, marker = tmp_path / "evil.pkl", tmp_path / "was-run"
    content = {"model": {"a": torch.zeros(2)}, "x": Attack(marker)}
    if kind == "pickle":
        path.write_bytes(pickle.dumps(content["x"]))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=kind == "zip")
    said = refuses("convert-weights", path, tmp_path / "out.safetensors")
    assert "would run code when loaded (it calls " in said
    assert f"{os.mkdir.__module__}.mkdir" in said
    assert not marker.exists()
    assert not (tmp_path / "out.safetensors").exists()


def test_convert_weights_refuses_what_is_none(refuses: Callable[..., str], tmp_path: Path) -> None:
    import torch

    torch.save({"lr": 1}, tmp_path / "no.pth")
    torch.save({"model": {"a": torch.zeros(999)}}, tmp_path / "cut.pth")
    whole = (tmp_path / "cut.pth").read_bytes()
    (tmp_path / "cut.pth").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.pth").write_text("hello there", encoding="utf-8")
    (tmp_path / "text.safetensors").write_text("hello there", encoding="utf-8")
    (tmp_path / "empty.pth").write_bytes(b"")
    out = tmp_path / "out.safetensors"
    assert "holds no tensors" in refuses("convert-weights", tmp_path / "no.pth", out)
    assert "damaged" in refuses("convert-weights", tmp_path / "cut.pth", out)
    assert "no checkpoint" in refuses("convert-weights", tmp_path / "text.pth", out)
    assert "not a readable" in refuses("convert-weights", tmp_path / "text.safetensors", out)
    assert "is empty" in refuses("convert-weights", tmp_path / "empty.pth", out)
    assert "There is no checkpoint" in refuses("convert-weights", tmp_path / "absent.pth", out)
    assert "must end in .safetensors" in refuses("convert-weights", tmp_path / "no.pth", "out.pth")
    assert not out.exists()


# ---- help, settings, processes


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


def test_light_commands_import_no_torch(session: Path, tmp_path: Path) -> None:
    code = (
        "import sys; from maskfree.cli import main\n"
        f"commands = [['--help'], ['settings'], ['info', {str(session)!r}],"
        f" ['export', {str(session)!r}, '--format', 'davis', '--out', {str(tmp_path / 'a')!r}],"
        f" ['convert', {str(tmp_path / 'a')!r}, {str(tmp_path / 'b.json')!r},"
        " '--from', 'davis', '--to', 'ytvis']]\n"
        "for words in commands:\n"
        "    assert main(words) == 0, words\n"
        "    heavy = {'torch', 'napari', 'qtpy', 'transformers'} & set(sys.modules)\n"
        "    assert not heavy, (words, heavy)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, encoding="utf-8", check=False
    )
    assert done.returncode == 0, done.stderr


def test_a_process_ends_with_the_exit_code_and_one_line(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "maskfree", "info", str(tmp_path / "Kälte")],
        capture_output=True,
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        check=False,
    )
    assert done.returncode == 2
    assert done.stdout == b""
    lines = done.stderr.decode("utf-8").splitlines()
    assert len(lines) == 1
    assert "Kälte" in lines[0]


@pytest.mark.skipif(sys.platform == "win32", reason="a pipe that closes early is a POSIX matter")
def test_a_reader_that_stops_early_is_no_error() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "maskfree", "settings", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    process.stdout.close()
    process.stdout = None
    _, err = process.communicate(timeout=60)
    assert process.returncode == 0
    assert err == b""
