"""Clicks that change a mask, and the box that is made again; without a window, then in one."""

from __future__ import annotations

import numpy as np
import pytest

from maskfree.clicks import Click
from maskfree.corrections import Correction
from maskfree.errors import InputError
from maskfree.session import Session
from maskfree.types import InstanceMasks
from napari_maskfree.box_again import box_from_mask
from napari_maskfree.clicking import Clicks
from napari_maskfree.guide import facts_of
from napari_maskfree.state import State
from napari_maskfree.video_info import VideoInfo

H, W = 64, 96
BODY, HEAD = np.s_[30:56, 10:44], np.s_[12:30, 10:28]


def picture() -> np.ndarray:
    made = np.full((H, W, 3), (60, 130, 60), np.uint8)
    made[BODY], made[HEAD] = (200, 40, 40), (40, 60, 200)
    return made


def labels(*places: tuple[slice, slice], track_id: int = 1) -> np.ndarray:
    made = np.zeros((H, W), np.uint16)
    for place in places:
        made[place] = track_id
    return made


# ---- without a window


@pytest.fixture
def state() -> State:
    made = State()
    made.set_video(VideoInfo("clip", None, num_frames=60, height=H, width=W))
    made.start_boxes()
    made.set_box(1, (8, 10, 48, 58), 0)
    made.new_track("dog")
    made.set_box(2, (50, 10, 90, 60), 50)
    made.select(1)
    return made


def test_each_click_is_a_step_of_undo_by_name(state):
    clicks, shown = Clicks(), labels(BODY)
    assert clicks.apply(state, 41, picture(), shown, Click(20, 18, True)) > 250
    assert state.undo_name == "click on track 1 at frame 41"
    own = state.corrections[41][1]
    assert own.is_object[HEAD].mean() > 0.95
    assert not own.is_object[BODY].any()  # what was right already is nobody's word
    assert clicks.of(state, 41, 1) == [Click(20, 18, True)]
    state.undo()
    assert not state.corrections[41]
    assert clicks.of(state, 41, 1) == []
    state.redo()
    assert clicks.of(state, 41, 1) == [Click(20, 18, True)]


def test_a_click_mends_an_earlier_one(state):
    clicks = Clicks()
    clicks.apply(state, 0, picture(), labels(BODY), Click(20, 18, True))
    drawn = labels(BODY)
    drawn[state.corrections[0][1].is_object] = 1
    clicks.apply(state, 0, picture(), drawn, Click(15, 15, False))
    own = state.corrections[0][1]
    assert own.is_other[15, 15]
    assert own.is_object[20, 18]
    assert set(clicks.of(state, 0, 1)) == {Click(20, 18, True), Click(15, 15, False)}


def test_what_a_person_painted_stays(state):
    on, off = np.zeros((2, H, W), bool)
    off[12:16, 10:28] = True
    on[50:56, 70:80] = True
    known = {1: Correction.make(np.zeros_like(on), off), 2: Correction.make(on, ~on & False)}
    state.apply("paint", state.tracks, {0: known})
    Clicks().apply(state, 0, picture(), labels(BODY), Click(26, 18, True))
    assert state.corrections[0][1].is_other[12:16, 10:28].all()
    assert state.corrections[0][1].is_object[26, 18]
    assert state.corrections[0][2] == known[2]


def test_other_tracks_keep_what_is_not_clicked(state):
    shown = labels(BODY)
    shown[12:20, 10:28] = 2
    Clicks().apply(state, 0, picture(), shown, Click(26, 18, True))
    assert 2 not in state.corrections[0]
    assert not state.corrections[0][1].is_object[12:20].any()
    Clicks().apply(state, 1, picture(), shown, Click(14, 18, True))
    assert state.corrections[1][2].is_other[14, 18]


def test_a_click_that_agrees_keeps_its_pixel(state):
    clicks = Clicks()
    assert clicks.apply(state, 0, picture(), labels(BODY), Click(40, 20, True)) == 0
    assert state.corrections[0][1].is_object.sum() == 1
    assert clicks.of(state, 0, 1) == [Click(40, 20, True)]


def test_what_is_missing_is_said(state):
    clicks = Clicks()
    with pytest.raises(InputError, match=r"x 90, y 5 is not in the box"):
        clicks.apply(state, 0, picture(), labels(), Click(5, 90, True))
    state.select(2)
    with pytest.raises(InputError, match=r"Track 2 has no box in frame 0\. Draw one first"):
        clicks.apply(state, 0, picture(), labels(), Click(20, 60, True))
    state.select(None)
    with pytest.raises(InputError, match="Select a track first"):
        clicks.apply(state, 0, picture(), labels(), Click(20, 60, True))


