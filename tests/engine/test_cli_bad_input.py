"""The command line, bad input: one line, exit code 2, nothing left behind."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest

from command_line import HEIGHT, NUM_FRAMES, SMALL, WIDTH, Result

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


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


def test_bad_arguments_name_the_nearest(refuses: Callable[..., str], tmp_path: Path) -> None:
    assert 'Did you mean "finetune"?' in refuses("finetun")
    assert 'Did you mean "--steps"?' in refuses("finetune", "--session", tmp_path, "--step", 3)
    assert "--out" in refuses("export", tmp_path, "--format", "davis")
    assert "Name a command" in refuses()
    assert 'Did you mean "davis"?' in refuses(
        "convert", "a", "b", "--from", "davi", "--to", "ytvis"
    )
    assert 'Did you mean "davis"?' in refuses("export", "x", "--format", "davs", "--out", "y")


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
