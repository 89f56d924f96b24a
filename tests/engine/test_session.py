from __future__ import annotations

import errno
import json
import os
import shutil
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from maskfree import storage
from maskfree.config import Config
from maskfree.errors import InputError
from maskfree.json_log import JsonLog
from maskfree.session import Session
from maskfree.settings import override
from maskfree.tracks import empty_tracks, set_keyframe
from maskfree.types import BoxTracks, InstanceMasks, Keyframe, Track

HOW = "Make one with: maskfree finetune VIDEO --boxes boxes.json --session DIR"
BOXES = BoxTracks(3, 9, 8, 25.0, (Track(1, "car", (Keyframe(0, (1.0, 2.5, 3.0, 4.0)),)),))
MASKS = InstanceMasks((1,), np.ones((1, 9, 8), dtype=bool), (0.5,))


@pytest.fixture
def video(tmp_path: Path) -> Path:
    path = tmp_path / "films" / "clip.mp4"
    path.parent.mkdir()
    path.write_bytes(b"a film")
    return path


@pytest.fixture
def session(tmp_path: Path, video: Path) -> Session:
    return Session.create(tmp_path / "project", video_source=video, boxes=BOXES)


def full_disk(monkeypatch: pytest.MonkeyPatch, after: int = 0) -> None:
    """Let `after` files through, then the disk is full."""
    real, calls = os.fsync, []

    def fsync(descriptor: int) -> None:
        calls.append(descriptor)
        if len(calls) > after:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(descriptor)

    monkeypatch.setattr(storage, "_sync_folder", lambda folder: None)
    monkeypatch.setattr(os, "fsync", fsync)


def tree(folder: Path) -> dict[str, bytes]:
    return {
        p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()
    }


def test_a_round_trip(session: Session, video: Path, tmp_path: Path) -> None:
    assert session.path == tmp_path / "project"
    again = Session.open(tmp_path / "project")
    assert (again.path, again.boxes, again.video_source) == (session.path, BOXES, str(video))
    assert again.runs() == []
    assert again.latest_run() is None
    assert json.loads((session.path / "session.json").read_text(encoding="utf-8")) == {
        "version": 1,
        "video": {"path": str(video), "relative": "../films/clip.mp4", "options": {}},
    }


