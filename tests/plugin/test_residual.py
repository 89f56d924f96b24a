"""Where masks of matched pixels disagree: the layer, the sentence, and when both change."""

from __future__ import annotations

import json

import numpy as np
import pytest
from napari.components import ViewerModel

from maskfree.session import Session
from maskfree.tk_residual import Finding, Residual
from maskfree.types import InstanceMasks
from napari_maskfree import constants as c
from napari_maskfree.residual_layer import ResidualLayer, residual_colormap
from napari_maskfree.residual_words import residual_words
from napari_maskfree.video_layer import AxisChoice, video_info

FRAMES, SIZE = 5, (80, 96)


def scene() -> tuple[np.ndarray, np.ndarray]:
    """A textured square that stands still before another texture; exact masks."""
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 120, (10, 12, 3)).repeat(8, 0).repeat(8, 1).astype(np.uint8)
    picture[24:56, 32:64] = rng.integers(130, 255, (4, 4, 3)).repeat(8, 0).repeat(8, 1)
    masks = np.zeros((FRAMES, *SIZE), bool)
    masks[:, 24:56, 32:64] = True
    return np.stack([picture] * FRAMES), masks


def write(session: Session, frame: int, mask: np.ndarray) -> None:
    session.mask_store().write(frame, InstanceMasks((1,), mask[None], (0.5,)))


@pytest.fixture
def masked(widget, viewer, tmp_path):
    """The scene with its masks as a session; in frame 2 the mask has a hole of 16 x 16 pixels."""
    video, masks = scene()
    masks[2, 32:48, 40:56] = False
    viewer.add_image(video, rgb=True, name="square")
    widget.project.show_boxes()
    widget.state.set_box(1, (32, 24, 64, 56), 0)
    widget.state.rename_track(1, "tile")
    session = Session.create(tmp_path / "s", video_source=None, boxes=widget.state.tracks)
    for frame, mask in enumerate(masks):
        write(session, frame, mask)
    widget.state.set_session(session)
    widget.project.show_masks()
    widget.refresh_all()
    return widget


@pytest.fixture
def settled(masked, qtbot):
    """Wait until the shown frame was compared; return the sentence."""
    toggle = masked.masks.residual

    def wait() -> str:
        qtbot.waitUntil(lambda: not toggle._computing, timeout=20_000)
        assert not toggle.says.text().startswith("Comparing")
        return toggle.says.text()

    return wait


def shown_map(widget, frame: int) -> np.ndarray:
    return np.asarray(widget.project.residual.layer.data[frame])


# ---- without a window


def test_two_colours_that_are_fainter_where_less_disagrees():
    found = residual_colormap().map((np.array([-1, -0.5, 0, 0.5, 1]) + 1) / 2)
    excess, missing = np.array(c.RESIDUAL_EXCESS) / 255, np.array(c.RESIDUAL_MISSING) / 255
    assert np.allclose(found[:2, :3], excess, atol=0.01)
    assert np.allclose(found[3:, :3], missing, atol=0.01)
    assert np.allclose(found[:, 3], [1, 0.5, 0, 0.5, 1], atol=0.01)


def found(*findings: Finding, neighbours: tuple[int, ...] = (11, 13)) -> Residual:
    return Residual(12, neighbours, np.zeros((2, 2), np.float32), findings, 16.0)


def test_one_line_with_the_numbers_of_the_frame():
    name = {2: "track 2 dog", 3: "track 3"}.__getitem__
    missing, excess = Finding(2, True, 21, (13,)), Finding(3, False, 5, (11, 13))
    assert residual_words(found(missing), 12, name) == (
        "Frame 12: about 336 pixels match track 2 dog in frame 13, "
        "but its mask here leaves them out."
    )
    assert residual_words(found(excess, missing), 12, name) == (
        "Frame 12: about 80 pixels in the mask of track 3 match what is outside it in frames 11 "
        "and 13 (the largest of 2 findings)."
    )
    assert residual_words(found(), 12, name) == (
        "Frame 12 agrees with frames 11 and 13: nothing stands out."
    )
    assert "beside frame 12 have no masks" in residual_words(found(neighbours=()), 12, name)
    assert residual_words(None, 12, name) == "Frame 12 has no masks to compare."


