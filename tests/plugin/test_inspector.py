"""The correspondence inspector in a real window, as a person uses it."""

from __future__ import annotations

import numpy as np
import pytest

from maskfree.config import TemporalKNNConfig
from maskfree.ignore_regions import rectangle
from maskfree.inspect_patch import Fate
from maskfree.matching_grid import MatchingGrid
from maskfree.session import Session
from maskfree.types import IgnoreRegion
from napari_maskfree.inspection import inspect, sentence

FRAMES, SIZE = 6, (64, 96)
PATIENCE = 60_000
"""Milliseconds: torch is imported beside the window, which takes a busy machine long."""


def moving(*columns: int) -> np.ndarray:
    """A texture of random cells, moved to the right by so many cells in each frame."""
    cells = np.random.default_rng(0).integers(0, 255, (16, 24, 3), np.uint8)
    texture = cells.repeat(4, 0).repeat(4, 1)
    return np.stack([np.roll(texture, 4 * c, axis=1) for c in columns])


@pytest.fixture
def panel(widget, viewer, monkeypatch):
    """The section, with a video open whose grid is that of its own pixels."""
    from maskfree.config import SamplingConfig

    defaults = SamplingConfig.__init__.__defaults__
    names = list(SamplingConfig.__dataclass_fields__)
    changed = list(defaults)
    changed[names.index("max_enlarge")] = 1.0
    monkeypatch.setattr(SamplingConfig.__init__, "__defaults__", tuple(changed))
    viewer.add_image(moving(0, 1, 2, 3, 4, 5), rgb=True, name="clip")
    widget.project.go_to(0)
    widget.sections["correspondence"].set_open(True)
    return widget.correspondence


@pytest.fixture
def answered(panel, qtbot):
    """Wait until an answer for a frame and a cell is shown."""

    def wait(frame: int, cell: tuple[int, int]):
        qtbot.waitUntil(
            lambda: (
                panel.found is not None and (panel.found.frame, panel.found.cell) == (frame, cell)
            ),
            timeout=PATIENCE,
        )
        return panel.found

    return wait


def layers(panel) -> set[str]:
    """The names of the layers that are shown."""
    return {layer.name for layer in panel.main.viewer.layers if layer.visible}


def test_a_click_is_answered(panel, widget, hands, answered, viewer):
    widget.project.go_to(2)
    hands.press(panel.pick)
    hands.click((30, 40))
    found = answered(2, (7, 10))
    assert [a.frame for a in found.answers] == [1, 3]
    assert panel.result.text() == (
        "Pixel (40, 30) of frame 2 has 1 look-alike in frame 3; "
        "80 more were too far in colour (over 5.99)."
    )
    points = widget.project.matches.layer("Matches")
    assert [2, 29.5, 41.5] in points.data.tolist()
    assert [3, 29.5, 45.5] in points.data.tolist()
    assert "preset tiny would" in panel.method.text()
    assert "96×64" in panel.method.text()
    assert "distance 0 to 5.99" in panel.legend.text()
    hands.click((30, 60))
    answered(2, (7, 15))
    assert widget.project.matches.layer("Matches") is points, "changed in place"


def test_the_strip_shows_the_patches(panel, widget, hands, answered, qtbot):
    widget.project.go_to(2)
    panel.pick.setChecked(True)
    panel.pick_at((2, 30, 40))
    found = answered(2, (7, 10))
    strip = panel.strip
    qtbot.waitUntil(lambda: strip.height() == strip.sizeHint().height())
    assert strip.caption(found.answers[1]) == "Frame 3 (+1): 1 kept · 80 too far"
    kept, far = strip._place(1, 1).center(), strip._place(2, 1).center()
    assert strip.words_at(kept.x(), kept.y()) == "Frame 3, 4 px right: distance 0.00, kept"
    assert "too far in colour (over 5.99)" in strip.words_at(far.x(), far.y())
    query = strip._place(0, 0).center()
    assert strip.words_at(query.x(), query.y()) == "The picked patch, in frame 2"
    colour = strip.grab().toImage().pixelColor(kept.x(), kept.y())
    middle = found.answers[1].tiles[0].pixels[6, 6]
    assert (colour.red(), colour.green(), colour.blue()) == tuple(middle)
    from qtpy.QtCore import Qt

    widget.scroll_area.ensureWidgetVisible(strip)
    qtbot.mouseClick(strip, Qt.MouseButton.LeftButton, pos=kept)
    assert widget.state.frame == 3
    qtbot.mouseClick(strip, Qt.MouseButton.LeftButton, pos=query)
    assert widget.state.frame == 2


