"""Classes: which there are, which a new track gets, and colours by them."""

from __future__ import annotations

import numpy as np
import pytest

from maskfree.colours import track_colour
from maskfree.errors import InputError
from maskfree.session import Session
from maskfree.types import InstanceMasks
from napari_maskfree.exporting import export_job
from napari_maskfree.saving import save_session_boxes
from napari_maskfree.state import State
from napari_maskfree.video_info import VideoInfo

# ---- without a window


@pytest.fixture
def state() -> State:
    """Track 1 a car, 2 a dog."""
    made = State()
    made.set_video(VideoInfo("clip", None, num_frames=6, height=40, width=60))
    made.start_boxes()
    made.rename_track(1, "car")
    made.set_box(1, (0, 0, 8, 12), 0)
    made.new_track("dog")
    made.set_box(2, (8, 0, 16, 12), 0)
    return made


def labels(state: State) -> list[str]:
    return [track.label for track in state.tracks.tracks]


def test_a_new_track_gets_the_chosen_class(state):
    assert state.classes.active == "dog"
    state.new_track()
    assert labels(state) == ["car", "dog", "dog"]
    state.classes.choose("car")
    state.new_track()
    assert labels(state)[-1] == "car"


def test_every_change_is_one_named_step(state):
    classes = state.classes
    classes.add("cat")
    assert (state.undo_name, classes.active) == ("add class cat", "cat")
    classes.give(1, "cat")
    assert state.undo_name == "re-class track 1 to cat"
    classes.give(2, "cat")
    classes.rename("cat", "lynx")
    assert state.undo_name == "rename class cat to lynx"
    assert (labels(state), classes.active) == (["lynx", "lynx"], "lynx")
    state.undo()
    assert labels(state) == ["cat", "cat"]
    state.undo()
    state.undo()
    classes.remove("cat")
    assert (state.undo_name, classes.names) == ("remove class cat", ("car", "dog"))
    state.undo()
    assert classes.names == ("car", "dog", "cat")
    classes.rename("car", "dog")
    assert state.undo_name == "merge class car into dog"
    assert labels(state) == ["dog", "dog"]


def test_the_digit_of_a_class_stays(state):
    state.classes.add("cat")
    state.remove_track(1)
    assert state.classes.names == ("car", "dog", "cat")
    state.classes.press(3)
    assert labels(state) == ["cat"]
    assert state.classes.names == ("car", "dog", "cat")


def test_without_a_track_a_digit_chooses_only(state):
    state.select(None)
    state.classes.press(1)
    assert (state.classes.active, labels(state)) == ("car", ["car", "dog"])
    with pytest.raises(InputError, match="There is no class 3 yet"):
        state.classes.press(3)


def test_without_boxes_there_is_no_class():
    state = State()
    assert (state.classes.names, state.classes.active) == ((), "object")
    with pytest.raises(InputError, match="There is no class 1 yet"):
        state.classes.press(1)
    with pytest.raises(InputError, match="There are no boxes yet"):
        state.classes.add("cat")


def test_colours_by_track_and_by_class(state):
    state.new_track("dog")
    classes = state.classes
    assert classes.colours() == {i: track_colour(i) for i in (1, 2, 3)}
    classes.set_by_class(True)
    assert classes.colours() == {1: track_colour(1), 2: track_colour(2), 3: track_colour(2)}
    classes.give(1, "dog")
    assert classes.colour(1) == classes.class_colour("dog") == track_colour(2)
    assert classes.colour(9) == track_colour(9)


# ---- in a window


@pytest.fixture
def drawn(widget, viewer, clip_folder, tmp_path):
    """Two cars and a dog, in a session with masks."""
    widget.video.open_path(str(clip_folder))
    widget.project.show_boxes()
    for n, label in enumerate(("car", "dog", "car")):
        track_id = widget.state.new_track(label) if n else 1
        widget.state.rename_track(track_id, label)
        widget.state.set_box(track_id, (30 * n, 0, 30 * n + 20, 40), 0)
    session = Session.create(
        tmp_path / "s", video_source=str(clip_folder), boxes=widget.state.tracks
    )
    masks = np.zeros((2, 64, 96), bool)
    masks[0, :40, :20] = masks[1, :40, 60:80] = True
    session.mask_store().write(0, InstanceMasks((1, 3), masks, (0.5, 0.5)))
    widget.open_session(session.path)
    widget.project.go_to(0)
    return widget


def shown(widget) -> list[tuple[str, str, str]]:
    rows = widget.boxes.classes.rows
    items = [rows.topLevelItem(n) for n in range(rows.topLevelItemCount())]
    return [(i.text(0), i.text(1), i.text(2)) for i in items]


def edge(widget, track_id) -> tuple[int, ...]:
    layer = widget.project.boxes.layer
    row = layer.features["track"].tolist().index(track_id)
    return tuple(np.round(layer.edge_color[row][:3] * 255).astype(int).tolist())


def mask_colour(widget, track_id) -> tuple[int, ...]:
    colour = widget.project.masks.colormap.color_dict[track_id]
    return tuple(np.round(np.array(colour)[:3] * 255).astype(int).tolist())


def write(qtbot, rows, text) -> None:
    """Write in the row that is being edited, and press Return."""
    from qtpy.QtCore import Qt
    from qtpy.QtWidgets import QLineEdit

    (editor,) = rows.findChildren(QLineEdit)
    editor.setText(text)
    qtbot.keyClick(editor, Qt.Key.Key_Return)
    qtbot.wait(50)


