"""How sure the shown frame's masks are: the list, the sentence and the colours, in a window."""

from __future__ import annotations

import numpy as np
import pytest
from qtpy.QtCore import Qt

from maskfree.colours import track_colour
from maskfree.session import Session
from maskfree.types import InstanceMasks
from napari_maskfree import constants as c

FRAMES, SIZE = 6, (48, 64)


def put(session: Session, frame: int, *scores: float) -> None:
    """Masks side by side, as many as there are scores, for tracks 1, 2, …"""
    masks = np.zeros((len(scores), *SIZE), bool)
    for n in range(len(scores)):
        masks[n, 8:40, 4 + 8 * n : 12 + 8 * n] = True
    ids = tuple(range(1, len(scores) + 1))
    session.mask_store().write(frame, InstanceMasks(ids, masks, scores))


@pytest.fixture
def masked(widget, viewer, tmp_path, qtbot):
    """Two tracks with masks in every frame but the last; frame 2 is shown."""
    viewer.add_image(np.zeros((FRAMES, *SIZE), np.uint8), name="clip")
    widget.project.show_boxes()
    widget.state.set_box(1, (4, 8, 12, 40), 0)
    widget.state.new_track("dog")
    widget.state.set_box(2, (12, 8, 20, 40), 0)
    session = Session.create(tmp_path / "s", video_source=None, boxes=widget.state.tracks)
    for frame in range(FRAMES - 1):
        put(session, frame, 0.75, 0.25 if frame == 2 else 0.875)
    widget.state.set_session(session)
    widget.project.show_masks()
    widget.refresh_all()
    widget.project.go_to(2)
    widget.show_section("masks")
    qtbot.waitUntil(lambda: bool(widget.scores.scores), timeout=20_000)
    return widget


def listed(widget) -> list[tuple[str, float, str]]:
    rows = widget.masks.confidence.rows
    items = [rows.topLevelItem(n) for n in range(rows.topLevelItemCount())]
    role = Qt.ItemDataRole.UserRole
    return [(i.text(0), round(i.data(1, role), 3), i.text(2)) for i in items]


def colour(widget, track_id: int) -> np.ndarray:
    return widget.project.masks.colormap.color_dict[track_id][:3] * 255


def test_the_list_follows_frame_and_person(masked, hands, qtbot):
    panel = masked.masks.confidence
    assert listed(masked) == [("2 dog", 0.25, ""), ("1 object", 0.75, "")]
    assert panel.says.text().startswith("Frame 2: track 2 dog is the least sure, 0.25. No mask")
    assert not panel.more.isVisibleTo(panel)
    masked.state.select(1)
    rows = panel.rows
    assert [rows.topLevelItem(n).isSelected() for n in (0, 1)] == [False, True]
    place = rows.visualItemRect(rows.topLevelItem(0)).center()
    qtbot.mouseClick(rows.viewport(), Qt.MouseButton.LeftButton, pos=place)
    assert masked.state.selected == 2
    masked.state.rename_track(2, "cat")
    assert listed(masked)[0][0] == "2 cat"
    masked.project.go_to(0)
    assert listed(masked) == [("1 object", 0.75, ""), ("2 cat", 0.875, "")]
    masked.project.masks.paint((0, 42, 6), 1)
    masked.project.editor.commit()
    assert listed(masked)[0] == ("1 object", 0.75, "corrected")
    assert "track 2 cat is the least sure, 0.88. 5 masks" in panel.says.text()
    hands.press(masked.masks.accept)
    assert {row[1:] for row in listed(masked)} == {(1.0, "accepted")}
    assert panel.says.text() == "Frame 0: every mask was corrected or accepted by hand."
    masked.state.undo()
    masked.project.go_to(FRAMES - 1)
    assert listed(masked) == []
    assert not rows.isVisibleTo(panel)
    assert panel.says.text() == "Frame 5 has no masks."


def test_an_erased_mask_is_not_listed(masked):
    layer = masked.project.masks
    empty = layer.data.frame(2).copy()
    empty[empty == 2] = 0
    layer.data[2] = empty
    masked.project.editor.commit()
    assert [row[0] for row in listed(masked)] == ["1 object"]


