"""Corrections in the state: painted, accepted, taken back, undone, saved. No Qt, no napari."""

from __future__ import annotations

import random
import stat

import numpy as np
import pytest

from maskfree.corrected_masks import CorrectedMasks
from maskfree.correction_store import CorrectionStore
from maskfree.corrections import Correction
from maskfree.errors import InputError
from maskfree.mask_place import labels_of as flatten
from maskfree.session import Session
from maskfree.types import InstanceMasks
from napari_maskfree import correct
from napari_maskfree.correction_book import CorrectionBook, hand_frames
from napari_maskfree.masks_layer import MaskStack
from napari_maskfree.state import State
from napari_maskfree.video_info import VideoInfo

H, W, FRAMES = 12, 16, 6


@pytest.fixture
def state(tmp_path) -> State:
    """Two tracks; track 1 has a predicted mask in every frame, in its left half."""
    made = State()
    made.set_video(VideoInfo("clip", None, num_frames=FRAMES, height=H, width=W))
    made.start_boxes()
    made.set_box(1, (0, 0, 8, 12), 0)
    made.new_track("dog")
    made.set_box(2, (8, 0, 16, 12), 0)
    session = Session.create(tmp_path / "s", video_source=None, boxes=made.tracks)
    mask = np.zeros((1, H, W), bool)
    mask[0, :, :8] = True
    for frame in range(FRAMES):
        session.mask_store().write(frame, InstanceMasks((1,), mask, (0.5,)))
    made.set_session(session)
    return made


def shown(state: State, frame: int) -> np.ndarray:
    return flatten(CorrectedMasks(state.session.mask_store(), state.corrections).read(frame), H, W)


def stroke(state: State, frame: int, rows: slice, label: int) -> list[int]:
    before = shown(state, frame)
    after = before.copy()
    after[rows] = label
    return correct.paint_frames(state, {frame: (before, after)})


def test_a_stroke_is_shown_saved_and_undone_by_name(state):
    stroke(state, 3, slice(0, 2), 2)
    assert (shown(state, 3)[:2] == 2).all()
    assert (shown(state, 3)[2:, :8] == 1).all()
    assert state.undo_name == "paint track 1, 2 in frame 3"
    state.corrections.save()
    assert set(state.session.corrections.read(3)) == {1, 2}
    np.testing.assert_array_equal(flatten(state.session.masks.read(3), H, W), shown(state, 3))
    state.undo()
    assert (shown(state, 3)[:, :8] == 1).all()
    assert not shown(state, 3)[:, 8:].any()
    state.corrections.save()
    assert state.session.corrections.frames() == []
    state.redo()
    assert (shown(state, 3)[:2] == 2).all()


def test_a_new_run_leaves_what_a_person_painted(state):
    stroke(state, 3, slice(0, 2), 0)
    everything = InstanceMasks((1, 2), np.ones((2, H, W), bool), (0.25, 0.5))
    state.session.mask_store().write(3, everything)
    assert not (shown(state, 3)[:2, :8] == 1).any()
    assert (shown(state, 3)[2:] == 2).all()


def test_an_unknown_label_becomes_a_track_with_the_box_of_what_was_painted(state):
    before = shown(state, 2)
    after = before.copy()
    after[4:9, 10:15] = 9
    after[0, 0] = 3
    assert correct.paint_frames(state, {2: (before, after)}) == [3, 4]
    assert state.selected == 4
    assert state.keyframe(4, 2).xyxy == (10, 4, 15, 9)
    assert state.keyframe(3, 2).xyxy == (0, 0, 2, 2)  # no box is smaller
    assert (shown(state, 2)[4:9, 10:15] == 4).all()
    assert shown(state, 2)[0, 0] == 3
    state.undo()
    assert [t.id for t in state.tracks.tracks] == [1, 2]
    np.testing.assert_array_equal(shown(state, 2), before)