def test_paths_may_be_text_and_relative(
    tmp_path: Path, video: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    made = Session.create("deep/down/project", video_source="films/clip.mp4", boxes=BOXES)
    assert made.path == tmp_path / "deep" / "down" / "project"
    monkeypatch.chdir(tmp_path / "films")
    assert Session.open("../deep/down/project").video_source == str(video)


def test_frames_in_memory_have_no_source(tmp_path: Path) -> None:
    session = Session.create(
        tmp_path / "project", video_source=None, boxes=empty_tracks(3, 9, 8, None)
    )
    assert Session.open(session.path).video_source is None
    assert session.boxes == empty_tracks(3, 9, 8, None)
    with pytest.raises(InputError, match=r"was made from frames in memory\. Save them as a TIFF"):
        session.open_video()


def test_open_video_uses_the_options_of_the_session(tmp_path: Path) -> None:
    stack = np.zeros((3, 2, 9, 8), dtype=np.uint8)
    stack[:, 1] = 200
    for axes, expected in (("tzyx", 200), ("ztyx", 0)):
        source = tmp_path / f"{axes}.tif"
        tifffile.imwrite(
            source, stack if axes == "tzyx" else stack.swapaxes(0, 1), photometric="minisblack"
        )
        made = Session.create(
            tmp_path / axes,
            video_source=source,
            boxes=BOXES,
            video_options={"axes": axes, "depth": int(expected > 0), "fps": None},
        )
        with Session.open(made.path).open_video() as video:
            assert video.shape == (3, 9, 8, 3)
            assert int(video[2].max()) == expected


def test_an_unknown_option(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r'got "axis"\. Did you mean "axes"\?'):
        Session.create(tmp_path / "p", video_source="x", boxes=BOXES, video_options={"axis": "t"})
    assert os.listdir(tmp_path) == []


def test_a_pair_moved_together_is_found_and_a_lost_video_named(
    session: Session, video: Path, tmp_path: Path
) -> None:
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    shutil.move(session.path, moved / "project")
    assert Session.open(moved / "project").video_source == str(video)  # only the session moved
    shutil.move(video.parent, moved / "films")
    again = Session.open(moved / "project")
    assert again.video_source == str(moved / "films" / "clip.mp4")
    (moved / "films" / "clip.mp4").unlink()
    assert again.video_source == str(video)
    with pytest.raises(InputError, match=r"The video .*clip\.mp4 of the session .* not there any"):
        again.open_video()


def test_a_lost_video_is_replaced_and_what_we_do_not_know_survives(
    session: Session, video: Path, tmp_path: Path
) -> None:
    path = session.path / "session.json"
    path.write_text(
        json.dumps(json.loads(path.read_text(encoding="utf-8")) | {"note": [1]}), encoding="utf-8"
    )
    video.unlink()
    other = tmp_path / "other.mp4"
    other.write_bytes(b"the film")
    again = Session.create_or_open(session.path, video_source=other)
    assert again.video_source == Session.open(session.path).video_source == str(other)
    assert json.loads(path.read_text(encoding="utf-8"))["note"] == [1]


def test_create_or_open_refuses_another_video(session: Session, tmp_path: Path) -> None:
    other = tmp_path / "other.mp4"
    other.write_bytes(b"another film")
    before = tree(session.path)
    with pytest.raises(InputError, match=r"belongs to the video .*clip\.mp4, got .*other\.mp4\. "):
        Session.create_or_open(session.path, video_source=other, boxes=empty_tracks(1, 1, 1, None))
    assert tree(session.path) == before


def test_create_or_open_makes_then_opens_without_a_change(tmp_path: Path, video: Path) -> None:
    path = tmp_path / "project"
    Session.create_or_open(path, video_source=video, boxes=BOXES)
    before = tree(path)
    assert sorted(before) == ["boxes.json", "session.json"]
    link = tmp_path / "films" / ".." / "films" / "clip.mp4"
    session = Session.create_or_open(path, video_source=link, boxes=BOXES)
    assert session.boxes == Session.create_or_open(path).boxes == BOXES
    assert tree(path) == before


def test_boxes_brought_in_keep_the_earlier_ones(session: Session) -> None:
    other = set_keyframe(BOXES, 1, Keyframe(2, None, outside=True))
    mine = (session.path / "boxes.json").read_bytes()
    assert Session.create_or_open(session.path, boxes=other).boxes == other
    assert (session.path / "boxes.previous.json").read_bytes() == mine
    (session.path / "boxes.json").write_text("broken", encoding="utf-8")
    assert Session.create_or_open(session.path, boxes=BOXES).boxes == BOXES
    assert (session.path / "boxes.previous.json").read_text(encoding="utf-8") == "broken"


def test_a_folder_that_is_no_session(tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_bytes(b"")
    cases = {
        tmp_path: f"{tmp_path} is not a session: there is no session.json in it. {HOW}",
        tmp_path / "none": f"There is no session folder {tmp_path / 'none'}. {HOW}",
        tmp_path / "photo.jpg": f"A session is a folder, but {tmp_path / 'photo.jpg'} is a file. "
        + HOW,
    }
    for path, message in cases.items():
        with pytest.raises(InputError) as caught:
            Session.open(path)
        assert str(caught.value) == message
    with pytest.raises(InputError, match=r"is not a session yet and no boxes were given\. Make"):
        Session.create_or_open(tmp_path / "none")
    assert os.listdir(tmp_path) == ["photo.jpg"]


def test_foreign_files_are_never_overwritten(tmp_path: Path, session: Session) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "boxes.json").write_text("by hand", encoding="utf-8")
    for make in (Session.create, Session.create_or_open):
        with pytest.raises(InputError) as caught:
            make(folder, video_source=None, boxes=BOXES)
        assert str(caught.value) == (
            f"A new session needs a new or empty folder, but {folder} holds boxes.json and is not "
            "a session (no session.json). Choose another folder; this one was left as it is."
        )
    assert tree(folder) == {"boxes.json": b"by hand"}
    with pytest.raises(InputError, match=r"is a session already. Open it, or choose another"):
        Session.create(session.path, video_source=None, boxes=BOXES)
    with pytest.raises(InputError, match=r"A session is a folder, but .*boxes\.json is a file"):
        Session.create(folder / "boxes.json", video_source=None, boxes=BOXES)


def test_an_empty_folder_will_do_even_with_what_the_system_puts_there(tmp_path: Path) -> None:
    (tmp_path / ".DS_Store").write_bytes(b"")
    assert Session.create(tmp_path, video_source=None, boxes=BOXES).boxes == BOXES


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is not JSON"),
        ("[]", "expected a session as an object"),
        ('{"version": 2}', "expected a session of version 1, got 2: it was made by a newer"),
        ('{"video": {}}', "version must be a whole number of at least 1, got nothing"),
        ('{"version": 1}', "video: expected the video as an object"),
        ('{"version": 1, "video": {"path": 3}}', "video: path must be a path or null, got 3"),
        ('{"version": 1, "video": {"options": {"a": 3}}}', "video: a video option must be one of"),
    ],
)
def test_a_broken_or_newer_session_file(session: Session, content: str, message: str) -> None:
    path = session.path / "session.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(InputError) as caught:
        Session.open(session.path)
    assert str(path) in str(caught.value)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_boxes_are_saved_whole_and_shared(session: Session, monkeypatch: Any) -> None:
    other = Session.open(session.path)
    changed = set_keyframe(BOXES, 1, Keyframe(2, (0.5, 0.5, 7.5, 8.5)))
    session.save_boxes(changed)
    assert other.boxes == changed
    full_disk(monkeypatch)
    with pytest.raises(InputError, match=r"The disk is full: .*boxes\.json .*nothing was changed"):
        session.save_boxes(BOXES)
    assert other.boxes == changed


