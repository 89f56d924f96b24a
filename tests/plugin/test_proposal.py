"""Boxes that are proposed: shown, accepted, cut, dropped."""

from __future__ import annotations

import numpy as np
import pytest

from maskfree.errors import InputError
from napari_maskfree.proposal import Proposal, accept_proposal
from napari_maskfree.state import State
from napari_maskfree.video_info import VideoInfo

SOON = 20_000


@pytest.fixture
def state() -> State:
    made = State()
    made.set_video(VideoInfo("clip", None, num_frames=20, height=48, width=64))
    made.start_boxes()
    made.set_box(1, (0, 0, 10, 10), 5)
    return made


def propose(state: State, frames, *, forward: bool = True) -> Proposal:
    proposal = state.proposal
    proposal.begin(state.track(1), 5, forward=forward)
    for t in frames:
        x = abs(t - 5) * 2.0 + (4.0 if t > 8 else 0.0)
        proposal.add(t, (x, 0.0, x + 10, 10.0))
    proposal.end()
    return proposal


def test_accepted_boxes_are_as_few_as_needed_and_one_step_of_undo(state):
    propose(state, range(6, 13))
    assert accept_proposal(state) == 3
    assert [k.frame for k in state.track(1).keyframes] == [5, 8, 9, 12]
    assert state.undo_name == "accept the boxes of track 1 in frames 6 to 12"
    assert state.proposal.track is None
    assert state.box_state(1, 7).xyxy == (4, 0, 14, 10)
    state.undo()
    assert [k.frame for k in state.track(1).keyframes] == [5]


def test_accepted_as_far_as_here(state):
    propose(state, range(6, 13))
    accept_proposal(state, 8)
    assert [k.frame for k in state.track(1).keyframes] == [5, 8]
    propose(state, range(4, -1, -1), forward=False)
    accept_proposal(state, 2)
    assert [k.frame for k in state.track(1).keyframes] == [2, 5, 8]
    with pytest.raises(InputError, match="No box is proposed"):
        accept_proposal(state)


def test_what_is_drawn_on_the_way_ends_it(state):
    proposal = propose(state, range(6, 13))
    state.set_box(1, (9, 9, 19, 19), 9)
    proposal.follow(state.track(1))
    assert sorted(proposal.boxes) == [6, 7, 8]
    state.delete_keyframe(1, 5)
    proposal.follow(state.track(1))
    assert proposal.track is None


def test_a_box_drawn_ahead_stays(state):
    proposal = state.proposal
    proposal.begin(state.track(1), 5, forward=True)
    proposal.add(6, (1, 0, 11, 10))
    state.set_box(1, (20, 20, 30, 30), 8)
    proposal.follow(state.track(1))
    for frame in (7, 8, 9):
        proposal.add(frame, (2, 0, 12, 10))
    assert sorted(proposal.boxes) == [6, 7]
    accept_proposal(state)
    assert state.keyframe(1, 8).xyxy == (20, 20, 30, 30)


def test_another_start_drops_it(state):
    proposal = propose(state, range(6, 13))
    state.set_box(1, (30, 30, 40, 40), 5)
    proposal.follow(state.track(1))
    assert proposal.track is None


def test_backwards_it_is_cut_on_the_other_side(state):
    proposal = propose(state, range(4, -1, -1), forward=False)
    proposal.cut(1)
    assert sorted(proposal.boxes) == [2, 3, 4]
    proposal.cut(4)
    assert proposal.track is None


def test_nothing_found_is_nothing_proposed(state):
    proposal = propose(state, [])
    assert proposal.track is None
    assert proposal.box(1, 6) is None
    proposal.drop()


@pytest.fixture
def drawn(widget, viewer):
    """A textured square that goes right, its box drawn in frame 4."""
    rng = np.random.default_rng(0)
    video = np.repeat(rng.integers(60, 120, (1, 96, 160, 3)), 12, 0).astype(np.uint8)
    thing = rng.integers(0, 256, (24, 24, 3)) // 2 + np.array([120, 0, 0])
    for t in range(12):
        video[t, 36:60, 20 + 5 * t : 44 + 5 * t] = thing
    viewer.add_image(video, rgb=True, name="clip")
    widget.project.show_boxes()
    widget.state.set_box(1, (40, 36, 64, 60), 4)
    widget.project.go_to(4)
    return widget


def test_a_person_draws_once(drawn, hands, qtbot):
    bar, state, layer = drawn.boxes.proposal, drawn.state, drawn.project.boxes.layer
    assert not bar.isVisible()
    bar.forward()
    qtbot.waitUntil(lambda: len(state.proposal.boxes) == 7, timeout=SOON)
    qtbot.waitUntil(lambda: not state.proposal.running, timeout=SOON)
    assert bar.text.text() == "Proposed for 1 object: frames 5 to 11."
    assert not bar.accept_here.isEnabled()
    drawn.project.go_to(8)
    assert list(layer.features["text"]) == ["1 object (proposed)"]
    shown = np.asarray(layer.data[0])
    assert abs(shown[:, 1].min() - 59.5) < 4
    assert len(state.track(1).keyframes) == 1
    hands.press(bar.accept_here)
    assert state.box_state(1, 8).keyframe
    assert not bar.isVisible()
    state.undo()
    drawn.project.go_to(4)
    bar.backward()
    qtbot.waitUntil(lambda: len(state.proposal.boxes) == 4, timeout=SOON)
    drawn.project.go_to(2)
    layer.selected_data = {0}
    layer.remove_selected()
    qtbot.waitUntil(lambda: sorted(state.proposal.boxes) == [3], timeout=SOON)
    drawn.project.go_to(3)
    assert list(layer.features["text"]) == ["1 object (proposed)"]
    hands.press(bar.discard)
    assert state.proposal.track is None
    assert layer.nshapes == 0
    assert len(state.track(1).keyframes) == 1


def test_without_a_drawn_box_it_says_so(drawn, notices):
    drawn.project.go_to(7)
    drawn.boxes.proposal.forward()
    assert "has a box that was drawn" in notices[-1]
    assert drawn.state.proposal.track is None


def test_closing_gives_it_up(drawn, qtbot):
    drawn.boxes.proposal.forward()
    drawn.shut_down()
    assert not drawn.boxes.proposal._background._open