def test_the_box_is_made_from_the_mask(state):
    mask = InstanceMasks((1,), (labels(BODY) == 1)[None], (0.5,))
    words = box_from_mask(state, 7, mask)
    assert state.keyframe(1, 7).xyxy == (10, 30, 44, 56)
    assert words.startswith("Frame 7: the box of track 1 is now that of its mask, 34 x 26 pixels")
    assert state.undo_name == "box of track 1 from its mask in frame 7"
    assert "already" in box_from_mask(state, 7, mask)
    state.undo()
    assert state.keyframe(1, 7) is None
    state.set_occluded(1, True)
    box_from_mask(state, 0, mask)
    assert state.keyframe(1, 0).occluded


def test_without_a_mask_there_is_no_box(state):
    empty = InstanceMasks((1,), np.zeros((1, H, W), bool), (0.5,))
    for masks in (None, empty):
        with pytest.raises(InputError, match=r"no mask in frame 3 .* press Redraw box"):
            box_from_mask(state, 3, masks)
    state.select(None)
    with pytest.raises(InputError, match="Select a track first"):
        box_from_mask(state, 3, empty)


# ---- in a window


@pytest.fixture
def masked(widget, viewer, tmp_path):
    """The picture above in four frames; the body alone is track 1's mask, track 2 has none."""
    import imageio.v3 as iio

    folder = tmp_path / "clip"
    folder.mkdir()
    for frame in range(4):
        iio.imwrite(folder / f"{frame:05d}.png", picture())
    widget.video.open_path(str(folder))
    widget.project.show_boxes()
    widget.state.set_box(1, (8, 10, 48, 58), 0)
    session = Session.create(tmp_path / "s", video_source=str(folder), boxes=widget.state.tracks)
    for frame in range(4):
        masks = InstanceMasks((1,), (labels(BODY) == 1)[None], (0.5,))
        session.mask_store().write(frame, masks)
    widget.open_session(session.path)
    widget.show_section("masks")
    return widget


def right_click(hands, yx) -> None:
    from qtpy.QtCore import Qt

    place = hands.place(yx)
    hands.qtbot.mouseMove(hands.canvas, place)
    hands.qtbot.mouseClick(hands.canvas, Qt.MouseButton.RightButton, pos=place)
    hands.qtbot.wait(50)


def test_a_person_clicks_a_mask_right(masked, hands, qtbot, notices):
    tools, project, state = masked.masks.clicks, masked.project, masked.state
    project.go_to(2)
    hands.press(tools.clicks)
    assert tools.how.isVisible()
    assert project.masks.mode == "pan_zoom"
    hands.click((20, 18))
    shown = np.asarray(project.masks.data[2])
    assert (shown[HEAD] == 1).mean() > 0.9
    assert state.undo_name == "click on track 1 at frame 2"
    assert state.session.corrections.frames() == [2]
    right_click(hands, (45, 30))
    assert project.masks.data[2, 45, 30] == 0
    hands.press(masked.boxes.undo)
    hands.press(masked.boxes.undo)
    assert (np.asarray(project.masks.data[2]) == labels(BODY)).all()
    steps = state.undo_name
    hands.drag((20, 18), (40, 60))  # moves the picture
    assert state.undo_name == steps
    hands.press(masked.masks.correct)
    assert not tools.clicks.isChecked()
    assert not tools.how.isVisible()


def test_by_key_where_the_mouse_is(masked, viewer, notices):
    masked.project.go_to(1)
    viewer.cursor.position = (1, 20, 18)
    masked.masks.clicks.mode.click_under_mouse(True)
    assert masked.project.masks.data[1, 20, 18] == 1
    masked.masks.clicks.mode.click_under_mouse(False)
    assert masked.project.masks.data[1, 20, 18] == 0
    viewer.cursor.position = (1, 200, 18)
    masked.masks.clicks.mode.click_under_mouse(True)
    assert "The mouse is not on the picture" in notices[-1]


def test_a_mask_from_nothing(masked, viewer, notices):
    masked.state.new_track("head")
    masked.state.set_box(2, (6, 8, 32, 30), 0)
    masked.project.masks.data.store.predicted.write(
        3, InstanceMasks((), np.zeros((0, H, W), bool), ())
    )
    masked.project.masks.data.forget()
    masked.project.go_to(3)
    viewer.cursor.position = (3, 20, 18)
    masked.masks.clicks.mode.click_under_mouse(True)
    assert (np.asarray(masked.project.masks.data[3])[HEAD] == 2).mean() > 0.8


def test_the_box_is_made_again_and_redrawn(masked, hands, qtbot, notices):
    tools, project, state = masked.masks.clicks, masked.project, masked.state
    project.go_to(2)
    hands.press(masked.masks.correct)
    hands.press(tools.from_mask)
    assert state.keyframe(1, 2).xyxy == (10, 30, 44, 56)
    hands.press(tools.again)
    assert project.viewer.layers.selection.active == project.boxes.layer
    hands.drag((8, 6), (60, 50))
    qtbot.waitUntil(lambda: project.viewer.layers.selection.active == project.masks, timeout=10000)
    assert state.keyframe(1, 2).xyxy == pytest.approx((6.5, 8.5, 50.5, 60.5), abs=2)
    assert project.masks.mode == "paint"
    hands.press(masked.boxes.undo)
    assert state.keyframe(1, 2).xyxy == (10, 30, 44, 56)
    assert project.viewer.layers.selection.active == project.masks
    hands.press(tools.again)
    project.go_to(1)
    state.set_box(1, (1, 1, 40, 40), 1)
    qtbot.wait(50)
    assert project.viewer.layers.selection.active == project.boxes.layer