def test_the_cursor_is_followed_and_a_click_pins(panel, widget, hands, answered, qtbot):
    widget.project.go_to(2)
    hands.press(panel.live)
    qtbot.mouseMove(hands.canvas, hands.place((30, 40)))
    answered(2, (7, 10))
    qtbot.mouseMove(hands.canvas, hands.place((14, 62)))
    answered(2, (3, 15))
    widget.project.go_to(3)
    answered(3, (3, 15))
    hands.click((14, 62))
    assert not panel.live.isChecked()
    qtbot.mouseMove(hands.canvas, hands.place((30, 40)))
    qtbot.wait(200)
    assert panel.found.cell == (3, 15), "pinned"
    widget.project.go_to(2)
    qtbot.wait(100)
    assert panel.found.frame == 3


def test_while_boxes_are_drawn_the_cursor_is_followed_and_clicks_draw(
    panel, widget, hands, answered, qtbot, viewer
):
    widget.project.show_boxes()
    drawn = widget.project.boxes.layer
    widget.project.go_to(2)
    panel.live.setChecked(True)
    assert viewer.layers.selection.active is drawn
    qtbot.mouseMove(hands.canvas, hands.place((10, 10)))  # the cursor may lie there already
    qtbot.mouseMove(hands.canvas, hands.place((30, 40)))
    answered(2, (7, 10))
    assert viewer.layers.selection.active is drawn
    assert drawn.mode == "add_rectangle"
    hands.drag((10, 20), (40, 60))
    qtbot.waitUntil(lambda: widget.state.keyframe(1, 2) is not None)
    assert panel.live.isChecked()


def test_picking_gives_the_layer_back_that_was_drawn_on(panel, widget, viewer, qtbot):
    widget.project.show_boxes()
    drawn = widget.project.boxes.layer
    panel.pick.setChecked(True)
    assert viewer.layers.selection.active is widget.project.image
    panel.pick.setChecked(False)
    assert viewer.layers.selection.active is drawn
    assert drawn.mode == "add_rectangle"
    qtbot.waitUntil(lambda: layers(panel) == {"clip", drawn.name}, timeout=PATIENCE)


def test_more_frames_rejected_ones_and_the_tube(panel, widget, answered, qtbot):
    widget.project.go_to(1)
    panel.pick_at((1, 30, 40))
    answered(1, (7, 10))
    panel.each_side.setValue(2)
    qtbot.waitUntil(lambda: [a.frame for a in panel.found.answers] == [0, 2, 3], timeout=PATIENCE)
    assert not panel.found.answers[0].candidates.count(Fate.RADIUS)
    points = widget.project.matches.layer("Matches")
    assert "x" not in {str(s) for s in points.symbol}
    panel.rejected.setChecked(True)
    assert "x" in {str(s) for s in points.symbol}
    assert "too far in colour" in panel.legend.text()
    panel.tube.setChecked(True)
    qtbot.waitUntil(lambda: panel.found.path is not None, timeout=PATIENCE)
    assert panel.found.path.frames == (1, 2, 3, 4, 5)
    assert "Match tube" in layers(panel)
    assert panel.result.text().endswith("it ends where it began.")
    panel.tube.setChecked(False)
    assert "Match tube" not in layers(panel)
    panel.rejected.setChecked(False)
    assert "x" not in {str(s) for s in points.symbol}


def test_outside_the_picture(panel, widget, answered):
    panel.pick_at((0, 30, 40))
    answered(0, (7, 10))
    panel.pick_at((0, -20, 40))
    assert "outside the picture" in panel.result.text()


def test_clear_leaves_nothing(panel, widget, answered, hands, qtbot):
    panel.pick.setChecked(True)
    panel.pick_at((0, 30, 40))
    answered(0, (7, 10))
    panel.categories.box.setChecked(True)
    qtbot.waitUntil(lambda: "Match categories" in layers(panel), timeout=PATIENCE)
    hands.press(panel.clear)
    qtbot.waitUntil(lambda: layers(panel) == {"clip"}, timeout=PATIENCE)
    assert not panel.pick.isChecked()
    assert not panel.strip.isVisible()
    assert not panel.result.isVisible()
    callbacks = panel.main.viewer.mouse_drag_callbacks, panel.main.viewer.mouse_move_callbacks
    assert not any("PixelPicker" in repr(each) for some in callbacks for each in some)


