"""The state: boxes, tracks, keyframes, undo. No Qt, no napari, no torch."""

from __future__ import annotations

import contextlib
import dataclasses
import random
import subprocess
import sys

import pytest

from maskfree.errors import InputError
from maskfree.tracks import empty_tracks
from maskfree.types import Keyframe, Track
from napari_maskfree.clip_box import clip_box
from napari_maskfree.history import History
from napari_maskfree.state import State
from napari_maskfree.video_info import VideoInfo


@pytest.fixture
def state() -> State:
    made = State()
    made.set_video(VideoInfo("clip", None, num_frames=10, height=48, width=64))
    made.start_boxes()
    return made


def test_without_a_video_it_says_what_to_do():
    state = State()
    assert "section 1" in state.why_no_boxes()
    assert "section 1" in state.why_no_run()
    with pytest.raises(InputError, match="There is no video yet"):
        state.new_track()


def test_boxes_of_two_frames_are_interpolated_between(state):
    assert "section 2" in state.why_no_run()
    state.set_box(1, (10, 10, 20, 20), 0)
    state.set_box(1, (20, 10, 30, 20), 4)
    between = state.box_state(1, 1)
    assert between.xyxy == pytest.approx((12.5, 10, 22.5, 20))
    assert not between.keyframe
    assert state.why_no_run() == ""


def test_a_second_box_in_the_same_frame_replaces_the_first(state):
    state.set_box(1, (10, 10, 20, 20), 3)
    state.set_box(1, (1, 2, 30, 40), 3)
    assert [k.xyxy for k in state.track(1).keyframes] == [(1, 2, 30, 40)]


def test_a_box_is_cut_to_the_frame_and_a_slipped_click_is_no_box(state):
    assert clip_box((-5, -5, 10, 10), 64, 48) == (0, 0, 10, 10)
    assert clip_box((50, 40, 99, 99), 64, 48) == (50, 40, 64, 48)
    assert clip_box((5, 5, 5.5, 30), 64, 48) is None
    assert not state.set_box(1, (70, 10, 90, 20), 0)
    assert state.boxed() is None


def test_outside_occluded_and_back(state):
    state.set_box(1, (10, 10, 20, 20), 0)
    state.set_frame(3)
    state.set_outside(1, True)
    assert state.box_state(1, 3) is None
    assert state.box_state(1, 2).xyxy == (10, 10, 20, 20)
    state.set_outside(1, False)
    assert state.box_state(1, 3) is not None
    state.set_occluded(1, True)
    assert state.keyframe(1, 3).occluded
    assert state.box_state(1, 7).occluded
    state.set_box(1, (12, 10, 22, 20), 3)
    assert state.keyframe(1, 3).occluded, "moving a box does not show the object again"


def test_keyframes_are_found_deleted_and_visited(state):
    for frame in (1, 4, 8):
        state.set_box(1, (10, 10, 20, 20), frame)
    state.set_frame(4)
    assert state.next_keyframe(1, 1) == 8
    assert state.next_keyframe(1, -1) == 1
    state.delete_keyframe(1)
    assert [k.frame for k in state.track(1).keyframes] == [1, 8]
    state.delete_keyframe(1)
    assert len(state.track(1).keyframes) == 2, "no keyframe here: nothing happens"


def test_tracks_are_added_renamed_and_removed(state):
    state.rename_track(1, " car ")
    assert state.new_track() == 2
    assert [(t.id, t.label) for t in state.tracks.tracks] == [(1, "car"), (2, "car")]
    assert state.selected == 2
    state.rename_track(2, "   ")
    assert state.track(2).label == "car"
    state.remove_track(2)
    assert state.selected == 1
    state.remove_track(1)
    assert state.selected is None


def test_undo_and_redo(state):
    state.set_box(1, (10, 10, 20, 20), 0)
    state.set_box(1, (10, 10, 30, 30), 0)
    state.undo()
    assert state.keyframe(1, 0).xyxy == (10, 10, 20, 20)
    state.undo()
    assert state.boxed() is None
    state.redo()
    state.redo()
    assert state.keyframe(1, 0).xyxy == (10, 10, 30, 30)
    state.undo()
    state.set_box(1, (1, 1, 9, 9), 0)
    assert state.redo_name is None