def test_unknown_labels_stay_apart_where_one_is_the_next_free_id(state):
    state.new_track()
    state.remove_track(2)
    before = shown(state, 2)
    after = before.copy()
    after[2:5, 10:13], after[7:10, 10:13] = 2, 4  # 2 was deleted and becomes 4, 4 becomes 5
    assert correct.paint_frames(state, {2: (before, after)}) == [4, 5]
    assert (shown(state, 2)[2:5, 10:13] == 4).all()
    assert (shown(state, 2)[7:10, 10:13] == 5).all()


def test_an_accepted_frame_stays_as_it_is(state):
    masks = CorrectedMasks(state.session.mask_store(), state.corrections)
    assert correct.accept(state, 1, masks.read(1)) == []
    assert state.undo_name == "accept frame 1"
    state.session.mask_store().write(1, InstanceMasks((1,), np.ones((1, H, W), bool), (0.25,)))
    assert (shown(state, 1) == np.where(np.arange(W) < 8, 1, 0)).all()
    assert masks.read(1).scores == (1.0,)
    assert state.corrections[1][1].accepted
    with pytest.raises(InputError, match="Frame 9 has no masks to accept"):
        correct.accept(state, 9, masks.read(9))


def test_corrections_are_taken_back(state):
    stroke(state, 3, slice(0, 2), 2)
    correct.take_back(state, 3)
    assert not state.corrections[3]
    with pytest.raises(InputError, match="was not corrected"):
        correct.take_back(state, 3)
    state.undo()
    assert state.corrections[3]


def test_they_go_with_their_tracks(state):
    for frame in (1, 4):
        stroke(state, frame, slice(0, 2), 1)
    state.set_box(1, (0, 0, 8, 12), 5)
    state.set_box(2, (8, 0, 16, 12), 5)
    new = state.split_track(1, 3)
    assert (set(state.corrections[1]), set(state.corrections[4])) == ({1}, {new})
    state.undo()
    assert set(state.corrections[4]) == {1}
    state.redo()
    state.merge_tracks(1, new)
    assert set(state.corrections[4]) == {1}
    state.swap_tracks(1, 2, 2)
    assert (set(state.corrections[1]), set(state.corrections[4])) == ({1}, {2})


def test_a_session_opened_again_has_them(state):
    stroke(state, 3, slice(0, 2), 2)
    state.corrections.save()
    again = State()
    again.set_video(state.video)
    again.load_tracks(state.tracks)
    again.set_session(Session.open(state.session.path))
    assert again.corrections.items() == state.corrections.items()
    np.testing.assert_array_equal(shown(again, 3), shown(state, 3))
    assert again.undo_name is None
    again.set_session(None)
    assert not len(again.corrections)


def test_another_session_has_its_own_and_its_own_history(state, tmp_path):
    stroke(state, 3, slice(0, 2), 2)
    other = Session.create(tmp_path / "t", video_source=None, boxes=state.tracks)
    state.set_session(other)
    assert not len(state.corrections)
    assert state.undo_name is None


def test_what_was_undone_is_not_brought_into_another_session(state, tmp_path):
    stroke(state, 3, slice(0, 2), 2)
    state.undo()
    state.set_session(Session.create(tmp_path / "t", video_source=None, boxes=state.tracks))
    assert state.redo_name is None


def test_a_folder_that_cannot_be_written_loses_nothing(state, monkeypatch):
    def full(self, frame, corrections):
        raise InputError("The disk is full.")

    with monkeypatch.context() as patch:
        patch.setattr(CorrectionStore, "write", full)
        stroke(state, 3, slice(0, 2), 2)
        with pytest.raises(InputError, match="full"):
            state.corrections.save()
        assert state.corrections.unsaved
        assert (shown(state, 3)[:2] == 2).all()
    stroke(state, 4, slice(0, 2), 2)
    state.corrections.save()
    assert not state.corrections.unsaved
    assert state.session.corrections.frames() == [3, 4]


def test_without_a_session_they_wait_for_it():
    book = CorrectionBook()
    book.put({1: {}})
    book.save()
    assert book.unsaved


