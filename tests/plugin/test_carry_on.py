"""A correction carried to the frames around it, in a real window."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from maskfree.carry import Carried
from maskfree.mask_store import MaskStore
from maskfree.session import Session
from maskfree.types import InstanceMasks
from napari_maskfree.carrying import carry_job, merge_job, take_merged
from napari_maskfree.review import Review

FRAMES = 8


def half() -> np.ndarray:
    mask = np.zeros((64, 96), bool)
    mask[:, :48] = True
    return mask


@pytest.fixture
def masked(boxed, save_masks, left_half):
    """Masks of track 1, the left half of every frame; track 2 is boxed up to frame 5."""
    boxed.state.new_track("dog")
    boxed.state.set_box(2, (48, 0, 96, 64), 0)
    boxed.project.go_to(6)
    boxed.state.set_outside(2, True)
    save_masks(*[InstanceMasks((1,), left_half[None], (0.5,))] * FRAMES)
    boxed.show_section("masks")
    return boxed


def paint(widget, frame, label, rows, columns):
    """Paint a block of a frame, as the polygon tool does."""
    y, x = np.mgrid[rows, columns]
    layer = widget.project.masks
    layer.data_setitem((np.full(y.size, frame), y.ravel(), x.ravel()), label)
    widget.project.editor.commit()


def take(state, store, frame, found):
    return take_merged(state, merge_job(state, store, frame, found)())


def carried_frames(state):
    return [
        f
        for f in state.corrections
        if any(c.carried is not None for c in state.corrections[f].values())
    ]


def test_a_person_carries_a_correction_on(masked, hands, qtbot, notices):
    state, layer, button = masked.state, masked.project.masks, masked.masks.carry.button
    masked.project.go_to(4)
    assert not button.isEnabled()
    paint(masked, 4, 0, slice(0, 20), slice(0, 20))
    assert button.isEnabled()
    hands.press(button)
    qtbot.waitUntil(lambda: bool(carried_frames(state)), timeout=20000)
    frames = carried_frames(state)
    assert set(frames) <= set(range(FRAMES)) - {4}
    assert {3, 5} <= set(frames)
    assert not layer.data[5, 8, 8]
    assert layer.data[5, 40, 8] == 1
    assert state.undo_name == f"carry frame 4 to frames {frames[0]} to {frames[-1]}"
    assert any("Frame 4 was carried to frames" in n for n in notices)
    masked.project.go_to(5)
    assert "carried here from frame 4, not looked at" in masked.masks.by_hand.text()
    assert state.session.corrections.read(5)[1].carried == 4
    hands.press(masked.boxes.undo)
    assert carried_frames(state) == []
    assert layer.data[5, 8, 8] == 1
    assert not state.session.corrections.read(5)


def test_it_ends_where_a_person_has_been_and_where_the_track_is_absent(masked):
    state, store = masked.state, masked.state.session.mask_store()
    paint(masked, 2, 2, slice(30, 50), slice(60, 90))
    paint(masked, 4, 2, slice(30, 50), slice(60, 90))
    found = carry_job(state, masked.project.video(), store, 4)()
    assert {f for f, each in found.items() if 2 in each} <= {3, 5}
    frames, pixels = take(state, store, 4, found)
    assert set(frames) <= {3, 5}
    assert pixels == sum(int(state.corrections[f][2].is_object.sum()) for f in frames)


def test_what_was_said_in_the_meantime_stays(masked):
    state, store = masked.state, masked.state.session.mask_store()
    paint(masked, 5, 0, slice(60, 64), slice(0, 4))
    said = state.corrections[5]
    block = np.zeros((64, 96), bool)
    block[:9, :9] = True
    found = {
        5: {1: Carried(~half(), block)},
        6: {1: Carried(~half(), block), 9: Carried(block, ~block)},
    }
    assert take(state, store, 4, found) == ([6], 64 * 48 + 81)
    assert state.corrections[5] == said
    assert state.corrections[6].keys() == {1}


def test_what_was_carried_is_still_to_be_reviewed_and_accepting_does(masked, hands):
    state, store = masked.state, masked.state.session.mask_store()
    block = np.zeros((64, 96), bool)
    block[:9, :9] = True
    take(state, store, 4, {5: {1: Carried(~half() & block, block)}})
    scores = {1: np.full(FRAMES, 0.5, np.float32)}
    assert Review.progress(scores, state.corrections) == (0, FRAMES)
    masked.project.go_to(5)
    hands.press(masked.masks.accept)
    assert Review.progress(scores, state.corrections) == (1, FRAMES)
    assert state.corrections[5][1].carried is None
    assert not masked.project.masks.data[5, 4, 4]


def test_what_cannot_be_carried_is_said(masked, hands, qtbot, notices, monkeypatch):
    button = masked.masks.carry.button
    masked.project.go_to(3)
    hands.press(masked.masks.accept)
    hands.press(button)
    assert any("Nobody changed a mask of frame 3" in n for n in notices)
    masked.project.go_to(4)
    paint(masked, 4, 0, slice(0, 20), slice(0, 20))
    monkeypatch.setattr("maskfree.carrying.carry", lambda *_, **__: iter(()))
    hands.press(button)
    qtbot.waitUntil(lambda: any("could be carried on" in n for n in notices), timeout=20000)
    assert button.isEnabled()


def test_another_session_gets_nothing_of_it(masked, hands, qtbot, clip_folder, tmp_path):
    other = Session.create(
        tmp_path / "other", video_source=str(clip_folder), boxes=masked.state.tracks
    )
    paint(masked, 4, 0, slice(0, 20), slice(0, 20))
    masked.project.go_to(4)
    hands.press(masked.masks.carry.button)
    masked.open_session(other.path)
    qtbot.waitUntil(lambda: not masked.masks.carry._at_work, timeout=20000)
    assert carried_frames(masked.state) == []


def test_masks_are_read_beside_the_window_and_anew_where_a_person_went_on(
    masked, hands, qtbot, monkeypatch
):
    state, threads, met = masked.state, [], []
    own = MaskStore.read

    def read(store, frame):
        main = threading.current_thread() is threading.main_thread()
        if masked.masks.carry._at_work:
            threads.append((frame, main))
        return own(store, frame)

    real = masked.masks.carry._take

    def meanwhile(session, found, merged):
        if not met:  # a person corrects a frame while it is worked out
            met.append(merged)
            paint(masked, 5, 0, slice(60, 64), slice(0, 4))
        real(session, found, merged)

    masked.project.go_to(4)
    paint(masked, 4, 0, slice(0, 20), slice(0, 20))
    for frame in range(FRAMES):
        masked.project.masks.data.frame(frame)
    monkeypatch.setattr(masked.masks.carry, "_take", meanwhile)
    hands.press(masked.masks.carry.button)
    monkeypatch.setattr(MaskStore, "read", read)
    qtbot.waitUntil(lambda: bool(carried_frames(state)), timeout=20000)
    assert not met[0].fits(state)
    with pytest.raises(RuntimeError, match=r"^The corrections have changed since\."):
        take_merged(state, met[0])
    assert 3 in carried_frames(state)
    assert state.corrections[5][1].carried is None, "what a person said there stays"
    shown = {f for f, main in threads if main}
    assert shown <= {4, 5}, "the window reads the frame that it shows or that is painted on"
