"""Masks corrected with napari's own tools, in a real window."""

from __future__ import annotations

import numpy as np
import pytest

from maskfree.correction_store import CorrectionStore
from maskfree.errors import InputError
from maskfree.types import InstanceMasks
from napari_maskfree.exporting import export_job


@pytest.fixture
def masked(boxed, save_masks, left_half):
    """A session whose predicted masks are the left half of every frame, for track 1."""
    boxed.state.new_track("dog")
    save_masks(*[InstanceMasks((1,), left_half[None], (0.5,))] * 8)
    return boxed


def dab(widget, frame, label=2, at=(30, 70)):
    """Paint one dab of the brush."""
    widget.project.masks.paint((frame, *at), label)
    widget.project.editor.commit()


def test_a_person_paints_undoes_and_accepts(masked, viewer, hands, qtbot):
    state, project = masked.state, masked.project
    masked.show_section("masks")
    hands.press(masked.masks.correct)
    assert viewer.layers.selection.active is project.masks
    assert project.masks.mode == "paint"
    state.select(2)
    assert project.masks.selected_label == 2
    project.masks.brush_size = 9
    project.go_to(3)
    qtbot.wait(100)
    hands.drag((20, 70), (40, 70))
    assert project.masks.data[3, 30, 70] == 2
    assert not project.masks.data[4, 30, 70]
    assert state.session.masks.read(3).track_ids == (1, 2)
    assert masked.masks.by_hand.text().startswith("Frame 3: 2 dog corrected · 1 frame by hand")
    assert state.undo_name == "paint track 2 in frame 3"
    hands.press(masked.boxes.undo)
    assert not project.masks.data[3, 30, 70]
    assert state.session.corrections.frames() == []
    hands.press(masked.boxes.redo)
    assert project.masks.data[3, 30, 70] == 2

    project.masks.mode = "erase"
    hands.drag((10, 10), (10, 30))
    assert project.masks.data[3, 10, 20] == 0
    assert project.masks.data[3, 30, 20] == 1
    hands.press(masked.masks.accept)
    assert all(c.accepted for c in state.corrections[3].values())
    assert "accepted" in masked.masks.by_hand.text()
    hands.press(masked.masks.take_back)
    assert project.masks.data[3, 10, 20] == 1
    assert not masked.masks.take_back.isEnabled()


def test_fill_and_polygon_are_taken_over_too(masked, qtbot):
    layer = masked.project.masks
    layer.fill((2, 30, 20), 2)
    qtbot.waitUntil(lambda: 2 in masked.state.corrections, timeout=5000)
    assert (masked.state.session.masks.read(2).track_ids) == (2,)
    layer.paint_polygon([(5, 5, 60), (5, 5, 80), (5, 25, 80), (5, 25, 60)], 1)
    layer.data_setitem((np.array([6, 6]), np.array([1, 2]), np.array([90, 90])), 2)
    qtbot.waitUntil(lambda: 6 in masked.state.corrections, timeout=5000)
    assert layer.data[5, 15, 70] == 1
    assert masked.state.corrections[5].keys() == {1}
    assert masked.state.corrections[6].keys() == {2}


def test_a_new_label_is_a_new_track(masked, notices):
    layer = masked.project.masks
    layer.selected_label = 7
    layer.brush_size = 11
    dab(masked, 4, 7)
    assert masked.state.selected == 3
    assert masked.state.box_state(3, 4) is not None
    assert layer.data[4, 30, 70] == 3
    assert any("new track 3" in n for n in notices)


def test_the_label_and_the_selected_track_are_one(masked):
    layer = masked.project.masks
    layer.selected_label = 2
    assert masked.state.selected == 2
    layer.selected_label = 0
    assert masked.state.selected == 2
    masked.state.select(1)
    assert layer.selected_label == 1


