"""The timeline's lanes as arrays. No Qt, no napari."""

from __future__ import annotations

import numpy as np
import pytest

from maskfree.colours import track_colour
from maskfree.tracks import box_at
from maskfree.types import Keyframe, Track
from napari_maskfree.constants import ACCEPTED_COLOUR, SCORE_COLOURS
from napari_maskfree.timeline_rows import LANE, Columns, Lane, paint_lanes, score_colours

BOX = (0.0, 0.0, 9.0, 9.0)
GROUND, RAISED, MARK = (10, 10, 10), (30, 30, 30), (250, 250, 250)
COLOURS = {"ground": GROUND, "raised": RAISED, "mark": MARK}


def track(*keys: str) -> Track:
    """``"3"`` a box in frame 3, ``"3o"`` an occluded one, ``"3x"`` outside."""
    made = []
    for key in keys:
        outside = key.endswith("x")
        frame = int(key.rstrip("ox"))
        made.append(Keyframe(frame, None if outside else BOX, outside, key.endswith("o")))
    return Track(1, "dog", tuple(made))


def paint(*tracks: Track, zoom: float = 1.0, width: int = 20, first: float = 0.0, scores=None):
    columns = Columns(first, zoom, width, 20)
    lanes = [Lane(t) for t in tracks]
    options = {"selected": None, **COLOURS}
    return paint_lanes(lanes, columns, scores or {}, {}, **options).reshape(-1, LANE, width, 3)


def test_a_lane_says_what_the_tracks_boxes_say():
    rng = np.random.default_rng(0)
    for _ in range(50):
        keys = [f"{f}{rng.choice(['', 'o', 'x'])}" for f in np.sort(rng.choice(20, 6, False))]
        one = track(*keys)
        boxed, held, occluded = Lane(one).at(np.arange(20))
        for frame in range(20):
            now = box_at(one, frame)
            assert boxed[frame] == (now is not None)
            assert occluded[frame] == (now is not None and now.occluded)
            later = [k for k in one.keyframes if k.frame > frame]
            stays = now is not None and not now.keyframe and (not later or later[0].outside)
            assert held[frame] == stays
    assert not Lane(track()).at(np.arange(20))[0].any()


