"""Gold frames in the state: marked, painted, undone, kept through edits of tracks."""

from __future__ import annotations

import numpy as np
import pytest

from maskfree.corrected_masks import CorrectedMasks
from maskfree.corrections import Correction
from maskfree.errors import InputError
from maskfree.gold_scores import GoldScores
from maskfree.mask_place import labels_of as flatten
from maskfree.metrics import Scores, TrackScores
from maskfree.session import Session
from maskfree.types import InstanceMasks
from napari_maskfree import correct, gold
from napari_maskfree.state import State
from napari_maskfree.video_info import VideoInfo
from predicted_run import predicted

H, W, FRAMES = 12, 16, 6


def half(height: int, width: int, columns: slice) -> np.ndarray:
    mask = np.zeros((height, width), bool)
    mask[:, columns] = True
    return mask


@pytest.fixture
def state(tmp_path) -> State:
    """Two tracks, left and right; track 1 has a predicted mask in every frame."""
    made = State()
    made.set_video(VideoInfo("clip", None, num_frames=FRAMES, height=H, width=W))
    made.start_boxes()
    made.set_box(1, (0, 0, 8, 12), 0)
    made.new_track("dog")
    made.set_box(2, (8, 0, 16, 12), 2)
    session = Session.create(tmp_path / "s", video_source=None, boxes=made.tracks)
    predicted(session, {frame: {1: half(H, W, slice(0, 8))} for frame in range(FRAMES)})
    made.set_session(session)
    return made


def masks(state: State, frame: int) -> InstanceMasks | None:
    return CorrectedMasks(state.session.mask_store(), state.corrections).read(frame)


def shown(state: State, frame: int) -> np.ndarray:
    return flatten(masks(state, frame), H, W)


def test_a_frame_is_marked_undone_redone_and_unmarked_by_name(state):
    assert gold.mark(state, 3, masks(state, 3)) == [2]
    assert state.undo_name == "mark frame 3 as gold"
    assert gold.is_marked(state, 3)
    own = state.corrections[3]
    assert [(i, c.gold, c.has_object) for i, c in sorted(own.items())] == [
        (1, True, True),
        (2, True, False),
    ]
    state.corrections.save()
    assert state.session.corrections.read(3) == own
    state.undo()
    assert not gold.is_marked(state, 3)
    state.corrections.save()
    assert state.session.corrections.frames() == []
    state.redo()
    assert gold.is_marked(state, 3)
    gold.unmark(state, 3)
    assert state.undo_name == "frame 3 is not gold"
    assert all(c.accepted and not c.gold for c in state.corrections[3].values())
    with pytest.raises(InputError, match="Frame 3 is not gold"):
        gold.unmark(state, 3)
    state.undo()
    assert gold.is_marked(state, 3)


def test_a_track_without_a_box_there_is_not_meant(state):
    assert gold.mark(state, 1, masks(state, 1)) == []
    assert set(state.corrections[1]) == {1}
    assert gold.is_marked(state, 1)


def test_what_cannot_be_gold(state):
    with pytest.raises(InputError, match=r"Frame 9 has no masks yet that could be gold\. Fine-"):
        gold.mark(state, 9, masks(state, 9))
    nothing = InstanceMasks((), np.zeros((0, H, W), bool), ())
    state.set_box(1, (0, 0, 8, 12), 5)
    state.clear_range(1, 0, 0)
    with pytest.raises(InputError, match="neither masks nor boxes"):
        gold.mark(state, 0, nothing)
    right = InstanceMasks((1,), half(H, W, slice(8, 16))[None], (0.5,))
    with pytest.raises(InputError, match="the mask of track 1 is not where its box is"):
        gold.mark(state, 3, right)
    assert not len(state.corrections)
    empty = State()
    with pytest.raises(InputError, match="Frame 0 has no masks yet"):
        gold.mark(empty, 0, None)
    assert not gold.is_marked(empty, 0)


def test_painting_changes_the_truth_and_accepting_keeps_it(state):
    gold.mark(state, 3, masks(state, 3))
    before = shown(state, 3)
    after = before.copy()
    after[:2, :8], after[8:, 8:] = 0, 2
    correct.paint_frames(state, {3: (before, after)})
    own = state.corrections[3]
    assert gold.is_marked(state, 3)
    np.testing.assert_array_equal(own[1].is_object, after == 1)
    np.testing.assert_array_equal(own[2].is_object, after == 2)
    correct.accept(state, 3, masks(state, 3))
    assert state.corrections[3] == own
    correct.accept(state, 4, masks(state, 4))
    assert not gold.is_marked(state, 4)
    state.session.mask_store().write(3, InstanceMasks((1,), np.ones((1, H, W), bool), (0.5,)))
    np.testing.assert_array_equal(shown(state, 3), after)  # whatever a run makes of it


def test_what_was_painted_before_is_gold_with_the_frame(state):
    before = shown(state, 3)
    after = before.copy()
    after[:2, :8] = 0
    correct.paint_frames(state, {3: (before, after)})
    gold.mark(state, 3, masks(state, 3))
    assert state.corrections[3][1] == Correction.whole(after == 1, gold=True)


def test_a_later_track_is_not_gold_until_it_is_marked_again(state):
    gold.mark(state, 3, masks(state, 3))
    state.new_track("cat")
    state.set_box(3, (4, 4, 9, 9), 2)
    assert not gold.is_marked(state, 3)
    gold.mark(state, 3, masks(state, 3))
    assert gold.is_marked(state, 3)
    assert set(state.corrections[3]) == {1, 2, 3}
    state.remove_track(3)
    assert gold.is_marked(state, 3)


def test_split_swapped_and_merged_tracks_take_it_along(state):
    gold.mark(state, 3, masks(state, 3))
    state.set_box(1, (0, 0, 8, 12), 4)
    new = state.split_track(1, 3)
    assert set(state.corrections[3]) == {2, new}
    assert gold.is_marked(state, 3)
    state.merge_tracks(1, new)
    assert set(state.corrections[3]) == {1, 2}
    state.set_box(2, (8, 0, 16, 12), 4)
    state.swap_tracks(1, 2, 3)
    assert state.corrections[3][2].has_object
    assert gold.is_marked(state, 3)
    state.clear_range(2, 3, 3)
    assert set(state.corrections[3]) == {1}
    assert gold.is_marked(state, 3)


def test_renaming_a_track_changes_nothing_and_lanes_know(state):
    gold.mark(state, 3, masks(state, 3))
    gold.mark(state, 1, masks(state, 1))
    state.rename_track(1, "horse")
    lanes = gold.gold_lanes(state.corrections)
    assert {i: frames.tolist() for i, frames in lanes.items()} == {1: [1, 3], 2: [3]}


def test_the_readout_says_what_is_known():
    good = GoldScores("0002", Scores({1: TrackScores(0.86, 0.9)}, 3), (1, 2, 3), ())
    bad = GoldScores("0003", None, (), ("it was told about frame 3",))
    assert gold.readout([], 0) == ""
    assert gold.readout([], 3) == "3 gold frames: the next run is scored on them"
    assert gold.readout([good], 3) == "3 gold frames: J 0.86, F 0.90 (run 2)"
    assert gold.readout([good, bad], 3) == (
        "3 gold frames: J 0.86, F 0.90 (run 2). Run 3 has no score: it was told about frame 3."
    )
    assert gold.describe(bad) == "Run 3: no score\nLeft out: it was told about frame 3"
