"""Ignore regions in the window: drawn with the mouse, held over frames, undone by name, saved."""

from __future__ import annotations

import json

import numpy as np
import pytest
from qtpy.QtCore import QPointF

from maskfree.errors import InputError
from maskfree.ignore_masks import region_mask
from maskfree.ignore_regions import add_region, box_of_region, rectangle
from maskfree.session import Session
from maskfree.tracks import empty_tracks, read_boxes, write_boxes
from maskfree.types import IgnoreRegion
from napari_maskfree.constants import IGNORE_COLOUR
from napari_maskfree.ignore_layer import IgnoreLayer, corners_of, vertices_of
from napari_maskfree.ignoring import spans_of, words_of
from napari_maskfree.saving import session_job
from napari_maskfree.state import State
from napari_maskfree.video_info import VideoInfo

BOX = rectangle((10, 10, 30, 20))


@pytest.fixture
def state() -> State:
    made = State()
    made.set_video(VideoInfo("clip", None, num_frames=10, height=48, width=64))
    made.start_boxes()
    made.set_frame(4)
    return made


# ---- the state


def spans(state: State) -> list[tuple[int, int | None]]:
    return [(region.frame, region.until) for region in state.ignoring.all]


def test_a_region_holds_where_it_was_drawn_until_told_otherwise(state):
    ignoring = state.ignoring
    ignoring.draw(BOX)
    assert ignoring.all == (IgnoreRegion(BOX, 4, 4),)
    assert (state.undo_name, state.dirty) == ("ignore region at frame 4", True)
    state.set_frame(7)
    assert ignoring.here() == {}
    ignoring.hold_to_here(0)
    assert (spans(state), state.undo_name) == ([(4, 7)], "ignore region 1 in frames 4 to 7")
    state.set_frame(2)
    ignoring.hold_to_here(0)
    assert spans(state) == [(2, 7)]
    ignoring.hold_everywhere(0)
    assert (spans(state), state.undo_name) == ([(0, None)], "ignore region 1 in all frames")
    ignoring.hold_to_here(0)  # it holds here already
    assert spans(state) == [(0, None)]
    ignoring.hold_here_alone(0)
    assert (spans(state), state.undo_name) == ([(2, 2)], "ignore region 1 in frame 2")
    ignoring.remove([0])
    assert (spans(state), state.undo_name) == ([], "delete ignore region 1")
    seen = []
    while state.undo_name != "ignore region at frame 4":
        state.undo()
        seen.append(spans(state)[0])
    assert seen == [(2, 2), (0, None), (2, 7), (4, 7), (4, 4)]
    state.undo()
    assert spans(state) == []
    state.redo()
    assert spans(state) == [(4, 4)]


def test_a_region_to_the_end_goes_on_backwards_too(state):
    state.load_tracks(state.tracks.__class__(10, 48, 64, None, (), (IgnoreRegion(BOX, 6, None),)))
    state.ignoring.hold_to_here(0)
    assert spans(state) == [(4, None)]
    assert words_of(state.ignoring.all[0]) == "from frame 4 on"


@pytest.mark.parametrize(
    ("corners", "message"),
    [
        (rectangle((10, 10, 11, 30)), r"at least 2 x 2 pixels, got 1.0 x 20.0. Drag a larger"),
        (((1, 1), (9, 9), (20, 20)), "3 corners or more that are not on one line"),
        (((1, 1), (9, 9)), "3 corners or more"),
        (rectangle((-30, 5, -10, 20)), "must overlap the frame of 64 x 48 pixels"),
    ],
)
def test_what_is_no_region_is_refused(state, corners, message):
    with pytest.raises(InputError, match=message):
        state.ignoring.draw(corners)
    assert (state.ignoring.all, state.undo_name) == ((), None)
    with pytest.raises(InputError, match="Choose an ignore region in the list first"):
        state.ignoring.hold_everywhere(0)


def test_regions_stay_where_tracks_change(state):
    state.ignoring.draw(BOX)
    state.set_box(1, (5, 5, 20, 20))
    state.new_track("dog")
    state.remove_track(1)
    assert spans(state) == [(4, 4)]
    state.set_box(2, (5, 5, 20, 20))
    assert state.boxed().ignore == state.ignoring.all


# ---- shapes


def test_corners_are_pixel_edges_xy():
    region = IgnoreRegion(rectangle((10, 5, 30, 20)), 0, 0)
    np.testing.assert_array_equal(vertices_of(region)[0], [4.5, 9.5])
    assert corners_of(vertices_of(region), "rectangle") == region.polygon
    triangle = IgnoreRegion(((1.5, 2.0), (30.0, 4.0), (10.0, 40.0)), 0, 0)
    assert corners_of(vertices_of(triangle), "polygon") == triangle.polygon


