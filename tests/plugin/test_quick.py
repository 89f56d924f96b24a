"""What the window does not do: work for rows out of view, for what has not changed, twice."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
import threading
from types import SimpleNamespace

import numpy as np
import pytest

from maskfree.session import Session
from maskfree.types import BoxTracks, InstanceMasks, Keyframe, Track
from napari_maskfree._qt import preview_cell, track_list
from napari_maskfree.gold import gold_lanes, mark

SOON = 10_000
ROWS = 10
"""More rows than are in view in the list of tracks."""


def moving(count: int, frames: int) -> BoxTracks:
    """Tracks whose boxes move; those of even ids stand still."""
    made = []
    for i in range(1, count + 1):
        end = 10.0 if i % 2 == 0 else 20.0
        keys = (Keyframe(0, (10.0, 5.0, 30.0, 30.0)), Keyframe(frames - 1, (end, 5.0, 30.0, 30.0)))
        made.append(Track(i, "dog", keys))
    return BoxTracks(frames, 48, 64, None, tuple(made))


@pytest.fixture
def crowd(widget, viewer, qtbot):
    """Sixty tracks over twenty frames."""
    viewer.add_image(np.zeros((20, 48, 64), np.uint8), name="clip")
    widget.project.load_boxes(moving(60, 20))
    widget.show_section("boxes")
    qtbot.wait(50)
    return widget


def counted(monkeypatch, owner, name) -> list[tuple]:
    """Return the arguments of each call of a function from now on."""
    calls, own = [], getattr(owner, name)

    def call(*arguments, **options):
        calls.append(arguments)
        return own(*arguments, **options)

    monkeypatch.setattr(owner, name, call)
    return calls


def test_a_step_in_time_asks_of_the_rows_in_view_alone(crowd, qtbot, monkeypatch):
    asked = counted(monkeypatch, track_list, "status_of")
    painted = counted(monkeypatch, track_list, "swatch")
    crowd.project.go_to(3)
    qtbot.wait(50)
    assert asked, "the rows in view say what they are"
    assert len({track.id for track, _ in asked}) < ROWS
    assert not painted, "no row is made anew"
    assert crowd.boxes.tracks.topLevelItem(59).text(2) == "interpolated", "the others when asked"
    crowd.project.go_to(0)
    assert crowd.boxes.tracks.topLevelItem(59).text(2) == "keyframe"


def test_the_column_of_words_is_as_wide_as_the_rows_in_view_need(crowd, qtbot):
    rows = crowd.boxes.tracks
    crowd.project.go_to(0)
    qtbot.wait(20)
    short = rows.columnWidth(2)
    crowd.project.go_to(3)
    qtbot.wait(20)
    assert rows.columnWidth(2) > short
    crowd.project.go_to(0)
    qtbot.wait(20)
    assert rows.columnWidth(2) == short


def test_another_selection_makes_no_row_anew(crowd, monkeypatch):
    named = counted(monkeypatch, track_list, "swatch")
    crowd.project.go_to(0)
    assert crowd.boxes.new.text() == "Draw boxes"
    crowd.state.select(40)
    assert crowd.boxes.tracks.currentItem().text(0) == "40"
    assert "Frame 0: keyframe" in crowd.boxes.here.text()
    assert not named


def test_boxes_are_drawn_once_a_step_and_not_where_they_stay(crowd):
    layer, drawn = crowd.project.boxes.layer, []
    layer.events.set_data.connect(lambda _: drawn.append(1))
    layer.text.events.connect(lambda _: drawn.append(2))
    for frame in (3, 4):
        crowd.project.go_to(frame)
    assert drawn == [1, 1]
    assert len(layer.data) == 60
    crowd.state.load_tracks(dataclasses.replace(moving(2, 20), tracks=moving(2, 20).tracks[1:]))
    crowd.project.go_to(5)
    drawn.clear()
    for frame in (6, 7, 6):
        crowd.project.go_to(frame)
    assert not drawn, "the box stands still"
    crowd.state.rename_track(2, "cat")
    assert drawn == [1]
    assert layer.features["text"][0] == "2 cat (interpolated)"


def test_what_a_person_did_to_the_layer_is_put_right_though_no_box_has_changed(crowd, qtbot):
    layer = crowd.project.boxes.layer
    crowd.project.go_to(3)
    before = np.array(layer.data)
    layer.selected_data = {4}
    layer.remove_selected()
    assert len(layer.data) == 59
    qtbot.waitUntil(lambda: len(layer.data) == 60, timeout=SOON)
    np.testing.assert_allclose(np.array(layer.data), before)


def test_the_next_box_keeps_the_tracks_looks_after_a_step(crowd, qtbot):
    from maskfree.colours import track_colour
    from napari_maskfree.boxes_layer import rectangle_from_box

    layer = crowd.project.boxes.layer
    crowd.state.new_track("cat")
    crowd.project.go_to(6)
    crowd.project.boxes.layer.add(rectangle_from_box((1, 1, 9, 9)), shape_type="rectangle")
    qtbot.waitUntil(lambda: crowd.state.keyframe(61, 6) is not None, timeout=SOON)
    assert layer.edge_color[-1][:3] * 255 == pytest.approx(track_colour(61), abs=1)


def test_a_step_in_time_chooses_and_reads_no_previews_anew(crowd, monkeypatch):
    from napari_maskfree import watched

    strip = crowd.finetune.strip
    spread = counted(monkeypatch, watched, "spread_frames")
    read = counted(monkeypatch, strip.reader, "look")
    for frame in (3, 4, 5):
        crowd.project.go_to(frame)
        assert str(frame) in strip.about.text()
    assert not spread
    assert not read
    crowd.state.remove_track(60)
    assert len(spread) == 1


def test_one_event_refreshes_a_panel_once(crowd, monkeypatch):
    strip, estimate = crowd.finetune.strip, crowd.finetune.estimate
    read = counted(monkeypatch, strip.reader, "look")
    asked = counted(monkeypatch, estimate.fallbacks, "tell")
    for happen in (
        crowd.state.tracks_changed.emit,
        crowd.state.video_changed.emit,
        crowd.state.session_changed.emit,
        crowd.jobs.updated.emit,
    ):
        read.clear()
        asked.clear()
        happen()
        assert (len(read), len(asked)) == (1, 1)


# ---- the timeline


def test_gold_marks_are_painted_where_they_are_seen_one_a_pixel(widget, viewer, qtbot):
    frames = 3000
    viewer.add_image(np.zeros((frames, 4, 4), np.uint8), name="long")
    widget.project.load_boxes(BoxTracks(frames, 4, 4, None, ()))
    qtbot.waitUntil(lambda: widget.timeline.is_shown, timeout=SOON)
    line = widget.timeline.content.line
    line.show_corrections({}, {1: np.arange(0, frames, 2), 2: np.arange(1, frames, 2)})
    room = line.viewport().width() - 118
    assert room - 3 <= len(line._gold_places()) <= room + 1
    line.zoom_by(100, 118)
    seen = line._gold_places()
    assert len(seen) < 2 + (room + 20) / line.zoom
    assert set(seen) <= {line.x_of(f) for f in range(100)}
    assert not line.viewport().grab().isNull()


def test_gold_frames_of_the_state_are_marked(widget, viewer, qtbot):
    viewer.add_image(np.zeros((20, 48, 64), np.uint8), name="clip")
    widget.project.load_boxes(moving(1, 20))
    qtbot.waitUntil(lambda: widget.timeline.is_shown, timeout=SOON)
    line = widget.timeline.content.line
    mask = np.zeros((1, 48, 64), bool)
    mask[0, 5:30, 10:30] = True
    mark(widget.state, 7, InstanceMasks((1,), mask, (0.5,)))
    assert gold_lanes(widget.state.corrections)[1].tolist() == [7]
    assert line._gold_places() == [pytest.approx(line.x_of(7))]
    widget.state.undo()
    assert line._gold_places() == []


# ---- while a run goes on


@pytest.fixture
def masked(widget, clip_folder, clip, tmp_path):
    """A session with masks in the frames 0 to 3."""
    session = Session.create(tmp_path / "s", video_source=clip_folder, boxes=clip.boxes(every=2))
    for frame in range(4):
        session.mask_store().write(frame, half(frame))
    widget.open_session(session.path)
    return widget


def half(left: int) -> InstanceMasks:
    mask = np.zeros((1, 64, 96), bool)
    mask[0, :, left : left + 40] = True
    return InstanceMasks((1,), mask, (0.5,))


def test_masks_are_shown_anew_where_they_are_seen(masked, monkeypatch):
    project, drawn = masked.project, []
    store = masked.state.session.mask_store()
    project.go_to(2)
    project.follow_masks()
    project.masks.events.set_data.connect(lambda _: drawn.append(1))
    project.follow_masks()
    store.write(6, half(6))
    project.follow_masks()
    assert not drawn, "no frame that is seen has changed"
    store.write(2, half(30))
    project.follow_masks()
    assert drawn == [1]
    assert project.masks.data.frame(2)[10, 69] == 1
    store.clear()
    project.follow_masks()
    assert drawn == [1, 1]
    assert not project.masks.data.frame(2).any()
    project.go_to(6)
    assert not project.masks.data.frame(6).any()


def test_the_masks_lie_under_the_boxes_and_the_active_layer_stays(masked, viewer):
    names = [layer.name for layer in viewer.layers]
    assert names.index("Masks") == names.index("Boxes") - 1
    assert viewer.layers.selection.active.name == "Boxes"


def test_previews_are_read_and_drawn_beside_the_window(
    widget, qtbot, clip_folder, clip, tmp_path, monkeypatch
):
    from maskfree.presets import preset
    from maskfree.preview_files import Measure, Shot
    from napari_maskfree.worker import JobView

    session = Session.create(tmp_path / "s", video_source=clip_folder, boxes=clip.boxes(every=2))
    run = session.new_run(preset("tiny"), seed=0)
    widget.open_session(session.path)
    widget.show_section("finetune")
    strip, threads = widget.finetune.strip, []
    for owner, name in ((strip.reader, "look"), (preview_cell, "draw_preview")):
        own = getattr(owner, name)

        def call(*arguments, own=own, name=name, **options):
            threads.append((name, threading.current_thread() is threading.main_thread()))
            return own(*arguments, **options)

        monkeypatch.setattr(owner, name, call)
    job = SimpleNamespace(view=JobView(stage="finetune"), run_folder=run.path)
    monkeypatch.setattr(widget.jobs, "job", job)
    picture = np.full((64, 96, 3), 90, np.uint8)
    run.previews.write_picture(2, picture)
    run.previews.write("now", Shot(10, {2: half(9)}, Measure("confidence", (2,)), ((10, 0.5),)))
    strip.refresh()
    assert strip.found is None, "it is being read"

    def is_drawn():
        cell = strip.cells.get((2, "now"))
        if cell is not None:
            widget.scroll_area.ensureWidgetVisible(cell)
        return cell is not None and cell.drawn is not None

    qtbot.waitUntil(is_drawn, timeout=SOON)
    assert {name for name, _ in threads} == {"look", "draw_preview"}
    assert not any(main for _, main in threads)
    monkeypatch.setattr(widget.jobs, "job", None)


def test_nothing_is_left_to_import_for_the_first_masks():
    code = """
import sys
from types import SimpleNamespace
import numpy as np
from napari.layers import Image
from napari_maskfree.masks_layer import make_layer, warm_up
image, info = Image(np.zeros((2, 4, 4))), SimpleNamespace(time_axis=0, height=4, width=4)
warm_up()
known = set(sys.modules)
make_layer(SimpleNamespace(read=lambda _: None), image, info, {1: (255, 0, 0)})
print([name for name in sys.modules if name not in known and name.startswith(("sk", "sci"))])
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, encoding="utf-8", check=False
    )
    assert done.stdout.strip() == "[]", done.stderr


def test_without_a_total_the_bar_of_a_run_stands_still(widget):
    bar = widget.finetune.progress
    widget.finetune._show_progress(0, 0)
    assert (bar.minimum(), bar.maximum(), bar.value()) == (0, 1, 0)
    assert bar.text() == "starting…"
    widget.finetune._show_progress(3, 8)
    assert (bar.maximum(), bar.value(), bar.text()) == (8, 3, "3 / 8")
    widget.finetune._show_progress(0, 0)
    assert bar.text() == "starting…"
