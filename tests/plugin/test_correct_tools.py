"""The brush that keeps inside the box, and the filter for holes and specks."""

from __future__ import annotations

import numpy as np
import pytest

from maskfree.box_pixels import box_pixels
from maskfree.corrections import Correction
from maskfree.errors import InputError
from maskfree.session import Session
from maskfree.types import InstanceMasks
from napari_maskfree.inside_box import keep_inside
from napari_maskfree.state import State
from napari_maskfree.tidy import apply_tidied, tidied
from napari_maskfree.video_info import VideoInfo

H, W = 6, 10


def labels(*rows: str) -> np.ndarray:
    return np.array([[0 if c == "." else int(c) for c in row] for row in rows], np.uint16)


# ---- strokes in the box, without a window


def test_a_box_holds_the_pixels_that_it_touches():
    assert box_pixels((1.5, 0.0, 3.0, 2.1), 6, 10) == (slice(0, 3), slice(1, 3))
    assert box_pixels((-4.0, 4.0, 99.0, 99.0), 6, 10) == (slice(4, 6), slice(0, 10))


def test_painting_goes_by_the_painted_box_and_erasing_by_the_erased():
    before = labels("11..", "11..")
    boxes = {1: (0, 0, 1, 2), 2: (1, 0, 3, 2)}
    after, boxless = keep_inside(before, labels("2222", "1122"), boxes)
    np.testing.assert_array_equal(after, labels("122.", "112."))
    after, _ = keep_inside(before, labels("....", "...."), boxes)
    np.testing.assert_array_equal(after, labels(".1..", ".1.."))
    assert not boxless


def test_without_a_box_nothing_changes_and_a_new_label_goes_everywhere():
    before = labels("1...", "....")
    after, boxless = keep_inside(before, labels("...2", "7..."), {1: None, 2: None})
    np.testing.assert_array_equal(after, labels("1...", "7..."))
    assert boxless == {1, 2}


# ---- holes and specks, without a window

RING = labels(
    "11111....1",
    "1...1.....",
    "1.2.1.....",
    "1...1...22",
    "11111...22",
    "..........",
)


@pytest.fixture
def masks() -> InstanceMasks:
    return InstanceMasks((1, 2), np.stack([RING == 1, RING == 2]), (0.5, 0.75))


@pytest.fixture
def state() -> State:
    made = State()
    made.set_video(VideoInfo("clip", None, num_frames=4, height=H, width=W))
    made.start_boxes()
    made.set_box(1, (0, 0, 6, 6), 0)
    made.new_track("dog")
    made.set_box(2, (6, 2, 10, 6), 0)
    return made


def test_of_one_track_and_of_all(masks):
    one = tidied(0, masks, {}, track_id=1, max_size=9)
    assert (one.filled, one.dropped, set(one.changed)) == (8, 1, {1})
    assert not one.changed[1].is_object[2, 2]  # that pixel is the other object's
    both = tidied(0, masks, {}, track_id=None, max_size=9)
    assert (both.filled, both.dropped, set(both.changed)) == (8, 2, {1, 2})


def test_unless_said_the_size_goes_by_the_object(masks):
    # 2 % of 17 and of 5 pixels is less than one: one
    own = tidied(0, masks, {}, track_id=None, max_size=None)
    assert (own.filled, own.dropped) == (0, 2)


def test_what_a_person_said_stays(masks):
    on, off = np.zeros((2, H, W), bool)
    on[0, 9] = True  # the speck was painted
    off[1, 1] = True  # a pixel of the hole was erased
    found = tidied(0, masks, {1: Correction.make(on, off)}, track_id=1, max_size=9)
    assert (found.filled, found.dropped) == (7, 0)
    assert found.changed[1].is_object[0, 9]
    assert found.changed[1].is_other[1, 1]
    accepted = {1: Correction.whole(masks.masks[0])}
    assert not tidied(0, masks, accepted, track_id=1, max_size=9).changed