def test_an_ellipse_is_taken_as_a_polygon_on_its_line():
    around = vertices_of(IgnoreRegion(rectangle((10, 8, 50, 40)), 0, 0))
    mask = region_mask(IgnoreRegion(corners_of(around, "ellipse"), 0, 0), 48, 64)
    y, x = np.mgrid[:48, :64] + 0.5
    wanted = ((x - 30) / 20) ** 2 + ((y - 24) / 16) ** 2 < 1
    assert (mask ^ wanted).sum() < 0.02 * wanted.sum()


class Desk:
    """A layer and a state without a window: deferred calls are made at once."""

    def __init__(self, state: State) -> None:
        from napari.layers import Image

        from napari_maskfree.ignore_layer import make_layer

        self.state, self.said = state, []
        self.layer = make_layer(Image(np.zeros((10, 48, 64), np.uint8)))
        self.view = IgnoreLayer(
            state, self.layer, defer=lambda call: call(), notify=self.said.append
        )


@pytest.fixture
def desk(state) -> Desk:
    return Desk(state)


def test_what_is_drawn_moved_and_deleted_comes_into_the_state(desk):
    desk.layer.add(vertices_of(IgnoreRegion(BOX, 0, 0)), shape_type="rectangle")
    assert [box_of_region(r) for r in desk.state.ignoring.all] == [(10, 10, 30, 20)]
    assert desk.layer.features["text"].tolist() == ["ignored 1"]
    desk.layer.add(np.array([[2, 2], [2, 40], [30, 20]]), shape_type="polygon")
    desk.layer.add(np.array([[30, 40], [30, 50], [40, 50], [40, 40]]), shape_type="ellipse")
    assert len(desk.state.ignoring.all) == 3
    assert list(map(str, desk.layer.shape_type)) == ["rectangle", "polygon", "polygon"]
    moved = [np.array(data) for data in desk.layer.data]
    moved[0] = moved[0] + [0, 5]
    desk.layer.data = moved
    assert box_of_region(desk.state.ignoring.all[0]) == (15, 10, 35, 20)
    assert desk.state.undo_name == "move ignore region 1"
    desk.layer.selected_data = {1}
    desk.layer.remove_selected()
    assert len(desk.state.ignoring.all) == 2
    assert desk.state.undo_name == "delete ignore region 2"
    desk.state.undo()
    assert desk.layer.nshapes == 3
    desk.state.set_frame(5)
    assert desk.layer.nshapes == 0
    desk.state.ignoring.hold_everywhere(1)
    assert desk.layer.features["text"].tolist() == ["ignored 2"]
    assert desk.said == []


def test_bad_shapes_are_refused_with_a_sentence_and_go(desk):
    desk.layer.add(np.array([[2, 2], [20, 40]]), shape_type="line")
    desk.layer.add(np.array([[2, 2], [2, 2.5], [30, 2.5], [30, 2]]), shape_type="rectangle")
    desk.layer.add(np.array([[-9, -9], [-9, -2], [-2, -2], [-2, -9]]), shape_type="rectangle")
    words = ("A line is no region", "at least 2 x 2 pixels", "must overlap the frame")
    assert all(word in said for word, said in zip(words, desk.said, strict=True))
    assert (desk.layer.nshapes, desk.state.ignoring.all) == (0, ())
    desk.layer.add(np.array([[-9, 50], [-9, 99], [9, 99], [9, 50]]), shape_type="rectangle")
    assert box_of_region(desk.state.ignoring.all[0]) == (50.5, 0, 64, 9.5)


# ---- the window


def test_a_person_draws_a_region_and_lets_it_hold_everywhere(
    widget, viewer, hands, qtbot, clip_folder, tmp_path, patience
):
    widget.project.open_path(clip_folder)
    widget.state.set_folder(tmp_path / "session")
    widget.project.show_boxes()
    widget.state.set_box(1, (10, 10, 40, 40), 0)
    widget.project.go_to(0)
    ignored = widget.boxes.ignored
    assert not ignored.rows.isVisible()
    ignored.draw.click()
    layer = widget.project.ignored.view.layer
    assert viewer.layers.selection.active is layer
    assert viewer.layers.index(layer) < viewer.layers.index(widget.project.boxes.layer)
    hands.drag((10, 50), (30, 80))
    assert patience(lambda: len(widget.state.ignoring.all) == 1, 10)
    x0, y0, x1, y1 = box_of_region(widget.state.ignoring.all[0])
    np.testing.assert_allclose((x0, y0, x1, y1), (50.5, 10.5, 80.5, 30.5), atol=4)
    assert ignored.rows.item(0).text() == "1  frame 0"
    assert "Undo: ignore region at frame 0" in widget.boxes.undo.toolTip()
    ignored.everywhere.click()
    assert ignored.rows.item(0).text() == "1  all frames"
    assert not ignored.everywhere.isEnabled()
    widget.project.go_to(5)
    assert layer.nshapes == 1
    session_job(widget.project)()
    saved = Session.open(tmp_path / "session").boxes
    assert saved.ignore == widget.state.ignoring.all
    widget.project.save_boxes(tmp_path / "b.json")
    assert read_boxes(tmp_path / "b.json").ignore == saved.ignore
    viewer.layers.remove(layer)  # the regions stay; the button brings the layer back
    assert widget.project.ignored.view is None
    assert len(widget.state.ignoring.all) == 1
    ignored.draw.click()
    assert widget.project.ignored.view.layer.nshapes == 1
    ignored.remove.click()
    assert widget.state.ignoring.all == ()
    widget.boxes.undo.click()
    assert widget.state.ignoring.all == saved.ignore


