from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from maskfree.errors import InputError, InputWarning
from maskfree.tracks import (
    BoxState,
    add_track,
    box_at,
    boxes_at,
    check_against_video,
    empty_tracks,
    keyframe_at,
    next_track_id,
    remove_keyframe,
    remove_track,
    rename_track,
    set_keyframe,
    tube,
)
from maskfree.types import BoxTracks, Keyframe, Track

SEEDED = settings(
    derandomize=True, database=None, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)

# The example of design.md, section 6.
A = (355.0, 60.5, 603.0, 221.0)
B = (340.0, 62.0, 590.0, 220.0)
C = (300.0, 70.0, 500.0, 210.0)
CAR = Track(
    1,
    "car",
    (Keyframe(0, A), Keyframe(5, B), Keyframe(12, None, True), Keyframe(20, C, occluded=True)),
)
TRACKS = BoxTracks(40, 480, 854, 24.0, (CAR,))


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        (-1, None),
        (0, BoxState(A, True, False, 0)),
        # 355 - 15 * 2/5, 60.5 + 1.5 * 2/5, 603 - 13 * 2/5, 221 - 1 * 2/5
        (2, BoxState((349.0, 61.1, 597.8, 220.6), False, False, 2)),
        (4, BoxState((343.0, 61.7, 592.6, 220.2), False, False, 1)),
        (5, BoxState(B, True, False, 0)),
        (11, BoxState(B, False, False, 6)),  # stays up to the outside
        (12, None),
        (19, None),
        (20, BoxState(C, True, True, 0)),
        (39, BoxState(C, False, True, 19)),  # stays after the last, and so does occluded
    ],
)
def test_the_example_frame_by_frame(frame: int, expected: BoxState | None) -> None:
    state = box_at(CAR, frame)
    if state is None or expected is None:
        assert state == expected
        return
    assert state.xyxy == pytest.approx(expected.xyxy, abs=1e-12)
    assert dataclasses.replace(state, xyxy=expected.xyxy) == expected


def test_keyframes_are_found_by_their_frame() -> None:
    found = {frame: keyframe_at(CAR, frame) for frame in range(-1, 40)}
    assert {f: k for f, k in found.items() if k is not None} == {k.frame: k for k in CAR.keyframes}
    assert keyframe_at(Track(2, "dog", ()), 0) is None


def test_absent_before_the_first_keyframe_and_without_any() -> None:
    assert box_at(Track(1, "car", (Keyframe(3, A),)), 2) is None
    assert box_at(Track(1, "car", ()), 0) is None


def test_occluded_holds_until_the_next_keyframe_only() -> None:
    track = Track(1, "car", (Keyframe(0, A, occluded=True), Keyframe(4, B)))
    states = [box_at(track, frame) for frame in range(6)]
    assert [state and state.occluded for state in states] == [True] * 4 + [False] * 2


def test_boxes_at_leaves_absent_tracks_out() -> None:
    other = Track(4, "dog", (Keyframe(12, B),))
    tracks = dataclasses.replace(TRACKS, tracks=(other, CAR))
    assert list(boxes_at(tracks, 12)) == [4]
    assert list(boxes_at(tracks, 20)) == [4, 1]


def test_tube_in_the_order_of_the_tracks_with_nan_where_absent() -> None:
    other = Track(4, "dog", (Keyframe(12, B),))
    tracks = dataclasses.replace(TRACKS, tracks=(other, CAR))
    boxes = tube(tracks, [12, 5, 12])
    assert boxes.shape == (2, 3, 4)
    assert boxes.dtype == np.float64
    nan = [math.nan] * 4
    np.testing.assert_array_equal(boxes, [[B, nan, B], [nan, B, nan]])
    assert tube(empty_tracks(3, 9, 8, None), range(3)).shape == (0, 3, 4)


@st.composite
def tracks_with_boxes(draw: st.DrawFn) -> Track:
    frames = sorted(draw(st.sets(st.integers(0, 50), min_size=1, max_size=6)))
    half = st.integers(0, 200).map(lambda n: n / 2)

    def keyframe(frame: int) -> Keyframe:
        if draw(st.integers(0, 3)) == 0:
            return Keyframe(frame, None, outside=True)
        x0, y0, w, h = (draw(half) for _ in range(4))
        box = (x0, y0, x0 + w + 0.5, y0 + h + 0.5)
        return Keyframe(frame, box, occluded=draw(st.booleans()))

    return Track(1, "car", tuple(map(keyframe, frames)))


@SEEDED
@given(track=tracks_with_boxes(), frame=st.integers(-2, 55))
def test_interpolation_invariants(track: Track, frame: int) -> None:
    before = [k for k in track.keyframes if k.frame <= frame]
    after = [k for k in track.keyframes if k.frame > frame]
    state = box_at(track, frame)
    if not before or before[-1].outside:
        assert state is None
        return
    start = before[-1]
    assert state is not None and start.xyxy is not None
    assert state.occluded == start.occluded
    assert state.keyframe == (state.gap == 0) == (start.frame == frame)
    assert state.xyxy[0] < state.xyxy[2] and state.xyxy[1] < state.xyxy[3]
    if state.keyframe or not after or after[0].xyxy is None:
        assert state.xyxy == start.xyxy
        assert state.gap == frame - start.frame
        return
    end = after[0]
    assert state.gap == min(frame - start.frame, end.frame - frame)
    for now, low, high in zip(state.xyxy, start.xyxy, end.xyxy, strict=True):
        assert min(low, high) <= now <= max(low, high)
    # The slow reference: np.interp over the two keyframes.
    slow = [
        np.interp(frame, [start.frame, end.frame], pair)
        for pair in zip(start.xyxy, end.xyxy, strict=True)
    ]
    assert state.xyxy == pytest.approx(slow, abs=1e-9)
    # The same seen in reverse.
    mirrored = Track(1, "car", tuple(Keyframe(-k.frame, k.xyxy) for k in (end, start)))
    assert box_at(mirrored, -frame).xyxy == pytest.approx(state.xyxy, abs=1e-9)


