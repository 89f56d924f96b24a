"""A window on a session that another program edits: it looks on, and takes over."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from maskfree.corrections import Correction
from maskfree.session import Session
from maskfree.tracks import set_keyframe
from maskfree.types import InstanceMasks, Keyframe
from napari_maskfree.state import State

SOON = 20_000
HOLD = """
import sys, time
from maskfree.session_hold import SessionHold
assert SessionHold(sys.argv[1], "napari").take() is None
print("held", flush=True)
time.sleep(600)
"""


@pytest.fixture
def folder(boxed, clip_folder, tmp_path, left_half):
    """A session of one track with masks."""
    session = Session.create(
        tmp_path / "s", video_source=str(clip_folder), boxes=boxed.state.tracks
    )
    for frame in range(8):
        session.mask_store().write(frame, InstanceMasks((1,), left_half[None], (0.5,)))
    return session.path


@pytest.fixture
def other(folder):
    """Another program that edits it."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)], stdout=subprocess.PIPE, encoding="utf-8"
    ) as process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def contents(folder):
    return {p: p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_it_says_who_has_it_and_changes_nothing(boxed, folder, other, notices, left_half):
    before = contents(folder)
    boxed.open_session(folder)
    why = boxed.video.held.text()
    assert why.startswith(f"Read-only: this session is open in napari (process {other.pid} on ")
    assert not boxed.video.held.isHidden()
    assert sum(why in notice for notice in notices) == 1
    state = boxed.state
    state.set_box(1, (5, 5, 40, 40), 3)
    assert state.keyframe(1, 3) is None
    assert f"{why} Nothing was changed." in notices[-1]
    state.apply("paint", state.tracks, {2: {1: Correction.whole(~left_half)}})
    assert not state.corrections.frames()
    state.new_track("dog")
    assert state.selected == 1
    assert state.undo_name is None
    state.undo()
    state.redo()
    assert not state.dirty
    boxed.session_watch._save()
    boxed.session_watch.look()
    assert contents(folder) == before
    assert boxed.finetune.start.toolTip().endswith(why)
    assert not boxed.finetune.start.isEnabled()
    editing = (
        boxed.boxes.load,
        boxed.boxes.remove_track,
        boxed.boxes.more,
        boxed.boxes.keep,
        boxed.boxes.outside,
        boxed.boxes.classes.give,
        boxed.masks.clicks.clicks,
        boxed.masks.tools.tidy,
        boxed.masks.carry.button,
        boxed.masks.gold.mark,
        boxed.masks.take_back,
        boxed.boxes.ignored.draw,
    )
    assert {each.text(): each.toolTip() for each in editing} == {e.text(): why for e in editing}
    assert not any(each.isEnabled() for each in editing)
    assert not boxed.project.boxes.layer.editable
    assert not boxed.project.masks.editable
    boxed.project.masks.data[2, 0, 90] = 1
    boxed.project.editor.commit()
    assert boxed.project.masks.data[2, 0, 90] == 0, "what was painted is gone, and shown to be"
    assert boxed.may_close()
    assert contents(folder) == before


def test_what_is_saved_there_is_shown(boxed, folder, other, notices, left_half):
    boxed.open_session(folder)
    session = Session.open(folder)
    session.save_boxes(set_keyframe(session.boxes, 1, Keyframe(3, (5, 5, 40, 40))))
    session.corrections.write(2, {1: Correction.whole(~left_half)})
    boxed.session_watch.look()
    assert boxed.state.keyframe(1, 3).xyxy == (5, 5, 40, 40)
    assert boxed.state.corrections.frames() == [2]
    assert boxed.project.masks.data[2, 30, 90] == 1
    assert boxed.state.undo_name is None
    assert not list(folder.rglob("*.other*"))


def test_it_takes_over_as_soon_as_the_other_ends(boxed, folder, other, notices, qtbot):
    boxed.open_session(folder)
    boxed.hold.look()
    assert boxed.state.read_only
    session = Session.open(folder)
    session.save_boxes(set_keyframe(session.boxes, 1, Keyframe(5, (5, 5, 40, 40))))
    other.kill()
    other.wait()
    boxed.hold.look()
    assert not boxed.state.read_only
    assert boxed.boxes.remove_track.isEnabled()
    assert boxed.masks.tools.tidy.isEnabled()
    assert boxed.video.held.isHidden()
    assert any("can be edited here now" in n for n in notices)
    assert boxed.state.keyframe(1, 5) is not None
    assert boxed.project.boxes.layer.editable
    boxed.state.set_box(1, (5, 5, 40, 40), 3)
    qtbot.waitUntil(lambda: not boxed.state.dirty, timeout=SOON)
    assert [k.frame for k in session.boxes.tracks[0].keyframes] == [0, 3, 5]


def test_save_in_makes_a_copy_that_can_be_edited(boxed, folder, other, tmp_path):
    boxed.open_session(folder)
    boxed.state.set_folder(tmp_path / "mine")
    assert not boxed.state.read_only
    boxed.state.set_box(1, (5, 5, 40, 40), 3)
    assert boxed.state.keyframe(1, 3) is not None


def test_the_session_is_free_again_when_the_window_works_on_another(boxed, folder, tmp_path):
    boxed.open_session(folder)
    assert (folder / "session.holder.json").is_file()
    boxed.state.set_session(None)
    assert not (folder / "session.holder.json").exists()
    boxed.open_session(folder)
    boxed.shut_down()
    assert not (folder / "session.holder.json").exists()


def test_a_folder_that_comes_back_is_not_written_by_who_looks_on(
    boxed, folder, other, tmp_path, left_half
):
    store = Session.open(folder).corrections
    store.write(2, {1: Correction.whole(~left_half)})
    boxed.open_session(folder)
    boxed.session_watch.look()
    folder.rename(tmp_path / "away")
    boxed.session_watch.look()
    store = Session.open(tmp_path / "away").corrections
    store.write(2, {1: Correction.whole(left_half)})
    before = {
        folder / p.relative_to(tmp_path / "away"): c for p, c in contents(tmp_path / "away").items()
    }
    (tmp_path / "away").rename(folder)
    boxed.session_watch.look()
    boxed.session_watch._save()
    assert contents(folder) == before


def test_no_older_run_is_shown_while_another_program_edits(boxed, folder, other, notices, qtbot):
    from maskfree.config import Config
    from maskfree.kept_masks import kept_masks

    session = Session.open(folder)
    run = session.new_run(Config(), seed=0)
    kept_masks(run).write(0, InstanceMasks((2,), np.ones((1, 64, 96), bool), (0.9,)))
    before = contents(folder)
    boxed.open_session(folder)
    runs = boxed.masks.runs
    qtbot.waitUntil(lambda: len(runs._found) == 1, timeout=SOON)
    runs._chosen(runs.rows.topLevelItem(0))
    assert "Read-only" in notices[-1]
    assert contents(folder) == before


def test_a_state_without_a_window(saved):
    assert not saved.read_only
    assert saved.why_read_only == saved.why_no_run() == ""
    saved.check_writable()
    other = State()
    other.set_session(saved.session)
    assert not other.read_only, "two windows of one program share it"
    saved.let_go()
    other.let_go()