@pytest.mark.parametrize("after", [0, 1])
def test_a_full_disk_leaves_no_half_made_session(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    full_disk(monkeypatch, after)
    with pytest.raises(InputError, match=r"The disk is full"):
        Session.create(tmp_path / "a" / "b", video_source=None, boxes=BOXES)
    assert os.listdir(tmp_path) == []
    (tmp_path / "own").mkdir()
    full_disk(monkeypatch, after)
    with pytest.raises(InputError, match=r"The disk is full"):
        Session.create(tmp_path / "own", video_source=None, boxes=BOXES)
    assert os.listdir(tmp_path) == ["own"]
    assert os.listdir(tmp_path / "own") == []


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder(session: Session, tmp_path: Path) -> None:
    for path in (session.path, tmp_path):
        path.chmod(0o500)
    try:
        assert Session.open(session.path).info()["frames"] == 3
        for write in (
            lambda: session.save_boxes(BOXES),
            lambda: session.new_run(Config(), seed=0),
            lambda: session.mask_store().write(0, MASKS),
            lambda: Session.create(tmp_path / "new", video_source=None, boxes=BOXES),
        ):
            with pytest.raises(InputError, match=r"may not be written"):
                write()
    finally:
        for path in (session.path, tmp_path):
            path.chmod(0o700)


def test_a_run_keeps_config_and_seed(session: Session) -> None:
    config = override(Config(), {"optimiser.steps": "7", "model.backbone_sizes": "8,16"})
    run = session.new_run(config, seed=3)
    assert run.path == session.path / "runs" / "0001"
    (again,) = Session.open(session.path).runs()
    assert (again.name, again.config, again.seed) == ("0001", config, 3)
    assert (again.status, again.steps_done, again.has_checkpoint) == ("unknown", 0, False)


def test_runs_are_listed_by_number_and_the_latest_has_a_checkpoint(session: Session) -> None:
    (session.path / "runs" / "9999").mkdir(parents=True)  # half-made: no config
    (session.path / "runs" / "notes").mkdir()
    names = [session.new_run(Config(), seed=n).name for n in range(3)]
    assert names == ["10000", "10001", "10002"]
    (session.path / "runs" / "0002").mkdir()
    assert [run.name for run in session.runs()] == names
    session.runs()[1].weights_path.write_bytes(b"")
    latest = session.latest_run()
    assert latest is not None and latest.name == "10001"


def test_many_processes_get_a_run_each(session: Session) -> None:
    ready = threading.Barrier(8)
    names: list[str] = []

    def make() -> None:
        ready.wait()
        names.append(session.new_run(Config(), seed=0).name)

    threads = [threading.Thread(target=make) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(names) == [f"{n:04d}" for n in range(1, 9)]


def test_a_run_that_another_process_made_meanwhile_is_passed_over(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Path.mkdir

    def overtaken(path: Path, *args: Any, **kwargs: Any) -> None:
        if path.name == "0001":
            real(path, *args, **kwargs)
        real(path, *args, **kwargs)

    monkeypatch.setattr(Path, "mkdir", overtaken)
    assert session.new_run(Config(), seed=0).name == "0002"


def test_a_full_disk_leaves_no_half_made_run(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    full_disk(monkeypatch)
    with pytest.raises(InputError, match=r"The disk is full"):
        session.new_run(Config(), seed=0)
    assert os.listdir(session.path / "runs") == []


def test_metrics_are_followed_while_they_are_written(session: Session) -> None:
    run = session.new_run(Config(), seed=0)
    follower = session.runs()[0]
    assert follower.records() == []
    run.append({"status": "running", "pid": 1})
    run.append({"step": 1, "losses": {"projection": 0.5}})
    assert follower.records() == [
        {"status": "running", "pid": 1},
        {"step": 1, "losses": {"projection": 0.5}},
    ]
    with run.log.path.open("ab") as file:
        file.write(b'{"step": 2, "lo')
    assert len(follower.records()) == 2  # half-written: not yet
    with run.log.path.open("ab") as file:
        file.write(b'sses": {}}\n')
    assert follower.records(start=2) == [{"step": 2, "losses": {}}]
    assert (follower.status, follower.steps_done) == ("running", 2)


def test_a_line_that_a_killed_process_left_is_passed_over(session: Session) -> None:
    run = session.new_run(Config(), seed=0)
    run.append({"step": 1})
    with run.log.path.open("ab") as file:
        file.write(b'{"step": 2')
    run.append({"status": "stopped", "step": 3})
    assert run.records() == [{"step": 1}, {"status": "stopped", "step": 3}]


def test_only_the_new_lines_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log, parsed = JsonLog(tmp_path / "log"), []
    monkeypatch.setattr(
        "maskfree.json_log._parsed", lambda line: parsed.append(line) or json.loads(line)
    )
    for step in range(3):
        log.append({"step": step})
        log.records()
    assert len(parsed) == 3
    log.path.write_bytes(b'{"step": 9}\n')  # begun anew
    assert log.records() == [{"step": 9}]
    log.path.unlink()
    assert log.records() == []


@pytest.mark.parametrize("status", ["running", "done", "stopped", "failed"])
def test_status(session: Session, status: str) -> None:
    run = session.new_run(Config(), seed=0)
    run.append({"status": status})
    run.append({"step": 1})
    assert run.status == status
    run.append({"status": "melted"})
    assert run.status == "unknown"


def test_a_stop_is_asked_for_and_taken_back(session: Session) -> None:
    run, trainer = session.new_run(Config(), seed=0), session.runs()[0]
    trainer.clear_stop()
    assert not trainer.stop_requested
    run.request_stop()
    run.request_stop()
    assert trainer.stop_requested
    trainer.clear_stop()
    assert not run.stop_requested


def test_a_run_of_another_version_is_listed_and_its_config_at_fault(session: Session) -> None:
    run = session.new_run(Config(), seed=0)
    (run.path / "config.json").write_text('{"seed": 0, "config": {"warp": 9}}', encoding="utf-8")
    (again,) = session.runs()
    with pytest.raises(InputError, match=r'config has no setting "warp"'):
        _ = again.config
    assert session.info()["runs"][0]["preset"] == "unknown"


def test_masks_of_another_video_lie_beside(session: Session) -> None:
    session.mask_store().write(0, MASKS)
    session.mask_store("b: clip/2").write(1, MASKS)
    assert (session.path / "masks" / "00000.json").is_file()
    assert (session.path / "other" / "b_ clip_2" / "masks" / "00001.json").is_file()
    assert session.mask_store().frames() == [0]
    for name in ("", "..", "/"):
        with pytest.raises(InputError, match=r"must have a letter or digit"):
            session.mask_store(name)


def test_info(session: Session, video: Path) -> None:
    run = session.new_run(override(Config(), {"optimiser.steps": 5}), seed=0)
    run.append({"status": "running"})
    run.append({"step": 4, "steps": 5})
    session.mask_store().write(2, MASKS)
    info = session.info()
    assert info == {
        "path": str(session.path),
        "video": str(video),
        "frames": 3,
        "size": [9, 8],
        "fps": 25.0,
        "tracks": [{"id": 1, "label": "car", "keyframes": 1}],
        "runs": [
            {
                "name": "0001",
                "status": "running",
                "steps": 4,
                "preset": "tiny",
                "checkpoint": False,
            }
        ],
        "masks": {"frames": 1},
    }
    assert json.loads(json.dumps(info)) == info


def test_only_an_unfinished_newest_run_with_a_state_is_resumed(session: Session) -> None:
    config = override(Config(), {"optimiser.steps": 5})
    assert session.resumable_run() is None
    first, second = (session.new_run(config, seed=n) for n in range(2))
    first.state_path.write_bytes(b"")
    first.append({"step": 3})
    found = session.resumable_run()
    assert found is not None and found.name == "0001"
    second.state_path.write_bytes(b"")
    second.append({"step": 5})
    assert session.resumable_run() is None
