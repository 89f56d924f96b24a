"""Back to an earlier run in one click, and two runs compared by swiping, in a real window."""

from __future__ import annotations

import datetime
import json
import os
import sys
import threading

import numpy as np
import pytest

from maskfree.config import Config
from maskfree.corrections import Correction
from maskfree.kept_masks import keep_masks, show_run, shown_run
from maskfree.session import Session
from maskfree.types import InstanceMasks
from napari_maskfree._qt.runs_list import when

SOON = 20_000
FRAMES, HEIGHT, WIDTH = 8, 64, 96
OLD, NEW = 20, 60
"""Columns that the first run's mask fills, and the second's."""


def add_run(session: Session, columns: dict[int, int], score: float) -> None:
    run = session.new_run(Config(), seed=0)
    run.append({"step": 30, "steps": 180, "losses": {"class": 1.0}})
    keep_masks(session)
    session.predict_log.clear()
    session.predict_log.append({"status": "done", "run": run.name})
    for frame, filled in columns.items():
        mask = np.zeros((1, HEIGHT, WIDTH), bool)
        mask[0, :, :filled] = True
        session.mask_store().write(frame, InstanceMasks((1,), mask, (score,)))


@pytest.fixture
def session(clip_folder, tmp_path, widget):
    """Two runs with masks; they differ in all frames, most in frame 6."""
    widget.video.open_path(str(clip_folder))
    widget.project.show_boxes()
    widget.state.set_box(1, (0, 0, 90, 64), 0)
    boxes = widget.state.tracks
    made = Session.create(tmp_path / "s", video_source=str(clip_folder), boxes=boxes)
    add_run(made, dict.fromkeys(range(FRAMES), OLD), 0.5)
    add_run(made, {**dict.fromkeys(range(FRAMES), NEW), 6: 80}, 0.75)
    return made


@pytest.fixture
def opened(session, widget, qtbot):
    """The session shown, its list of runs read."""
    widget.open_session(session.path)
    widget.show_section("masks")
    listed(widget, qtbot, 2)
    return widget


def listed(widget, qtbot, count: int) -> None:
    rows = widget.masks.runs.rows
    qtbot.waitUntil(lambda: rows.topLevelItemCount() == count, timeout=SOON)


def texts(widget) -> list[list[str]]:
    rows = widget.masks.runs.rows
    items = [rows.topLevelItem(n) for n in range(rows.topLevelItemCount())]
    return [[item.text(column) for column in (0, 2, 3)] for item in items]


def choose(widget, qtbot, number: int) -> None:
    """Click a row, the newest is 0."""
    from qtpy.QtCore import Qt

    rows = widget.masks.runs.rows
    place = rows.visualItemRect(rows.topLevelItem(number)).center()
    qtbot.mouseClick(rows.viewport(), Qt.MouseButton.LeftButton, pos=place)


def filled(layer, frame: int = 0) -> int:
    return int((layer.data[frame] == 1).any(0).sum())


def test_first_masks_are_marked_in_the_list(session, widget, qtbot):
    note = json.dumps({"trained": [], "masks": [], "first": list(range(FRAMES))})
    (session.runs()[1].path / "told.json").write_text(note)
    widget.open_session(session.path)
    widget.show_section("masks")
    listed(widget, qtbot, 2)
    newest, oldest = texts(widget)
    assert newest[1].endswith(", first masks")
    assert oldest[1].endswith(", 30 of 120")
    tip = widget.masks.runs.rows.topLevelItem(0).toolTip(0)
    assert "before its network was trained, which took 30 of 120 steps" in tip


def test_when_is_said_as_people_do():
    now = datetime.datetime(2026, 3, 5, 12, 0)
    for then, words in (
        (datetime.datetime(2026, 3, 5, 8, 2), "08:02"),
        (datetime.datetime(2026, 3, 4, 8, 2), "4 Mar"),
        (datetime.datetime(2025, 3, 5, 8, 2), "5 Mar 2025"),
    ):
        assert when(then.timestamp(), now) == words
    assert when(None) == "unknown"


