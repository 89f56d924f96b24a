"""Two windows on one session: each sees what the other saved, and nothing is overwritten."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from maskfree.correction_store import CorrectionStore
from maskfree.corrections import Correction
from maskfree.session import Session
from maskfree.tracks import add_track, empty_tracks, read_boxes, set_keyframe, write_boxes
from maskfree.types import InstanceMasks, Keyframe

SOON = 20_000


def left_half(height=64, width=96):
    mask = np.zeros((height, width), bool)
    mask[:, : width // 2] = True
    return mask


@pytest.fixture
def two(widget, viewer, clip_folder, tmp_path):
    """Two widgets on one session of two tracks, which has masks; one looks when it is told to."""
    from napari_maskfree._qt.main_widget import MaskFreeWidget

    widget.video.open_path(str(clip_folder))
    widget.project.show_boxes()
    widget.state.set_box(1, (0, 0, 48, 64), 0)
    widget.state.new_track("dog")
    widget.state.set_box(2, (50, 0, 90, 60), 0)
    session = Session.create(
        tmp_path / "s", video_source=str(clip_folder), boxes=widget.state.tracks
    )
    for frame in range(8):
        masks = InstanceMasks((1,), left_half()[None], (0.5,))
        session.mask_store().write(frame, masks)
    widget.open_session(session.path)
    other = MaskFreeWidget(viewer)
    other.ask_save = other.ask_lose = lambda _: "discard"
    viewer.window.add_dock_widget(other, name="second")
    other.open_session(session.path)
    for each in (widget, other):
        each.session_watch._timer.stop()
    yield widget, other
    other.shut_down()


def saved(window, qtbot):
    qtbot.waitUntil(lambda: not window.state.dirty, timeout=SOON)


def test_each_shows_the_boxes_that_the_other_saved(two, qtbot, notices):
    here, there = two
    here.state.set_box(1, (5, 5, 40, 40), 3)
    saved(here, qtbot)
    assert there.state.keyframe(1, 3) is None
    there.session_watch.look()
    assert there.state.keyframe(1, 3).xyxy == (5, 5, 40, 40)
    assert "changed in another window" in notices[-1]
    assert not there.state.dirty
    there.state.undo()
    assert there.state.keyframe(1, 3) is None, "as any other change"
    saved(there, qtbot)
    here.session_watch.look()
    assert here.state.keyframe(1, 3) is None
    count = len(notices)
    for each in two:
        each.session_watch.look()
    assert len(notices) == count
    assert not list(here.state.session.path.glob("boxes.other*"))


def test_boxes_of_two_windows_at_once_are_both_kept(two, qtbot, notices):
    here, there = two
    here.state.set_box(1, (5, 5, 40, 40), 3)
    there.state.set_box(2, (55, 5, 80, 40), 4)
    saved(here, qtbot)
    there.session_watch.look()
    assert there.state.keyframe(2, 4) is not None, "what is not saved yet stays"
    saved(there, qtbot)
    qtbot.waitUntil(lambda: any("boxes.other.json" in n for n in notices), timeout=SOON)
    folder = there.state.session.path
    last, aside = read_boxes(folder / "boxes.json"), read_boxes(folder / "boxes.other.json")
    assert {k.frame for t in last.tracks for k in t.keyframes} | {
        k.frame for t in aside.tracks for k in t.keyframes
    } == {0, 3, 4}


def test_a_run_is_given_the_boxes_of_both(two, qtbot, notices):
    from napari_maskfree._qt.background import reported

    here, there = two
    here.state.set_box(1, (5, 5, 40, 40), 3)
    saved(here, qtbot)
    reported(reported(there.finetune._session_job)[1])
    assert there.state.keyframe(1, 3) is not None, "those that another window saved"
    aside = there.state.session.path / "boxes.other.json"
    assert not aside.exists()
    there.state.set_box(2, (55, 5, 80, 40), 4)
    there.session_watch._saver.stop()
    here.state.set_box(1, (5, 5, 40, 40), 5)
    saved(here, qtbot)
    reported(reported(there.finetune._session_job)[1])
    assert 5 in [k.frame for k in read_boxes(aside).tracks[0].keyframes]
    assert 4 in [k.frame for k in there.state.session.boxes.tracks[1].keyframes]


def test_corrections_of_one_frame_in_two_windows(two, notices):
    here, there = two
    here.state.corrections.put({3: {1: Correction.whole(left_half())}})
    there.state.corrections.put({3: {2: Correction.whole(~left_half())}})
    folder = there.state.session.path / "corrections"
    assert (folder / "00003.other.json").is_file()
    assert any("00003.other.json" in n for n in notices)
    here.session_watch.look()
    assert list(here.state.corrections[3]) == [2]
    assert any("Frame 3 was corrected in another window" in n for n in notices)
    assert here.project.masks.data[3, 30, 90] == 2
    here.state.corrections.put({3: {}})
    there.session_watch.look()
    assert not there.state.corrections[3]


def test_undo_takes_the_other_windows_correction_back_as_a_step_of_its_own(two, notices):
    here, there = two
    state, store = here.state, there.state.session.corrections
    mine = {1: Correction.whole(left_half())}
    state.apply("paint track 1", state.tracks, {3: mine})
    there.session_watch.look()
    theirs = {**mine, 2: Correction.whole(~left_half())}
    there.state.apply("paint track 2", there.state.tracks, {3: theirs, 4: mine})
    here.session_watch.look()
    assert state.corrections.items() == {3: theirs, 4: mine}
    assert "Frame 3, 4 was corrected" in notices[-1]
    assert state.undo_name == "take over corrections saved elsewhere"
    state.undo()
    assert store.read_all() == {3: mine}
    assert state.undo_name == "paint track 1"
    state.redo()
    assert store.read_all() == {3: theirs, 4: mine}
    count = len(notices)
    there.session_watch.look()
    assert len(notices) == count, "they say the same"


def test_a_correction_elsewhere_just_before_one_here_is_shown(two):
    here, there = two
    there.state.corrections.put({5: {2: Correction.whole(~left_half())}})
    here.state.corrections.put({3: {1: Correction.whole(left_half())}})
    here.session_watch.look()
    assert here.state.corrections.frames() == [3, 5]
    assert here.project.masks.data[5, 30, 90] == 2


def test_a_broken_correction_elsewhere_is_said_once_and_kept(two, notices):
    here, _ = two
    mine = {1: Correction.whole(left_half())}
    here.state.corrections.put({3: mine})
    folder = here.state.session.path / "corrections"
    for frame in (3, 4):
        (folder / f"{frame:05d}.new").write_text("{nope")
        (folder / f"{frame:05d}.new").replace(folder / f"{frame:05d}.json")
    for _ in range(2):
        here.session_watch.look()
        (folder / "note.txt").touch()
    assert not any("shown here now" in n for n in notices)
    assert len([n for n in notices if "00004.json" in n]) == 1
    assert here.state.corrections.items() == {3: mine}, "what is said here stays"
    here.state.corrections.put({3: {}, 4: mine})
    assert [(folder / f"0000{n}.other.json").read_text() for n in (3, 4)] == ["{nope"] * 2
    assert here.state.session.corrections.read_all() == {4: mine}


def test_broken_boxes_elsewhere_are_said_once_and_kept(two, qtbot, notices):
    here, _ = two
    folder = here.state.session.path
    (folder / "boxes.json").write_text('{"hand": "edited, a comma missing"')
    for _ in range(2):
        here.session_watch.look()
    assert len([n for n in notices if "boxes.json" in n]) == 1
    here.state.set_box(1, (5, 5, 40, 40), 3)
    saved(here, qtbot)
    assert "a comma missing" in (folder / "boxes.other.json").read_text()
    assert 3 in [k.frame for k in read_boxes(folder / "boxes.json").tracks[0].keyframes]


def test_boxes_of_another_video_elsewhere_are_kept_and_mended_ones_shown(two, qtbot, notices):
    here, _ = two
    folder = here.state.session.path
    known = (folder / "boxes.json").read_text()
    other, _ = add_track(empty_tracks(99, 32, 32, None))
    other = set_keyframe(other, 1, Keyframe(0, (0, 0, 9, 9)))
    write_boxes(folder / "boxes.json", other)
    here.session_watch.look()
    assert here.state.keyframe(1, 0).xyxy == (0, 0, 48, 64)
    assert len(notices) == 1
    (folder / "boxes.json").write_text(known.replace("48", "47"))
    here.session_watch.look()
    assert here.state.keyframe(1, 0).xyxy == (0, 0, 47, 64)
    write_boxes(folder / "boxes.json", other)
    here.session_watch.look()
    here.state.set_box(1, (5, 5, 40, 40), 3)
    saved(here, qtbot)
    assert read_boxes(folder / "boxes.other.json").num_frames == 99


def save_in(window, folder, qtbot):
    """As *Save in…* does, and the first run after it."""
    window.state.set_folder(folder)
    prepare = window.finetune._session_job()
    window.finetune.with_session(prepare, lambda _: None)
    qtbot.waitUntil(lambda: not window.finetune.preparing, timeout=SOON)


def test_what_was_painted_goes_along_into_a_session_that_has_corrections(
    boxed, qtbot, tmp_path, notices
):
    state, mine, theirs = (
        boxed.state,
        *({1: Correction.whole(mask)} for mask in (left_half(), ~left_half())),
    )
    session = Session.create(tmp_path / "s", video_source=state.video.source, boxes=state.boxed())
    for frame in (4, 5):
        session.corrections.write(frame, theirs)
    (session.corrections.path / "00006.json").write_text("{nope")
    state.apply("paint frame 0", state.tracks, {0: mine})
    state.apply("paint frame 4", state.tracks, {4: mine})
    save_in(boxed, session.path, qtbot)
    assert state.corrections.items() == {0: mine, 4: mine, 5: theirs}
    assert not state.corrections.unsaved
    assert CorrectionStore(session.corrections.path).read(0) == mine
    kept = session.corrections.path / "00004.other.json"
    assert any(str(kept) in n for n in notices)
    assert state.undo_name == "paint frame 4"
    boxed.session_watch.look()
    assert len([n for n in notices if "00006.json" in n]) == 1


def test_corrections_of_a_session_go_along_into_another(two, qtbot, tmp_path):
    here, _ = two
    mine, theirs = ({1: Correction.whole(mask)} for mask in (left_half(), ~left_half()))
    first, state = here.state.session, here.state
    other = Session.create(tmp_path / "t", video_source=state.video.source, boxes=state.tracks)
    other.corrections.write(5, theirs)
    state.apply("paint", state.tracks, {0: mine})
    state.apply("paint", state.tracks, {5: mine})
    state.undo()
    save_in(here, other.path, qtbot)
    assert other.corrections.read_all() == {0: mine, 5: theirs}
    assert first.corrections.read_all() == {0: mine}
    assert state.redo_name is None, "it would overwrite what the session had"


def test_what_was_painted_does_not_go_along_into_a_session_that_is_opened(boxed, tmp_path):
    mine, theirs = ({1: Correction.whole(mask)} for mask in (left_half(), ~left_half()))
    session = Session.create(
        tmp_path / "s", video_source=boxed.state.video.source, boxes=boxed.state.boxed()
    )
    session.corrections.write(5, theirs)
    boxed.state.corrections.put({0: mine})
    boxed.project.open_session(session.path)
    assert session.corrections.read_all() == boxed.state.corrections.items() == {5: theirs}


def test_corrections_that_wait_for_a_session_do_not_go_into_one_that_is_opened(
    boxed, clip_folder, tmp_path
):
    boxes, mine = boxed.state.tracks, {1: Correction.whole(left_half())}
    first, other = (
        Session.create(tmp_path / name, video_source=str(clip_folder), boxes=boxes)
        for name in ("first", "other")
    )
    boxed.open_session(first.path)
    boxed.state.corrections.put({2: mine})
    boxed.state.set_folder(tmp_path / "later")  # Save in…, and nothing is saved there
    boxed.open_session(other.path)
    assert not boxed.state.corrections.frames()
    assert not other.corrections.frames()


def test_masks_that_another_process_predicted_are_shown(two, qtbot):
    here, _ = two
    session = here.state.session
    for _ in range(2):
        here.session_watch.look()
    assert here.project.masks.data[5, 30, 90] == 0
    mask = np.ones((1, 64, 96), bool)
    session.mask_store().write(5, InstanceMasks((2,), mask, (0.9,)))
    session.predict_log.append({"status": "done", "run": "0001"})
    for _ in range(2):
        here.session_watch.look()
    assert here.project.masks.data[5, 30, 90] == 2


def test_no_run_is_begun_while_another_process_works_on_the_session(
    two, hands, qtbot, notices, monkeypatch
):
    import subprocess

    here, _ = two
    code = "import time; time.sleep(600)  # maskfree"
    words = [sys.executable, "-c", code, "predict", str(here.state.session.path)]
    with subprocess.Popen(words) as process:
        try:
            here.show_section("finetune")
            hands.press(here.finetune.start)
            qtbot.waitUntil(lambda: not here.finetune.preparing, timeout=SOON)
            assert any(f"maskfree predict, process {process.pid}" in n for n in notices)
            assert not here.jobs.active
            assert here.state.session.runs() == []
        finally:
            process.kill()


def test_going_back_to_a_run_while_another_process_predicts(two, qtbot, notices):
    from maskfree.config import Config
    from maskfree.kept_masks import kept_masks
    from maskfree.masks_lock import masks_lock

    here, there = two
    session = there.state.session
    run = session.new_run(Config(), seed=0)
    kept_masks(run).write(0, InstanceMasks((2,), np.ones((1, 64, 96), bool), (0.9,)))
    here.state.session_changed.emit()
    runs = here.masks.runs
    qtbot.waitUntil(lambda: len(runs._found) == 1, timeout=SOON)
    with masks_lock(session):
        runs._chosen(runs.rows.topLevelItem(0))
        qtbot.waitUntil(lambda: any("is writing the masks" in n for n in notices), timeout=SOON)
        qtbot.waitUntil(lambda: runs._going is None, timeout=SOON)
    assert here.project.masks.data[0, 30, 90] == 0
