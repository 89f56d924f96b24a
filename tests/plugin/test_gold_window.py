"""Gold frames, marked by a person in a real window; the scores of the runs there."""

from __future__ import annotations

import numpy as np
import pytest

from maskfree.session import Session
from maskfree.types import InstanceMasks
from napari_maskfree import gold
from napari_maskfree.constants import GOLD_COLOUR
from predicted_run import predicted

SOON = 20_000


def half(height: int, width: int, columns: slice) -> np.ndarray:
    mask = np.zeros((height, width), bool)
    mask[:, columns] = True
    return mask


@pytest.fixture
def masked(boxed, clip_folder, tmp_path):
    """One run's masks of two tracks in eight frames."""
    boxed.state.new_track("dog")
    boxed.state.set_box(2, (48, 0, 96, 64), 0)
    boxes = boxed.state.tracks
    session = Session.create(tmp_path / "s", video_source=str(clip_folder), boxes=boxes)
    one, two = half(64, 96, slice(0, 40)), half(64, 96, slice(50, 96))
    predicted(session, {frame: {1: one, 2: two} for frame in range(8)})
    boxed.open_session(session.path)
    boxed.show_section("masks")
    boxed.project.go_to(0)
    return boxed


def scored(masked, qtbot):
    """Wait for the scores; return the points of J, as (run, J)."""
    qtbot.waitUntil(lambda: not masked.gold.scoring, timeout=SOON)
    curve = masked.masks.gold.curve
    return [(r.run, round(r.scores.j, 3)) for _, r in curve.points("J")]


def test_a_person_marks_a_frame_and_sees_the_scores(masked, hands, qtbot):
    bar, state = masked.masks.gold, masked.state
    assert bar.readout.text().startswith("Gold frames tell how good the runs are")
    assert not bar.curve.isVisible()
    masked.project.go_to(3)
    assert "no run learns from them" in bar.mark.toolTip()
    hands.press(bar.mark)
    assert bar.mark.isChecked()
    assert bar.mark.text() == "Gold frame"
    assert "Take the mark back" in bar.mark.toolTip()
    assert masked.masks.by_hand.text().startswith("Frame 3: 1 object gold, 2 dog gold")
    assert scored(masked, qtbot) == [("0001", 1.0)]
    assert bar.readout.text() == "1 gold frame: J 1.00, F 1.00 (run 1)"
    assert bar.curve.isVisible()
    # the truth is corrected: the run had taken too much
    masked.project.masks.data[3, 32:, :48] = 0
    masked.project.editor._on_paint()
    qtbot.waitUntil(lambda: state.undo_name == "paint track 1 in frame 3", timeout=SOON)
    assert scored(masked, qtbot) == [("0001", 0.75)]
    masked.project.go_to(4)
    assert not bar.mark.isChecked()
    assert bar.mark.text() == "Mark as gold"


def test_the_curve_goes_over_the_runs(masked, hands, qtbot):
    bar, state = masked.masks.gold, masked.state
    masked.project.go_to(3)
    hands.press(bar.mark)
    narrow, two = half(64, 96, slice(0, 20)), half(64, 96, slice(50, 96))
    predicted(state.session, {frame: {1: narrow, 2: two} for frame in range(8)})
    masked.project.show_masks()
    masked.gold.soon()
    qtbot.waitUntil(lambda: len(masked.gold.found) == 2, timeout=SOON)
    assert scored(masked, qtbot) == [("0001", 1.0), ("0002", 0.75)]
    assert bar.readout.text() == "1 gold frame: J 0.75, F 0.50 (run 2)"
    (first, _), (second, _) = bar.curve.points("J")
    assert first.x() < second.x()
    assert first.y() < second.y()
    assert "Run 2: J 0.750, F 0.500 on 1 frame" in bar.curve.accessibleDescription()
    assert masked.project.masks.data[3, 0, 30] == 1, "the truth is shown, not the new run"
    picture = bar.curve.grab().toImage()
    assert picture.pixelColor(round(second.x()), round(second.y())).getRgb()[:3] == (60, 150, 230)


def test_marks_are_undone_and_taken_back(masked, hands, qtbot):
    bar, state = masked.masks.gold, masked.state
    masked.project.go_to(2)
    hands.press(bar.mark)
    hands.press(masked.boxes.undo)
    assert not bar.mark.isChecked()
    assert masked.gold.frames == 0
    assert bar.readout.text().startswith("Gold frames tell")
    hands.press(masked.boxes.redo)
    assert bar.mark.isChecked()
    assert scored(masked, qtbot) == [("0001", 1.0)]
    hands.press(bar.mark)
    assert not bar.mark.isChecked()
    assert state.corrections[2][1].accepted
    assert not bar.curve.isVisible()
    hands.press(bar.mark)
    hands.press(masked.masks.take_back)
    assert not bar.mark.isChecked()
    assert not len(state.corrections)


def test_the_key_marks(masked, viewer, qtbot):
    from qtpy.QtGui import QKeySequence
    from qtpy.QtWidgets import QApplication

    window = viewer.window._qt_window
    QApplication.setActiveWindow(window)
    combined = QKeySequence("Alt+Shift+G")[0]
    qtbot.keyClick(window, combined.key(), combined.keyboardModifiers())
    qtbot.waitUntil(lambda: gold.is_marked(masked.state, 0), timeout=SOON)
    assert masked.masks.gold.mark.toolTip().endswith("(Alt+Shift+G)")


