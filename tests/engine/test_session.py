from __future__ import annotations

import json
import os
import shutil
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile

from full_disk import full_disk
from maskfree.config import Config
from maskfree.errors import InputError
from maskfree.session import Session
from maskfree.settings import override
from maskfree.tracks import empty_tracks, set_keyframe
from maskfree.types import Keyframe
from session_folder import BOXES, MASKS

if TYPE_CHECKING:
    from pathlib import Path

HOW = "Make one with: maskfree finetune VIDEO --boxes boxes.json --session DIR"


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


def test_fields_of_the_video_that_we_do_not_know_survive(session: Session, tmp_path: Path) -> None:
    path = session.path / "session.json"
    data = json.loads(path.read_text(encoding="utf-8"))
    data["video"] |= {"sha": "abc", "options": {"axes": "tyxc", "gamma": 2.2}}
    path.write_text(json.dumps(data), encoding="utf-8")
    Session.open(session.path).set_video_source(tmp_path / "new.mp4")
    video = json.loads(path.read_text(encoding="utf-8"))["video"]
    assert video["sha"] == "abc"
    assert video["options"] == {"axes": "tyxc", "gamma": 2.2}
    assert video["path"] == str(tmp_path / "new.mp4")
    Session.open(session.path).set_video_source(tmp_path / "new.mp4", {"depth": 1})
    video = json.loads(path.read_text(encoding="utf-8"))["video"]
    assert video["options"] == {"gamma": 2.2, "depth": 1}


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
        "corrections": {"frames": 0},
        "boxes": 1,
    }
    assert json.loads(json.dumps(info)) == info