def scored(opened):
    """Return the score of track 1 in the first frame, None where none is known yet."""
    return opened.scores.scores[1][0] if 1 in opened.scores.scores else None


def test_back_to_an_earlier_run_in_one_click(opened, session, qtbot):
    assert texts(opened) == [
        ["● 0002", "tiny, 30 of 120", "0.75"],
        ["○ 0001", "tiny, 30 of 120", "0.50"],
    ]
    layer = opened.project.masks
    assert filled(layer) == NEW
    kept = np.zeros((HEIGHT, WIDTH), bool)
    kept[:, :5] = True
    opened.state.corrections.put({3: {1: Correction.whole(kept)}})
    choose(opened, qtbot, 1)
    qtbot.waitUntil(lambda: texts(opened)[1][0] == "● 0001", timeout=SOON)
    assert texts(opened)[0][0] == "○ 0002"
    assert opened.project.masks is layer
    assert (filled(layer), filled(layer, 3)) == (OLD, 5)
    assert shown_run(session) == "0001"
    qtbot.waitUntil(lambda: scored(opened) == 0.5, timeout=SOON)
    choose(opened, qtbot, 0)
    qtbot.waitUntil(lambda: texts(opened)[0][0] == "● 0002", timeout=SOON)
    assert (filled(layer), filled(layer, 3)) == (NEW, 5)


def test_one_run_and_one_without_masks(session, widget, qtbot, notices):
    show_run(session, "0001")
    session.runs()[1].remove()
    widget.open_session(session.path)
    listed(widget, qtbot, 1)
    runs = widget.masks.runs
    assert runs.about.text().startswith("One run so far.")
    assert not runs.compare.isVisibleTo(runs)
    session.new_run(Config(), seed=0)
    widget.state.session_changed.emit()
    listed(widget, qtbot, 2)
    assert texts(widget)[0] == ["○ 0002", "tiny, 0 of 120", ""]
    choose(widget, qtbot, 0)
    assert "Run 0002 has no masks" in notices[-1]
    assert "Press Predict again" in notices[-1]
    assert "no other run with masks" in runs.compare.toggle.toolTip()


def test_no_session_no_list(widget, viewer, clip, session, qtbot):
    runs = widget.masks.runs
    assert not runs.isVisibleTo(widget.masks)
    widget.open_session(session.path)
    listed(widget, qtbot, 2)
    assert runs.isVisibleTo(widget.masks)
    widget.state.set_session(None)
    listed(widget, qtbot, 0)
    assert not runs.isVisibleTo(widget.masks)


def test_while_a_run_is_at_work_nothing_can_be_chosen(opened, session, qtbot, tmp_path):
    from napari_maskfree.stages import Stage
    from napari_maskfree.worker import Job

    runs = opened.masks.runs
    runs.compare.toggle.click()
    assert runs.compare.compare.layer is not None
    code = (sys.executable, "-c", "import time; time.sleep(600)")
    opened.jobs.start(Job([Stage("finetune", code, lambda: None)], tmp_path))
    for control in (runs.rows, runs.compare.toggle, runs.compare.other):
        assert not control.isEnabled()
        assert "A run is at work" in control.toolTip()
    assert "A run is at work" in runs.about.text()
    assert runs.compare.compare.layer is None
    choose(opened, qtbot, 1)
    assert shown_run(session) == "0002"
    opened.jobs.kill()
    opened.jobs.updated.emit()
    assert runs.rows.isEnabled()
    assert runs.compare.toggle.isEnabled()


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="permissions of POSIX")
def test_what_goes_wrong_is_said_and_the_masks_stay(opened, session, qtbot, notices, monkeypatch):
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied", str(session.path / "masks"))

    monkeypatch.setattr("maskfree.kept_masks.make_folder", refuse)
    choose(opened, qtbot, 1)
    qtbot.waitUntil(lambda: any("masks" in n for n in notices), timeout=SOON)
    qtbot.waitUntil(lambda: opened.masks.runs.rows.isEnabled(), timeout=SOON)
    assert filled(opened.project.masks) == NEW
    assert shown_run(session) == "0002"