def test_regions_without_a_box_are_not_lost(widget, clip_folder, tmp_path, notices):
    asked = []
    widget.ask_save = lambda _: asked.append(1) or "save"
    widget.video.open_path(str(clip_folder))
    widget.state.set_folder(tmp_path / "session")
    widget.project.show_boxes()
    widget.state.ignoring.draw([(5, 5), (20, 5), (20, 20), (5, 20)])
    assert widget.state.boxed() is None
    assert widget.may_leave()
    assert asked == [1]
    (region,) = json.loads((tmp_path / "session.boxes.json").read_text("utf-8"))["ignore"]
    assert region["xyxy"] == [5, 5, 20, 20]
    assert widget.may_leave()
    assert asked == [1]


def test_regions_without_a_box_are_read_back(widget, clip_folder, tmp_path, hands, notices):
    widget.ask_save = lambda _: "save"
    widget.video.open_path(str(clip_folder))
    widget.state.set_folder(tmp_path / "session")
    widget.state.ignoring.draw([(5, 5), (20, 5), (20, 20), (5, 20)], 2)
    widget.state.remove_track(1)
    drawn = widget.state.ignoring.all
    assert widget.may_leave()
    widget.state.load_tracks(empty_tracks(8, 64, 96, None))
    widget.project.load_boxes(tmp_path / "session.boxes.json")
    assert widget.state.ignoring.all == drawn
    assert widget.state.tracks.tracks == ()
    assert widget.boxes.ignored.rows.item(0).text() == "1  frame 2"
    widget.project.boxes.layer.mode = "add_rectangle"
    hands.drag((10, 10), (40, 60))
    assert [t.id for t in widget.state.boxed().tracks] == [1]
    session_job(widget.project)()
    assert Session.open(tmp_path / "session").boxes.ignore == drawn


def test_a_session_with_regions_alone_opens_and_keeps_them(widget, clip_folder, tmp_path):
    region = IgnoreRegion(rectangle((5, 5, 20, 20)), 0, None)
    alone = add_region(empty_tracks(8, 64, 96, None), region)
    Session.create(tmp_path / "s", video_source=str(clip_folder), boxes=alone)
    widget.open_session(tmp_path / "s")
    assert widget.state.ignoring.all == (region,)
    assert widget.state.boxed() is None
    widget.project.go_to(0)
    widget.state.ignoring.hold_here_alone(0)
    assert widget.may_leave()
    (kept,) = Session.open(tmp_path / "s").boxes.ignore
    assert (kept.frame, kept.until) == (0, 0)


def test_a_boxes_file_with_nothing_in_it_is_refused_still(widget, clip_folder, tmp_path):
    widget.video.open_path(str(clip_folder))
    write_boxes(tmp_path / "b.json", empty_tracks(8, 64, 96, None))
    with pytest.raises(InputError, match="expected at least one track"):
        widget.project.load_boxes(tmp_path / "b.json")


# ---- on the timeline


def test_frames_with_a_region_are_joined():
    regions = [IgnoreRegion(BOX, *span) for span in ((6, None), (0, 1), (2, 3), (1, 1))]
    assert spans_of(regions, 9) == [(0, 3), (6, 8)]
    assert spans_of([], 9) == []


def test_the_timeline_shows_where_regions_hold(widget, clip_folder, qtbot):
    widget.video.open_path(str(clip_folder))
    widget.project.show_boxes()
    line = widget.timeline.content.line
    view = line.viewport()
    low = 20  # the ruler's lower edge

    def grey(frame: float) -> bool:
        colour = view.grab().toImage().pixelColor(round(line.x_of(frame)) + 3, low)
        return (colour.red(), colour.green(), colour.blue()) == IGNORE_COLOUR

    assert not grey(2)
    widget.state.ignoring.draw([(5, 5), (20, 5), (20, 20), (5, 20)], 2)
    widget.project.go_to(4)
    widget.state.ignoring.hold_to_here(0)
    assert [grey(f) for f in (1, 2, 4, 5)] == [False, True, True, False]
    assert line.describe(QPointF(line.x_of(3), 5)) == (
        "Frame 3 · ignore region 1: no loss and no score looks there"
    )
    assert line.describe(QPointF(line.x_of(6), 5)) == "Frame 6"
    widget.boxes.undo.click()
    widget.boxes.undo.click()
    assert not grey(2)
