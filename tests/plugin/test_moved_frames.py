"""A session whose video was trimmed or replaced, opened in a window."""

from __future__ import annotations

import imageio.v3 as iio
import numpy as np
import pytest

from maskfree.frame_check import note_frames
from maskfree.session import Session

SOON = 20_000
CUT = 2


@pytest.fixture
def moving(tmp_path):
    """Eight frames of noise that moves."""
    folder = tmp_path / "moving"
    folder.mkdir()
    wide = np.random.default_rng(0).integers(0, 255, (8, 24, 3), dtype=np.uint8)
    wide = wide.repeat(8, axis=0).repeat(8, axis=1)
    for index in range(8):
        iio.imwrite(folder / f"{index:05d}.png", wide[:, 6 * index : 6 * index + 96])
    return folder


@pytest.fixture
def session(widget, moving, tmp_path):
    """A session of it with a box in frame 4, which knows its frames; no window has it."""
    widget.video.open_path(str(moving))
    widget.project.show_boxes()
    widget.state.set_box(1, (0, 0, 48, 64), 4)
    made = Session.create(tmp_path / "s", video_source=str(moving), boxes=widget.state.tracks)
    with made.open_video() as video:
        note_frames(made, video)
    widget.state.dirty = False
    widget.viewer.layers.clear()
    return made


def trim(folder):
    for index in range(CUT):
        (folder / f"{index:05d}.png").unlink()


def wait(widget, qtbot, done):
    qtbot.waitUntil(lambda: bool(done()), timeout=SOON)


@pytest.mark.parametrize("answer", ["shift", "keep", "cancel"])
def test_a_trimmed_video_is_asked_about(widget, session, moving, qtbot, notices, answer):
    asked = []
    widget.ask_frames = lambda _, words, offset: asked.append((words, offset)) or answer
    trim(moving)
    widget.open_session(session.path)
    wait(widget, qtbot, lambda: asked)
    assert "begins 2 frames later than the one the boxes were drawn on" in asked[0][0]
    assert asked[0][1] == -CUT
    if answer == "cancel":
        assert widget.state.session is None
        assert session.boxes.num_frames == 8
        return
    wait(widget, qtbot, lambda: widget.state.session is not None)
    expected = 4 - CUT if answer == "shift" else 4
    assert widget.state.keyframe(1, expected) is not None
    assert session.boxes.num_frames == 8 - CUT
    assert any("--undo brings it back" in n for n in notices)


def test_frames_of_a_video_as_long_are_looked_at_beside_the_window(
    widget, session, moving, qtbot, notices
):
    asked = []
    widget.ask_frames = lambda _, words, offset: asked.append(offset) or "shift"
    widget.open_session(session.path)
    widget.frames._timer.stop()  # by hand alone
    widget.frames.look()
    wait(widget, qtbot, lambda: widget.frames._background._pool._work_queue.empty())
    for index in range(8 - CUT):
        (moving / f"{index + CUT:05d}.png").replace(moving / f"{index:05d}.png")
    for index in range(8 - CUT, 8):
        iio.imwrite(moving / f"{index:05d}.png", np.full((64, 96, 3), index, np.uint8))
    assert not asked
    widget.state.set_box(1, (0, 0, 30, 30), 6)
    widget.frames.look()
    wait(widget, qtbot, lambda: asked)
    assert asked == [-CUT]
    wait(widget, qtbot, lambda: widget.state.keyframe(1, 2) is not None)
    assert widget.state.keyframe(1, 4).xyxy == (0, 0, 30, 30), "saved before it was moved"


def test_another_video_is_said_and_not_shifted(widget, session, moving, qtbot, notices):
    for index in range(8):
        noise = np.random.default_rng(index).integers(0, 255, (8, 12, 3), dtype=np.uint8)
        iio.imwrite(moving / f"{index:05d}.png", noise.repeat(8, axis=0).repeat(8, axis=1))
    before = (session.path / "boxes.json").read_bytes()
    widget.open_session(session.path)
    widget.frames.look()
    wait(widget, qtbot, lambda: any("shows other frames" in n for n in notices))
    assert widget.state.session is not None
    assert (session.path / "boxes.json").read_bytes() == before


def test_a_session_that_knew_nothing_of_its_frames_does_afterwards(widget, session, qtbot):
    path = session.path / "frame_prints.json"
    path.unlink()
    widget.open_session(session.path)
    widget.frames._timer.setInterval(0)
    widget.frames._timer.start()
    wait(widget, qtbot, path.is_file)


def test_the_boxes_of_a_shorter_video_without_prints(widget, session, moving, qtbot, notices):
    (session.path / "frame_prints.json").unlink()
    trim(moving)
    widget.open_session(session.path)
    wait(widget, qtbot, lambda: any("has only 6" in n for n in notices))
    assert widget.state.session is None
    assert not len(widget.viewer.layers), "nothing is shown of it"