def test_classes_are_added_renamed_given_and_removed(drawn, hands, qtbot, notices):
    panel, state = drawn.boxes.classes, drawn.state
    assert shown(drawn) == [("1", "car", "2 tracks"), ("2", "dog", "1 track")]
    hands.press(panel.add_class)
    write(qtbot, panel.rows, "cat")
    assert shown(drawn)[2] == ("3", "cat", "0 tracks")
    assert panel.rows.currentItem().text(1) == "cat"
    state.select(2)
    hands.press(panel.give)
    assert state.track(2).label == "cat"
    assert panel.give.toolTip() == "Track 2 is of class cat already."
    panel.rows.setCurrentItem(panel.rows.topLevelItem(1))
    hands.press(panel.remove)
    assert [name for _, name, _ in shown(drawn)] == ["car", "cat"]
    panel.rows.editItem(panel.rows.topLevelItem(0), 1)
    write(qtbot, panel.rows, "van")
    assert [t.label for t in state.tracks.tracks] == ["van", "cat", "van"]
    assert not panel.remove.isEnabled()
    hands.press(drawn.boxes.undo)
    assert [t.label for t in state.tracks.tracks] == ["car", "cat", "car"]
    panel.rows.setCurrentItem(panel.rows.topLevelItem(1))
    hands.press(drawn.boxes.add_track)
    assert state.track(4).label == "cat"
    # a name that is taken, and one that is not written
    hands.press(panel.add_class)
    write(qtbot, panel.rows, "car")
    assert 'There is a class "car" already' in notices[-1]
    hands.press(panel.add_class)
    write(qtbot, panel.rows, "  ")
    qtbot.waitUntil(lambda: len(shown(drawn)) == 2)


def test_a_digit_key_gives_the_class(drawn, viewer, qtbot, notices):
    from qtpy.QtCore import Qt
    from qtpy.QtWidgets import QApplication

    window = viewer.window._qt_window
    QApplication.setActiveWindow(window)
    drawn.state.select(3)
    qtbot.keyClick(window, Qt.Key.Key_2, Qt.KeyboardModifier.AltModifier)
    qtbot.wait(20)
    assert drawn.state.track(3).label == "dog"
    assert drawn.state.undo_name == "re-class track 3 to dog"
    qtbot.keyClick(window, Qt.Key.Key_7, Qt.KeyboardModifier.AltModifier)
    qtbot.wait(20)
    assert "There is no class 7 yet" in notices[-1]


def test_colour_by_class_is_seen_everywhere(drawn):
    drawn.timeline.show()
    box = drawn.boxes.classes.by_class
    assert [edge(drawn, i) for i in (1, 3)] == [track_colour(1), track_colour(3)]
    box.click()
    car, dog = track_colour(1), track_colour(2)
    assert [edge(drawn, i) for i in (1, 2, 3)] == [car, dog, car]
    assert [mask_colour(drawn, i) for i in (1, 3)] == [car, car]
    line = drawn.timeline.content.line
    assert line.state.classes.colour(3) == car
    drawn.state.classes.give(3, "dog")
    assert edge(drawn, 3) == dog
    assert mask_colour(drawn, 3) == dog
    box.click()
    assert edge(drawn, 3) == mask_colour(drawn, 3) == track_colour(3)


def test_classes_are_in_the_session_and_change_no_export(drawn, tmp_path):
    state = drawn.state
    export_job(drawn.project, tmp_path / "one", "ytvis")()
    state.classes.add("cat")
    state.classes.set_by_class(True)
    export_job(drawn.project, tmp_path / "two", "ytvis")()
    one, two = ([p.read_bytes() for p in _files(tmp_path / n)] for n in ("one", "two"))
    assert one == two
    save_session_boxes(drawn.state)
    path = state.session.path
    state.set_session(None)
    drawn.open_session(path)
    assert state.classes.names == ("car", "dog", "cat")


def test_the_same_object_comes_back_with_its_id(drawn, hands, qtbot):
    state, panel = drawn.state, drawn.boxes
    state.select(1)
    drawn.project.go_to(3)
    assert not panel.back.isVisible()
    hands.press(panel.outside)
    drawn.project.go_to(6)
    assert panel.back.isVisible()
    assert "it stays track 1" in panel.back.text()
    hands.press(panel.new)
    hands.drag((50, 10), (60, 40))
    assert [k.frame for k in state.track(1).keyframes] == [0, 3, 6]
    assert state.box_state(1, 4) is None
    assert state.box_state(1, 7) is not None
    assert len(state.tracks.tracks) == 3
    assert not panel.back.isVisible()


def test_a_single_track_and_no_boxes_at_all(widget, viewer):
    panel = widget.boxes.classes
    assert not panel.isVisible()
    viewer.add_image(np.zeros((5, 48, 64), np.uint8), name="clip")
    widget.project.show_boxes()
    assert shown(widget) == [("1", "object", "1 track")]
    widget.state.remove_track(1)
    assert shown(widget) == []
    assert panel.give.toolTip() == "Choose a class first."
    assert not panel.by_class.isEnabled()


def _files(path):
    return sorted(path.rglob("*")) if path.is_dir() else [path]