def test_left_is_one_run_and_right_the_other(opened, viewer, hands, qtbot):
    bar, masks = opened.masks.runs.compare, opened.project.masks
    active = viewer.layers.selection.active
    hands.press(bar.toggle)
    layer = bar.compare.layer
    assert not masks.visible
    assert (bar.left.text(), bar.right.text()) == ("◀ 0002", "0001 ▶")
    assert bar.slider.value() == WIDTH // 2
    assert filled(layer) == WIDTH // 2  # left of the divider 60 are filled, right of it none
    bar.slider.setValue(10)
    assert filled(layer) == OLD
    bar.slider.setValue(0)
    assert filled(layer) == OLD
    bar.slider.setValue(WIDTH)
    assert filled(layer) == NEW
    assert not layer.editable
    qtbot.waitUntil(lambda: "Frames that changed most" in bar.where.text(), timeout=SOON)
    assert ">6</a> (IoU 0.25), " in bar.where.text()
    assert "Mean IoU of all: 0.32." in bar.where.text()
    bar.where.linkActivated.emit("#6")
    assert opened.state.frame == 6
    opened.masks.opacity.setValue(20)
    assert layer.opacity == pytest.approx(0.2)
    hands.press(bar.toggle)
    assert masks.visible
    assert [x.name for x in viewer.layers] == ["clip", "Masks", "Boxes"]
    assert viewer.layers.selection.active is active
    assert not bar.swipe.isVisible()


def test_the_divider_is_dragged_on_the_picture(opened, viewer, hands, qtbot):
    bar = opened.masks.runs.compare
    viewer.reset_view()
    hands.press(bar.toggle)
    middle = tuple(viewer.scene.camera.center)
    hands.drag((30, WIDTH / 2), (30, 30))
    assert bar.slider.value() == pytest.approx(30, abs=2)
    assert bar.compare.divider == bar.slider.value()
    assert tuple(viewer.scene.camera.center) == pytest.approx(middle)
    line = next(x for x in viewer.layers if x.name == "Divider")
    assert line.translate[-1] == bar.slider.value() - 0.5
    before = bar.slider.value()
    hands.drag((30, 70), (30, 60))  # beside the divider the picture is moved
    assert bar.slider.value() == before
    assert tuple(viewer.scene.camera.center) != pytest.approx(middle)


def test_all_layers_removed_at_once(opened, viewer, hands, qtbot):
    hands.press(opened.masks.runs.compare.toggle)
    viewer.layers.select_all()
    viewer.layers.remove_selected()
    qtbot.waitUntil(lambda: not viewer.layers, timeout=SOON)
    assert opened.masks.runs.compare.compare.layer is None


@pytest.mark.parametrize(
    "way", ["paint", "layer", "divider", "masks", "session", "video", "choose"]
)
def test_what_ends_the_comparison(opened, viewer, hands, qtbot, way, clip):
    bar, project = opened.masks.runs.compare, opened.project
    hands.press(bar.toggle)
    layer, masks = bar.compare.layer, project.masks
    if way == "paint":
        hands.press(opened.masks.correct)
        assert viewer.layers.selection.active is masks
        assert masks.mode == "paint"
    elif way == "layer":
        viewer.layers.remove(layer)
    elif way == "divider":
        viewer.layers.remove("Divider")
    elif way == "masks":
        viewer.layers.remove(masks)
    elif way == "session":
        opened.state.set_session(None)
    elif way == "video":
        viewer.layers.remove(project.image)
    elif way == "choose":
        choose(opened, qtbot, 1)
        qtbot.waitUntil(lambda: texts(opened)[1][0] == "● 0001", timeout=SOON)
    assert bar.compare.layer is None
    assert not bar.toggle.isChecked()
    qtbot.waitUntil(
        lambda: not {"Compared masks", "Divider"} & {x.name for x in viewer.layers}, timeout=SOON
    )
    assert masks.visible
    if way == "masks":
        assert "Press Show masks first" in bar.toggle.toolTip()
        hands.press(opened.masks.show_layer)
        assert bar.toggle.isEnabled()