def test_it_is_one_named_step(state, masks):
    tracks = state.tracks
    words = apply_tidied(state, tidied(2, masks, {}, track_id=None, max_size=9))
    assert words == ("Frame 2, track 1, 2: 8 pixels in holes filled, 2 pixels in specks dropped.")
    assert state.undo_name == "fill holes and drop specks of track 1, 2 in frame 2"
    assert state.tracks is tracks
    assert set(state.corrections[2]) == {1, 2}
    state.undo()
    assert not state.corrections[2]
    state.redo()
    assert set(state.corrections[2]) == {1, 2}


def test_nothing_to_do_is_no_step(state, masks):
    before = state.undo_name
    full = InstanceMasks((1,), np.ones((1, H, W), bool), (0.5,))
    words = apply_tidied(state, tidied(2, full, {}, track_id=1, max_size=9))
    assert words.startswith("Frame 2: no hole to fill, no speck to drop.")
    assert state.undo_name == before


def test_a_frame_corrected_meanwhile_is_left_alone(state, masks):
    found = tidied(2, masks, {}, track_id=1, max_size=9)
    state.apply("paint", state.tracks, {2: {1: Correction.whole(masks.masks[0])}})
    with pytest.raises(InputError, match="Frame 2 was corrected meanwhile, so nothing"):
        apply_tidied(state, found)


def test_no_masks_and_not_this_track(masks):
    with pytest.raises(InputError, match="Frame 3 has no masks to tidy up"):
        tidied(3, None, {}, track_id=1, max_size=9)
    with pytest.raises(InputError, match="Track 4 has no mask in frame 3"):
        tidied(3, masks, {}, track_id=4, max_size=9)


# ---- in a window


@pytest.fixture
def masked(boxed, save_masks, left_half):
    """Track 1 in the left half with a hole and a speck in frames 0 to 6; track 2 with no mask."""
    boxed.state.new_track("dog")
    boxed.state.set_box(2, (60, 20, 80, 40), 2)
    left_half[30:33, 20:22] = False
    left_half[5, 90] = True
    save_masks(*[InstanceMasks((1,), left_half[None], (0.5,))] * 7)
    boxed.project.go_to(0)
    boxed.show_section("masks")
    return boxed


def test_the_brush_ends_at_the_box(masked, hands, qtbot, notices):
    project, tools = masked.project, masked.masks.tools
    project.go_to(3)
    masked.state.select(2)
    tools.inside.click()
    hands.press(masked.masks.correct)
    project.masks.brush_size = 5
    qtbot.wait(100)
    hands.drag((30, 52), (30, 90))
    shown = np.asarray(project.masks.data[3])
    assert (shown[30, 60:80] == 2).all()
    assert not shown[30, 50:60].any()
    assert not shown[30, 80:].any()
    np.testing.assert_array_equal(masked.state.corrections[3][2].is_object, shown == 2)
    hands.press(masked.boxes.undo)
    assert not (np.asarray(project.masks.data[3]) == 2).any()
    tools.inside.click()
    hands.drag((30, 52), (30, 90))
    assert (project.masks.data[3, 30, 52:90] == 2).all()


def test_the_eraser_ends_at_the_box_too(masked):
    project = masked.project
    masked.masks.tools.inside.click()
    project.masks.brush_size = 3
    for place in ((5, 90), (5, 40)):
        project.masks.paint((1, *place), 0)
        project.editor.commit()
    assert project.masks.data[1, 5, 90] == 1  # of track 1, and beside its box
    assert project.masks.data[1, 5, 40] == 0


def test_wholly_beside_the_box_nothing_stays_painted(masked):
    project = masked.project
    masked.masks.tools.inside.click()
    before = masked.state.undo_name
    project.masks.paint((3, 60, 60), 2)
    project.editor.commit()
    assert not (np.asarray(project.masks.data[3]) == 2).any()
    assert masked.state.undo_name == before