@pytest.mark.parametrize(
    ("shape", "choice"),
    [
        ((8, 64, 96), AxisChoice(0)),
        ((8, 5, 64, 96), AxisChoice(0, 1)),
        ((2, 8, 64, 96), AxisChoice(1, None, 0)),
    ],
)
def test_a_cell_lies_over_its_pixels_on_the_videos_axes(shape, choice):
    viewer, layers = ViewerModel(), None
    scale, translate = np.full(len(shape), 0.5), np.full(len(shape), 7.0)
    image = viewer.add_image(np.zeros(shape, np.uint8), scale=scale, translate=translate)
    signed = np.random.default_rng(0).uniform(-1, 1, (16, 32)).astype(np.float32)
    layers = ResidualLayer(viewer)
    info = video_info(image, choice)
    layers.show(image, None, np.zeros((4, 6), np.float32), info)
    layers.show(image, None, signed, info)  # another grid takes its place
    layer = layers.layer
    assert (layer.ndim, len(viewer.layers)) == (image.ndim, 2)
    at = np.ones(len(shape))
    at[-2:] = 2 * 4 + 1.5, 5 * 3 + 1  # middle of the cell in row 2, column 5
    assert layer.get_value(image.data_to_world(at), world=True) == signed[2, 5]
    layers.blank()
    assert layer.get_value(image.data_to_world(at), world=True) == 0


def test_a_text_has_the_height_that_its_lines_need(qtbot):
    from napari_maskfree._qt.wrapped import Wrapped

    label = Wrapped("word " * 12)
    qtbot.addWidget(label)
    label.show()
    label.resize(400, 10)
    wide = label.minimumHeight()
    assert wide == label.heightForWidth(400)
    label.resize(100, 10)
    narrow = label.minimumHeight()
    assert narrow > wide
    label.setText("word")
    assert label.minimumHeight() < narrow


# ---- as a person


def test_it_follows_the_shown_frame(masked, viewer, settled):
    toggle = masked.masks.residual
    assert toggle.box.isEnabled()
    assert "TK residual" in toggle.box.toolTip()
    assert not toggle.legend.isVisibleTo(toggle)
    masked.project.go_to(2)
    toggle.box.setChecked(True)
    text = settled()
    assert text.startswith("Frame 2: about ")
    assert "pixels match track 1 tile in frames 1 and 3, but its mask here leaves them out" in text
    assert 200 <= int(text.split()[3]) <= 330  # the hole has 256
    assert [x.name for x in viewer.layers] == ["square", "Masks", "Disagreement", "Boxes"]
    assert viewer.layers.selection.active is masked.project.boxes.layer
    layer, picture = masked.project.residual.layer, shown_map(masked, 2)
    cell = layer.world_to_data((2, 40, 48))[-2:].round().astype(int)
    assert picture[tuple(cell)] > 0.5
    assert toggle.legend.isVisibleTo(toggle)
    masked.project.go_to(0)
    assert settled() == "Frame 0 agrees with frame 1: nothing stands out."
    assert masked.project.residual.layer is layer
    toggle.box.setChecked(False)
    assert "Disagreement" not in viewer.layers
    assert not toggle.legend.isVisibleTo(toggle)
    assert not toggle.says.isVisibleTo(toggle)


def test_nothing_old_is_shown_while_a_frame_is_compared(masked, settled):
    toggle = masked.masks.residual
    masked.project.go_to(2)
    toggle.box.setChecked(True)
    first = settled()
    assert shown_map(masked, 2).any()
    masked.project.go_to(4)
    assert toggle.says.text().startswith("Comparing frame 4")
    assert not shown_map(masked, 4).any()
    masked.project.go_to(2)  # known already
    assert toggle.says.text() == first
    settled()
    assert toggle.says.text() == first
    assert shown_map(masked, 2).any()


