"""A session whose video was trimmed: told, and moved along."""

from __future__ import annotations

import json
import os
import shutil
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from filmed import film, scenery
from maskfree import swap as swap_module
from maskfree.config import Config
from maskfree.corrections import Correction
from maskfree.errors import InputError
from maskfree.frame_check import frame_news, note_frames, require_frames
from maskfree.frame_prints import PRINTS_FILE, read_prints
from maskfree.kept_masks import kept_masks
from maskfree.session import Session
from maskfree.shift_session import shift_session, unshift_session
from maskfree.types import BoxTracks, IgnoreRegion, InstanceMasks, Keyframe, Track

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from command_line import Result

COUNT, HEIGHT, WIDTH, CUT = 40, 48, 64, 7
FRAMES = scenery(COUNT, HEIGHT, WIDTH)


def mask_of(frame: int) -> np.ndarray:
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[:, : frame + 1] = True
    return mask


@pytest.fixture
def session(tmp_path: Path) -> Session:
    """Boxes, corrections, masks and a run, all of which say of which frame they are."""
    keyframes = tuple(Keyframe(f, (f, 0.0, f + 10.0, 10.0)) for f in (0, 10, 30))
    boxes = BoxTracks(
        COUNT,
        HEIGHT,
        WIDTH,
        25.0,
        (Track(1, "car", keyframes, extra={"colour": "red"}),),
        (IgnoreRegion(((0.0, 0.0), (9.0, 0.0), (9.0, 9.0)), 20, 25),),
    )
    made = Session.create(
        tmp_path / "s", video_source=film(tmp_path / "clip.mp4", FRAMES), boxes=boxes
    )
    with made.open_video() as video:
        note_frames(made, video)
    run = made.new_run(Config(), seed=0)
    for frame in range(COUNT):
        masks = InstanceMasks((1,), mask_of(frame)[None], (0.5,))
        made.mask_store().write(frame, masks)
        kept_masks(run).write(frame, masks)
    for frame in (3, 12):
        made.corrections.write(frame, {1: Correction.whole(mask_of(frame))})
    carried = Correction.make(mask_of(5), np.zeros_like(mask_of(5)), carried=12)
    made.corrections.write(13, {1: carried})
    lost = Correction.make(mask_of(5), np.zeros_like(mask_of(5)), carried=3)
    made.corrections.write(14, {1: lost})
    (run.path / "told.json").write_text('{"trained": [3, 12], "masks": [13], "note": "x"}')
    (run.path / "consensus.npz").write_bytes(b"of these frames")
    made.predict_log.append({"status": "done", "run": "0001"})
    (made.path / "journal.jsonl").write_text("edits\n")
    return made


def trim(session: Session, first: int = CUT, last: int = COUNT, **options: Any) -> None:
    path = str(session.video_source)
    film(session.path.parent / "clip.mp4", FRAMES[first:last], **options)
    assert os.path.exists(path)


def tree(folder: Path) -> dict[str, bytes]:
    return {
        p.relative_to(folder).as_posix(): p.read_bytes()
        for p in folder.rglob("*")
        if p.is_file() and p.name not in ("session.lock", "frame_index.bin")
    }


def shifted(session: Session, offset: int, **options: Any) -> Any:
    with session.open_video() as video:
        return shift_session(session, video, offset, **options)


