"""The dock widget: what it shows, what it refuses and how it ends."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from qtpy.QtWidgets import QPushButton

from maskfree.session import Session
from maskfree.tracks import write_boxes
from maskfree.types import InstanceMasks
from napari_maskfree._qt.flow_row import FlowRow
from napari_maskfree.constants import MIN_WIDTH
from napari_maskfree.saving import session_job

RUN = 150_000


def boxed(widget) -> None:
    """Draw one box, so that a run may start."""
    widget.project.show_boxes()
    widget.state.set_box(1, (20, 10, 60, 40), 0)


def test_the_empty_widget_says_what_comes_next(widget):
    assert widget.video.empty.isVisible()
    assert "Open Sample" in widget.video.empty.text()
    for button in (widget.boxes.new, widget.finetune.start, widget.export.export):
        assert not button.isEnabled()
        assert "section" in button.toolTip()
    assert widget.sections["video"].badge.property("current")
    assert not widget.boxes.inner.isVisible()


def test_it_fits_a_narrow_dock(widget, qtbot, clip):
    widget.viewer.add_image(clip.frames, rgb=True, name="clip")
    boxed(widget)
    for section in widget.sections.values():
        section.set_open(True)
    panel = widget.correspondence
    for part in (panel.result, panel.strip, panel.legend, panel.method, panel.categories.legend):
        part.setVisible(True)
    qtbot.wait(50)
    column = widget.scroll_area.widget()
    assert column.minimumSizeHint().width() <= MIN_WIDTH - 14, "with the scroll bar beside it"
    widget.boxes.sample.setText("A text that makes this button wider than the narrowest dock is")
    widget.boxes.sample.setVisible(True)
    qtbot.waitUntil(lambda: widget.minimumWidth() > MIN_WIDTH)
    view = widget.scroll_area.viewport()
    qtbot.waitUntil(lambda: view.width() >= column.minimumSizeHint().width())


def test_it_fits_a_narrow_dock_with_masks_too(widget, qtbot, clip, clip_folder, tmp_path):
    boxes = clip.boxes(every=4)
    made = Session.create(tmp_path / "s", video_source=str(clip_folder), boxes=boxes)
    masks = InstanceMasks((1,), np.ones((1, boxes.height, boxes.width), bool), (0.5,))
    made.mask_store().write(0, masks)
    widget.open_session(made.path)
    widget.state.ignoring.draw([(5, 5), (20, 5), (20, 20), (5, 20)])
    for section in widget.sections.values():
        section.set_open(True)
    qtbot.wait(50)
    column = widget.scroll_area.widget()
    assert MIN_WIDTH == 300
    assert column.minimumSizeHint().width() <= MIN_WIDTH - 14, "with the scroll bar beside it"


def test_rows_wrap_where_they_are_narrow(qtbot):
    buttons = [QPushButton(text) for text in ("one", "two", "three", "four")]
    row = FlowRow(*buttons)
    qtbot.addWidget(row)
    row.resize(600, 40)
    row.show()
    assert [len(line) for line in row.lines()] == [4]
    one = row.height()
    row.resize(2 * max(b.sizeHint().width() for b in buttons) + 10, 40)
    assert [len(line) for line in row.lines()] == [2, 2]
    assert row.height() > 2 * one
    assert not buttons[0].geometry().intersects(buttons[2].geometry())
    assert len({b.width() for b in buttons}) == 1
    buttons[3].setVisible(False)
    buttons[2].setVisible(False)
    qtbot.waitUntil(lambda: row.height() == one)
    row.resize(10, 40)
    assert [len(line) for line in row.lines()] == [1, 1]


def test_an_open_image_is_taken_and_its_axes_can_be_chosen(widget, viewer):
    layer = viewer.add_image(np.zeros((6, 3, 32, 48), np.uint8), name="stack")
    assert widget.project.image is layer
    assert widget.state.video.axes == "tcyx"
    assert widget.video.axes.isVisible()
    boxes = widget.video.axes.boxes
    boxes["channel"].setCurrentIndex(0)
    boxes["depth"].setCurrentIndex(2)
    boxes["depth"].activated.emit(2)
    assert widget.state.video.axes == "tzyx"
    widget.video.axes.plane.setValue(2)
    assert widget.state.video.depth == 2


def test_wrong_axes_are_a_notification(widget, viewer, notices):
    viewer.add_image(np.zeros((6, 3, 32, 48), np.uint8), name="stack")
    boxes = widget.video.axes.boxes
    boxes["depth"].setCurrentIndex(1)
    boxes["depth"].activated.emit(1)
    assert "cannot be two things at once" in notices[-1]


def test_files_that_are_no_video_are_a_notification(widget, tmp_path, notices, qtbot):
    path = tmp_path / "text.mp4"
    path.write_text("not a video")
    widget.video.open_path(str(path))
    qtbot.waitUntil(lambda: bool(notices), timeout=20_000)
    assert "text.mp4" in notices[-1]
    assert not widget.video.opening.active
    assert widget.state.video is None
    widget.open_session(tmp_path)
    assert "is not a session" in notices[-1]


def test_boxes_files_are_checked(widget, viewer, clip, tmp_path, notices):
    viewer.add_image(clip.frames, rgb=True, name="clip")
    path = tmp_path / "boxes.json"
    path.write_text("{")
    widget.boxes.project.load_boxes = widget.project.load_boxes
    from napari_maskfree._qt.background import reported

    assert not reported(widget.project.load_boxes, path)[0]
    assert "boxes.json" in notices[-1]
    from maskfree.tracks import empty_tracks, set_keyframe
    from maskfree.types import Keyframe

    other = empty_tracks(8, 480, 640, None)
    from maskfree.tracks import add_track

    other, track = add_track(other)
    write_boxes(path, set_keyframe(other, track, Keyframe(0, (1, 1, 9, 9))))
    assert not reported(widget.project.load_boxes, path)[0]
    assert "480" in notices[-1]
    assert widget.state.boxed() is None


def test_keyframe_buttons(widget, viewer, hands, clip):
    viewer.add_image(clip.frames, rgb=True, name="clip")
    hands.press(widget.boxes.new)
    widget.project.go_to(0)
    widget.state.set_box(1, (20, 10, 60, 40), 0)
    widget.state.set_box(1, (24, 10, 64, 40), 4)
    assert not widget.boxes.keep.isEnabled()
    hands.press(widget.boxes.next)
    assert widget.state.frame == 4
    hands.press(widget.boxes.previous)
    assert widget.state.frame == 0
    widget.project.go_to(2)
    hands.press(widget.boxes.keep)
    assert widget.state.keyframe(1, 2).xyxy == pytest.approx((22, 10, 62, 40))
    hands.press(widget.boxes.delete)
    assert widget.state.keyframe(1, 2) is None
    hands.press(widget.boxes.outside)
    assert widget.state.box_state(1, 3) is None
    assert widget.boxes.outside.isChecked()
    hands.press(widget.boxes.outside)
    assert widget.state.box_state(1, 3) is not None
    hands.press(widget.boxes.occluded)
    assert widget.state.keyframe(1, 2).occluded
    hands.press(widget.boxes.add_track)
    assert widget.state.selected == 2
    item = widget.boxes.tracks.topLevelItem(1)
    item.setText(1, "star")
    assert widget.state.track(2).label == "star"
    hands.press(widget.boxes.remove_track)
    assert widget.state.selected == 1


def test_a_failed_run_is_a_notification_with_the_remedy(
    widget, viewer, hands, qtbot, clip_folder, notices
):
    widget.video.open_path(str(clip_folder))
    boxed(widget)
    widget.finetune.device.setCurrentIndex(widget.finetune.device.findData("cuda"))
    widget.finetune.steps.setValue(2)
    hands.press(widget.finetune.start)
    qtbot.waitUntil(lambda: bool(widget.jobs.view and not widget.jobs.view.active), timeout=RUN)
    if widget.jobs.view.state == "done":
        pytest.skip("this machine has CUDA")
    assert widget.jobs.view.state == "failed"
    assert "cuda" in notices[-1].lower()
    assert "--device cpu" in notices[-1] or "cpu" in notices[-1]
    assert widget.finetune.start.isEnabled()


def test_frames_in_memory_are_copied_for_the_run_and_a_session_opens_again(
    widget, viewer, hands, qtbot, clip, tmp_path
):
    from maskfree.session import Session

    viewer.add_image(clip.frames, rgb=True, name="clip")
    widget.state.set_folder(tmp_path / "work.maskfree")
    widget.state.load_tracks(clip.boxes(every=4))
    widget.project.show_boxes()
    session = session_job(widget.project)()
    assert (session.path / "video.zarr").is_dir()
    with session.open_video() as video:
        assert np.array_equal(video[3], clip.frames[3])
    store = session.mask_store()
    for frame, labels in enumerate(clip.masks):
        ids = tuple(int(i) for i in np.unique(labels) if i)
        masks = np.stack([labels == i for i in ids]) if ids else np.zeros((0, *labels.shape), bool)
        store.write(frame, InstanceMasks(ids, masks, (1.0,) * len(ids)))

    viewer.layers.clear()
    assert widget.state.video is None
    widget.open_session(session.path)
    assert isinstance(widget.state.session, Session)
    assert [t.id for t in widget.state.tracks.tracks] == [1, 2]
    assert np.array_equal(widget.project.masks.data[5], clip.masks[5])
    assert widget.project.image.name == "work"
    assert widget.sections["masks"].summary.text() == "8 of 8 frames"
    viewer.layers.remove(widget.project.masks)
    hands.press(widget.masks.show_layer)
    assert widget.project.masks in viewer.layers
    widget.masks.opacity.setValue(20)
    assert widget.project.masks.opacity == pytest.approx(0.2)


def test_changed_boxes_are_saved_into_the_session(widget, viewer, qtbot, clip, tmp_path):
    viewer.add_image(clip.frames, rgb=True, name="clip")
    widget.state.set_folder(tmp_path / "work.maskfree")
    boxed(widget)
    session = session_job(widget.project)()
    widget.state.set_session(session)
    widget.state.set_box(1, (1, 2, 30, 40), 3)
    qtbot.waitUntil(lambda: not widget.state.dirty, timeout=5000)
    assert [k.frame for k in session.boxes.tracks[0].keyframes] == [0, 3]


def test_boxes_survive_the_closing_of_the_videos_layer(widget, viewer, clip):
    layer = viewer.add_image(clip.frames, rgb=True, name="clip")
    boxed(widget)
    viewer.layers.remove(layer)
    assert widget.state.video is None
    assert not widget.boxes.new.isEnabled()
    viewer.add_image(clip.frames, rgb=True, name="clip")
    assert widget.state.boxed() is not None


def test_unsaved_boxes_are_asked_about(widget, viewer, clip, clip_folder, tmp_path):
    viewer.add_image(clip.frames, rgb=True, name="clip")
    widget.state.set_folder(tmp_path / "work.maskfree")
    boxed(widget)
    widget.ask_save = lambda _: "cancel"
    widget.video.open_path(str(clip_folder))
    assert widget.state.video.name == "clip"
    assert widget.state.boxed() is not None
    window = widget.window()
    window.close()
    assert window.isVisible(), "Cancel keeps the window"
    widget.ask_save = lambda _: "save"
    widget.video.open_path(str(clip_folder))
    assert (tmp_path / "work.maskfree" / "boxes.json").exists()


def test_a_detached_run_goes_on(widget, viewer, hands, qtbot, clip_folder, tmp_path, patience):
    import psutil

    widget.video.open_path(str(clip_folder))
    widget.state.set_folder(tmp_path / "kept.maskfree")
    boxed(widget)
    widget.finetune.steps.setValue(3)
    hands.press(widget.finetune.start)
    qtbot.waitUntil(lambda: bool(widget.jobs.job and widget.jobs.job.pid), timeout=RUN)
    process = psutil.Process(widget.jobs.job.pid)
    widget.ask_run = lambda _: "keep"
    viewer.close()
    qtbot.wait(100)
    assert process.is_running()
    assert widget.jobs.view.state == "detached"
    masks = tmp_path / "kept.maskfree" / "masks"
    assert patience(lambda: masks.is_dir() and len(list(masks.glob("*.json"))) == 8, 150)
    for left in psutil.Process().children():
        left.wait(60)


def test_a_run_left_behind_is_followed_again(widget, viewer, qtbot, clip_folder, hands, tmp_path):
    from napari_maskfree.stages import running_stages

    widget.video.open_path(str(clip_folder))
    widget.state.set_folder(tmp_path / "kept.maskfree")
    boxed(widget)
    widget.finetune.steps.setValue(5000)
    hands.press(widget.finetune.start)
    qtbot.waitUntil(lambda: bool(widget.jobs.view and widget.jobs.view.totals), timeout=RUN)
    folder = widget.state.session.path
    child = widget.jobs.job._process
    widget.jobs.detach()
    widget.refresh_all()
    assert not widget.busy
    # a process just begun has no command line yet for some milliseconds on a busy machine
    both = ["finetune", "predict"]
    qtbot.waitUntil(lambda: [s.name for s in running_stages(folder)] == both, timeout=10_000)
    widget.open_session(folder)
    assert widget.busy
    qtbot.waitUntil(lambda: bool(widget.jobs.view.totals), timeout=RUN)
    hands.press(widget.finetune.cancel)
    child.returncode = None  # it is our own child after all: reap it
    qtbot.waitUntil(lambda: child.poll() is not None and not widget.jobs.active, timeout=RUN)
    assert widget.jobs.view.state == "stopped"
    qtbot.waitUntil(lambda: not running_stages(folder), timeout=10_000)


def test_removing_the_dock_ends_everything(viewer, widget, qtbot, clip_folder, hands):
    import psutil

    widget.video.open_path(str(clip_folder))
    boxed(widget)
    widget.finetune.steps.setValue(5000)
    hands.press(widget.finetune.start)
    qtbot.waitUntil(lambda: bool(widget.jobs.job and widget.jobs.job.pid), timeout=RUN)
    pid = widget.jobs.job.pid
    viewer.window.remove_dock_widget(widget)
    assert not psutil.pid_exists(pid)
    viewer.add_image(np.zeros((3, 32, 32)))
    viewer.theme = "light"


def test_removing_the_dock_keeps_the_boxes(viewer, widget, clip_folder):
    from maskfree.tracks import read_boxes

    widget.video.open_path(str(clip_folder))
    boxed(widget)
    viewer.window.remove_dock_widget(widget)
    saved = read_boxes(clip_folder.with_name("clip.boxes.json"))
    assert saved.tracks[0].keyframes[0].xyxy == (20, 10, 60, 40)


def test_both_themes(widget, viewer):
    dark = widget.palette_.background
    viewer.theme = "light"
    assert widget.palette_.background != dark
    widget.timeline.show()
    viewer.theme = "dark"
    assert widget.palette_.background == dark
    assert widget.timeline.content.line.colours is widget.palette_


def test_the_manifest_and_the_menus():
    from pathlib import Path

    import napari_maskfree

    manifest = Path(napari_maskfree.__file__).with_name("napari.yaml")
    npe2 = [sys.executable, "-m", "npe2", "validate", str(manifest)]
    done = subprocess.run(npe2, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_opening_the_widget_imports_no_torch():
    code = (
        "import sys, napari\n"
        "from napari_maskfree._commands import dock\n"
        "viewer = napari.Viewer()\n"
        "dock(viewer)\n"
        "viewer.open_sample('napari-maskfree', 'rabbit')\n"
        "print('torch' in sys.modules)\n"
        "viewer.close()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().splitlines()[-1] == "False"


def test_what_is_done_at_once_is_handed_back_later(widget, qtbot, monkeypatch):
    from concurrent.futures import Future

    def at_once(work):
        future = Future()
        future.set_result(work())
        return future

    monkeypatch.setattr(widget.background._pool, "submit", at_once)
    seen = []
    widget.background.run(lambda: 7, seen.append)
    assert not seen
    qtbot.waitUntil(lambda: seen == [7])
