"""The command line: the commands on a session that is fine-tuned and predicted."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest

from command_line import HEIGHT, NUM_FRAMES, SMALL, WIDTH, Result
from maskfree.cli import main

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

STEPS = 60
FLOOR_J, FLOOR_F = 0.56, 0.45
"""Seeds 0, 1, 2 gave J 0.619, 0.632, 0.676 and F 0.551, 0.610, 0.683; the filled boxes have J 0.508
and F 0.348."""


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


def test_evaluate_writes_tables_and_a_picture(
    cli: Callable[..., Result], session: Path, clip: Path, tmp_path: Path
) -> None:
    pytest.importorskip("trackeval")
    page, plot = tmp_path / "scores.md", tmp_path / "j.svg"
    asked = ["--tracking", "--full", "--json", "--markdown", page, "--plot", plot]
    found = cli("evaluate", session, "--truth", clip / "masks", *asked).json
    assert set(found) == {"J", "F", "JF", "tracks", "classes", "tracking", "frames"}
    assert set(found["tracking"]) == {"all", "blob", "star"}
    assert len(found["frames"]) == NUM_FRAMES
    assert page.read_text(encoding="utf-8").count("| class |") == 3
    assert b"<svg" in plot.read_bytes()


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


# ---- refused: one line, exit code 2


def test_resume_needs_a_run_that_was_stopped(
    refuses: Callable[..., str], session: Path, clip: Path
) -> None:
    said = refuses("finetune", "--session", session, "--resume")
    assert "0001" in said
    assert "cannot go on" in said
    assert "Leave --resume out" in said


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
