"""A video file is read through beside the window; its first frame is there at once."""

from __future__ import annotations

import shutil
import threading

import numpy as np
import pytest

from maskfree.session import Session
from maskfree.types import BoxTracks
from maskfree.video import open_video
from maskfree.video_index_file import INDEX_FILE
from napari_maskfree import project
from napari_maskfree._qt import video_opening
from napari_maskfree.sample_data import rabbit_path


@pytest.fixture
def rabbit(tmp_path):
    path = tmp_path / "rabbit.mp4"
    shutil.copy(rabbit_path(), path)
    return path


@pytest.fixture
def held(monkeypatch):
    """Reading stops after its first word until the event is set."""
    event = threading.Event()

    def slowly(path, **options):
        if options["progress"] is None:
            return open_video(path, **options)
        options["progress"](0.0)
        assert event.wait(20)
        options["progress"](0.5)
        return open_video(path, **options)

    monkeypatch.setattr(video_opening, "LOOK_AFTER", -1.0)
    monkeypatch.setattr(project, "open_video", slowly)
    yield event
    event.set()


def names(viewer):
    return [layer.name for layer in viewer.layers]


def test_the_first_frame_is_shown_and_nobody_works_on_it(widget, viewer, rabbit, held, qtbot):
    widget.video.open_path(str(rabbit))
    opening = widget.video.opening
    qtbot.waitUntil(lambda: names(viewer) == ["rabbit (reading…)"], timeout=20_000)
    with open_video(rabbit) as video:
        assert np.array_equal(viewer.layers[0].data, video[0])
        length = len(video)
    assert opening.isVisibleTo(widget.video)
    assert opening.words.text() == "Reading rabbit.mp4: 0%"
    assert widget.state.video is None
    assert widget.video.layers.count() == 1, "it is not offered as a video"
    held.set()
    qtbot.waitUntil(lambda: not opening.active, timeout=20_000)
    assert names(viewer) == ["rabbit"]
    assert widget.state.video.num_frames == length
    assert viewer.dims.point[0] == 0
    assert not opening.isVisibleTo(widget.video)


def test_cancel_lets_go_of_it(widget, viewer, rabbit, held, notices, hands, qtbot):
    done = []
    widget.video.open_path(str(rabbit), lambda: done.append(1))
    opening = widget.video.opening
    qtbot.waitUntil(lambda: len(viewer.layers) == 1, timeout=20_000)
    hands.press(opening.cancel)
    assert not opening.active
    assert names(viewer) == []
    held.set()
    opening._background.close()
    assert (names(viewer), widget.state.video, done, notices) == ([], None, [], [])


def test_boxes_drawn_meanwhile_are_asked_about(
    widget, viewer, rabbit, clip_folder, held, notices, qtbot
):
    widget.video.open_path(str(clip_folder))
    widget.video.open_path(str(rabbit))
    widget.project.show_boxes()
    widget.state.set_box(1, (2, 2, 20, 20), 0)
    asked = []
    widget.ask_save = lambda _: asked.append(1) or "cancel"
    held.set()
    qtbot.waitUntil(lambda: not widget.video.opening.active, timeout=20_000)
    assert asked == [1]
    assert widget.state.video.name == "clip"
    assert notices == [
        "info: rabbit.mp4 was not opened: finish or save what is at work, then open it again."
    ]


def test_short_files_are_there_without_a_first_look(widget, viewer, rabbit, qtbot, monkeypatch):
    monkeypatch.setattr(video_opening, "LOOK_AFTER", 60.0)
    seen = []
    viewer.layers.events.inserted.connect(lambda event: seen.append(event.value.name))
    done = []
    widget.video.open_path(str(rabbit), lambda: done.append(widget.state.video.name))
    qtbot.waitUntil(lambda: done == ["rabbit"], timeout=20_000)
    assert seen == ["rabbit"]


def test_a_session_is_opened_with_its_video(widget, viewer, rabbit, qtbot, tmp_path):
    with open_video(rabbit) as video:
        boxes = BoxTracks(len(video), *video.shape[1:3], None, ())
    folder = tmp_path / "rabbit.maskfree"
    Session.create(folder, video_source=rabbit, boxes=boxes)
    widget.video.open_session_in(str(folder))
    qtbot.waitUntil(lambda: widget.state.session is not None, timeout=20_000)
    assert widget.state.video.source == str(rabbit)
    assert (folder / INDEX_FILE).is_file()
    widget.video.open_session_in(str(folder))
    assert not widget.video.opening.active, "it is open already"


def test_the_index_of_a_session_beside_the_video_is_used(widget, rabbit, tmp_path, monkeypatch):
    with open_video(rabbit) as video:
        boxes = BoxTracks(len(video), *video.shape[1:3], None, ())
        session = Session.create(tmp_path / "rabbit.maskfree", video_source=rabbit, boxes=boxes)
        video.keep_index(session.path)

    def never(*_):
        raise AssertionError("it was read through again")

    monkeypatch.setattr("maskfree.video_file.build_index", never)
    with widget.project.read_video(rabbit) as video:
        assert len(video) == boxes.num_frames


def test_a_new_session_takes_the_index_along(widget, rabbit, qtbot):
    widget.video.open_path(str(rabbit))
    qtbot.waitUntil(lambda: widget.state.video is not None, timeout=20_000)
    widget.project.show_boxes()
    widget.state.set_box(1, (2, 2, 20, 20), 0)
    assert widget._save_new()
    assert (widget.state.session.path / INDEX_FILE).is_file()


def test_closing_does_not_wait_for_the_whole_file(widget, viewer, rabbit, held):
    widget.video.open_path(str(rabbit))
    threading.Timer(0.2, held.set).start()
    widget.shut_down()
    assert names(viewer) == []