def test_a_track_without_a_box_here_is_said(masked, hands, notices):
    project, tools = masked.project, masked.masks.tools
    tools.inside.click()
    assert not tools.why.isVisible()
    masked.state.select(2)
    assert tools.why.isVisible()
    assert tools.why.text() == "Track 2 has no box in frame 0: nothing is painted."
    for _ in range(2):
        project.masks.paint((0, 30, 70), 2)
        project.editor.commit()
    assert not (np.asarray(project.masks.data[0]) == 2).any()
    said = [n for n in notices if "Track 2 has no box in frame 0, so nothing" in n]
    assert len(said) == 1
    project.go_to(2)
    assert not tools.why.isVisible()


def test_a_new_object_is_painted_anywhere(masked):
    project = masked.project
    masked.masks.tools.inside.click()
    project.masks.brush_size = 5
    project.masks.paint((4, 55, 60), 3)
    project.editor.commit()
    assert project.masks.data[4, 55, 60] == 3
    assert masked.state.track(3) is not None


def test_holes_and_specks_go_at_a_press(masked, hands, qtbot, notices):
    tools, project = masked.masks.tools, masked.project
    project.go_to(1)
    masked.state.select(1)
    assert tools.size.text() == "auto"
    assert "auto: 2% of each object" in tools.size.toolTip()
    hands.press(tools.tidy)
    qtbot.waitUntil(lambda: 1 in masked.state.corrections, timeout=5000)
    assert project.masks.data[1, 31, 21] == 1
    assert project.masks.data[1, 5, 90] == 0
    assert project.masks.data[2, 31, 21] == 0
    assert "6 pixels in holes filled, 1 pixel in specks dropped" in notices[-1]
    assert masked.state.session.corrections.frames() == [1]
    hands.press(masked.boxes.undo)
    assert project.masks.data[1, 31, 21] == 0
    tools.size.setValue(5)
    hands.press(tools.tidy)
    qtbot.waitUntil(lambda: 1 in masked.state.corrections, timeout=5000)
    assert project.masks.data[1, 31, 21] == 0
    assert project.masks.data[1, 5, 90] == 0


def test_where_it_cannot_be_done_it_says_so(masked, hands, qtbot, notices):
    tools = masked.masks.tools
    masked.state.select(2)
    hands.press(tools.tidy)
    qtbot.waitUntil(lambda: any("Track 2 has no mask in frame 0" in n for n in notices))
    masked.project.go_to(7)
    hands.press(tools.tidy)
    qtbot.waitUntil(lambda: any("Frame 7 has no masks to tidy up" in n for n in notices))
    qtbot.waitUntil(tools.tidy.isEnabled)
    masked.state.select(None)
    assert not tools.tidy.isEnabled()
    assert tools.tidy.toolTip() == "Select a track first, or tick All tracks."
    tools.all.click()
    assert tools.tidy.isEnabled()


def test_what_comes_back_for_another_session_is_dropped(masked, qtbot, tmp_path, clip_folder):
    tools = masked.masks.tools
    masked.state.select(1)
    other = Session.create(
        tmp_path / "other", video_source=str(clip_folder), boxes=masked.state.tracks
    )
    tools.tidy.click()
    masked.state.set_session(other)
    qtbot.waitUntil(tools.tidy.isEnabled)
    assert len(masked.state.corrections) == 0
    assert masked.state.undo_name is None or "holes" not in masked.state.undo_name


def test_a_damaged_mask_file_is_said(masked, qtbot, notices):
    masked.state.select(1)
    masked.project.go_to(5)
    store = masked.state.session.mask_store()
    next(store.path.glob("00005*")).write_text("{")
    masked.masks.tools.tidy.click()
    qtbot.waitUntil(lambda: any("00005" in n for n in notices))
    qtbot.waitUntil(masked.masks.tools.tidy.isEnabled)
    assert len(masked.state.corrections) == 0