def test_each_change_names_itself(state):
    state.set_frame(4)
    names = []

    def done() -> None:
        names.append(state.undo_name)

    for change in (
        lambda: state.set_box(1, (10, 10, 20, 20), 0),
        lambda: state.set_box(1, (10, 10, 30, 30), 0),
        lambda: state.set_occluded(1, True),
        lambda: state.set_occluded(1, False),
        lambda: state.set_outside(1, True),
        lambda: state.set_outside(1, False),
        lambda: state.rename_track(1, "car"),
        lambda: state.set_box(1, (5, 5, 15, 15), 7),
        lambda: state.split_track(1, 2),
        lambda: state.set_box(1, (5, 5, 15, 15), 9),
        lambda: state.set_box(2, (5, 5, 15, 15), 8),
        lambda: state.keep_box(2),
        lambda: state.swap_tracks(1, 2),
        lambda: state.clear_here(1),
        lambda: state.clear_range(1, 5, 6),
        lambda: state.clear_range(1, 5, 6),
        lambda: state.clear_range(1, 0, 9),
        lambda: state.merge_tracks(1, 2),
        lambda: state.new_track(),
        lambda: state.remove_track(2),
    ):
        change()
        done()
    assert names == [
        "draw the box of track 1 in frame 0",
        "move the box of track 1 in frame 0",
        "track 1 occluded from frame 4",
        "track 1 in view from frame 4",
        "track 1 outside from frame 4",
        "delete the keyframe of track 1 in frame 4",
        "rename track 1 to car",
        "move the box of track 1 in frame 7",
        "split track 1 at frame 2",
        "draw the box of track 1 in frame 9",
        "move the box of track 2 in frame 8",
        "keep the box of track 2 in frame 4",
        "swap tracks 1 and 2 from frame 4",
        "clear track 1 in frame 4",
        "clear track 1 in frames 5 to 6",
        "clear track 1 in frames 5 to 6",  # the second time there was nothing to clear
        "clear track 1 in frames 0 to 9",
        "merge track 2 into track 1",
        "new track 2",
        "delete track 2",
    ]
    state.undo()
    assert (state.undo_name, state.redo_name) == ("new track 2", "delete track 2")


def test_tracks_are_selected_round_and_round(state):
    state.new_track()
    state.new_track()
    seen = [state.selected]
    for step in (1, 1, -1, -1, -1):
        state.select_next(step)
        seen.append(state.selected)
    assert seen == [3, 1, 2, 1, 3, 2]
    for step, first in ((1, 1), (-1, 3)):
        state.select(None)
        state.select_next(step)
        assert state.selected == first


def test_the_box_of_the_frame_before_is_copied_as_it_was(state):
    state.set_box(1, (10, 10, 20, 20), 0)
    state.set_box(1, (20, 10, 30, 20), 4)
    state.set_occluded(1, True)
    state.set_frame(2)
    state.copy_last_box(1)
    assert state.keyframe(1, 2).xyxy == (12.5, 10, 22.5, 20)
    assert state.keyframe(1, 2).occluded
    assert state.undo_name == "copy the box of track 1 into frame 2"
    state.set_frame(0)
    with pytest.raises(InputError, match="no box before the first frame"):
        state.copy_last_box(1)


def test_what_is_split_off_or_merged_into_is_selected(state):
    state.set_box(1, (10, 10, 20, 20), 0)
    state.set_box(1, (10, 10, 20, 20), 9)
    assert state.split_track(1, 5) == 2
    assert state.selected == 2
    state.merge_tracks(1, 2)
    assert state.selected == 1
    state.undo()
    assert ([t.id for t in state.tracks.tracks], state.selected) == ([1, 2], 2)
    state.undo()
    assert ([t.id for t in state.tracks.tracks], state.selected) == ([1], 1)


def test_tracks_that_are_dropped_are_nobodys_parents(state):
    state.set_box(1, (10, 10, 20, 20), 0)
    child = Track(2, "cell", (Keyframe(3, (1, 1, 9, 9)),), parent=1)
    state.load_tracks(dataclasses.replace(state.tracks, tracks=(*state.tracks.tracks, child)))
    assert [t.parent for t in state.boxed().tracks] == [None, 1]
    state.delete_keyframe(1, 0)
    assert [(t.id, t.parent) for t in state.boxed().tracks] == [(2, None)]


def test_a_track_that_is_not_here_cannot_leave(state):
    with pytest.raises(InputError, match="Track 1 is not in frame 0 as it is"):
        state.clear_here(1)