def test_the_next_prediction_leaves_corrections(masked):
    layer = masked.project.masks
    layer.brush_size = 11
    dab(masked, 4)
    everything = InstanceMasks((1,), np.ones((1, 64, 96), bool), (0.75,))
    masked.state.session.mask_store().write(4, everything)
    masked.project.show_masks()
    assert layer.data[4, 30, 70] == 2
    assert layer.data[4, 60, 90] == 1


def test_the_export_holds_what_is_shown(masked, tmp_path):
    from PIL import Image

    layer = masked.project.masks
    layer.brush_size = 11
    dab(masked, 4)
    export_job(masked.project, tmp_path / "out", "davis")()
    found = sorted((tmp_path / "out").rglob("*.png"))
    assert len(found) == 8
    np.testing.assert_array_equal(np.asarray(Image.open(found[4])), layer.data[4])


def test_a_disk_that_is_full_is_said_and_asked_about(masked, notices, monkeypatch):
    def full(self, frame, corrections):
        raise InputError("No room left.")

    with monkeypatch.context() as patch:
        patch.setattr(CorrectionStore, "write", full)
        dab(masked, 4)
        assert any("not saved yet. No room left." in n for n in notices)
        assert masked.project.masks.data[4, 30, 70] == 2
        masked.ask_lose = lambda _: "cancel"
        assert not masked.may_leave()
        masked.ask_lose = lambda _: "discard"
        assert masked.may_leave()
    assert masked.may_leave()
    assert masked.state.session.corrections.frames() == [4]


def test_a_broken_corrections_file_is_a_warning(masked, viewer, notices):
    dab(masked, 4)
    path = masked.state.session.path
    (path / "corrections" / "00004.json").write_text("{")
    masked.state.set_session(None)
    masked.open_session(path)
    assert any("00004.json" in n for n in notices)
    assert masked.project.masks is not None


def test_a_layer_that_was_removed_comes_back_with_them(masked, viewer, hands):
    dab(masked, 4)
    viewer.layers.remove(masked.project.masks)
    assert masked.project.editor is None
    masked.state.undo()
    masked.state.redo()
    masked.show_section("masks")
    hands.press(masked.masks.show_layer)
    assert masked.project.masks.data[4, 30, 70] == 2


def test_marks_in_the_timeline(masked, qtbot):
    masked.timeline.show()
    dab(masked, 4)
    line = masked.timeline.content.line
    assert line.hand[2][0].tolist() == [4]


def test_another_video_takes_the_masks_away(masked, viewer, clip):
    old = masked.project.masks
    viewer.add_image(clip.frames[:5], rgb=True, name="other")
    masked.project.bind(viewer.layers["other"], masked.project.choice)
    assert old not in viewer.layers
    assert masked.project.editor is None
    assert not old.editable


def test_corrections_are_saved_without_the_layer_too(masked, viewer):
    dab(masked, 5)
    viewer.layers.remove(masked.project.masks)
    masked.state.remove_track(2)
    assert masked.state.session.corrections.frames() == []


def test_a_new_object_by_key(masked):
    layer = masked.project.masks
    layer.keymap[next(k for k in layer.keymap if str(k) == "M")](layer)
    assert layer.selected_label == 3


def test_masks_are_painted_in_one_frame_at_a_time(masked, notices):
    masked.project.masks.n_edit_dimensions = 3
    assert masked.project.masks.n_edit_dimensions == 2
    assert "one frame at a time" in notices[-1]


def test_the_export_is_of_the_moment_in_which_it_was_asked_for(masked, tmp_path):
    from PIL import Image

    masked.project.masks.brush_size = 11
    dab(masked, 4)
    write = export_job(masked.project, tmp_path / "out", "davis")
    masked.state.undo()
    write()
    found = sorted((tmp_path / "out").rglob("*.png"))
    assert np.asarray(Image.open(found[4]))[30, 70] == 2


def test_after_the_dock_is_gone_nobody_paints_in_vain(masked):
    layer = masked.project.masks
    masked.shut_down()
    assert not layer.editable
