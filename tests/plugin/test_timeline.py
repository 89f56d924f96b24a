"""The timeline in a real window."""

from __future__ import annotations

import numpy as np
import pytest
from qtpy.QtCore import QEvent, QPoint, QPointF, Qt
from qtpy.QtGui import QMouseEvent, QWheelEvent
from qtpy.QtWidgets import QApplication

from maskfree.session import Session
from maskfree.types import BoxTracks, InstanceMasks, Keyframe, Track

LEFT = Qt.MouseButton.LeftButton
SOON = 10_000
RULER, NAMES, LANE = 22, 118, 18


def tracks(count: int, frames: int, keyframes: int = 3) -> BoxTracks:
    every = max(frames // keyframes, 1)
    box = (10.0, 10.0, 30.0, 30.0)
    made = [
        Track(i, "dog", tuple(Keyframe(f, box) for f in range(i % every, frames, every)))
        for i in range(1, count + 1)
    ]
    return BoxTracks(frames, 48, 64, None, tuple(made))


@pytest.fixture
def boxed(widget, viewer, qtbot):
    """Three tracks over twenty frames, the timeline shown."""
    viewer.add_image(np.zeros((20, 48, 64), np.uint8), name="clip")
    widget.project.load_boxes(tracks(3, 20))
    qtbot.waitUntil(lambda: widget.timeline.is_shown, timeout=SOON)
    qtbot.wait(50)
    return widget


def place(line, frame: float, row: int) -> QPoint:
    return QPoint(round(line.x_of(frame)), RULER + row * LANE + LANE // 2)


def move(view, where: QPoint, held=LEFT) -> None:
    at = QPointF(where)
    none = Qt.MouseButton.NoButton
    event = QMouseEvent(
        QEvent.Type.MouseMove, at, QPointF(view.mapToGlobal(where)), none, held, NO_KEY
    )
    QApplication.sendEvent(view, event)


NO_KEY = Qt.KeyboardModifier.NoModifier


def wheel(view, x: int, turn: int, keys=NO_KEY) -> None:
    at = QPointF(x, 40)
    event = QWheelEvent(
        at,
        QPointF(view.mapToGlobal(QPoint(x, 40))),
        QPoint(),
        QPoint(0, turn),
        Qt.MouseButton.NoButton,
        keys,
        Qt.ScrollPhase.NoScrollPhase,
        False,
    )
    QApplication.sendEvent(view, event)


def test_it_comes_with_the_first_video_and_goes_with_the_button(boxed, hands):
    hands.press(boxed.boxes.timeline)
    assert not boxed.timeline.is_shown
    boxed.state.video_changed.emit()
    assert not boxed.timeline.is_shown  # not again by itself
    hands.press(boxed.boxes.timeline)
    assert boxed.timeline.is_shown


def test_closed_by_its_cross_it_can_be_opened_again(boxed, viewer, hands, qtbot):
    first = boxed.timeline.content
    first.parentWidget().destroyOnClose()
    qtbot.waitUntil(lambda: boxed.timeline.content is None, timeout=SOON)
    boxed.state.set_box(1, (5, 5, 20, 20), 4)
    hands.press(boxed.boxes.timeline)
    assert boxed.timeline.is_shown
    assert boxed.timeline.content is not first


def test_a_picture_alone_has_no_timeline(widget, viewer):
    viewer.add_image(np.zeros((48, 64), np.uint8), name="picture")
    widget.project.show_boxes()
    widget.state.set_box(1, (5, 5, 20, 20), 0)
    assert not widget.timeline.is_shown


def test_before_the_first_box_it_says_what_comes(widget, viewer, qtbot):
    viewer.add_image(np.zeros((20, 48, 64), np.uint8), name="clip")
    assert widget.timeline.is_shown
    assert not widget.timeline.content.line.viewport().grab().isNull()
    assert widget.timeline.content.line.track_at(40) is None


def test_a_click_selects_the_track_and_goes_to_the_frame(boxed, qtbot):
    line = boxed.timeline.content.line
    boxed.state.select_range(2, 4)
    qtbot.mouseClick(line.viewport(), LEFT, pos=place(line, 13, 2))
    assert (boxed.state.selected, boxed.state.frame, boxed.state.range) == (3, 13, None)
    qtbot.mouseClick(line.viewport(), LEFT, pos=QPoint(30, RULER + LANE + 4))
    assert (boxed.state.selected, boxed.state.frame) == (2, 13)


def test_a_drag_on_a_lane_selects_frames_that_can_be_cleared(boxed, hands, qtbot):
    content = boxed.timeline.content
    line, view = content.line, content.line.viewport()
    assert not content.delete.isEnabled()
    assert "Drag along" in content.text.text()
    qtbot.mousePress(view, LEFT, pos=place(line, 11, 1))
    move(view, place(line, 6, 1))
    qtbot.mouseRelease(view, LEFT, pos=place(line, 6, 1))
    assert boxed.state.range == (6, 11)
    assert content.text.text() == "Frames 6 to 11 of 2 dog"
    hands.press(content.delete)
    assert [k.frame for k in boxed.state.track(2).keyframes] == [2, 14]
    assert boxed.state.undo_name == "delete keyframes of track 2 in frames 6 to 11"
    boxed.state.undo()
    boxed.state.set_box(2, (5, 5, 20, 20), 12)
    hands.press(content.absent)
    assert [boxed.state.box_state(2, f) is None for f in (5, 6, 11, 12)] == [0, 1, 1, 0]


def test_a_drag_along_the_ruler_goes_through_the_video(boxed, qtbot):
    line = boxed.timeline.content.line
    view = line.viewport()
    qtbot.mousePress(view, LEFT, pos=QPoint(round(line.x_of(3)), 8))
    assert boxed.state.frame == 3
    move(view, QPoint(round(line.x_of(17)), 8))
    assert (boxed.state.frame, boxed.state.range) == (17, None)
    qtbot.mouseRelease(view, LEFT, pos=QPoint(round(line.x_of(17)), 8))


def test_a_range_by_keys_alone(boxed, qtbot):
    state = boxed.state
    boxed.project.go_to(5)
    state.start_range()
    assert state.range == (5, 5)
    boxed.project.go_to(9)
    state.end_range()
    assert state.range == (5, 9)
    boxed.project.go_to(12)
    state.start_range()
    assert state.range == (12, 12)
    boxed.project.go_to(3)
    state.end_range()
    assert state.range == (3, 3)


def test_the_wheel_zooms_around_the_mouse_and_fit_shows_all(boxed, hands, qtbot):
    content = boxed.timeline.content
    line, view = content.line, content.line.viewport()
    x = round(line.x_of(10))
    whole = line.zoom
    for _ in range(3):
        wheel(view, x, 120, Qt.KeyboardModifier.ControlModifier)
    assert line.zoom > whole
    assert line.frame_at(x) == 10
    wheel(view, x, -120, Qt.KeyboardModifier.ShiftModifier)
    assert line.frame_at(x) > 10
    hands.press(content.whole)
    assert line.zoom == whole
    hands.press(content.more)
    assert line.zoom > whole
    hands.press(content.less)
    assert line.zoom == whole


def test_it_says_what_is_under_the_mouse(boxed):
    line = boxed.timeline.content.line
    line.scores = {2: np.full(20, 0.5, np.float32)}
    say = lambda frame, row: line.describe(QPointF(place(line, frame, row)))  # noqa: E731
    assert say(2, 1) == "Frame 2 · 2 dog: keyframe · mask's score 0.50"
    assert say(4, 0) == "Frame 4 · 1 dog: interpolated"
    assert line.describe(QPointF(line.x_of(4), 5)) == "Frame 4"
    assert line.describe(QPointF(30, RULER + 4)) == "Track 1 dog"
    assert line.describe(QPointF(30, 5)) == ""


def test_scores_of_the_masks_appear_and_go_with_the_session(boxed, tmp_path, qtbot):
    session = Session.create(tmp_path / "s", video_source=None, boxes=boxed.state.tracks)
    store, mask = session.mask_store(), np.ones((1, 48, 64), bool)
    store.write(4, InstanceMasks((2,), mask, (0.5,)))
    boxed.state.set_session(session)
    line = boxed.timeline.content.line
    qtbot.waitUntil(lambda: 2 in line.scores, timeout=SOON)
    assert line.scores[2][4] == 0.5
    store.write(5, InstanceMasks((2,), mask, (0.25,)))
    boxed.jobs.updated.emit()
    qtbot.waitUntil(lambda: line.scores[2][5] == 0.25, timeout=SOON)
    boxed.state.set_session(None)
    qtbot.waitUntil(lambda: not line.scores, timeout=SOON)


def test_another_video_has_no_scores_of_the_one_before(boxed, viewer, tmp_path, qtbot):
    line = boxed.timeline.content.line
    boxed.scores._take_over({1: np.full(20, 0.5, np.float32)})
    assert line.scores
    viewer.add_image(np.zeros((90, 48, 64), np.uint8), name="longer")
    boxed.project.bind(viewer.layers["longer"], boxed.project.choice)
    assert not line.scores
    line.scores = {1: np.full(20, 0.5, np.float32)}  # should some come late all the same
    boxed.project.load_boxes(tracks(3, 90))
    assert not line.viewport().grab().isNull()
    assert "score" not in line.describe(QPointF(place(line, 60, 0)))


def test_a_frame_out_of_sight_is_scrolled_to(boxed, qtbot):
    line = boxed.timeline.content.line
    line.zoom_by(8, line.x_of(0))
    for frame in (19, 0, 11):
        boxed.project.go_to(frame)
        assert NAMES <= line.x_of(frame) <= line.viewport().width()


def test_200_tracks_over_20_000_frames(widget, viewer, qtbot):
    import dask.array as da

    frames = 20_000
    viewer.add_image(da.zeros((frames, 48, 64), chunks=(1, 48, 64), dtype=np.uint8), name="long")
    widget.project.load_boxes(tracks(200, frames, keyframes=250))
    qtbot.waitUntil(lambda: widget.timeline.is_shown, timeout=SOON)
    line = widget.timeline.content.line
    line.scores = {i: np.full(frames, 0.6, np.float32) for i in range(1, 201)}
    for _ in range(3):
        assert not line.viewport().grab().isNull()
        line.zoom_by(20)
    widget.state.select(200)
    assert line.verticalScrollBar().value() > 0
    assert line.track_at(line.viewport().height() - 6) is not None
    widget.project.go_to(frames - 1)
    assert line.frame_at(line.viewport().width() - 2) == frames - 1


def test_nothing_is_left_when_the_widget_goes(boxed, viewer):
    boxed.shut_down()
    assert boxed.timeline.content is None
    assert "MaskFree timeline" not in viewer.window.dock_widgets
    boxed.state.set_box(1, (5, 5, 20, 20), 4)
