"""What *Copy as Python* copies does what the action does."""

from __future__ import annotations

import ast

import numpy as np
import pytest
from qtpy.QtGui import QGuiApplication
from qtpy.QtWidgets import QToolButton

from maskfree.corrections import Correction
from maskfree.session import Session
from maskfree.types import InstanceMasks
from napari_maskfree._qt.cheat_sheet import CheatSheet
from napari_maskfree.as_python import NAMES, Situation, as_python
from napari_maskfree.correct import accept, take_back
from napari_maskfree.keys import KEYS
from napari_maskfree.state import State
from napari_maskfree.video_info import VideoInfo

SIZE = (64, 96)


def left() -> np.ndarray:
    mask = np.zeros(SIZE, bool)
    mask[:, :48] = True
    return mask


@pytest.fixture
def state(clip_folder, tmp_path):
    """A session with two tracks and masks of the first, as the window holds it."""
    made = State()
    made.set_video(VideoInfo("clip", str(clip_folder), 8, *SIZE, None, 0))
    made.start_boxes()
    made.set_box(1, (4, 6, 40, 50), 0)
    made.set_box(1, (14, 6, 50, 50), 6)
    made.new_track("dog")
    made.set_box(2, (50, 0, 90, 60), 1)
    session = Session.create(tmp_path / "s", video_source=str(clip_folder), boxes=made.tracks)
    for frame in range(8):
        masks = InstanceMasks((1,), left()[None], (0.5 + frame / 100,))
        session.mask_store().write(frame, masks)
    made.set_session(session)
    made.select(1)
    made.set_frame(3)
    return made


def situation(state, **more):
    now, before = state.box_state(1), state.box_state(1, state.frame - 1)
    return Situation(
        session=str(state.session.path),
        frame=state.frame,
        range=state.range or (state.frame, state.frame),
        box=now.xyxy if now else None,
        last_box=before.xyxy if before else None,
        **more,
    )


def run(name, now):
    space: dict[str, object] = {}
    exec(compile(as_python(name, now), name, "exec"), space)
    return space


def listed(tracks):
    """Return ids, labels and keyframes, boxes to a hundredth of a pixel."""
    return [
        (
            t.id,
            t.label,
            [
                (k.frame, k.xyxy and tuple(np.round(k.xyxy, 2)), k.outside, k.occluded)
                for k in t.keyframes
            ],
        )
        for t in tracks.tracks
    ]


ACTIONS = {
    "new_track": lambda s: s.new_track("object"),
    "copy_last_box": lambda s: s.copy_last_box(1),
    "keep_box": lambda s: s.keep_box(1),
    "outside": lambda s: s.set_outside(1, True),
    "occluded": lambda s: s.set_occluded(1, True),
    "not_in_frame": lambda s: s.clear_here(1),
    "split_track": lambda s: s.split_track(1),
    "delete_track": lambda s: s.remove_track(1),
    "not_in_range": lambda s: s.clear_range(1, *s.range),
}


@pytest.mark.parametrize("name", ACTIONS)
def test_it_does_to_boxes_what_the_action_does(state, name):
    state.select_range(2, 4)
    run(name, situation(state))
    ACTIONS[name](state)
    assert listed(state.session.boxes) == listed(state.tracks)


@pytest.mark.parametrize("name", ["split_track", "delete_track", "not_in_range"])
def test_corrections_go_along(state, name):
    said = Correction.make(left(), ~left())
    state.corrections.put({f: {1: said} for f in (1, 2, 3, 4)})
    state.corrections.save()
    state.select_range(2, 4)
    run(name, situation(state))
    on_disk = state.session.corrections.read_all()
    ACTIONS[name](state)
    assert on_disk == state.corrections.items()


def test_keyframes_go_as_they_do_in_the_window(state):
    state.set_frame(6)
    state.select_range(5, 7)
    run("delete_range", situation(state))
    state.remove_keyframes(1, 5, 7)
    assert listed(state.session.boxes) == listed(state.tracks)
    state.undo()
    state.session.save_boxes(state.tracks)
    run("delete_keyframe", situation(state))
    state.delete_keyframe(1)
    assert listed(state.session.boxes) == listed(state.tracks)


def test_it_accepts_and_takes_back(state):
    accept(state, 3, state.session.masks.read(3))
    expected = dict(state.corrections[3])
    take_back(state, 3)
    state.corrections.save()
    run("accept", situation(state))
    assert state.session.corrections.read(3) == expected
    run("take_back", situation(state))
    assert state.session.corrections.frames() == []


def test_it_carries_on(state):
    block = np.zeros(SIZE, bool)
    block[:20, :20] = True
    store = state.session.corrections
    store.write(3, {1: Correction.make(~left() & block, block)})
    store.write(5, {1: Correction.whole(left())})
    run("carry_on", situation(state))
    assert {2, 4} <= set(store.frames())
    assert store.read(4)[1].carried == 3
    assert store.read(5) == {1: Correction.whole(left())}
    assert 6 not in store.frames()


def test_it_exports_proposes_and_lists(state, tmp_path, capsys):
    run("export", situation(state, target=str(tmp_path / "out"), format="davis"))
    assert len([*(tmp_path / "out").rglob("*.png")]) == 8
    run("next_review", situation(state))
    assert "frame 0, track 1: 0.50" in capsys.readouterr().out
    run("next_finding", situation(state))
    assert "2" in capsys.readouterr().out
    state.set_frame(0)
    for name in ("propose_forward", "propose_backward"):
        assert isinstance(run(name, situation(state))["boxes"], dict)


def test_it_trains_and_predicts(state, monkeypatch):
    asked = []

    def finetune(session, config, *, device, seed):
        asked.append((session.path, config.optimiser.steps, device, seed))
        return iter(())

    monkeypatch.setattr("maskfree.train.finetune", finetune)
    monkeypatch.setattr("maskfree.predict.predict", lambda s, device: asked.append(device) or ())
    now = situation(state, preset="paper", steps=7, device="cpu", seed=3)
    run("fine_tune", now)
    run("predict_again", now)
    assert asked == [(state.session.path, 7, "cpu", 3), "cpu", "cpu"]


def test_a_session_that_is_not_saved_yet_is_made():
    text = as_python("fine_tune", Situation(session="a.maskfree", saved=False, video="a.mp4"))
    assert "Session.create_or_open(\n    'a.maskfree', video_source='a.mp4', boxes=boxes" in text
    ast.parse(text)


@pytest.mark.parametrize("name", NAMES)
def test_it_is_python_and_the_action_is_known(name):
    assert name in KEYS
    ast.parse(as_python(name, Situation()))


def test_what_only_moves_about_has_none():
    assert as_python("next_keyframe", Situation()) is None


def test_a_person_copies(widget, viewer, clip_folder, notices):
    widget.video.open_path(str(clip_folder))
    widget.project.show_boxes()
    widget.state.set_box(1, (4, 6, 40, 50), 0)
    widget.project.go_to(3)
    widget.show_keys()
    page = widget.findChild(CheatSheet)
    offered = page.findChildren(QToolButton)
    assert len(offered) == len(NAMES)
    offered[[n for n in KEYS if n in NAMES].index("split_track")].click()
    text = QGuiApplication.clipboard().text()
    assert "split_track(tracks, 1, 3)" in text
    assert any("Copied" in n for n in notices)
    page.close()
