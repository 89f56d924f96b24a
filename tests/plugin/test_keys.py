"""Everything that the mouse does has a key, which the tooltip names and a person may change."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import napari_maskfree
from napari_maskfree.keys import GIVEN, KEYS

MANIFEST = Path(napari_maskfree.__file__).with_name("napari.yaml")


@pytest.fixture
def drawn(widget, viewer):
    """Track 1 in frames 0 and 8, track 2 from 4 on; frame 6 shown, track 1 selected."""
    viewer.add_image(np.zeros((10, 48, 64), np.uint8), name="clip")
    widget.project.show_boxes()
    widget.state.set_box(1, (10, 10, 20, 20), 0)
    widget.state.set_box(1, (18, 10, 28, 20), 8)
    widget.state.new_track("dog")
    widget.state.set_box(2, (40, 10, 50, 20), 4)
    widget.state.select(1)
    widget.project.go_to(6)
    return widget


@pytest.fixture
def press(viewer, qtbot):
    """Press a key with the focus in the window, as a keyboard would."""
    from qtpy.QtGui import QKeySequence
    from qtpy.QtWidgets import QApplication

    def pressed(text: str) -> None:
        window = viewer.window._qt_window
        QApplication.setActiveWindow(window)
        combined = QKeySequence(text)[0]
        qtbot.keyClick(window, combined.key(), combined.keyboardModifiers())
        qtbot.wait(20)

    return pressed


def test_the_preferences_offer_every_key():
    from npe2 import PluginManifest

    offered = PluginManifest.from_file(MANIFEST).contributions.configurations["keys"].properties
    assert {name: (p.title, p.default) for name, p in offered.items()} == KEYS


def test_no_key_has_two_meanings(widget):
    keys = [key for _, key in KEYS.values()]
    assert len(set(keys)) == len(keys)
    assert not {key for _, keys_ in GIVEN for key in keys_.split(", ")} & set(keys)
    assert set(widget.shortcuts._made) == set(KEYS)


def test_napari_itself_uses_none_of_them(drawn, press):
    heard = []
    for name, made in drawn.shortcuts._made.items():
        made.activated.disconnect()
        made.activated.connect(lambda name=name: heard.append(name))
    for _, key in KEYS.values():
        press(key)
    assert heard == list(KEYS), set(KEYS) - set(heard)


def test_keys_do_what_the_buttons_do(drawn, press):
    state = drawn.state
    press("Alt+Right")
    assert state.frame == 8
    press("Alt+Left")
    assert state.frame == 0
    drawn.project.go_to(6)
    press("Alt+K")
    assert state.keyframe(1, 6).xyxy == (16, 10, 26, 20)
    press("Alt+Backspace")
    assert state.keyframe(1, 6) is None
    press("Alt+B")
    assert state.keyframe(1, 6).occluded
    press("Alt+O")
    assert state.keyframe(1, 6).outside
    press("Alt+N")
    assert state.selected == 3
    press("Alt+PgDown")
    assert state.selected == 1
    press("Alt+PgUp")
    assert state.selected == 3


def test_keys_without_a_button(drawn, press, notices):
    state = drawn.state
    press("Alt+R")
    assert state.keyframe(1, 6).xyxy == (15, 10, 25, 20)
    state.undo()
    press("Alt+X")
    assert [state.box_state(1, f) is None for f in (5, 6, 7)] == [False, True, False]
    press("Alt+X")
    assert "Track 1 is not in frame 6 as it is" in notices[-1]
    press("Alt+Z")
    assert state.box_state(1, 6) is not None
    press("Alt+Shift+Z")
    assert state.box_state(1, 6) is None
    press("Alt+Z")
    press("Alt+T")
    assert [t.id for t in state.tracks.tracks] == [1, 2, 3]
    assert state.selected == 3
    drawn.project.go_to(0)
    press("Alt+R")
    assert "Track 3 has no box before the first frame" in notices[-1]
    press("Alt+Shift+Backspace")
    assert [t.id for t in state.tracks.tracks] == [1, 2]


def test_what_cannot_be_done_is_said(drawn, press, notices):
    press("Alt+Backspace")
    assert notices[-1].endswith("There is no keyframe here.")
    drawn.state.remove_track(1)
    drawn.state.remove_track(2)
    press("Alt+T")
    assert notices[-1].endswith("Select a track first.")


def test_hidden_buttons_are_not_pressed(drawn, press, notices, tmp_path):
    press(KEYS["predict_again"][1])
    assert "Nothing was learnt yet" in notices[-1]
    assert not drawn.finetune.preparing
    press(KEYS["cancel"][1])
    press(KEYS["outlines"][1])
    assert "nothing to do that with now" in notices[-1]
    assert not drawn.masks.outline.isChecked()


def test_without_a_video_keys_say_what_is_missing(widget, press, notices):
    for name in ("draw_boxes", "new_track", "fine_tune", "export"):
        press(KEYS[name][1])
        assert "section" in notices[-1], name
    assert widget.state.tracks is None


def test_keys_are_heard_beside_a_floating_dock(drawn, press, viewer, qtbot):
    from qtpy.QtWidgets import QDockWidget

    dock = drawn.parent()
    while not isinstance(dock, QDockWidget):
        dock = dock.parent()
    dock.setFloating(True)
    qtbot.wait(50)
    press("Alt+N")
    assert drawn.state.selected == 3


def test_preferences_are_followed_after_napari_has_made_them_anew(drawn, qtbot):
    from napari.settings import get_plugin_settings
    from npe2 import PluginManager

    old = get_plugin_settings("napari-maskfree").keys
    PluginManager.instance().events.enablement_changed.emit(set(), set())
    qtbot.wait(50)
    keys = get_plugin_settings("napari-maskfree").keys
    assert keys is not old
    keys.new_track = "Ctrl+Alt+J"
    try:
        assert drawn.boxes.add_track.toolTip().endswith("(Ctrl+Alt+J)")
    finally:
        keys.new_track = KEYS["new_track"][1]


def test_a_closed_widget_hears_no_key(drawn, viewer, press):
    viewer.window.remove_dock_widget(drawn)
    tracks = drawn.state.tracks
    press("Alt+N")
    assert drawn.state.tracks is tracks


def test_tooltips_name_the_key(drawn):
    assert drawn.boxes.add_track.toolTip() == "Another object (its own colour) (Alt+N)"
    assert drawn.boxes.keep.toolTip() == "Make the interpolated box a keyframe (Alt+K)"
    drawn.project.go_to(0)
    assert drawn.boxes.keep.toolTip() == "There is no interpolated box here."


def test_another_key_may_be_chosen(drawn, press, notices):
    from napari.settings import get_plugin_settings

    keys = get_plugin_settings("napari-maskfree").keys
    keys.new_track = "Ctrl+Alt+J"
    try:
        assert drawn.boxes.add_track.toolTip().endswith("(Ctrl+Alt+J)")
        press("Alt+N")
        assert drawn.state.selected == 1
        press("Ctrl+Alt+J")
        assert drawn.state.selected == 3
        keys.new_track = ""
        assert drawn.boxes.add_track.toolTip() == "Another object (its own colour)"
        keys.new_track = KEYS["keep_box"][1]
        press("Alt+K")
        assert "has another meaning too" in notices[-1]
        keys.new_track = "Alt+nonsense"
        assert '"Alt+nonsense" is no key' in notices[-1]
    finally:
        keys.new_track = KEYS["new_track"][1]


def test_the_next_thing_to_look_at(drawn, press, qtbot):
    qtbot.waitUntil(lambda: drawn.boxes.audit.rows.count() == 1, timeout=10_000)
    press("Alt+G")
    assert (drawn.state.selected, drawn.state.frame) == (2, 4)
    drawn.project.go_to(0)
    press("Alt+G")
    assert drawn.state.frame == 4


def test_all_keys_on_one_page(drawn, press, qtbot):
    from qtpy.QtWidgets import QLabel

    from napari_maskfree._qt.cheat_sheet import CheatSheet

    assert drawn.keys.toolTip() == "All keys on one page (?)"
    press("?")
    (page,) = drawn.findChildren(CheatSheet)
    texts = [label.text() for label in page.findChildren(QLabel)]
    for words, key in [*KEYS.values(), *GIVEN]:
        assert words in texts
        assert key in texts
    press("?")
    assert drawn.findChildren(CheatSheet) == [page]
    page.close()
    qtbot.waitUntil(lambda: not drawn.findChildren(CheatSheet), timeout=5000)