@SEEDED
@given(track=tracks_with_boxes(), frame=st.integers(0, 50))
def test_making_an_interpolated_box_a_keyframe_changes_no_frame(track: Track, frame: int) -> None:
    tracks = BoxTracks(51, 400, 400, None, (track,))
    state = box_at(track, frame)
    if state is None:
        return
    fixed = set_keyframe(tracks, 1, Keyframe(frame, state.xyxy, occluded=state.occluded))
    np.testing.assert_allclose(tube(fixed, range(51)), tube(tracks, range(51)), atol=1e-9)


def test_check_against_video() -> None:
    check_against_video(TRACKS, num_frames=40, height=480, width=854)
    with pytest.raises(InputError) as caught:
        check_against_video(TRACKS, num_frames=40, height=854, width=480)
    assert str(caught.value) == (
        "The boxes are for a video of 854 x 480 pixels (width x height), this video has 480 x 854. "
        "Give the video that they were drawn on, or draw them on this one."
    )
    with pytest.raises(InputError, match=r"a video of 40 frames, this video has only 39. Give the"):
        check_against_video(TRACKS, num_frames=39, height=480, width=854)
    with pytest.warns(InputWarning, match=r"this video has 42. .* in frames 40 to 41 the boxes"):
        check_against_video(TRACKS, num_frames=42, height=480, width=854)


def test_editing_by_hand() -> None:
    tracks = empty_tracks(10, 20, 30, None)
    tracks, first = add_track(tracks, "car")
    tracks, second = add_track(tracks, track_id=5)
    assert (first, second, next_track_id(tracks)) == (1, 5, 6)
    tracks = set_keyframe(tracks, 5, Keyframe(4, (1, 1, 5, 5)))
    tracks = set_keyframe(tracks, 5, Keyframe(2, (0, 0, 5, 5)))
    tracks = set_keyframe(tracks, 5, Keyframe(4, (2, 2, 6, 6), extra={"by": "ann"}))
    assert tracks.tracks[1] == Track(
        5,
        "object",
        (Keyframe(2, (0.0, 0.0, 5.0, 5.0)), Keyframe(4, (2.0, 2.0, 6.0, 6.0), extra={"by": "ann"})),
    )
    tracks = rename_track(tracks, 5, "dog")
    assert remove_keyframe(tracks, 5, 2).tracks[1].keyframes == tracks.tracks[1].keyframes[1:]
    assert [track.label for track in tracks.tracks] == ["car", "dog"]
    assert remove_track(tracks, 1).tracks == (tracks.tracks[1],)


def test_set_keyframe_clips_to_the_frame_and_takes_numpy_numbers() -> None:
    box = tuple(np.array([-2, 3.5, 31, 19], dtype=np.float32))
    tracks, _ = add_track(empty_tracks(10, 20, 30, None))
    tracks = set_keyframe(tracks, 1, Keyframe(np.int64(3), box))
    assert tracks.tracks[0].keyframes == (Keyframe(3, (0.0, 3.5, 30.0, 19.0)),)
    assert all(type(v) is float for v in tracks.tracks[0].keyframes[0].xyxy)


def test_children_of_a_removed_track_lose_their_parent() -> None:
    child = Track(2, "cell", (), parent=1)
    tracks = BoxTracks(10, 20, 30, None, (Track(1, "cell", ()), child, Track(3, "c", (), parent=2)))
    assert [track.parent for track in remove_track(tracks, 1).tracks] == [None, 2]


def test_edits_at_fault() -> None:
    with pytest.raises(InputError, match=r"There is no track 9\. The tracks are: 1\."):
        remove_track(TRACKS, 9)
    with pytest.raises(InputError, match=r"There is no track 9\. The tracks are: none\."):
        rename_track(empty_tracks(1, 1, 1, None), 9, "car")
    with pytest.raises(InputError, match=r"There is a track 1 already\. Use 2\."):
        add_track(TRACKS, track_id=1)
    with pytest.raises(InputError, match=r"A track id must be 1 or more, got 0\. Use 2\."):
        add_track(TRACKS, track_id=0)
    with pytest.raises(
        InputError, match=r"no keyframe in frame 3. Pick one of its .*: 0, 5, 12, 20"
    ):
        remove_keyframe(TRACKS, 1, 3)
    with pytest.raises(InputError, match=r"track 1: frame must lie in 0 to 39 .*, got 40"):
        set_keyframe(TRACKS, 1, Keyframe(40, A))
    with pytest.raises(InputError, match=r"track 1, frame 3: the box must overlap the frame"):
        set_keyframe(TRACKS, 1, Keyframe(3, (900, 0, 910, 10)))
    with pytest.raises(InputError, match=r"track 1, frame 3: xyxy must be .* with x0 < x1"):
        set_keyframe(TRACKS, 1, Keyframe(3, (10, 0, 10, 10)))
