"""The whole loop, as a person goes through it in a real window."""

from __future__ import annotations

import time

import numpy as np
import pytest

RUN = 150_000


def test_a_person_goes_from_boxes_to_exported_masks(
    viewer, widget, hands, qtbot, clip_folder, tmp_path, notices
):
    # 1: open the video
    assert not widget.boxes.new.isEnabled()
    assert "section 1" in widget.boxes.new.toolTip()
    widget.video.open_path(str(clip_folder))
    assert widget.state.video.summary.startswith("8 frames · 96×64")
    assert "section 2" in widget.finetune.start.toolTip()

    # 2: draw a box, move to another frame, draw again, edit the one between
    hands.press(widget.boxes.new)
    widget.project.go_to(0)
    hands.drag((10, 20), (40, 60))
    first = widget.state.keyframe(1, 0)
    assert first is not None
    assert np.allclose(first.xyxy, (20.5, 10.5, 60.5, 40.5), atol=0.6)
    widget.project.go_to(6)
    hands.drag((16, 26), (46, 66))
    widget.project.go_to(3)
    now = widget.state.box_state(1)
    assert not now.keyframe
    assert np.allclose(now.xyxy, (23.5, 13.5, 63.5, 43.5), atol=0.8)
    assert widget.boxes.tracks.topLevelItem(0).text(2) == "interpolated"
    layer = widget.project.boxes.layer
    layer.mode = "select"
    hands.drag((28, 43), (30, 48))
    keyframe = widget.state.keyframe(1, 3)
    assert keyframe is not None, "an interpolated box that is moved becomes a keyframe"
    assert np.allclose(keyframe.xyxy, (28.5, 15.5, 68.5, 45.5), atol=0.8)
    assert len(layer.data) == 1

    # 3: fine-tune, cancel
    widget.finetune.steps.setValue(5000)
    hands.press(widget.finetune.start)
    qtbot.waitUntil(lambda: bool(widget.jobs.view and widget.jobs.view.steps_seen), timeout=RUN)
    assert widget.finetune.curve.isVisible()
    assert "left" in widget.finetune.status.text()
    assert not widget.video.open_file.isEnabled()
    hands.press(widget.finetune.cancel)
    qtbot.waitUntil(lambda: not widget.jobs.active, timeout=RUN)
    assert widget.jobs.view.state == "stopped"
    assert widget.masks.state.session.masks.frames() == list(range(8)), "the first masks stay"

    # 3: fine-tune to the end
    widget.finetune.steps.setValue(4)
    hands.press(widget.finetune.start)
    qtbot.waitUntil(
        lambda: bool(widget.jobs.view and widget.jobs.view.state == "done"), timeout=RUN
    )

    # 4: masks, in the colours of the boxes
    masks = widget.project.masks
    assert masks in viewer.layers
    assert masks.data.shape == (8, 64, 96)
    from maskfree.colours import track_colour

    assert np.allclose(masks.colormap.color_dict[1][:3] * 255, track_colour(1), atol=1)
    assert widget.sections["masks"].summary.text() == "8 of 8 frames"

    # 5: correspondences
    widget.sections["correspondence"].set_open(True)
    widget.correspondence.pick.setChecked(True)
    widget.project.go_to(2)
    hands.click((30, 48))
    qtbot.waitUntil(lambda: "Pixel" in widget.correspondence.result.text(), timeout=60_000)
    points = widget.project.matches.layer("Matches")
    assert points is not None
    assert set(points.data[:, 0]) <= {1.0, 2.0, 3.0}
    widget.correspondence.categories.box.setChecked(True)
    qtbot.waitUntil(lambda: widget.project.matches.categories.layer is not None, timeout=60_000)
    categories = widget.project.matches.categories.layer
    assert categories.data.shape == widget.correspondence.near.grid.shape
    assert categories.data.min() >= 1
    widget.correspondence.pick.setChecked(False)

    # 6: export
    widget.sections["export"].set_open(True)
    target = tmp_path / "out" / "davis"
    widget.export.path.setText(str(target))
    widget.export.refresh()
    hands.press(widget.export.export)
    qtbot.waitUntil(lambda: widget.export.result.isVisible(), timeout=60_000)
    assert "davis" in widget.export.result.text()
    assert len(list(target.rglob("*.png"))) == 8
    assert not [n for n in notices if "error" in n.lower()], notices


def test_closing_during_a_run_asks_and_leaves_nothing(viewer, widget, hands, qtbot, clip_folder):
    widget.video.open_path(str(clip_folder))
    widget.project.show_boxes()
    widget.state.set_box(1, (20, 10, 60, 40), 0)
    widget.finetune.steps.setValue(5000)
    hands.press(widget.finetune.start)
    qtbot.waitUntil(lambda: bool(widget.jobs.job and widget.jobs.job.pid), timeout=RUN)
    process = widget.jobs.job.pid
    asked = []
    answers = iter(["cancel", "stop"])
    widget.ask_run = lambda _: asked.append(1) or next(answers)
    window = widget.window()
    assert not window.close() or window.isVisible()
    assert widget.jobs.active, "Cancel keeps napari and the run"
    start = time.monotonic()
    viewer.close()
    qtbot.wait(100)
    assert len(asked) == 2
    assert not widget.jobs.active
    assert time.monotonic() - start < 20
    import psutil

    assert not psutil.pid_exists(process) or psutil.Process(process).status() == "zombie"


@pytest.mark.parametrize("key", ["rabbit", "generated"])
def test_samples_open_with_boxes_in_one_click(viewer, widget, hands, qtbot, key):
    viewer.open_sample("napari-maskfree", key)
    assert widget.state.video is not None
    hands.press(widget.boxes.sample)
    assert widget.state.boxed() is not None
    assert widget.project.boxes.layer in viewer.layers
    assert not widget.boxes.sample.isVisible()
    assert widget.finetune.start.isEnabled()