def test_into_another_folder_they_go_along(state, tmp_path):
    stroke(state, 3, slice(0, 2), 2)
    state.corrections.save()
    known = state.corrections.items()
    state.set_folder(tmp_path / "u")
    assert state.session is None
    assert state.corrections.unsaved
    state.undo()
    state.redo()
    state.set_session(Session.create(tmp_path / "u", video_source=None, boxes=state.tracks))
    state.corrections.save()
    assert state.session.corrections.read_all() == known
    assert CorrectionStore(tmp_path / "s" / "corrections").read_all() == known
    assert state.undo_name


def test_a_deleted_tracks_corrections_go_and_come_back_with_it(state):
    stroke(state, 3, slice(0, 2), 2)
    state.remove_track(2)
    assert set(state.corrections[3]) == {1}
    assert state.new_track("cat") == 2
    assert 2 not in state.corrections[3]
    state.undo()
    state.undo()
    assert set(state.corrections[3]) == {1, 2}


def test_where_the_object_is_said_not_to_be_it_has_no_correction(state):
    state.set_box(1, (0, 0, 8, 12), 5)
    for frame in (1, 2, 3, 5):
        correct.accept(state, frame, shown_masks(state, frame))
    state.clear_range(1, 2, 2)
    assert [bool(state.corrections[f]) for f in (1, 2, 3)] == [True, False, True]
    state.undo()
    assert state.corrections[2]
    state.set_frame(2)
    state.set_outside(1, True)
    assert [bool(state.corrections[f]) for f in (1, 2, 3, 5)] == [True, False, False, True]


def shown_masks(state: State, frame: int) -> InstanceMasks | None:
    return CorrectedMasks(state.session.mask_store(), state.corrections).read(frame)


def test_masks_of_tracks_that_changed_since_are_not_accepted(state):
    state.set_box(1, (0, 0, 8, 12), 5)
    state.set_box(2, (8, 0, 16, 12), 5)
    both = np.zeros((2, H, W), bool)
    both[0, :, :8], both[1, :, 8:] = True, True
    state.session.mask_store().write(4, InstanceMasks((1, 2), both, (0.5, 0.5)))
    state.swap_tracks(1, 2, 3)
    with pytest.raises(InputError, match="not where the boxes are"):
        correct.accept(state, 4, shown_masks(state, 4))
    state.undo()
    new = state.split_track(1, 3)
    assert correct.accept(state, 4, shown_masks(state, 4)) == [1]
    assert set(state.corrections[4]) == {2}
    state.merge_tracks(1, new)
    assert correct.accept(state, 4, shown_masks(state, 4)) == []


def test_a_copy_stays_as_it_was(state):
    stroke(state, 3, slice(0, 2), 2)
    copy = state.corrections.copy()
    state.undo()
    assert copy[3]
    assert not state.corrections[3]


def test_a_broken_file_is_named_and_the_others_are_read(state):
    stroke(state, 3, slice(0, 2), 2)
    stroke(state, 4, slice(0, 2), 2)
    state.corrections.save()
    path = state.session.corrections.path / "00003.json"
    path.write_text("{")
    book = CorrectionBook()
    book.open(state.session.corrections)
    assert (list(book), len(book.broken)) == ([4], 1)
    assert "00003.json" in book.broken[0]
    assert path.read_text() == "{"
    assert stat.S_ISREG(path.stat().st_mode)


def test_frames_by_hand_by_track(state):
    stroke(state, 4, slice(0, 2), 2)
    correct.accept(state, 1, CorrectedMasks(state.session.mask_store(), state.corrections).read(1))
    on, off = np.zeros((2, H, W), bool)
    on[0, 0] = True
    state.corrections.put({5: {1: Correction.make(on, off, carried=4)}})
    found = hand_frames(state.corrections)
    assert found[1][0].tolist() == [1, 4]
    assert found[1][1].tolist() == [True, False]
    assert found[2][0].tolist() == [4]