def test_layers_that_a_person_deletes_go_in_the_canvas_own_context(
    panel, widget, answered, hands, viewer, qtbot
):
    from qtpy.QtGui import QOpenGLContext

    panel.pick.setChecked(True)
    panel.pick_at((0, 30, 40))
    answered(0, (7, 10))
    with qtbot.waitSignal(hands.canvas.frameSwapped, timeout=PATIENCE):
        hands.canvas.update()
    contexts = []
    viewer.layers.events.removed.connect(lambda _: contexts.append(QOpenGLContext.currentContext()))
    viewer.layers.selection = {viewer.layers["Matches"], viewer.layers["Match vectors"]}
    viewer.layers.remove_selected()
    assert contexts == [hands.canvas.context()] * 2
    with qtbot.waitSignal(hands.canvas.frameSwapped, timeout=PATIENCE):
        hands.canvas.update()
    panel.pick_at((0, 30, 60))
    answered(0, (7, 15))
    assert layers(panel) == {"clip", "Matches", "Match vectors"}


def test_closing_removes_the_layers_that_show_nothing(widget, panel, viewer, qtbot):
    panel.pick.setChecked(True)
    assert {"Matches", "Match vectors"} <= layers(panel)
    viewer.window.remove_dock_widget(widget)
    qtbot.waitUntil(lambda: [layer.name for layer in viewer.layers] == ["clip"], timeout=PATIENCE)


def test_a_removed_or_other_video_takes_its_answers_along(panel, widget, viewer, answered, qtbot):
    panel.pick.setChecked(True)
    panel.pick_at((0, 30, 40))
    answered(0, (7, 10))
    viewer.add_image(np.zeros((1, 32, 48), np.uint8), name="one")
    viewer.layers.remove("clip")
    assert widget.project.image is None or widget.state.video.name == "one"
    qtbot.waitUntil(lambda: not {"Matches", "Match vectors"} & layers(panel), timeout=PATIENCE)
    assert not panel.pick.isEnabled()
    assert not panel.pick.isChecked()
    assert panel.found is None
    other = viewer.add_image(moving(0, 2, 4)[:, :, ::-1].copy(), rgb=True, name="other")
    widget.project.bind(other, widget.project.choice or _choice(other))
    assert panel.pick.isEnabled()
    widget.project.go_to(0)
    panel.pick_at((0, 30, 40))
    answered(0, (7, 10))
    assert len(panel.near.frames) == 2


def _choice(layer):
    from napari_maskfree.video_layer import guess_axes

    return guess_axes(layer)


def test_a_video_that_is_replaced_while_it_is_read(panel, widget, viewer, answered, qtbot):
    panel.pick_at((0, 30, 40))  # under way
    other = viewer.add_image(moving(0, 2, 4), rgb=True, name="other")
    widget.project.bind(other, _choice(other))
    assert panel.found is None
    widget.project.go_to(0)
    panel.pick_at((0, 30, 40))
    found = answered(0, (7, 10))
    assert found.answers[0].tiles[0].shift == (0, 8), "of the other video"


def test_a_single_image_says_why_not(widget, viewer):
    viewer.add_image(np.zeros((64, 96), np.uint8), name="one")
    panel = widget.correspondence
    for control in (panel.pick, panel.live, panel.categories.box):
        assert not control.isEnabled()
        assert "single image" in control.toolTip()


def test_without_a_video_it_says_what_to_do(widget):
    panel = widget.correspondence
    assert "section 1" in panel.pick.toolTip()
    assert "section 1" in panel.live.toolTip()


def test_other_axes(widget, viewer, qtbot):
    frames = moving(0, 1, 2).transpose(3, 0, 1, 2)  # channels first, then time
    layer = viewer.add_image(frames, name="stack", axis_labels=("c", "t", "y", "x"))
    panel = widget.correspondence
    assert widget.state.video.axes == "ctyx"
    widget.project.go_to(1)
    place = layer.data_to_world((2, 1, 30, 40))
    viewer.dims.point = place
    panel.pick_at((*tuple(viewer.dims.point[:2]), 30, 40))
    qtbot.waitUntil(lambda: panel.found is not None, timeout=PATIENCE)
    points = widget.project.matches.layer("Matches")
    assert points.ndim == 4
    assert set(points.data[:, 0]) == {2.0}
    assert set(points.data[:, 1]) <= {0.0, 1.0, 2.0}


