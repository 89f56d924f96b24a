"""What a person made is saved, or said to be lost, whichever way it is left."""

from __future__ import annotations

import numpy as np
import pytest

from maskfree.cli import main as maskfree
from maskfree.corrections import Correction
from maskfree.errors import InputError
from maskfree.session import Session
from napari_maskfree.saving import save_session_boxes

SOON = 20000
_LOST = "Masks made by hand are not saved"


def by_hand(widget, mask):
    """A mask of track 1 in frame 0 that no run made."""
    widget.state.corrections.put({0: {1: Correction.whole(mask)}})
    assert widget.state.corrections.unsaved


@pytest.fixture
def in_session(boxed, clip_folder, tmp_path):
    """A saved session with track 1 alone; others are not looked at."""
    boxes = boxed.state.tracks
    session = Session.create(tmp_path / "s", video_source=str(clip_folder), boxes=boxes)
    boxed.open_session(session.path)
    boxed.session_watch._timer.stop()
    return boxed


# ---- the dock is removed


def test_masks_by_hand_outlive_the_dock_where_the_boxes_are_in_a_file(
    boxed, viewer, left_half, notices, tmp_path
):
    boxed.project.save_boxes(tmp_path / "b.json")
    assert not boxed.state.dirty
    by_hand(boxed, left_half)
    folder = boxed.project.session_folder()
    viewer.window.remove_dock_widget(boxed)
    kept = Session.open(folder).corrections.read(0)
    np.testing.assert_array_equal(kept[1].is_object, left_half)
    assert any(f"saved in {folder}" in n for n in notices)
    assert not any(_LOST in n for n in notices)


def test_masks_by_hand_outlive_the_dock_where_the_video_has_no_file(
    widget, viewer, clip, left_half, notices
):
    viewer.add_image(np.stack(list(clip.frames)), rgb=True, name="made here")
    widget.project.show_boxes()
    widget.state.set_box(1, (0, 0, 48, 64), 0)
    by_hand(widget, left_half)
    folder = widget.project.session_folder()
    viewer.window.remove_dock_widget(widget)
    session = Session.open(folder)
    assert session.corrections.frames() == [0]
    np.testing.assert_array_equal(session.open_video()[3], clip.frames[3])
    assert not any(_LOST in n for n in notices)


def test_masks_by_hand_that_cannot_be_saved_are_said_to_be_lost(
    boxed, viewer, left_half, notices, monkeypatch, tmp_path
):
    def full(*_args, **_options):
        raise InputError("No room left.")

    monkeypatch.setattr(Session, "create", full)
    by_hand(boxed, left_half)
    viewer.window.remove_dock_widget(boxed)
    assert any(_LOST in n and "No room left." in n for n in notices)
    assert (tmp_path / "clip.boxes.json").is_file()


# ---- the question on leaving


@pytest.mark.parametrize("answer", ["cancel", "discard"])
def test_masks_that_a_save_left_behind_are_asked_about(boxed, viewer, left_half, notices, answer):
    asked = []
    boxed.ask_save = lambda _: asked.append("save") or "save"
    boxed.ask_lose = lambda _: asked.append("lose") or answer
    by_hand(boxed, left_half)
    viewer.layers.remove(boxed.project.image)
    assert boxed.may_leave() == (answer == "discard")
    assert asked == ["save", "lose"]
    assert any(_LOST in n and "section 1" in n for n in notices)
    assert any("clip.boxes.json" in n for n in notices), "the boxes are saved all the same"


def test_masks_that_are_discarded_are_asked_about_once(boxed, left_half):
    boxed.ask_save = lambda _: "discard"
    boxed.ask_lose = lambda _: pytest.fail("asked twice")
    by_hand(boxed, left_half)
    assert boxed.may_leave()


# ---- a session is open


def test_a_copy_of_the_boxes_leaves_the_session_to_be_saved(in_session, qtbot, tmp_path):
    state = in_session.state
    state.set_box(1, (5, 5, 40, 40), 3)
    in_session.project.save_boxes(tmp_path / "copy.json")
    assert state.dirty
    qtbot.waitUntil(lambda: not state.dirty, timeout=SOON)
    assert [k.frame for k in state.session.boxes.tracks[0].keyframes] == [0, 3]


def test_the_last_track_is_deleted_on_disk_as_well(in_session, qtbot, viewer, hands, notices):
    state, folder = in_session.state, in_session.state.session.path
    state.remove_track(1)
    qtbot.waitUntil(lambda: not state.dirty, timeout=SOON)
    assert Session.open(folder).boxes.tracks == ()
    in_session.open_session(folder)
    assert state.session.path == folder
    assert state.tracks.tracks == ()
    assert not in_session.finetune.start.isEnabled()
    assert "Draw a box" in in_session.finetune.start.toolTip()
    assert not [n for n in notices if n.startswith(("error", "warning"))]
    in_session.project.boxes.layer.mode = "add_rectangle"
    hands.drag((10, 10), (40, 60))
    qtbot.waitUntil(lambda: len(state.session.boxes.tracks) == 1, timeout=SOON)


def test_the_last_box_is_deleted_on_disk_before_leaving(in_session):
    state = in_session.state
    state.delete_keyframe(1, 0)
    assert state.boxed() is None
    in_session.ask_save = lambda _: pytest.fail("it can be saved")
    assert in_session.may_leave()
    assert not any(t.keyframes for t in state.session.boxes.tracks)


def test_the_last_track_that_cannot_be_deleted_on_disk_is_asked_about(in_session, monkeypatch):
    def full(*_):
        raise InputError("No room left.")

    monkeypatch.setattr(Session, "save_boxes", full)
    in_session.state.remove_track(1)
    in_session.ask_save = lambda _: "cancel"
    assert not in_session.may_leave()


def test_the_last_track_is_deleted_with_the_dock(in_session, viewer):
    folder = in_session.state.session.path
    in_session.state.remove_track(1)
    viewer.window.remove_dock_widget(in_session)
    assert Session.open(folder).boxes.tracks == ()


# ---- without a window


def test_a_session_without_a_box_says_so(saved, capsys):
    saved.remove_track(1)
    saved.remove_track(2)
    save_session_boxes(saved)
    assert not any(t.keyframes for t in saved.session.boxes.tracks)
    folder = str(saved.session.path)
    assert maskfree(["info", folder]) == 0
    assert maskfree(["finetune", saved.session.video_source, "--session", folder]) == 2
    assert "has no box to learn from. Draw a box" in capsys.readouterr().err
