"""A window that ended without a word: what was done in it is there in the next one."""

from __future__ import annotations

import pytest

from maskfree.corrections import Correction
from maskfree.session import Session
from napari_maskfree._qt.main_widget import MaskFreeWidget
from napari_maskfree.unsaved import unsaved_folder

SOON = 20_000


@pytest.fixture
def next_window(viewer, widget, clip_folder):
    """Kill the window, and open another one with the same video."""
    made = []

    def follow(session=None):
        widget.session_watch.stop()
        widget.state.journal.close()  # as the system does with a process that was killed
        widget._docked = False
        for layer in list(viewer.layers):
            viewer.layers.remove(layer)
        other = MaskFreeWidget(viewer)
        made.append(other)
        other.ask_save = other.ask_lose = lambda _: "discard"
        viewer.window.add_dock_widget(other, name="next")
        if session is None:
            other.video.open_path(str(clip_folder))
        else:
            other.open_session(session)
        return other

    yield follow
    for each in made:
        each.shut_down()


def test_boxes_without_a_session_come_back_with_a_word(
    boxed, next_window, qtbot, notices, left_half
):
    mine = {1: Correction.whole(left_half)}
    boxed.state.apply("paint track 1", boxed.state.tracks, {2: mine})
    boxed.state.set_box(1, (5, 5, 40, 40), 3)
    tracks = boxed.state.tracks
    other = next_window()
    qtbot.waitUntil(lambda: any("they are back" in n for n in notices), timeout=SOON)
    assert "1 track, 2 keyframes, 1 corrected frame" in notices[-1]
    assert other.state.tracks == tracks
    assert other.state.corrections.items() == {2: mine}
    assert other.project.boxes is not None
    qtbot.waitUntil(lambda: other.boxes.new.text() == "Draw boxes", timeout=SOON)
    assert other.boxes.undo.property("tip") == "Undo: move the box of track 1 in frame 3"
    other.state.undo()
    assert other.state.keyframe(1, 3) is None
    assert other.may_leave(), "discarded"
    assert not list(unsaved_folder().iterdir())


def test_a_session_has_its_undo_and_what_was_not_saved(
    boxed, next_window, qtbot, notices, clip_folder, tmp_path
):
    boxes = boxed.state.tracks
    session = Session.create(tmp_path / "s", video_source=str(clip_folder), boxes=boxes)
    boxed.open_session(session.path)
    boxed.state.set_box(1, (5, 5, 40, 40), 3)
    qtbot.waitUntil(lambda: not boxed.state.dirty, timeout=SOON)
    boxed.state.set_box(1, (6, 5, 40, 40), 4)
    tracks = boxed.state.tracks
    assert boxed.state.dirty
    other = next_window(session.path)
    assert other.state.tracks == tracks
    assert any("not saved when the program ended are back" in n for n in notices)
    assert other.state.history_steps[0] == [
        f"move the box of track 1 in frame {frame}" for frame in (3, 4)
    ]
    qtbot.waitUntil(lambda: not other.state.dirty, timeout=SOON)
    assert session.boxes == tracks


def test_edits_that_cannot_be_kept_are_said_and_marked(
    widget, clip_folder, qtbot, notices, tmp_path
):
    (tmp_path / "home" / "maskfree").write_text("a file in the way")
    widget.video.open_path(str(clip_folder))
    widget.project.show_boxes()
    widget.state.set_box(1, (0, 0, 48, 64), 0)
    assert widget.video.folder.text().startswith("Not saved in")
    qtbot.waitUntil(lambda: any("not saved yet" in n for n in notices), timeout=SOON)
    (tmp_path / "home" / "maskfree").unlink()
    widget.state.set_box(1, (0, 0, 40, 64), 0)
    assert widget.video.folder.text().startswith("Will be saved in")
    assert list(unsaved_folder().iterdir())
    assert len([n for n in notices if "not saved yet" in n]) == 1


def test_a_window_that_is_closed_with_all_saved_leaves_nothing(boxed, tmp_path):
    assert list(unsaved_folder().iterdir())
    boxed.project.save_boxes(tmp_path / "b.json")
    boxed.shut_down()
    assert not list(unsaved_folder().iterdir())