def test_colours_by_confidence_and_back(masked, viewer):
    panel, layer = masked.masks.confidence, masked.project.masks
    assert "as the timeline does" in panel.box.toolTip()
    assert not panel.scale.isVisibleTo(panel)
    panel.box.setChecked(True)
    assert panel.scale.isVisibleTo(panel)
    assert colour(masked, 2) == pytest.approx(c.SCORE_COLOURS[0])
    sure = colour(masked, 1)
    masked.project.go_to(0)
    assert colour(masked, 1) == pytest.approx(sure)
    assert colour(masked, 2) != pytest.approx(c.SCORE_COLOURS[0])
    layer.paint((0, 42, 6), 1)  # the layer is the one that is painted on
    masked.project.editor.commit()
    assert layer.data[0, 42, 6] == 1
    assert masked.state.corrections[0][1].has_object
    assert colour(masked, 1) == pytest.approx(sure)
    masked.project.accept_frame()
    assert colour(masked, 1) == pytest.approx(c.SCORE_COLOURS[-1])
    masked.state.new_track("bird")  # the layer learns of it and stays coloured
    assert colour(masked, 3) == pytest.approx(c.NO_SCORE_COLOUR)
    for by_class in (True, False):
        masked.boxes.classes.by_class.setChecked(by_class)
        assert colour(masked, 1) == pytest.approx(c.SCORE_COLOURS[-1])
    masked.project.show_masks()
    masked.masks.refresh()
    assert colour(masked, 1) == pytest.approx(c.SCORE_COLOURS[-1])
    panel.box.setChecked(False)
    for track_id in (1, 2, 3):
        assert colour(masked, track_id) == pytest.approx(track_colour(track_id))
    assert [x.name for x in viewer.layers] == ["clip", "Masks", "Boxes"]


def test_a_removed_layer_comes_back_coloured(masked, viewer, hands):
    masked.masks.confidence.box.setChecked(True)
    viewer.layers.remove(masked.project.masks)
    assert not masked.masks.confidence.isVisible()
    hands.press(masked.masks.show_layer)
    assert colour(masked, 2) == pytest.approx(c.SCORE_COLOURS[0])


def test_another_session_and_no_video(masked, viewer, tmp_path, qtbot):
    panel = masked.masks.confidence
    other = Session.create(tmp_path / "t", video_source=None, boxes=masked.state.tracks)
    put(other, 2, 0.5)
    masked.state.set_session(other)
    assert listed(masked) == []  # nothing of the session before is shown
    qtbot.waitUntil(lambda: listed(masked) == [("1 object", 0.5, "")], timeout=20_000)
    empty = Session.create(tmp_path / "u", video_source=None, boxes=masked.state.tracks)
    masked.state.set_session(empty)
    assert not panel.isVisibleTo(masked.masks)
    assert not panel.box.isEnabled()
    assert "no masks yet" in panel.box.toolTip()
    viewer.layers.remove(masked.project.image)
    assert listed(masked) == []


def test_of_many_tracks_the_least_sure_are_listed(masked, qtbot):
    session, count = masked.state.session, 200
    for _ in range(4):
        masked.state.new_track()
    scores = tuple(float(s) for s in np.linspace(0.5, 1.0, count))
    masks = np.zeros((count, *SIZE), bool)
    masks[np.arange(count), np.arange(count) // 64, np.arange(count) % 64] = True
    ids = tuple(range(1, count + 1))
    session.mask_store().write(2, InstanceMasks(ids, masks, scores))
    masked.scores.soon()
    panel = masked.masks.confidence
    qtbot.waitUntil(lambda: panel.rows.topLevelItemCount() == c.SCORE_ROWS, timeout=20_000)
    assert [row[0] for row in listed(masked)][:2] == ["1 object", "2 dog"]
    assert panel.more.text() == "and 192 more, all as sure or surer"
    assert panel.more.isVisibleTo(panel)
    rows = panel.rows
    assert listed(masked)[7][0] == "8"  # a mask whose track is gone
    masked.state.select(1)
    place = rows.visualItemRect(rows.topLevelItem(7)).center()
    qtbot.mouseClick(rows.viewport(), Qt.MouseButton.LeftButton, pos=place)
    assert masked.state.selected == 1
    assert not rows.topLevelItem(7).isSelected()


def test_a_track_that_comes_back_has_its_own_colour(masked):
    box = masked.masks.confidence.box
    box.setChecked(True)
    masked.state.remove_track(2)
    box.setChecked(False)
    masked.state.undo()
    assert np.allclose(colour(masked, 2), track_colour(2), atol=1)