def some_change(state: State, rng: random.Random) -> None:
    """Do what a person might, at random; what cannot be done is refused."""
    ids = [t.id for t in state.tracks.tracks] or [state.new_track()]
    one, two, frame = rng.choice(ids), rng.choice(ids), rng.randrange(10)
    x, y = rng.randrange(40), rng.randrange(20)
    state.set_frame(frame)
    with contextlib.suppress(InputError):
        rng.choice(
            [
                lambda: state.set_box(one, (x, y, x + 10, y + 12)),
                lambda: state.set_box(one, (x, y, x + 20, y + 8)),
                lambda: state.set_outside(one, rng.random() < 0.5),
                lambda: state.set_occluded(one, rng.random() < 0.5),
                lambda: state.delete_keyframe(one),
                lambda: state.rename_track(one, rng.choice("abc")),
                lambda: state.new_track(),
                lambda: state.remove_track(one) if len(ids) > 3 else None,
                lambda: state.split_track(one),
                lambda: state.merge_tracks(one, two),
                lambda: state.swap_tracks(one, two),
                lambda: state.clear_range(one, frame, min(frame + 2, 9)),
                lambda: state.ignoring.draw(((x, y), (x + 9, y + 1), (x + 4, y + 9))),
                lambda: state.ignoring.reshape(rng.randrange(3), ((x, y), (x + 9, y), (x, y + 9))),
                lambda: state.ignoring.hold_to_here(rng.randrange(3)),
                lambda: state.ignoring.hold_everywhere(rng.randrange(3)),
                lambda: state.ignoring.hold_here_alone(rng.randrange(3)),
                lambda: state.ignoring.remove([rng.randrange(3)]),
                state.undo,
                state.undo,
                state.redo,
            ]
        )()


@pytest.mark.parametrize("seed", range(5))
def test_a_thousand_changes_and_all_the_way_back(state, seed):
    rng = random.Random(seed)
    first = state.tracks
    for _ in range(1000):
        some_change(state, rng)
    while state.redo_name:
        state.redo()
    last, seen = state.tracks, [state.tracks]
    while state.undo_name:
        state.undo()
        seen.append(state.tracks)
    assert state.tracks == first
    for known in seen[-2::-1]:
        assert state.redo_name
        state.redo()
        assert state.tracks == known
    assert state.tracks == last
    assert len(seen) > 100


def test_the_history_has_an_end():
    history = History[int](most=6)
    for number in range(5):
        history.record(f"to {number + 1}", number, cost=2)
    assert [history.undo(5), history.undo(4), history.undo(3), history.undo(2)] == [4, 3, 2, 2]
    assert (history.undo_name, history.redo_name) == (None, "to 3")
    history.clear()
    assert history.redo_name is None
    history.record("much", 7, cost=100)
    assert history.undo_name == "much", "the last step is kept whatever it holds"


def test_boxes_of_another_video_are_refused(state):
    with pytest.raises(InputError, match="48"):
        state.load_tracks(empty_tracks(10, 480, 640, None))


def test_tracks_without_a_box_are_not_trained_on(state):
    state.set_box(1, (10, 10, 20, 20), 0)
    state.new_track("ghost")
    assert [t.id for t in state.boxed().tracks] == [1]


def test_signals_come_once_a_change(state):
    heard = []
    state.tracks_changed.connect(lambda: heard.append("tracks"))
    state.frame_changed.connect(lambda: heard.append("frame"))
    state.set_frame(5)
    state.set_frame(5)
    state.set_box(1, (1, 1, 9, 9))
    assert heard == ["frame", "tracks"]


def _modules(code: str) -> set[str]:
    code += "\nimport sys; print(' '.join(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120
    )
    return {name.split(".")[0] for name in done.stdout.split()}


def test_package_and_manifest_load_no_torch_qt_or_napari():
    loaded = _modules(
        "import napari_maskfree\n"
        "import napari_maskfree._commands, napari_maskfree._samples\n"
        "from pathlib import Path\n"
        "from npe2 import PluginManifest\n"
        "p = Path(napari_maskfree.__file__).with_name('napari.yaml')\n"
        "PluginManifest.from_file(p)"
    )
    assert not loaded & {"torch", "napari", "qtpy", "PyQt6", "superqt"}


def test_state_and_worker_load_no_torch_qt_or_napari():
    loaded = _modules("import napari_maskfree.state, napari_maskfree.worker")
    assert not loaded & {"torch", "napari", "qtpy", "PyQt6"}