def test_the_timeline_shows_them(masked, hands, qtbot):
    masked.project.go_to(5)
    hands.press(masked.masks.gold.mark)
    masked.project.go_to(0)
    qtbot.waitUntil(lambda: masked.timeline.is_shown, timeout=SOON)
    qtbot.wait(50)
    line = masked.timeline.content.line
    from qtpy.QtCore import QPointF

    x = round(line.x_of(5))
    assert line.describe(QPointF(x, 5)) == "Frame 5 · gold: runs are scored on it"
    assert line.describe(QPointF(x, 30)).endswith("· gold")
    assert line.describe(QPointF(line.x_of(4), 5)) == "Frame 4"
    picture = line.viewport().grab().toImage()
    ratio = picture.width() / line.viewport().width()

    def colour(x: float, y: float) -> tuple[int, ...]:
        return picture.pixelColor(round(x * ratio), round(y * ratio)).getRgb()[:3]

    assert colour(x, 16) == GOLD_COLOUR
    assert colour(x, 23) == GOLD_COLOUR
    assert colour(line.x_of(4), 23) != GOLD_COLOUR


def test_what_is_missing_is_said(masked, viewer, hands, notices, qtbot):
    bar = masked.masks.gold
    masked.state.set_box(2, (0, 0, 20, 20), 0)
    masked.state.set_box(2, (0, 0, 20, 20), 7)
    hands.press(bar.mark)
    assert "the mask of track 2 is not where its box is" in notices[-1]
    assert not bar.mark.isChecked()
    masked.state.undo()
    masked.state.undo()
    masked.state.session.mask_store().write(
        4, InstanceMasks((1,), half(64, 96, slice(0, 40))[None], (0.5,))
    )
    masked.project.go_to(4)
    masked.project.show_masks()
    hands.press(bar.mark)
    assert notices[-1].endswith("Frame 4 is gold, with nothing of track 2 in it.")
    assert "2 dog gold: not there" in masked.masks.by_hand.text()
    masked.state.new_track("cat")
    masked.state.set_box(3, (4, 4, 30, 30), 4)
    assert bar.here.isVisible()
    assert not bar.mark.isChecked()
    viewer.layers.remove(masked.project.masks)
    assert bar.mark.toolTip() == "Press Show masks first."


def test_without_video_or_masks_the_key_says_what_to_do(widget, viewer, clip, notices):
    from napari_maskfree._qt.shortcuts import _press

    for _ in range(2):
        _press(widget.masks.gold.mark)
        assert notices[-1].endswith("There are no masks yet. Fine-tune first (section 3).")
        viewer.add_image(clip.frames, rgb=True, name="clip")


def test_another_session_has_its_own_scores(masked, hands, qtbot, tmp_path):
    hands.press(masked.masks.gold.mark)
    assert scored(masked, qtbot)
    other = Session.create(
        tmp_path / "t", video_source=masked.state.video.source, boxes=masked.state.tracks
    )
    masked.open_session(other.path)
    assert masked.gold.frames == 0
    assert masked.gold.found == []
    masked.open_session(tmp_path / "s")
    assert scored(masked, qtbot) == [("0001", 1.0)]


def test_broken_files_are_named_and_nothing_is_scored(masked, hands, qtbot, notices, tmp_path):
    hands.press(masked.masks.gold.mark)
    assert scored(masked, qtbot)
    store = masked.state.session.mask_store()
    (store.path / "00000.json").write_text("{")
    masked.gold.soon()
    assert scored(masked, qtbot) == []
    assert masked.masks.gold.readout.text() == (
        "1 gold frame: the next run is scored on it. Run 1 has no score: it has no masks of frame "
        "0."
    )
    (store.path / "00000.json").unlink()
    masked.open_session(
        Session.create(
            tmp_path / "t", video_source=masked.state.video.source, boxes=masked.state.tracks
        ).path
    )
    (tmp_path / "s" / "corrections" / "00000.json").write_text('{"size": [64, 96]')
    (tmp_path / "s" / "journal.jsonl").unlink()  # which knows what it said
    masked.open_session(tmp_path / "s")
    assert "corrections/00000.json" in " ".join(notices).replace("\\", "/")
    assert masked.gold.frames == 0


def test_a_picture_alone_can_be_gold(widget, viewer, tmp_path, hands, qtbot):
    import imageio.v3 as iio

    path = tmp_path / "one"
    path.mkdir()
    iio.imwrite(path / "00000.png", np.zeros((64, 96, 3), np.uint8))
    widget.video.open_path(str(path))
    widget.project.show_boxes()
    widget.state.set_box(1, (0, 0, 48, 64), 0)
    session = Session.create(tmp_path / "s", video_source=str(path), boxes=widget.state.tracks)
    predicted(session, {0: {1: half(64, 96, slice(0, 40))}})
    widget.open_session(session.path)
    widget.show_section("masks")
    hands.press(widget.masks.gold.mark)
    assert scored(widget, qtbot) == [("0001", 1.0)]


def test_it_is_drawn_in_the_light_theme_too(masked, viewer, hands, qtbot):
    hands.press(masked.masks.gold.mark)
    assert scored(masked, qtbot)
    viewer.theme = "light"
    curve = masked.masks.gold.curve
    assert curve.colours == masked.palette_
    ground = curve.grab().toImage().pixelColor(8, curve.height() // 2).getRgb()[:3]
    assert ground == masked.palette_.field
