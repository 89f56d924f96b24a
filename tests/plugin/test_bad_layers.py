"""Layers as a clumsy person leaves them, in a real window: a sentence, and nothing lost."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from maskfree.session import Session
from maskfree.types import InstanceMasks
from napari_maskfree.boxes_layer import box_from_vertices

SOON = 20_000


@pytest.fixture
def drawn(widget, viewer, clip_folder):
    """A box of track 1 in frame 0, and the boxes layer in front."""
    widget.video.open_path(str(clip_folder))
    widget.project.go_to(0)
    widget.project.show_boxes()
    widget.state.set_box(1, (10, 10, 50, 50), 0)
    return widget


@pytest.fixture
def masked(drawn, tmp_path):
    """A session whose masks are the upper left of every frame, for track 1."""
    drawn.state.new_track("dog")
    session = Session.create(
        tmp_path / "s", video_source=drawn.state.video.source, boxes=drawn.state.tracks
    )
    mask = np.zeros((1, 64, 96), bool)
    mask[0, 10:50, 10:50] = True
    for frame in range(8):
        session.mask_store().write(frame, InstanceMasks((1,), mask, (0.5,)))
    drawn.open_session(session.path)
    return drawn


def said(notices, words):
    return any(words in each for each in notices)


# ---- shapes that are no boxes


@pytest.mark.parametrize(
    ("mode", "start", "end", "words"),
    [
        ("add_ellipse", (20, 30), (40, 60), "became its bounding box"),
        ("add_line", (20, 30), (40, 60), "became its bounding box"),
        ("add_line", (30, 30), (30, 60), "A line has no inside"),
        ("add_rectangle", (70, 100), (80, 110), "outside the picture (96×64"),
    ],
)
def test_other_tools_on_the_boxes_layer(drawn, hands, notices, mode, start, end, words):
    drawn.project.go_to(4)
    before = drawn.state.tracks
    drawn.project.boxes.layer.mode = mode
    hands.drag(start, end)
    taken = drawn.state.keyframe(1, 4)
    if words.startswith(("A line", "outside")):
        assert drawn.state.tracks is before
    else:
        assert np.allclose(taken.xyxy, (30.5, 20.5, 60.5, 40.5), atol=0.8)
    assert said(notices, words)
    assert drawn.project.boxes.layer.shape_type == ["rectangle"]


def test_boxes_that_are_no_numbers_and_many_at_once(drawn, notices):
    layer = drawn.project.boxes.layer
    assert not drawn.state.set_box(1, (float("nan"), 1, 20, 20))
    many = [np.array([[5, 5], [5, n], [30, n], [30, 5.0]]) for n in range(20, 23)]
    layer.add(many, shape_type="rectangle")
    drawn.project.boxes.commit()
    assert said(notices, "3 boxes were drawn at once for track 1")
    assert drawn.state.keyframe(1, 0).xyxy[2] == pytest.approx(22.5)
    drawn.state.undo()
    assert drawn.state.keyframe(1, 0).xyxy == (10, 10, 50, 50)


# ---- layers that lie elsewhere


@pytest.mark.parametrize("which", ["boxes", "masks"])
def test_our_layers_are_put_back_where_the_video_is(masked, viewer, hands, notices, which):
    project = masked.project
    layer = project.masks if which == "masks" else project.boxes.layer
    viewer.layers.selection.active = layer
    layer.mode = "transform"
    hands.drag((30, 30), (40, 45))
    assert np.allclose(layer.data_to_world(np.ones(layer.ndim)), 1)
    assert str(layer.mode) != "transform"
    assert said(notices, "lies on the picture, so it was put back")
    assert len(notices) == 1, "said once a drag"
    layer.scale = np.full(layer.ndim, 3.0)
    layer.translate = np.arange(layer.ndim) * 4
    assert np.allclose(layer.data_to_world(np.ones(layer.ndim)), 1)
    assert masked.state.keyframe(1, 0).xyxy == (10, 10, 50, 50)


def test_our_layers_follow_the_video(masked, viewer, hands):
    project = masked.project
    project.image.scale = (1, 2, 3)
    project.image.translate = (0, -5, 7)
    project.image.rotate = np.array([[1, 0, 0], [0, 0, -1], [0, 1, 0.0]])
    for layer in (project.boxes.layer, project.masks):
        place = (1, 4, 9)[-layer.ndim :]
        here, there = layer.data_to_world(place), project.image.data_to_world((1, 4, 9))
        assert np.allclose(here[-2:], there[-2:])
    viewer.layers.remove(project.boxes.layer)
    project.show_boxes()
    layer = project.boxes.layer
    assert np.allclose(layer.data_to_world((4, 9)), project.image.data_to_world((1, 4, 9))[-2:])
    assert box_from_vertices(layer.data[0]) == (10, 10, 50, 50)


# ---- labels that are no masks


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (np.zeros((5, 64, 96), int), "Masks of this video are 8 by 64 by 96, got labels of 5 by"),
        (np.zeros((64, 96), np.uint8), "got labels of 64 by 96"),
        (np.full((8, 64, 96), 2**33), "must be the ids of tracks (1, 2), got 8589934592."),
        (np.full((8, 64, 96), -1), "got -1."),
        (np.arange(8 * 64 * 96).reshape(8, 64, 96), "got 3, 4, 5, 6, 7 …."),
    ],
)
def test_labels_that_do_not_fit_leave_the_masks_alone(masked, notices, labels, words):
    layer, stack = masked.project.masks, masked.project.masks.data
    layer.data = labels
    assert said(notices, words)
    assert said(notices, "The masks stay as they are.")
    assert layer.data is stack
    assert layer.data[3, 20, 20] == 1
    assert not masked.state.corrections


def test_labels_that_fit_are_corrections(masked, notices):
    layer = masked.project.masks
    labels = np.asarray(layer.data).astype(np.uint8)
    labels[3, 52:60, 60:80] = 2
    layer.data = labels
    assert masked.state.session.corrections.frames() == [3]
    assert layer.data[3, 55, 70] == 2
    masked.state.undo()
    assert layer.data[3, 55, 70] == 0
    assert not notices


def test_the_conversion_that_napari_offers_changes_nothing(masked, notices):
    layer, stack = masked.project.masks, masked.project.masks.data
    layer.data = layer.data.astype(np.dtype("int64"))
    assert layer.data is stack
    assert not notices


def test_masks_of_changed_tracks_say_so(masked, hands):
    masked.show_section("masks")
    masked.project.go_to(0)
    assert not masked.masks.astray.isVisible()
    masked.state.set_box(2, (60, 5, 90, 30), 0)
    masked.state.swap_tracks(1, 2, 0)
    assert "the mask of track 1 lies elsewhere than the box" in masked.masks.astray.text()
    assert masked.masks.astray.isVisible()
    masked.state.undo()
    assert not masked.masks.astray.isVisible()
    masked.state.remove_track(1)
    assert masked.masks.astray.isVisible()


# ---- layers that go, and other names


def test_boxes_stay_when_the_video_goes_and_another_image_is_open(
    drawn, viewer, clip, notices, tmp_path
):
    viewer.add_image(np.zeros((3, 20, 30)), name="something else")
    viewer.layers.remove(drawn.project.image)
    assert drawn.state.video is None
    assert drawn.state.boxed() is not None
    assert drawn.video.layers.currentText() == "Choose a layer…"
    drawn.ask_save = lambda _: "save"
    assert drawn.may_leave()
    saved = next(each for each in notices if "The boxes were saved in" in each)
    assert saved.endswith("clip.boxes.json")
    drawn.state.dirty = True
    assert drawn.may_leave()
    assert notices[-1].endswith("clip-2.boxes.json"), "the first is not overwritten"


def test_the_video_comes_back_under_another_name(drawn, viewer, clip_folder):
    viewer.layers.remove(drawn.project.image)
    drawn.video.open_path(str(clip_folder))
    assert drawn.state.keyframe(1, 0).xyxy == (10, 10, 50, 50)


def test_renamed_layers(masked, viewer):
    project = masked.project
    image = project.image
    image.name, project.masks.name, project.boxes.layer.name = "a", "b", "c"
    assert masked.video.layers.currentText() == "a"
    project.bind(image, project.choice)
    assert masked.state.boxed() is not None
    assert project.show_masks() == 8
    project.masks.paint((2, 55, 70), 2)
    project.editor.commit()
    assert 2 in masked.state.corrections
    viewer.layers.remove(project.boxes.layer)
    project.show_boxes()
    assert project.boxes.layer.name == "Boxes"


def test_other_axes_ask_before_they_drop_boxes(widget, viewer):
    viewer.add_image(np.zeros((4, 6, 40, 50), np.uint8), name="zt")
    widget.project.show_boxes()
    widget.state.set_box(1, (5, 5, 30, 30), 0)
    widget.ask_save = lambda _: "cancel"
    box = widget.video.axes.boxes["time"]
    time, depth = box.currentIndex(), widget.video.axes.boxes["depth"].currentIndex()
    widget.video.axes.boxes["depth"].setCurrentIndex(time)
    box.setCurrentIndex(depth)
    box.activated.emit(depth)
    assert widget.state.boxed() is not None
    assert box.currentIndex() == time
    widget.ask_save = lambda _: "discard"
    widget.video.axes.boxes["depth"].setCurrentIndex(time)
    box.setCurrentIndex(depth)
    box.activated.emit(depth)
    assert widget.state.boxed() is None


def test_frames_that_were_replaced(masked, viewer, notices, clip):
    image = masked.project.image
    image.data = np.zeros((5, 64, 96, 3), np.uint8)
    assert masked.state.video is None
    assert said(notices, "The frames of clip were replaced")
    assert masked.state.boxed() is not None
    assert not masked.finetune.start.isEnabled()
    masked.video.layers.setCurrentIndex(1)
    masked.video.layers.activated.emit(1)
    assert masked.state.video.size == (5, 64, 96)
    assert masked.state.video.source is None
    assert masked.state.session is None
    assert len(masked.project.video()) == 5


def test_a_stroke_is_kept_where_its_layer_goes_at_once(masked, viewer):
    layer = masked.project.masks
    layer.paint((3, 55, 70), 2)
    viewer.layers.remove(layer)
    assert masked.state.session.corrections.frames() == [3]


@pytest.mark.parametrize("stage", ["finetune", "predict"])
def test_layers_removed_while_a_run_uses_them(masked, viewer, qtbot, notices, tmp_path, stage):
    from napari_maskfree.stages import Stage
    from napari_maskfree.worker import Job

    code = f"import pathlib, time\nwhile not pathlib.Path({str(tmp_path / 'go')!r}).exists():"
    code += " time.sleep(0.05)"
    command = (sys.executable, "-c", code)
    log = masked.state.session.predict_log.path
    masked.jobs.start(Job([Stage(stage, command, lambda: log)], masked.state.session.path))
    masked.project.masks.paint((3, 55, 70), 2)
    viewer.layers.remove(masked.project.masks)
    viewer.layers.remove(masked.project.boxes.layer)
    viewer.layers.remove(masked.project.image)
    masked.state.undo()
    masked.state.redo()
    (tmp_path / "go").touch()
    qtbot.waitUntil(lambda: not masked.jobs.active, timeout=SOON)
    qtbot.wait(50)
    assert masked.jobs.view.state == "done"
    assert said(notices, "the video is not open any more")
    assert masked.state.session.corrections.frames() == [3]
    masked.video.open_path(masked.project._last.source)
    assert masked.project.show_masks() == 8
    assert masked.project.masks.data[3, 55, 70] == 2
    masked.project.show_boxes()
    assert box_from_vertices(masked.project.boxes.layer.data[0]) == (10, 10, 50, 50)


def test_the_categories_go_with_their_toggle(masked, viewer, qtbot):
    masked.show_section("correspondence")
    toggle = masked.correspondence.categories.box
    toggle.setChecked(True)
    qtbot.waitUntil(lambda: masked.project.matches.categories.layer is not None, timeout=SOON)
    viewer.layers.remove(masked.project.matches.categories.layer)
    assert not toggle.isChecked()
    masked.project.go_to(5)
    qtbot.wait(300)
    assert masked.project.matches.categories.layer is None
    toggle.setChecked(True)
    qtbot.waitUntil(lambda: masked.project.matches.categories.layer is not None, timeout=SOON)


def test_a_hidden_masks_layer_is_not_read_for_its_places(masked, monkeypatch):
    from napari_maskfree.masks_layer import MaskStack

    masked.state.set_box(2, (60, 5, 90, 30), 0)
    masked.state.swap_tracks(1, 2, 0)
    masked.project.masks.visible = False
    read = []
    monkeypatch.setattr(MaskStack, "frame", lambda *_: read.append(1))
    masked.project.go_to(2)
    assert not read
    assert not masked.masks.astray.isVisible()


@pytest.mark.parametrize("kind", ["box", "ignored"])
def test_a_click_that_slipped_draws_nothing(masked, viewer, hands, qtbot, kind):
    viewer.scene.camera.zoom = 1.0
    masked.project.go_to(5)
    if kind == "box":
        hands.press(masked.boxes.new)
    else:
        masked.project.ignored.draw()
    before, named = masked.state.tracks, masked.state.undo_name
    hands.click((30, 40))
    qtbot.wait(200)
    assert masked.state.tracks is before
    assert masked.state.undo_name == named
    hands.drag((20, 30), (40, 60))
    assert masked.state.tracks is not before


def test_an_ellipse_says_that_it_became_a_box(masked, viewer, hands, notices):
    masked.project.go_to(5)
    hands.press(masked.boxes.new)
    masked.project.boxes.layer.mode = "add_ellipse"
    hands.drag((10, 10), (40, 60))
    assert any("Boxes are upright rectangles" in text for text in notices)