def test_a_click_into_another_layer_is_not_heard(masked, viewer, hands):
    state, tools = masked.state, masked.masks.clicks
    masked.project.go_to(2)
    hands.press(tools.clicks)
    viewer.layers.selection.active = masked.project.boxes.layer
    masked.project.boxes.layer.mode = "pan_zoom"
    hands.click((20, 18))
    assert not state.corrections[2]
    hands.press(tools.clicks)
    masked.project.masks.visible = False
    hands.click((20, 18))
    assert not state.corrections[2]
    masked.project.masks.visible = True
    hands.click((20, 18))
    assert state.corrections[2]


# ---- before any run


@pytest.fixture
def unmasked(widget, tmp_path):
    """The picture in four frames, without a session; track 1 is drawn in the first."""
    import imageio.v3 as iio

    folder = tmp_path / "clip"
    folder.mkdir()
    for frame in range(4):
        iio.imwrite(folder / f"{frame:05d}.png", picture())
    widget.video.open_path(str(folder))
    widget.state.set_folder(tmp_path / "s")
    widget.show_section("masks")
    return widget


def test_clicks_before_any_run_make_masks_that_the_session_takes_up(unmasked, hands, qtbot):
    tools, project, state = unmasked.masks.clicks, unmasked.project, unmasked.state
    assert not tools.clicks.isEnabled()
    assert tools.clicks.toolTip() == "Draw a box around the object first (section 2)."
    project.show_boxes()
    state.set_box(1, (6, 8, 32, 30), 0)
    project.go_to(2)
    assert not tools.from_mask.isVisible()
    hands.press(tools.clicks)
    assert tools.from_mask.isVisible()
    assert not unmasked.masks.empty.isVisible()
    hands.click((20, 18))
    assert (np.asarray(project.masks.data[2])[HEAD] == 1).mean() > 0.8
    assert state.undo_name == "click on track 1 at frame 2"
    hands.press(tools.from_mask)
    assert state.keyframe(1, 2).xyxy == pytest.approx((10, 12, 28, 30), abs=2)
    unmasked.ask_save = lambda _: "save"
    assert unmasked.may_leave()
    assert state.session.corrections.frames() == [2]
    assert state.session.corrections.read(2) == state.corrections[2]
    assert len(tools.mode.clicks.of(state, 2, 1)) == 1
    assert not facts_of(state, exported=False, painted=True).masks, "none is predicted yet"
    assert project.masks.data[2, 20, 18] == 1


def test_clicks_before_any_run_are_not_lost_with_the_dock(unmasked, hands):
    unmasked.project.show_boxes()
    unmasked.state.set_box(1, (6, 8, 32, 30), 0)
    unmasked.project.go_to(0)
    hands.press(unmasked.masks.clicks.clicks)
    hands.click((20, 18))
    asked = []
    unmasked.ask_save = lambda _: asked.append(1) or "cancel"
    assert not unmasked.may_leave()
    assert asked == [1]
    folder = unmasked.project.session_folder()
    unmasked._rescue()
    assert Session.open(folder).corrections.frames() == [0]
    assert [t.id for t in Session.open(folder).boxes.tracks] == [1]


def test_without_a_box_it_says_what_to_do_first(unmasked, viewer, notices):
    viewer.cursor.position = (0, 20, 18)
    unmasked.masks.clicks.mode.click_under_mouse(True)
    assert "Draw a box around the object first (section 2); then click on it" in notices[-1]
    assert unmasked.project.masks is None


def test_a_layer_made_by_hand_shows_what_the_first_run_predicts(unmasked, tmp_path):
    unmasked.project.show_boxes()
    unmasked.state.set_box(1, (6, 8, 48, 58), 0)
    unmasked.project.correct_masks()
    source = tmp_path / "clip"
    session = Session.create(tmp_path / "s", video_source=str(source), boxes=unmasked.state.tracks)
    unmasked.state.set_session(session)
    there = labels(BODY) > 0
    session.mask_store().write(unmasked.state.frame, InstanceMasks((1,), there[None], (0.9,)))
    unmasked.project.follow_masks()
    shown = unmasked.project.masks.data.frame(unmasked.state.frame)
    assert np.array_equal(shown > 0, there)


def test_clicks_end_where_another_layer_is_worked_on(masked, hands, viewer, qtbot):
    tools = masked.masks.clicks
    hands.press(tools.clicks)
    assert tools.clicks.isChecked()
    hands.press(masked.boxes.new)
    qtbot.waitUntil(lambda: not tools.clicks.isChecked())
    assert not tools.mode.is_on
