"""Boxes of a video whose frames have other numbers."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drawn_tracks import drawn
from maskfree.ignore_regions import holds_at
from maskfree.shifted_boxes import shifted_boxes, shifted_frames
from maskfree.tracks import box_at, boxes_from_json, boxes_to_json
from maskfree.types import BoxTracks, IgnoreRegion, Keyframe, Track

CORNERS = ((0.0, 0.0), (5.0, 0.0), (5.0, 5.0))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(drawn().map(lambda made: made.boxes), st.integers(-12, 12), st.integers(1, 30))
def test_every_frame_that_is_left_has_the_boxes_that_it_had(
    tracks: BoxTracks, offset: int, length: int
) -> None:
    moved = shifted_boxes(tracks, offset, length)
    assert moved.num_frames == length
    boxes_from_json(boxes_to_json(moved), allow_empty=True)
    for old, new in zip(tracks.tracks, moved.tracks, strict=True):
        assert (old.id, old.label, old.parent, old.extra) == (
            new.id,
            new.label,
            new.parent,
            new.extra,
        )
        for frame in range(length):
            was = box_at(old, frame - offset) if frame >= offset else None
            now = box_at(new, frame)
            assert (was is None) == (now is None)
            if was is not None and now is not None:
                assert now.xyxy == pytest.approx(was.xyxy, abs=1e-9)
                assert now.occluded == was.occluded


@settings(max_examples=30, deadline=None, derandomize=True)
@given(drawn().map(lambda made: made.boxes), st.integers(0, 12))
def test_there_and_back(tracks: BoxTracks, offset: int) -> None:
    there = shifted_boxes(tracks, offset, tracks.num_frames + offset)
    assert shifted_boxes(there, -offset, tracks.num_frames) == tracks


def test_a_keyframe_beyond_the_start_leaves_the_box_that_it_gave() -> None:
    keyframes = (
        Keyframe(0, (0, 0, 10, 10), occluded=True, extra={"by": "me"}),
        Keyframe(10, (10, 0, 20, 10)),
        Keyframe(12, None, outside=True),
    )
    tracks = BoxTracks(20, 50, 50, 5.0, (Track(1, "car", keyframes),))
    moved = shifted_boxes(tracks, -5, 15, fps=6.0)
    assert moved.fps == 6.0
    assert moved.tracks[0].keyframes == (
        Keyframe(0, (5, 0, 15, 10), occluded=True),
        Keyframe(5, (10, 0, 20, 10)),
        Keyframe(7, None, outside=True),
    )
    ended = shifted_boxes(tracks, 0, 6).tracks[0].keyframes
    assert ended == (keyframes[0], Keyframe(5, (5, 0, 15, 10), occluded=True))
    assert shifted_boxes(tracks, -13, 7).tracks[0].keyframes == ()


def test_ignore_regions_move_and_are_cut() -> None:
    regions = tuple(
        IgnoreRegion(CORNERS, first, last) for first, last in ((0, None), (2, 8), (3, 3), (9, 9))
    )
    tracks = BoxTracks(10, 50, 50, None, (), regions)
    moved = shifted_boxes(tracks, -4, 5).ignore
    assert [(r.frame, r.until) for r in moved] == [(0, None), (0, 4)]
    for frame in range(5):
        assert [holds_at(r, frame + 4) for r in regions[:2]] == [holds_at(r, frame) for r in moved]


def test_frames() -> None:
    assert shifted_frames([9, 0, 4], -4, 5) == [0]
    assert shifted_frames([9, 0, 4], 1, 11) == [1, 5, 10]
