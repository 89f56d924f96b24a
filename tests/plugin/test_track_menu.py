"""The menu beside the track list, and undo and redo as buttons."""

from __future__ import annotations

import numpy as np
import pytest


@pytest.fixture
def two(widget, viewer):
    """Track 1 in frames 0 to 8, track 2 from 4 on, frame 6 shown."""
    viewer.add_image(np.zeros((10, 48, 64), np.uint8), name="clip")
    widget.project.show_boxes()
    widget.state.set_box(1, (10, 10, 20, 20), 0)
    widget.state.set_box(1, (18, 10, 28, 20), 8)
    widget.state.new_track("dog")
    widget.state.set_box(2, (40, 10, 50, 20), 4)
    widget.state.set_box(2, (40, 10, 50, 20), 9)
    widget.state.select(1)
    widget.project.go_to(6)
    return widget


def entries(menu) -> dict[str, object]:
    menu.aboutToShow.emit()
    found = {}
    for action in menu.actions():
        inner = action.menu()
        found[action.text()] = action
        for each in inner.actions() if inner is not None else ():
            found[f"{action.text()}/{each.text()}"] = each
    return found


def ids_at(widget, frame):
    return sorted(t.id for t in widget.state.tracks.tracks if widget.state.box_state(t.id, frame))


def test_it_offers_what_can_be_done_in_this_frame(two):
    menu = two.boxes.more.menu()
    assert list(entries(menu)) == [
        "Split at frame 6",
        "Not in frame 6",
        "Propose boxes after frame 6",
        "Propose boxes before frame 6",
        "Merge with",
        "Merge with/2 dog",
        "Swap from frame 6 on with",
        "Swap from frame 6 on with/2 dog",
        "",
        "Copy as Python",
        "Copy as Python/Split at frame 6",
        "Copy as Python/Not in frame 6",
        "Copy as Python/Propose boxes after frame 6",
        "Copy as Python/Propose boxes before frame 6",
        "Copy as Python/Merge with 2 dog",
        "Copy as Python/Swap with 2 dog",
    ]
    two.project.go_to(2)
    assert "Split at frame 2" in entries(menu)


def test_each_of_it_is_copied_as_python(two):
    from qtpy.QtGui import QGuiApplication

    entries(two.boxes.more.menu())["Copy as Python/Swap with 2 dog"].trigger()
    assert "swap_tracks(tracks, 1, 2, 6)" in QGuiApplication.clipboard().text()


def test_what_takes_another_track_says_what_it_is_for(two):
    menu = two.boxes.more.menu()
    menu.aboutToShow.emit()
    tips = {action.text(): action.toolTip() for action in menu.actions() if action.menu()}
    assert tips["Merge with"].startswith("The other track is the same object")
    assert tips[next(t for t in tips if t.startswith("Swap"))] == "The two were mixed up there"
    assert tips["Copy as Python"] == "The same without the window"


def test_splitting_merging_and_swapping(two):
    menu, state = two.boxes.more.menu(), two.state
    entries(menu)["Split at frame 6"].trigger()
    assert (ids_at(two, 5), ids_at(two, 6), state.selected) == ([1, 2], [2, 3], 3)
    entries(menu)["Merge with/1 object"].trigger()
    assert (ids_at(two, 5), ids_at(two, 6), state.selected) == ([2, 3], [2, 3], 3)
    entries(menu)["Swap from frame 6 on with/2 dog"].trigger()
    assert state.box_state(3, 6).xyxy == (40, 10, 50, 20)
    entries(menu)["Not in frame 6"].trigger()
    assert [ids_at(two, f) for f in (5, 6, 7)] == [[2, 3], [2], [2, 3]]


def test_what_cannot_be_done_is_said_and_changes_nothing(two, notices):
    now = two.state.tracks
    entries(two.boxes.more.menu())["Merge with/2 dog"].trigger()
    assert "both have a box in frame" in notices[-1]
    assert two.state.tracks is now
    two.project.go_to(9)
    entries(two.boxes.more.menu())["Swap from frame 9 on with/2 dog"].trigger()
    assert "Track 1 has no box from frame 9 on: there it is followed" in notices[-1]
    assert two.state.tracks is now


def test_without_a_track_there_is_nothing_to_do(two):
    two.state.remove_track(1)
    two.state.remove_track(2)
    assert not two.boxes.more.isEnabled()
    assert entries(two.boxes.more.menu()) == {}


def test_undo_and_redo_name_what_they_do(two, hands):
    panel = two.boxes
    assert panel.undo.toolTip().startswith("Undo: move the box of track 2 in frame 9 (")
    assert panel.redo.toolTip() == "Nothing to redo."
    assert not panel.redo.isEnabled()
    entries(panel.more.menu())["Split at frame 6"].trigger()
    hands.press(panel.undo)
    assert ids_at(two, 6) == [1, 2]
    assert panel.redo.toolTip().startswith("Redo: split track 1 at frame 6 (")
    hands.press(panel.redo)
    assert ids_at(two, 6) == [2, 3]


def test_opening_it_often_leaves_nothing_behind(two):
    from qtpy.QtGui import QAction
    from qtpy.QtWidgets import QMenu

    menu = two.boxes.more.menu()
    entries(menu)
    known = len(menu.findChildren(QMenu)), len(menu.findChildren(QAction))
    for _ in range(10):
        entries(menu)
    assert (len(menu.findChildren(QMenu)), len(menu.findChildren(QAction))) == known
