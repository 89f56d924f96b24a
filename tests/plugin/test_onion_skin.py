"""The boxes of the keyframes around the shown frame: seen, and never taken for boxes of it."""

from __future__ import annotations

import numpy as np
import pytest

from maskfree.types import Keyframe, Track
from napari_maskfree.boxes_layer import box_from_vertices
from napari_maskfree.onion_skin import corners, neighbours

BOX = (10.0, 10.0, 20.0, 30.0)


def test_the_nearest_keyframes_with_a_box():
    frames = (Keyframe(2, BOX), Keyframe(5, None, outside=True), Keyframe(8, BOX))
    track = Track(1, "car", frames)
    assert neighbours(track, 2) == (None, frames[2])
    assert neighbours(track, 5) == (frames[0], frames[2])
    assert neighbours(track, 8) == (frames[0], None)
    assert neighbours(Track(1, "car", ()), 3) == (None, None)


def test_four_corners_a_quarter_of_a_side_long():
    found = corners(BOX)
    # the upper left one: 5 px down the left side, the corner, 2.5 px along the upper one
    np.testing.assert_allclose(found[0], [[14.5, 9.5], [9.5, 9.5], [9.5, 12.0]])
    assert box_from_vertices(np.concatenate(found)) == BOX


@pytest.fixture
def drawn(widget, viewer):
    """Track 1 drawn in frames 0, 4 and 8, track 2 in frame 4; frame 6 shown, track 1 selected."""
    viewer.add_image(np.zeros((10, 48, 64), np.uint8), name="clip")
    widget.project.show_boxes()
    for frame, x in ((0, 5), (4, 20), (8, 40)):
        widget.state.set_box(1, (x, 10, x + 10, 30), frame)
    widget.state.new_track("dog")
    widget.state.set_box(2, (40, 30, 60, 40), 4)
    widget.state.select(1)
    widget.project.go_to(6)
    return widget


def shown(widget) -> dict[str, tuple[float, ...]]:
    layer = widget.project.onion.layer
    captions = layer.features["text"].tolist()
    found = {}
    for start in range(0, len(captions), 4):
        (caption,) = [text for text in captions[start : start + 4] if text]
        whole = np.concatenate([np.asarray(p)[:, -2:] for p in layer.data[start : start + 4]])
        found[caption] = box_from_vertices(whole)
    return found


def test_it_shows_where_the_track_was_drawn_around_here(drawn, viewer):
    before = drawn.state.tracks
    active = viewer.layers.selection.active
    drawn.boxes.onion.click()
    assert shown(drawn) == {"◂ frame 4": (20, 10, 30, 30), "frame 8 ▸": (40, 10, 50, 30)}
    assert viewer.layers.selection.active is active
    layer = drawn.project.onion.layer
    assert viewer.layers.index(layer) < viewer.layers.index(drawn.project.boxes.layer)
    assert not layer.editable
    drawn.project.go_to(4)
    assert shown(drawn) == {"◂ frame 0": (5, 10, 15, 30), "frame 8 ▸": (40, 10, 50, 30)}
    drawn.state.select(2)
    assert shown(drawn) == {}
    drawn.project.go_to(9)
    assert shown(drawn) == {"◂ frame 4": (40, 30, 60, 40)}
    assert drawn.state.tracks is before
    drawn.boxes.onion.click()
    assert layer not in viewer.layers
    assert drawn.project.onion.layer is None


def test_no_keyframe_comes_from_it(drawn, hands, qtbot):
    drawn.boxes.onion.click()
    layer, state = drawn.project.onion.layer, drawn.state
    before = state.tracks
    # whatever happens to its shapes, the boxes stay
    layer.data = [np.asarray(d) + 3 for d in layer.data]
    layer.selected_data = {0}
    layer.remove_selected()
    qtbot.wait(50)
    drawn.project.boxes.commit()
    assert state.tracks is before
    assert len(drawn.project.boxes.layer.data) == 2
    # and a box that is drawn by hand is that of this frame
    hands.press(drawn.boxes.new)
    hands.drag((5, 5), (20, 15))
    assert [k.frame for k in state.track(1).keyframes] == [0, 4, 6, 8]
    drawn.project.go_to(5)
    assert shown(drawn)["◂ frame 4"] == (20, 10, 30, 30)


def test_it_follows_edits_undo_and_the_selection(drawn):
    drawn.boxes.onion.click()
    drawn.state.set_box(1, (22, 12, 32, 32), 4)
    assert shown(drawn)["◂ frame 4"] == (22, 12, 32, 32)
    drawn.state.undo()
    assert shown(drawn)["◂ frame 4"] == (20, 10, 30, 30)
    drawn.state.select(2)
    drawn.project.go_to(9)
    drawn.state.select(None)
    assert shown(drawn) == {}


def test_a_layer_that_is_removed_unticks_the_box(drawn, viewer):
    drawn.boxes.onion.click()
    viewer.layers.remove(drawn.project.onion.layer)
    assert not drawn.boxes.onion.isChecked()
    drawn.boxes.onion.click()
    assert len(shown(drawn)) == 2


def test_with_another_video_and_none(drawn, viewer, qtbot):
    drawn.boxes.onion.click()
    onion = drawn.project.onion
    image = viewer.add_image(np.zeros((5, 30, 40), np.uint8), name="other", scale=(1, 2, 2))
    drawn.project.bind(image, drawn.project.choice)
    qtbot.waitUntil(lambda: onion.layer is not None and onion.layer.scale[-1] == 2)
    assert shown(drawn) == {}
    viewer.layers.clear()
    qtbot.wait(50)
    assert onion.layer is None
