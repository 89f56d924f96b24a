"""Background seen elsewhere as a layer: where it lies, its colours, when it comes and goes."""

from __future__ import annotations

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image

from maskfree.belief import Belief
from maskfree.config import Config
from maskfree.consensus_memory import ConsensusMemory
from maskfree.errors import InputError
from maskfree.evidence import SURE
from napari_maskfree import constants as c
from napari_maskfree.evidence_layer import (
    EvidenceLayer,
    EvidenceSource,
    evidence_colormap,
    evidence_source,
    load_evidence,
)
from napari_maskfree.video_layer import AxisChoice, guess_axes, video_info

SHAPE = (8, 16, 32)
"""Frames, rows and columns of a grid over 64x96 pixels: cells of 4 by 3."""


def belief(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(-SURE, SURE + 1, SHAPE).astype(np.int8)


def add_run(session, evidence: np.ndarray | None, content: bytes | None = None):
    """A run with a checkpoint and what it kept of its video."""
    run = session.new_run(Config(), seed=0)
    known = None if evidence is None else Belief.of(evidence)
    memory = ConsensusMemory(known, 1.0, {}).to_bytes() if content is None else content
    run.memory_path.write_bytes(memory)
    run.weights_path.touch()
    return run


@pytest.fixture
def session(clip, clip_folder, tmp_path):
    from maskfree.session import Session

    folder = tmp_path / "work.maskfree"
    return Session.create(folder, video_source=clip_folder, boxes=clip.boxes(every=4))


@pytest.fixture
def shown(widget, session, qtbot):
    """Check the box of an opened session and wait for the layer."""
    widget.open_session(session.path)

    def show():
        widget.masks.evidence.box.setChecked(True)
        qtbot.waitUntil(lambda: widget.project.evidence.layer is not None)
        return widget.project.evidence.layer

    return show


# ---- without a window


def test_colours_say_which_and_how_sure():
    found = evidence_colormap().map((np.array([-SURE, -64, 0, 64, SURE]) + SURE) / (2 * SURE))
    blue, red = np.array(c.EVIDENCE_BACKGROUND) / 255, np.array(c.EVIDENCE_OBJECT) / 255
    assert np.allclose(found[:2, :3], blue, atol=0.01)
    assert np.allclose(found[3:, :3], red, atol=0.01)
    assert np.allclose(found[:, 3], [1, 0.5, 0, 0.5, 1], atol=0.01)


@pytest.mark.parametrize(
    ("shape", "choice"),
    [
        ((8, 64, 96), AxisChoice(0)),
        ((8, 5, 64, 96), AxisChoice(0, 1)),
        ((2, 8, 64, 96), AxisChoice(1, None, 0)),
        ((64, 96), AxisChoice(None)),
    ],
)
def test_a_cell_lies_over_its_pixels_on_the_videos_axes(shape, choice):
    viewer, evidence = ViewerModel(), belief()
    scale, translate = np.full(len(shape), 0.5), np.full(len(shape), 7.0)
    image = viewer.add_image(np.zeros(shape, np.uint8), scale=scale, translate=translate)
    info = video_info(image, choice)
    layers = EvidenceLayer(viewer)
    layers.show(image, evidence[: info.num_frames], EvidenceSource(None, 0, info))
    layer = layers.layer
    assert layer.ndim == image.ndim
    assert viewer.layers.index(layer) == 1
    for side in (0, 1):  # the outer edges of the first and of the last cell and pixel
        cell, pixel = (side * np.array(x.data.shape) - 0.5 for x in (layer, image))
        assert layer.data_to_world(cell)[-2:] == pytest.approx(image.data_to_world(pixel)[-2:])
    at = np.zeros(len(shape))
    at[-2:] = 2 * 4 + 1.5, 5 * 3 + 1  # middle of the cell in row 2, column 5
    frame = 0
    if choice.time is not None:
        frame = at[choice.time] = 3
    assert layer.get_value(image.data_to_world(at), world=True) == evidence[frame, 2, 5]
    if choice.depth is not None:
        at[choice.depth] = 4
        assert layer.get_value(image.data_to_world(at), world=True) == evidence[3, 2, 5]


def test_why_there_is_none(session):
    info = video_info(Image(np.zeros((8, 64, 96), np.uint8)), AxisChoice(0))
    with pytest.raises(InputError, match="section 1"):
        evidence_source(session, None)
    with pytest.raises(InputError, match="No run has finished yet"):
        evidence_source(None, info)
    with pytest.raises(InputError, match="No run has finished yet"):
        evidence_source(session, info)
    run = add_run(session, None)
    with pytest.raises(InputError, match="Run 0001 did not look for background"):
        evidence_source(session, info)
    run.memory_path.unlink()
    with pytest.raises(InputError, match="Run 0001 did not look for background"):
        evidence_source(session, info)
    run = add_run(session, belief())
    assert evidence_source(session, info).path == run.memory_path


def test_evidence_of_another_video_is_refused(session):
    info = video_info(Image(np.zeros((5, 64, 96), np.uint8), name="walk"), AxisChoice(0))
    add_run(session, belief())
    with pytest.raises(InputError, match="8 frames, but walk has 5"):
        load_evidence(evidence_source(session, info))


def test_it_is_no_video():
    from napari_maskfree._qt.video_panel import is_video_layer

    viewer = ViewerModel()
    image = viewer.add_image(np.zeros((8, 64, 96), np.uint8))
    layers = EvidenceLayer(viewer)
    layers.show(image, belief(), EvidenceSource(None, 0, video_info(image, guess_axes(image))))
    assert [is_video_layer(layer) for layer in viewer.layers] == [True, False]


# ---- as a person


def test_it_comes_and_goes_with_the_checkbox(viewer, session, shown, widget):
    evidence = belief()
    add_run(session, evidence)
    widget.refresh_all()
    toggle = widget.masks.evidence
    assert toggle.box.isEnabled()
    assert "blue was seen as background" in toggle.box.toolTip()
    assert not toggle.legend.isVisible()
    layer = shown()
    assert np.array_equal(layer.data, evidence)
    assert layer.scale.tolist() == [1, 4, 3]
    assert layer.translate.tolist() == [0, 1.5, 1]
    assert [x.name for x in viewer.layers] == ["clip", "Evidence", "Boxes"]
    assert viewer.layers.selection.active is widget.project.boxes.layer
    assert widget.project.image.name == "clip"
    assert "never seen as background" in toggle.legend.text()
    assert toggle.legend.isVisible()
    toggle.box.setChecked(False)
    assert [x.name for x in viewer.layers] == ["clip", "Boxes"]
    assert not toggle.legend.isVisible()


def test_without_evidence_it_says_why(session, widget):
    toggle = widget.masks.evidence
    assert not toggle.box.isEnabled()
    assert "section 1" in toggle.box.toolTip()
    widget.open_session(session.path)
    assert not toggle.box.isEnabled()
    assert "No run has finished yet" in toggle.box.toolTip()
    add_run(session, None)
    widget.refresh_all()
    assert not toggle.box.isEnabled()
    assert "did not look for background" in toggle.box.toolTip()


def test_removed_by_hand_it_unchecks(viewer, session, shown, widget):
    add_run(session, belief())
    widget.refresh_all()
    viewer.layers.remove(shown())
    assert not widget.masks.evidence.box.isChecked()
    assert widget.masks.evidence.box.isEnabled()
    shown()
    assert "Evidence" in viewer.layers


def test_a_newer_run_takes_its_place(viewer, session, shown, widget, qtbot):
    add_run(session, belief(0))
    widget.refresh_all()
    layer = shown()
    layer.opacity = 0.3
    add_run(session, belief(1))
    widget.state.session_changed.emit()
    qtbot.waitUntil(lambda: np.array_equal(layer.data, belief(1)))
    assert layer.opacity == 0.3
    assert [x.name for x in viewer.layers].count("Evidence") == 1
    add_run(session, None)
    widget.state.session_changed.emit()
    qtbot.waitUntil(lambda: "Evidence" not in viewer.layers)
    assert not widget.masks.evidence.box.isChecked()


def test_another_video_removes_it(viewer, session, shown, widget, qtbot):
    add_run(session, belief())
    widget.refresh_all()
    shown()
    layer = viewer.add_image(np.zeros((5, 32, 48), np.uint8), name="other")
    widget.video.layers.setCurrentText("other")
    widget.video.layers.activated.emit(widget.video.layers.currentIndex())
    assert widget.project.image is layer
    qtbot.waitUntil(lambda: "Evidence" not in viewer.layers)
    assert not widget.masks.evidence.box.isChecked()
    assert not widget.masks.evidence.box.isEnabled()


@pytest.mark.parametrize("below", [True, False])
def test_the_videos_layer_takes_it_along(viewer, session, shown, widget, qtbot, below):
    add_run(session, belief())
    widget.refresh_all()
    layer = shown()
    if below:
        viewer.layers.move(viewer.layers.index(layer), 0)
    del viewer.layers[:]  # counts the layers first
    qtbot.waitUntil(lambda: not viewer.layers)
    widget.open_session(session.path)
    layer = shown()
    viewer.layers.remove(widget.project.image)
    qtbot.waitUntil(lambda: layer not in viewer.layers)
    assert not widget.masks.evidence.box.isChecked()


@pytest.mark.parametrize("cut", [slice(0), slice(40), slice(-40), slice(0, 600)])
def test_a_damaged_file_is_a_notification(viewer, session, widget, qtbot, notices, cut):
    content = ConsensusMemory(Belief.of(belief()), 1.0, {}).to_bytes()
    damaged = content[cut] if cut != slice(0, 600) else content[:600] + b"?" + content[601:]
    add_run(session, None, damaged)
    widget.open_session(session.path)
    box = widget.masks.evidence.box
    assert box.isEnabled()
    box.setChecked(True)
    qtbot.waitUntil(lambda: bool(notices))
    assert "consensus.npz is damaged. Fine-tune again." in notices[-1]
    assert not box.isChecked()
    assert not widget.masks.evidence.legend.isVisible()
    assert "Evidence" not in viewer.layers


def test_closing_the_dock_while_it_reads(viewer, session, widget, qtbot, monkeypatch, patience):
    from napari_maskfree._qt import evidence_toggle

    def slow(source):
        assert patience(lambda: not widget.background._open, 30)
        return load_evidence(source)

    monkeypatch.setattr(evidence_toggle, "load_evidence", slow)
    add_run(session, belief())
    widget.open_session(session.path)
    widget.masks.evidence.box.setChecked(True)
    assert widget.masks.evidence.legend.text() == "Reading…"
    viewer.window.remove_dock_widget(widget)
    qtbot.wait(50)
    assert "Evidence" not in viewer.layers


def test_the_evidence_is_that_of_the_weights_that_are_kept(widget, session, qtbot):
    run = session.new_run(Config(), seed=0)
    run.best_path.touch()
    run.best_memory_path.write_bytes(ConsensusMemory(Belief.of(belief(3)), 1.0, {}).to_bytes())
    run.keep("best")
    widget.open_session(session.path)
    toggle = widget.masks.evidence
    toggle.box.setChecked(True)
    qtbot.waitUntil(lambda: widget.project.evidence.layer is not None)
    assert (np.asarray(widget.project.evidence.layer.data).reshape(SHAPE) == belief(3)).all()
    assert "at its best step" in toggle.legend.text()
    run.memory_path.write_bytes(ConsensusMemory(Belief.of(belief(4)), 1.0, {}).to_bytes())
    run.weights_path.touch()
    run.keep("last")
    toggle.refresh()
    qtbot.waitUntil(lambda: widget.project.evidence.source.path == run.memory_path)
    assert "at its best step" not in toggle.legend.text()