def test_only_the_last_wish_is_worked_on(masked, settled, monkeypatch):
    from napari_maskfree.residual_reader import ResidualReader

    asked, job = [], ResidualReader.job
    monkeypatch.setattr(
        ResidualReader, "job", lambda self, f, shown: asked.append(f) or job(self, f, shown)
    )
    masked.project.go_to(0)
    masked.masks.residual.box.setChecked(True)
    for frame in (1, 2, 3, 4):
        masked.project.go_to(frame)
    assert settled().startswith("Frame 4 agrees with frame 3")
    assert asked == [0, 4]


def test_painted_masks_count(masked, settled):
    masked.project.go_to(2)
    masked.masks.residual.box.setChecked(True)
    assert "leaves them out" in settled()
    before = masked.project.masks.data.frame(2).copy()
    after = before.copy()
    after[32:48, 40:56] = 1
    masked.project.masks.data[2] = after
    masked.project.editor.commit()
    assert settled() == "Frame 2 agrees with frames 1 and 3: nothing stands out."
    assert not (np.abs(shown_map(masked, 2)) > 0.5).any()
    masked.state.undo()
    assert "leaves them out" in settled()


def test_masks_that_are_predicted_anew_count(masked, settled):
    masked.project.go_to(2)
    masked.masks.residual.box.setChecked(True)
    assert "leaves them out" in settled()
    write(masked.state.session, 2, scene()[1][2])
    masked.project.show_masks()
    masked.masks.refresh()
    assert settled().startswith("Frame 2 agrees")


def test_masks_in_some_frames_only(masked, settled):
    folder = masked.state.session.mask_store().path
    for frame in (1, 3, 4):
        (folder / f"{frame:05d}.json").unlink()
    masked.refresh_all()
    masked.project.go_to(2)
    masked.masks.residual.box.setChecked(True)
    assert settled() == "The frames beside frame 2 have no masks to compare it with."
    masked.project.go_to(3)
    assert settled() == "Frame 3 has no masks to compare."


def test_damaged_masks_are_told_once_and_in_place(masked, settled, notices):
    path = masked.state.session.mask_store().path / "00003.json"
    path.write_text(json.dumps({"size": [80, 96], "instances": 3}))
    masked.project.go_to(2)
    masked.masks.residual.box.setChecked(True)
    assert "00003.json" in settled()
    told = len(notices)
    assert "00003.json" in notices[-1]
    masked.project.go_to(1)
    settled()
    masked.project.go_to(2)
    assert "00003.json" in settled()
    assert len(notices) == told
    assert masked.masks.residual.box.isChecked()


def test_why_there_is_none(widget, viewer):
    box = widget.masks.residual.box
    assert not box.isEnabled()
    assert "section 1" in box.toolTip()
    viewer.add_image(np.zeros((5, 80, 96), np.uint8), name="clip")
    assert "no masks yet" in box.toolTip()
    widget.shortcuts._made["disagreement"].activated.emit()
    assert not box.isChecked()


def test_a_single_image_says_why(widget, viewer):
    viewer.add_image(np.zeros((80, 96), np.uint8), name="picture")
    assert "single image" in widget.masks.residual.box.toolTip()
    assert not widget.masks.residual.box.isEnabled()


def test_removed_by_hand_it_unchecks(masked, viewer, settled):
    toggle = masked.masks.residual
    toggle.box.setChecked(True)
    settled()
    viewer.layers.remove(masked.project.residual.layer)
    assert not toggle.box.isChecked()
    toggle.box.setChecked(True)
    settled()
    assert "Disagreement" in viewer.layers


def test_without_its_masks_layer_it_stays_over_the_video(masked, viewer, settled):
    masked.project.go_to(2)
    viewer.layers.remove(masked.project.masks)
    masked.masks.residual.box.setChecked(True)
    assert "leaves them out" in settled()
    assert [x.name for x in viewer.layers] == ["square", "Disagreement", "Boxes"]