@pytest.mark.parametrize("seed", range(3))
def test_a_random_walk_comes_back(state, seed):
    rng = random.Random(seed)
    states = [(state.tracks, state.corrections.items())]
    for _ in range(150):
        ids = [t.id for t in state.tracks.tracks]
        change = rng.choice(("stroke", "stroke", "box", "accept", "back", "split", "swap", "new"))
        frame, one = rng.randrange(FRAMES), rng.choice(ids)
        top = rng.randrange(H)
        try:
            if change == "stroke":
                stroke(state, frame, slice(top, top + 3), rng.choice([0, *ids]))
            elif change == "box":
                state.set_box(one, (top, 1, top + 4, 9), frame)
            elif change == "accept":
                masks = CorrectedMasks(state.session.mask_store(), state.corrections).read(frame)
                correct.accept(state, frame, masks)
            elif change == "back":
                correct.take_back(state, frame)
            elif change == "split":
                state.split_track(one, frame)
            elif change == "swap":
                state.swap_tracks(one, rng.choice(ids), frame)
            elif len(ids) < 5:
                state.new_track()
        except InputError:
            continue
        now = (state.tracks, state.corrections.items())
        if now != states[-1]:
            states.append(now)
    seen = [states[-1]]
    while state.undo_name:
        state.undo()
        seen.append((state.tracks, state.corrections.items()))
    assert seen[::-1][-len(states) :] == states
    assert seen[-1][1] == {}
    for known in seen[-2::-1]:
        state.redo()
        assert (state.tracks, state.corrections.items()) == known
    assert state.redo_name is None
    state.corrections.save()
    for frame in range(FRAMES):
        np.testing.assert_array_equal(
            flatten(state.session.masks.read(frame), H, W), shown(state, frame)
        )


@pytest.mark.parametrize(("planes", "time_axis"), [((6,), 0), ((), None), ((6, 2), 0), ((2, 6), 1)])
def test_what_is_written_into_the_stack_comes_out_as_edits(state, planes, time_axis):
    stack = MaskStack(
        CorrectedMasks(state.session.mask_store(), state.corrections), planes, time_axis, H, W
    )
    place = tuple(1 for _ in planes)
    frame = 0 if time_axis is None else 1
    region = (*place, slice(2, 5), slice(3, 10))
    kept = stack[place].copy() if planes else np.asarray(stack)
    stack[region] = np.full((3, 7), 2, np.uint16)
    points = tuple(np.array([v, v]) for v in place)
    stack[(*points, np.array([0, 1]), np.array([15, 15]))] = 5
    assert stack[(*points, np.array([0, 1]), np.array([15, 14]))].tolist() == [5, 0]
    assert (stack[region] == 2).all()
    edits = stack.edits()
    assert list(edits) == [frame]
    before, after = edits[frame]
    np.testing.assert_array_equal(before, kept)
    assert (after != before).sum() == 3 * 7 + 2
    assert stack.edits() == {}
    stack.forget([frame])
    np.testing.assert_array_equal(np.asarray(stack[place] if planes else stack), kept)


def test_a_frame_that_is_being_painted_is_not_forgotten(state):
    stack = MaskStack(
        CorrectedMasks(state.session.mask_store(), state.corrections), (FRAMES,), 0, H, W
    )
    stack[0, 0, 0] = 2
    stack.forget()
    for frame in range(FRAMES):
        stack.frame(frame)
    assert stack[0, 0, 0] == 2
    stack[1:3, :2] = np.stack([np.full((2, W), 1), np.full((2, W), 2)])
    assert (stack[2, :2] == 2).all()
    assert (stack[1, :2] == 1).all()


def test_what_is_put_on_several_frames_is_one_step(state):
    first, second = np.zeros((2, H, W), np.int32)
    painted = {}
    for frame, before in ((2, first), (3, second)):
        after = before.copy()
        after[2:5, 2:6] = 9
        painted[frame] = before, after
    steps = state.undo_name
    (made,) = correct.paint_frames(state, painted)
    assert state.undo_name == f"paint track {made} in frame 2, 3"
    assert {k.frame for k in state.track(made).keyframes} == {2, 3}
    state.undo()
    assert state.undo_name == steps
    assert state.track(made) is None
    assert not state.corrections[2] and not state.corrections[3]