def test_everything_that_is_about_frames_moves(session: Session) -> None:
    trim(session)
    done = shifted(session, -CUT)
    again = Session.open(session.path)
    boxes = again.boxes
    assert (boxes.num_frames, boxes.height, boxes.fps) == (COUNT - CUT, HEIGHT, 25.0)
    assert [k.frame for k in boxes.tracks[0].keyframes] == [0, 3, 23]
    assert boxes.tracks[0].keyframes[0].xyxy == (7.0, 0.0, 17.0, 10.0)
    assert boxes.tracks[0].extra == {"colour": "red"}
    assert (boxes.ignore[0].frame, boxes.ignore[0].until) == (13, 18)
    for store in (again.mask_store(), kept_masks(again.runs()[0])):
        assert store.frames() == list(range(COUNT - CUT))
        for frame in (0, 20, 32):
            found = store.read(frame)
            assert found is not None
            assert (found.masks[0] == mask_of(frame + CUT)).all()
    known = again.corrections.read_all()
    assert sorted(known) == [5, 6, 7]
    assert (known[5][1].is_object == mask_of(12)).all()
    assert (known[6][1].carried, known[7][1].carried) == (5, 0)
    run = again.runs()[0]
    told = json.loads((run.path / "told.json").read_text(encoding="utf-8"))
    assert told == {"trained": [5], "masks": [6], "note": "x"}
    assert not (run.path / "consensus.npz").exists(), "it knew other frames"
    assert not (again.path / "journal.jsonl").exists()
    prints = read_prints(again.path)
    assert prints is not None
    assert prints.num_frames == COUNT - CUT
    assert (done.keyframes, done.corrections, done.masks) == (3, 3, COUNT - CUT)
    assert (done.lost_keyframes, done.lost_corrections, done.lost_masks) == (0, 1, CUT)
    with again.open_video() as video:
        assert frame_news(again, video) is None


def test_undo_brings_everything_back_and_keeps_what_was_made_since(session: Session) -> None:
    before = tree(session.path)
    trim(session)
    shifted(session, -CUT)
    after = tree(session.path)
    session.corrections.write(0, {1: Correction.whole(mask_of(1))})
    unshift_session(session)
    now = {k: v for k, v in tree(session.path).items() if not k.startswith("shifted")}
    assert now == before
    assert (session.path / "shifted/0002/corrections/00000.json").is_file()
    with pytest.raises(InputError, match=r"Nothing was shifted .* left to be undone"):
        unshift_session(session)
    unshift_session(session, redo=True)
    with pytest.raises(InputError, match=r"Nothing was undone .* left to be redone"):
        unshift_session(session, redo=True)
    now = tree(session.path)
    del now["corrections/00000.json"]
    kept = {k: v for k, v in now.items() if not k.startswith("shifted")}
    assert kept == {k: v for k, v in after.items() if not k.startswith("shifted")}


def test_undo_goes_back_shift_by_shift(session: Session) -> None:
    def boxes() -> bytes:
        return (session.path / "boxes.json").read_bytes()

    trim(session)
    states = [boxes()]
    for offset in (-CUT, 2):
        shifted(session, offset)
        states.append(boxes())
    for wanted in (states[1], states[0]):
        unshift_session(session)
        assert boxes() == wanted
    for wanted in (states[1], states[2]):
        unshift_session(session, redo=True)
        assert boxes() == wanted
    unshift_session(session)
    shifted(session, 3)
    with pytest.raises(InputError, match="left to be redone"):
        unshift_session(session, redo=True)
    for wanted in (states[1], states[0]):
        unshift_session(session)
        assert boxes() == wanted


def test_a_shift_that_leaves_no_box_is_refused(session: Session) -> None:
    before = tree(session.path)
    with pytest.raises(InputError, match=r"No box would be left: by 1000\d* frames"):
        shifted(session, 10**30)
    assert tree(session.path) == before


def test_nothing_to_undo(session: Session) -> None:
    with pytest.raises(InputError, match="Nothing was shifted"):
        unshift_session(session)


