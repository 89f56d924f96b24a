"""Boxes and shapes are the same thing, seen from the engine and from napari."""

from __future__ import annotations

import numpy as np
import pytest
from napari.components import ViewerModel

from napari_maskfree import boxes_layer
from napari_maskfree.boxes_layer import BoxesLayer, box_from_vertices, rectangle_from_box
from napari_maskfree.project import Project
from napari_maskfree.state import State


class Desk:
    """A viewer without window, a state, and the notices that were shown."""

    def __init__(self) -> None:
        self.viewer = ViewerModel()
        self.state = State()
        self.notices: list[str] = []
        self.project = Project(
            self.viewer, self.state, defer=lambda call: call(), notify=self.notices.append
        )
        image = self.viewer.add_image(np.zeros((10, 48, 64), np.uint8))
        from napari_maskfree.video_layer import guess_axes

        self.project.bind(image, guess_axes(image))
        self.project.go_to(0)
        self.project.show_boxes()

    @property
    def layer(self):
        return self.project.boxes.layer

    def draw(self, box, shape_type="rectangle"):
        self.layer.add(rectangle_from_box(box), shape_type=shape_type)


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_corners_are_pixel_centres_yx():
    corners = rectangle_from_box((10.0, 4.0, 20.0, 8.0))
    assert corners.tolist() == [[3.5, 9.5], [3.5, 19.5], [7.5, 19.5], [7.5, 9.5]]
    assert box_from_vertices(corners) == (10.0, 4.0, 20.0, 8.0)
    in_three = np.insert(corners, 0, 7.0, axis=1)
    assert box_from_vertices(in_three) == (10.0, 4.0, 20.0, 8.0)


def test_a_drawn_box_is_a_keyframe_of_the_selected_track(desk):
    desk.draw((10, 4, 20, 8))
    assert desk.state.keyframe(1, 0).xyxy == pytest.approx((10, 4, 20, 8))
    desk.state.new_track("car")
    desk.draw((30, 10, 40, 20))
    assert desk.state.keyframe(2, 0).xyxy == pytest.approx((30, 10, 40, 20))
    assert len(desk.layer.data) == 2
    from maskfree.colours import track_colour

    assert desk.layer.edge_color[1][:3] * 255 == pytest.approx(track_colour(2), abs=1)


def test_a_second_box_of_the_track_replaces_the_first(desk):
    desk.draw((10, 4, 20, 8))
    desk.draw((12, 14, 30, 28))
    assert desk.state.keyframe(1, 0).xyxy == pytest.approx((12, 14, 30, 28))
    assert len(desk.layer.data) == 1


def test_interpolated_boxes_are_thin_and_pale_until_moved(desk):
    desk.draw((10, 4, 20, 8))
    solid = desk.layer.edge_width[0], desk.layer.edge_color[0][3]
    desk.project.go_to(4)
    desk.draw((30, 4, 40, 8))
    desk.project.go_to(2)
    assert box_from_vertices(desk.layer.data[0]) == pytest.approx((20, 4, 30, 8))
    assert desk.layer.edge_width[0] < solid[0]
    assert desk.layer.edge_color[0][3] < solid[1]
    assert "interpolated" in desk.layer.features["text"][0]
    desk.layer.data = [desk.layer.data[0] + 1]
    assert desk.state.keyframe(1, 2).xyxy == pytest.approx((21, 5, 31, 9))
    assert desk.layer.edge_color[0][3] == 1.0


def test_captions_that_a_person_hid_stay_hidden(desk):
    desk.draw((10, 4, 20, 8))
    assert desk.layer.text.visible
    desk.layer.text.visible = False
    desk.project.go_to(3)
    assert not desk.layer.text.visible


def test_the_thumbnail_shows_the_frames_boxes(desk):
    desk.draw((10, 4, 20, 8))
    desk.project.go_to(4)
    desk.draw((30, 4, 60, 40))
    for frame in (0, 4, 2):
        desk.project.go_to(frame)
        shown = desk.layer.thumbnail.copy()
        desk.layer.refresh()
        np.testing.assert_array_equal(desk.layer.thumbnail, shown)
        assert shown[..., :3].any()


def test_showing_a_frame_changes_no_box(desk):
    desk.draw((10, 4, 20, 8))
    desk.project.go_to(4)
    desk.draw((30, 4, 40, 8))
    before = desk.state.tracks
    for frame in (0, 1, 2, 3, 9, 4):
        desk.project.go_to(frame)
    assert desk.state.tracks is before


def test_deleting_a_keyframe_and_an_interpolated_box(desk):
    desk.draw((10, 4, 20, 8))
    desk.project.go_to(4)
    desk.draw((30, 4, 40, 8))
    desk.project.go_to(2)
    desk.layer.selected_data = {0}
    desk.layer.remove_selected()
    assert len(desk.layer.data) == 1, "an interpolated box comes back"
    assert "interpolated" in desk.notices[-1]
    assert "Outside" in desk.notices[-1]
    desk.project.go_to(4)
    desk.layer.selected_data = {0}
    desk.layer.remove_selected()
    assert [k.frame for k in desk.state.track(1).keyframes] == [0]