def test_corrections_stay_on_top_of_both_sides(opened, hands):
    bar = opened.masks.runs.compare
    hands.press(bar.toggle)
    assert filled(bar.compare.layer, 2) == WIDTH // 2
    whole = np.ones((HEIGHT, WIDTH), bool)
    opened.state.corrections.put({2: {1: Correction.whole(whole)}})
    assert filled(bar.compare.layer, 2) == WIDTH


def test_a_damaged_file_leaves_its_side_empty(opened, session, viewer, hands, qtbot, notices):
    broken = session.runs()[0].path / "masks" / "00003.json"
    broken.unlink()  # it is one file with the name that the session's masks had
    broken.write_text("{")
    bar = opened.masks.runs.compare
    hands.press(bar.toggle)
    bar.slider.setValue(10)
    opened.project.go_to(3)
    assert filled(bar.compare.layer, 3) == 10
    qtbot.waitUntil(lambda: ">3</a> (IoU 0.00)" in bar.where.text(), timeout=SOON)
    assert not [n for n in notices if "error" in n.lower()]


def test_another_run_may_be_chosen_while_comparing(opened, session, hands, qtbot):
    add_run(session, dict.fromkeys(range(FRAMES), 30), 0.6)
    opened.project.show_masks()
    opened.state.session_changed.emit()
    listed(opened, qtbot, 3)
    bar = opened.masks.runs.compare
    hands.press(bar.toggle)
    bar.slider.setValue(5)
    assert (bar.left.text(), bar.right.text()) == ("◀ 0003", "0002 ▶")
    assert filled(bar.compare.layer) == NEW
    bar.other.setCurrentIndex(bar.other.findData("0001"))
    assert (bar.left.text(), bar.right.text()) == ("◀ 0003", "0001 ▶")
    assert (filled(bar.compare.layer), bar.slider.value()) == (OLD, 5)


def test_a_window_closed_while_comparing_leaves_no_layer_behind(opened, viewer, hands):
    hands.press(opened.masks.runs.compare.toggle)
    opened.shut_down()
    assert [x.name for x in viewer.layers] == ["clip", "Masks", "Boxes"]
    assert not [t for t in threading.enumerate() if t.name.startswith("maskfree")]


@pytest.mark.parametrize(
    ("shape", "scale", "there"),
    [((3, FRAMES, HEIGHT, WIDTH), (1, 1, 2, 2), (2, 6)), ((HEIGHT, WIDTH), (0.5, 0.5), ())],
)
def test_other_axes_and_scales(widget, viewer, shape, scale, there):
    """A stack of channels, whose second axis is time; and a single picture."""
    from napari_maskfree.masks_layer import make_layer
    from napari_maskfree.run_compare import RunCompare

    class Columns:
        def __init__(self, columns: int) -> None:
            self.columns = columns

        def read(self, frame: int) -> InstanceMasks:
            mask = np.zeros((1, HEIGHT, WIDTH), bool)
            mask[0, :, : self.columns + frame] = True
            return InstanceMasks((1,), mask, (0.5,))

    image = viewer.add_image(np.zeros(shape, np.uint8), scale=scale, translate=[7] * len(shape))
    frame = there[-1] if there else 0
    compare = RunCompare(viewer, widget.state, lambda call: call())
    widget.project.go_to(frame)
    masks = make_layer(Columns(NEW), image, widget.state.video, {})
    viewer.add_layer(masks)
    compare.start(masks, image, Columns(NEW), Columns(OLD), ("2", "1"))
    assert compare.layer.data.shape == shape
    compare.move(15)
    assert (compare.layer.data[there] == 1).any(0).sum() == OLD + frame
    line = viewer.layers["Divider"]
    world = line.data_to_world(line.data[0][0])
    assert compare.layer.world_to_data([*[7] * (len(shape) - 2), *world])[-1] == 14.5
    compare.move(10_000)
    assert compare.divider == WIDTH
    viewer.layers.remove(masks)
    assert compare.layer is None