@pytest.mark.parametrize("everything", [True, False])
def test_the_video_takes_it_along(masked, viewer, settled, qtbot, everything):
    masked.masks.residual.box.setChecked(True)
    settled()
    layer = masked.project.residual.layer
    if everything:
        del viewer.layers[:]
    else:
        viewer.layers.remove(masked.project.image)
    qtbot.waitUntil(lambda: layer not in viewer.layers)
    assert not masked.masks.residual.box.isChecked()
    assert not masked.masks.residual.box.isEnabled()


def test_another_session_is_compared_anew(masked, settled, tmp_path):
    masked.project.go_to(2)
    masked.masks.residual.box.setChecked(True)
    assert "leaves them out" in settled()
    other = Session.create(tmp_path / "t", video_source=None, boxes=masked.state.tracks)
    for frame, mask in enumerate(scene()[1]):
        write(other, frame, mask)
    masked.state.set_session(other)
    assert settled().startswith("Frame 2 agrees")
    empty = Session.create(tmp_path / "u", video_source=None, boxes=masked.state.tracks)
    masked.state.set_session(empty)
    assert not masked.masks.residual.box.isChecked()


def test_another_ignore_region_is_compared_anew(masked, settled):
    masked.project.go_to(2)
    masked.masks.residual.box.setChecked(True)
    assert "leaves them out" in settled()
    masked.state.ignoring.draw(((38, 30), (58, 30), (58, 50), (38, 50)))
    assert settled().startswith("Frame 2 agrees")
    masked.state.undo()
    assert "leaves them out" in settled()


def test_unchecked_while_it_is_computed_it_shows_nothing(masked, viewer, qtbot):
    toggle = masked.masks.residual
    toggle.box.setChecked(True)
    toggle.box.setChecked(False)
    assert toggle._computing
    qtbot.waitUntil(lambda: not toggle._computing, timeout=20_000)
    assert "Disagreement" not in viewer.layers


def test_it_is_no_video(masked, settled):
    from napari_maskfree._qt.video_panel import is_video_layer

    masked.masks.residual.box.setChecked(True)
    settled()
    assert not is_video_layer(masked.project.residual.layer)


@pytest.mark.parametrize("choice", [AxisChoice(0, 1), AxisChoice(1, None, 0)])
def test_depth_and_channels(widget, viewer, tmp_path, qtbot, choice):
    """Time before depth, and channels before time."""
    video, masks = scene()
    masks[2, 32:48, 40:56] = False
    if choice.depth == 1:
        data = np.stack([video[..., 0]] * 3, 1)
    else:
        data = np.moveaxis(video, -1, 0)
    viewer.add_image(data, name="stack")
    widget.project.bind(viewer.layers["stack"], choice)
    widget.project.show_boxes()
    widget.state.set_box(1, (32, 24, 64, 56), 0)
    session = Session.create(tmp_path / "s", video_source=None, boxes=widget.state.tracks)
    for frame, mask in enumerate(masks):
        write(session, frame, mask)
    widget.state.set_session(session)
    widget.project.show_masks()
    widget.refresh_all()
    widget.project.go_to(2)
    toggle = widget.masks.residual
    toggle.box.setChecked(True)
    qtbot.waitUntil(lambda: not toggle._computing, timeout=20_000)
    assert "leaves them out" in toggle.says.text()
    layer = widget.project.residual.layer
    at = np.array([2.0, 1, 40, 48]) if choice.depth == 1 else np.array([1.0, 2, 40, 48])
    assert layer.get_value(at, world=True) > 0.5


def test_the_dock_may_close_while_it_is_computed(masked, viewer):
    masked.masks.residual.box.setChecked(True)
    viewer.window.remove_dock_widget(masked)
    assert "Disagreement" not in viewer.layers