@pytest.mark.parametrize("kind", ["ellipse", "polygon", "rotated", "path"])
def test_other_shapes_become_their_bounding_box(desk, kind):
    if kind == "rotated":
        diamond = np.array([[10.0, 20.0], [20.0, 30.0], [30.0, 20.0], [20.0, 10.0]])
        desk.layer.add(diamond, shape_type="rectangle")
        expected = (10.5, 10.5, 30.5, 30.5)
    elif kind == "ellipse":
        desk.layer.add(rectangle_from_box((10, 4, 20, 8)), shape_type="ellipse")
        expected = (10, 4, 20, 8)
    else:
        points = np.array([[10.0, 20.0], [20.0, 30.0], [30.0, 25.0]])
        desk.layer.add(points, shape_type=kind)
        expected = (20.5, 10.5, 30.5, 30.5)
    assert desk.state.keyframe(1, 0).xyxy == pytest.approx(expected)
    assert desk.layer.shape_type == ["rectangle"]
    if kind != "ellipse":
        assert "rectangle tool" in desk.notices[-1]


def test_a_box_beyond_the_picture_is_cut_and_one_outside_is_dropped(desk):
    desk.draw((50, 40, 90, 90))
    assert desk.state.keyframe(1, 0).xyxy == pytest.approx((50, 40, 64, 48))
    desk.project.go_to(3)
    desk.draw((70, 50, 90, 90))
    assert desk.state.keyframe(1, 3) is None
    assert box_from_vertices(desk.layer.data[0]) == pytest.approx((50, 40, 64, 48))


def test_selecting_a_box_selects_its_track(desk):
    desk.draw((10, 4, 20, 8))
    desk.state.new_track()
    desk.draw((30, 10, 40, 20))
    assert desk.state.selected == 2
    desk.layer.mode = "select"
    desk.layer.selected_data = {0}
    assert desk.state.selected == 1
    desk.layer.selected_data = set()
    desk.layer.mode = "add_rectangle"
    desk.project.go_to(5)
    desk.draw((1, 1, 9, 9))
    assert desk.state.keyframe(1, 5) is not None


def test_undo_shows_the_box_before(desk):
    desk.draw((10, 4, 20, 8))
    desk.draw((12, 14, 30, 28))
    desk.state.undo()
    assert box_from_vertices(desk.layer.data[0]) == pytest.approx((10, 4, 20, 8))


def test_a_drag_that_outlives_its_frame_belongs_to_the_frame_it_began_in(desk):
    """The slider plays on while a box is being drawn."""
    boxes = desk.project.boxes
    calls = []
    boxes._defer = calls.append

    class Event:
        type = "mouse_press"

    drag = boxes._follow_drag(desk.layer, Event)
    next(drag)
    desk.project.go_to(7)
    desk.draw((10, 4, 20, 8))
    Event.type = "mouse_release"
    with pytest.raises(StopIteration):
        next(drag)
    for call in calls:
        call()
    assert [k.frame for k in desk.state.track(1).keyframes] == [0]
    assert len(desk.layer.data) == 1, "frame 7 shows the box that stays"


def test_the_boxes_layer_can_be_closed_and_made_again(desk):
    desk.draw((10, 4, 20, 8))
    desk.viewer.layers.remove(desk.layer)
    assert desk.project.boxes is None
    desk.state.set_box(1, (11, 4, 20, 8), 0)
    desk.project.show_boxes()
    assert box_from_vertices(desk.layer.data[0]) == pytest.approx((11, 4, 20, 8))


def test_scaled_images_have_boxes_in_pixels():
    viewer, state = ViewerModel(), State()
    image = viewer.add_image(
        np.zeros((10, 48, 64), np.uint8), scale=(1, 0.5, 0.25), translate=(0, 7, 3)
    )
    layer = boxes_layer.make_layer(image)
    viewer.add_layer(layer)
    assert layer.scale.tolist() == [0.5, 0.25]
    assert layer.translate.tolist() == [7, 3]
    assert isinstance(BoxesLayer(state, layer, defer=print, notify=print), BoxesLayer)


def test_outlines_stay_visible_when_zoomed_out(widget, viewer, clip_folder):
    widget.video.open_path(str(clip_folder))
    widget.project.show_boxes()
    widget.project.go_to(0)
    widget.state.set_box(widget.state.selected, (10, 10, 40, 40))
    layer = widget.project.boxes.layer
    for zoom in (0.2, 1.0, 8.0):
        viewer.scene.camera.zoom = zoom
        assert layer.edge_width[0] * zoom >= 2.5
    assert layer.edge_width[0] == 1.0
    assert widget.state.undo_name.startswith("draw")