@pytest.mark.parametrize("kill_at", [0, 1, 3, 8])
def test_a_shift_that_was_killed_is_finished_by_who_opens_the_session(
    session: Session, kill_at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    trim(session)
    real, left = os.rename, [kill_at]

    def rename(*paths: Any) -> None:
        if not left[0]:
            raise KeyboardInterrupt
        left[0] -= 1
        real(*paths)

    with monkeypatch.context() as patch:
        patch.setattr(swap_module.os, "rename", rename)
        with pytest.raises(KeyboardInterrupt):
            shifted(session, -CUT)
    again = Session.open(session.path)
    assert again.boxes.num_frames == COUNT - CUT
    assert again.mask_store().frames() == list(range(COUNT - CUT))
    assert sorted(again.corrections.frames()) == [5, 6, 7]
    assert not (session.path / ".shifting").exists()


def test_a_shift_that_fails_changes_nothing(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    from maskfree import shift_session as module

    before = tree(session.path)
    trim(session)

    def full(*_: Any) -> None:
        raise InputError("The disk is full")

    monkeypatch.setattr(module, "write_prints", full)
    with pytest.raises(InputError, match="full"):
        shifted(session, -CUT)
    assert tree(session.path) == before
    assert not (session.path / ".shifting").exists()


def test_a_run_at_work_is_left_alone(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    from maskfree import shift_session as module

    run = session.runs()[0]
    run.append({"status": "running", "pid": 4711})
    monkeypatch.setattr(module, "_trains", lambda pid: pid == 4711)
    with pytest.raises(InputError, match=r"Run 0001 of .* is at work \(process 4711\)"):
        shifted(session, 3)
    run.append({"status": "stopped"})
    shifted(session, 3)


def test_no_offset_for_a_video_of_another_size(session: Session) -> None:
    trim(session, size=(24, 32))
    with pytest.raises(InputError, match="this video has 32 x 24"):
        shifted(session, -CUT)


# ---- what is said of it


def news_of(session: Session) -> Any:
    with Session.open(session.path).open_video() as video:
        return frame_news(session, video)


def test_what_is_said(session: Session) -> None:
    assert news_of(session) is None
    trim(session)
    news = news_of(session)
    assert news.words == (
        f"{session.video_source}: this video begins 7 frames later than the one the boxes were "
        "drawn on. It has 33 frames, that one had 40."
    )
    assert news.can_shift
    trim(session, 0, 30)
    assert (
        "begins as the one the boxes were drawn on, and ends earlier. It" in news_of(session).words
    )
    trim(session, 0, COUNT, size=(24, 32))
    news = news_of(session)
    assert not (news.is_well or news.can_shift)
    assert "Its frames are 32 x 24 pixels (width x height) instead of 64 x 48" in news.words
    trim(session, 0, COUNT, rate=50)
    assert "encoded again, at 50 frames a second instead of 25." in news_of(session).words
    shutil.copy(
        film(session.path.parent / "x.mp4", scenery(COUNT, HEIGHT, WIDTH, 9)),
        session.path.parent / "clip.mp4",
    )
    assert "shows other frames" in news_of(session).words


def test_encoded_again_is_said_once(session: Session) -> None:
    trim(session, 0, COUNT, quality=38)
    before = (session.path / PRINTS_FILE).read_bytes()
    with session.open_video() as video:
        assert "the same frames, encoded again" in require_frames(session, video)
        assert (session.path / PRINTS_FILE).read_bytes() != before
        assert require_frames(session, video) == ""


def test_nothing_is_noted_of_a_video_that_the_boxes_are_not_for(session: Session) -> None:
    trim(session)
    (session.path / PRINTS_FILE).unlink()
    with session.open_video() as video:
        note_frames(session, video)
    assert read_prints(session.path) is None


@pytest.mark.parametrize(
    "command",
    [("export", "--format", "boxes", "--out", "x"), ("evaluate", "--truth", "x"), ("finetune",)],
)
def test_commands_stop_and_name_the_command_that_helps(
    session: Session, command: tuple[str, ...], cli: Callable[..., Result], tmp_path: Path
) -> None:
    trim(session)
    words = [tmp_path / "x" if word == "x" else word for word in command[1:]]
    given = ["--session", session.path] if command[0] == "finetune" else [session.path]
    result = cli(command[0], *given, *words)
    assert result.code == 2
    assert "begins 7 frames later" in result.err
    fix = f"maskfree shift {session.path} --frames -7"
    assert result.err.strip().endswith(fix)
    assert cli(*fix.split()[1:]).code == 0
    if command[0] == "export":
        assert cli(command[0], *given, *words).code == 0


def test_shift_on_the_command_line(session: Session, cli: Callable[..., Result]) -> None:
    same = cli("shift", session.path)
    assert (same.code, same.out) == (
        0,
        "the frames are those that the boxes were drawn on\n",
    )
    trim(session)
    before = tree(session.path)
    assert "7 frames later" in cli("shift", session.path).out
    assert cli("shift", session.path, "--json").json == {"kind": "shifted", "frames": -7}
    assert tree(session.path) == before
    done = cli("shift", session.path, "--frames", "auto")
    assert done.code == 0, done.err
    assert done.out.startswith(
        "frames shifted by -7: 3 keyframes, 3 corrected frames and masks of 33 frames"
    )
    assert "0 keyframes, 1 corrected frames and masks of 7 frames" in done.out
    assert cli("shift", session.path, "--frames", "auto").out.startswith("nothing to shift")
    assert cli("shift", session.path, "--undo").code == 0
    assert session.boxes.num_frames == COUNT
    result = cli("shift", session.path, "--accept", "--json")
    assert result.json["frames"] == 0
    assert [k.frame for k in session.boxes.tracks[0].keyframes] == [0, 10, 30]
    assert session.boxes.num_frames == COUNT - CUT


def test_another_file_takes_the_place_of_the_video(
    session: Session, cli: Callable[..., Result], tmp_path: Path
) -> None:
    other = film(tmp_path / "cut.mp4", FRAMES[CUT:])
    os.unlink(str(session.video_source))
    refused = cli("finetune", other, "--session", session.path)
    assert refused.code == 2
    fix = f"maskfree shift {session.path} --video {other} --frames -7"
    assert refused.err.strip().endswith(fix)
    data = json.loads((session.path / "session.json").read_text(encoding="utf-8"))
    data["video"]["note"] = "kept"
    (session.path / "session.json").write_text(json.dumps(data), encoding="utf-8")
    assert cli(*fix.split()[1:]).code == 0
    again = Session.open(session.path)
    assert again.video_source == str(other)
    assert again.boxes.num_frames == COUNT - CUT
    data = json.loads((session.path / "session.json").read_text(encoding="utf-8"))
    assert data["video"]["note"] == "kept"
    assert data["video"]["relative"] == "../cut.mp4"


def test_shift_refuses_what_it_cannot_do(session: Session, refuses: Callable[..., str]) -> None:
    assert 'expects a whole number such as -12, or auto, got "x"' in refuses(
        "shift", session.path, "--frames", "x"
    )
    assert "not allowed with" in refuses("shift", session.path, "--frames", "3", "--accept")
    path = session.path.parent / "clip.mp4"
    film(path, scenery(COUNT, HEIGHT, WIDTH, 9))
    assert "Where you know how far the frames are shifted" in refuses(
        "shift", session.path, "--frames", "auto"
    )


def test_info_says_it(session: Session, cli: Callable[..., Result]) -> None:
    assert cli("info", session.path, "--json").json["frames_now"] is None
    trim(session)
    found = cli("info", session.path, "--json").json["frames_now"]
    assert found["kind"] == "shifted"
    assert "begins 7 frames later" in cli("info", session.path).out
    os.unlink(str(session.video_source))
    assert cli("info", session.path, "--json").json["frames_now"]["kind"] == "unread"
    assert "is not there any more" in cli("info", session.path).out


def test_info_says_that_there_is_no_box(session: Session, cli: Callable[..., Result]) -> None:
    assert "none drawn yet" not in cli("info", session.path).out
    empty = (Track(1, "car", (Keyframe(0, None, outside=True),)),)
    session.save_boxes(BoxTracks(COUNT, HEIGHT, WIDTH, None, empty))
    assert "boxes    none drawn yet; draw one" in cli("info", session.path).out
    assert cli("info", session.path, "--json").json["boxes"] == 0