def test_categories_follow_the_frame(panel, widget, qtbot):
    panel.categories.box.setChecked(True)
    qtbot.waitUntil(lambda: panel.categories.found is not None, timeout=PATIENCE)
    assert panel.categories.legend.isVisible()
    layer = widget.project.matches.categories.layer
    assert layer.data.shape == (16, 24)
    widget.project.go_to(5)
    qtbot.waitUntil(lambda: panel.categories.found.source == 5, timeout=PATIENCE)
    assert panel.categories.found.target == 4, "the last frame is matched with the one before"
    qtbot.waitUntil(lambda: layer.visible)
    counts = panel.categories.legend.counts
    assert sum(int(label.text().split()[0]) for label in counts.values()) == 16 * 24
    panel.categories.box.setChecked(False)
    assert not layer.visible


def test_it_compares_as_the_sessions_run_did(panel, widget, answered, qtbot, tmp_path, clip):
    import dataclasses

    from maskfree.config import Config
    from maskfree.tracks import add_track, empty_tracks, set_keyframe
    from maskfree.types import Keyframe

    panel.pick_at((0, 30, 40))
    answered(0, (7, 10))
    tracks, track = add_track(empty_tracks(FRAMES, *SIZE, None))
    tracks = set_keyframe(tracks, track, Keyframe(0, (20, 10, 60, 40)))
    session = Session.create(tmp_path / "s", video_source=None, boxes=tracks)
    temporal = dataclasses.replace(Config().temporal, num_neighbors=3, max_distance=12.0)
    run = session.new_run(dataclasses.replace(Config(), temporal=temporal), seed=0)
    run.weights_path.touch()
    widget.state.set_session(session)
    panel.pick_at((0, 30, 60))
    qtbot.waitUntil(lambda: "as run 0001 did" in panel.method.text(), timeout=PATIENCE)
    assert panel.found.grid.config.num_neighbors == 3
    assert len(panel.found.answers[0].tiles) == 3
    (run.path / "config.json").write_text("{")
    widget.state.set_session(Session.open(session.path))
    panel.pick_at((0, 30, 60))
    qtbot.waitUntil(lambda: "preset tiny would" in panel.method.text(), timeout=PATIENCE)


def test_a_frame_that_cannot_be_read_is_said(panel, widget, qtbot, notices, monkeypatch):
    from maskfree.errors import InputError

    class Damaged:
        shape = (FRAMES, *SIZE, 3)

        def __len__(self):
            return FRAMES

        def __getitem__(self, index):
            raise InputError(f"Frame {index} cannot be decoded.")

    monkeypatch.setattr(widget.project, "video", Damaged)
    panel.pick_at((0, 30, 40))

    def is_said():
        assert "cannot be decoded" in panel.result.text()

    qtbot.waitUntil(is_said, timeout=PATIENCE)
    assert "cannot be decoded" in notices[-1]
    monkeypatch.undo()
    panel.pick_at((0, 30, 40))
    qtbot.waitUntil(lambda: panel.found is not None, timeout=PATIENCE)


def test_its_keys(panel, widget, qtbot):
    widget.sections["correspondence"].set_open(False)
    widget.shortcuts._made["pick_pixel"].activated.emit()
    assert panel.pick.isChecked()
    assert widget.sections["correspondence"].is_open
    widget.shortcuts._made["follow_cursor"].activated.emit()
    assert panel.live.isChecked()


def test_what_is_ignored_is_counted(panel):
    grey = np.full((64, 96, 3), 90, np.uint8)
    config = TemporalKNNConfig.paper()

    def found(*regions):
        grid = MatchingGrid((64, 96), (64, 96), 1.0, config, regions)
        return inspect({0: grey, 1: grey}, grid, 0, (30.0, 40.0), targets=[1])

    row, column = found().answers[0].candidates.yx[0] * 4
    one = IgnoreRegion(rectangle((column, row, column + 4, row + 4)), 1, None)
    some, none = found(one), found(IgnoreRegion(rectangle((0, 0, 96, 64)), 1, None))
    assert sentence(some).endswith("; 1 more lies in an ignore region, where no loss looks.")
    panel.strip.found = some
    assert ": 4 kept · " in panel.strip.caption(some.answers[0])
    assert panel.strip.caption(some.answers[0]).endswith(" · 1 ignored")
    assert panel.strip.caption(none.answers[0]).endswith(" · 5 ignored")