@pytest.mark.parametrize("zoom", [0.05, 0.3, 1.0, 3.7, 12.0])
def test_columns_and_frames_are_turns_of_each_other(zoom):
    columns = Columns(3.0, zoom, 40, 500)
    for frame in range(3, 3 + int(40 / zoom)):
        if frame < 500:
            assert columns.frame(columns.x(frame)) == frame
    assert columns.frame(-1000) == 0
    assert columns.frame(1e9) == 499
    assert len(columns.frames()) == min(40, -(-(500 - 3) * zoom // 1))


def test_columns_past_the_end_have_no_frame():
    assert len(Columns(15.0, 1.0, 40, 20).frames()) == 5
    assert paint(track("0"), first=15.0).shape == (1, LANE, 20, 3)
    assert (paint(track("0"), first=15.0)[0, 7, 5:] == GROUND).all()


def test_a_bad_frame_is_seen_however_far_out():
    scores = np.full(20_000, 0.9, np.float32)
    scores[12_345] = 0.1
    scores[500:700] = np.nan
    worst = Columns(0.0, 0.05, 1000, 20_000).worst(scores)
    assert len(worst) == 1000
    assert np.nanargmin(worst) == 12_345 // 20
    assert np.isnan(worst[25:35]).all()
    assert np.isfinite(np.delete(worst, slice(25, 35))).all()
    near = Columns(12_340.0, 8.0, 80, 20_000).worst(scores)
    np.testing.assert_array_equal(near, np.repeat(scores[12_340:12_350], 8))


def test_the_last_columns_score_stops_at_the_edge():
    scores = np.linspace(1, 0, 100, dtype=np.float32)
    assert Columns(0.0, 0.5, 10, 100).worst(scores)[-1] == scores[19]


def test_the_bar_is_where_the_box_is_and_paler_where_it_is_held():
    rows = paint(track("2", "6", "10x"))[0]
    bar = rows[7]
    assert (bar[[0, 1, 11, 19]] == GROUND).all()
    own = np.array(track_colour(1))
    assert (bar[2] == own).all()
    assert (bar[4] != own).any()
    assert (bar[4] != GROUND).any()
    sure, held = np.abs(bar[4] - own.astype(float)), np.abs(bar[8] - own.astype(float))
    assert held.sum() > sure.sum()


def test_occluded_is_hatched():
    rows = paint(track("0o", "19o"), zoom=2.0, width=40)[0]
    inside = rows[6:9, 3:37].reshape(-1, 3)
    colours = {tuple(c) for c in inside}
    assert GROUND in colours
    assert len(colours) >= 2


def test_diamonds_when_near_and_strokes_when_far():
    near = paint(track("1", "3x"), zoom=10.0, width=60)[0]
    own = track_colour(1)
    assert (near[3, 15] == own).all()  # its point
    assert (near[7, 11:20] == own).all()
    assert (near[7, 31] == own).all()
    assert (near[7, 35] == GROUND).all()  # hollow: outside
    far = paint(track("1", "3x"), zoom=1.0)[0]
    assert (far[3, 1] == own).all()
    assert (far[3, 3] == own).all()


@pytest.mark.parametrize("first", [0.0, 0.7, 1.5, 2.01])
def test_marks_at_the_rim_stay_in_their_lane(first):
    picture = paint(track("0", "1x", "2", "19"), zoom=8.0, first=first)
    assert picture.shape == (1, LANE, 20, 3)


def test_scores_are_under_the_bar_and_the_selected_lane_is_raised():
    scores = {1: np.r_[np.full(10, 1.0), np.full(10, np.nan)].astype(np.float32)}
    columns = Columns(0.0, 1.0, 20, 20)
    lanes = [Lane(track("0"))]
    rows = paint_lanes(lanes, columns, scores, {}, selected=1, **COLOURS)
    assert (rows[14, :10] == SCORE_COLOURS[-1]).all()
    assert (rows[14, 10:] == RAISED).all()


def test_scores_colours_go_from_the_unsure_to_the_sure():
    low, middle, high = score_colours(np.array([0.0, 0.725, 1.0]))
    assert tuple(low) == SCORE_COLOURS[0]
    assert tuple(high) == SCORE_COLOURS[-1]
    np.testing.assert_allclose(middle, SCORE_COLOURS[1], atol=1)


def test_a_notch_above_tells_what_a_person_corrected_and_accepted():
    columns = Columns(0.0, 8.0, 160, 20)
    hand = {1: (np.array([2, 5, 40]), np.array([False, True, True]))}
    options = {"selected": None, **COLOURS}
    rows = paint_lanes([Lane(track("0"))], columns, {}, hand, **options)
    assert (rows[1, 20] == MARK).all()
    assert (rows[1, 44] == ACCEPTED_COLOUR).all()
    assert (rows[1, 60:] == GROUND).all()
    far = paint_lanes([Lane(track("0"))], Columns(0.0, 0.01, 9, 900), {}, hand, **options)
    assert (far[1, 0] == ACCEPTED_COLOUR).all()


def test_no_tracks_is_an_empty_picture():
    columns = Columns(0.0, 1.0, 20, 20)
    empty = paint_lanes([], columns, {}, {}, selected=None, **COLOURS)
    assert empty.shape == (0, 20, 3)


@pytest.mark.parametrize("zoom", [0.05, 1.0, 7.0])
def test_marks_beside_the_columns_are_passed_over_and_none_in_them(zoom):
    columns = Columns(40.5, zoom, 30, 2000)
    frames = np.arange(0, 2000, 3)
    seen = columns.seen(frames)
    inside = [f for f in frames if -zoom <= columns.x(f) <= columns.width + zoom]
    assert set(inside) <= set(frames[seen])
    assert len(frames[seen]) <= len(inside) + 3
    assert columns.seen(frames, reach=5 * zoom).start <= max(seen.start - 1, 0)
    assert not len(frames[:0][columns.seen(frames[:0])])


def test_many_corrections_are_painted_as_few_are():
    lanes = [Lane(track("0"))]
    options = {"selected": None, **COLOURS}
    for first, zoom in ((0.0, 1.0), (3.5, 8.0)):
        columns = Columns(first, zoom, 40, 20)
        here = np.array([4, 6, 9])
        more = np.concatenate([np.arange(-900, -50), here, np.arange(900, 2000)])
        few = paint_lanes(lanes, columns, {}, {1: (here, here > 5)}, gold={1: here}, **options)
        many = paint_lanes(lanes, columns, {}, {1: (more, more > 5)}, gold={1: more}, **options)
        np.testing.assert_array_equal(few, many)
