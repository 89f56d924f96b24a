from __future__ import annotations

import dataclasses

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from maskfree.errors import InputError
from maskfree.track_edits import (
    clear_range,
    merge_tracks,
    remove_keyframes,
    split_track,
    swap_tracks,
)
from maskfree.tracks import boxes_at, boxes_from_json, boxes_to_json, find_track
from maskfree.types import Box, BoxTracks, Keyframe, Track

SEEDED = settings(
    derandomize=True, database=None, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
FRAMES = 20
A: Box = (10.0, 10.0, 30.0, 40.0)
B: Box = (20.0, 10.0, 40.0, 40.0)
C: Box = (50.0, 50.0, 60.0, 60.0)
OUTSIDE = None
BEYOND = "frame must be from 0 to 19, the last of the video, got "
CHOOSE = " Choose another track."
SPLIT = "so there is nothing to split. Choose a frame that has boxes on both sides, or draw one."
FOLLOWED = "there it is followed. Draw one there first, or press Outside where it leaves for good."


def track(track_id: int, boxes: dict[int, Box | None], label: str = "cell", **more: int) -> Track:
    keyframes = tuple(Keyframe(f, b, outside=b is None) for f, b in sorted(boxes.items()))
    return Track(track_id, label, keyframes, **more)


def of(*tracks: Track) -> BoxTracks:
    return BoxTracks(FRAMES, 100, 100, None, tracks)


def positions(tracks: BoxTracks) -> list[dict[int, tuple[float, ...]]]:
    """Where each track is in each frame, to a thousandth of a pixel."""
    return [
        {
            i: (*(round(v, 3) for v in s.xyxy), float(s.occluded))
            for i, s in boxes_at(tracks, f).items()
        }
        for f in range(FRAMES)
    ]


def keyframes(tracks: BoxTracks, track_id: int) -> dict[int, Box | None]:
    return {k.frame: k.xyxy for k in find_track(tracks, track_id).keyframes}


@st.composite
def some_tracks(draw: st.DrawFn, count: int = 2) -> BoxTracks:
    made = []
    for track_id in range(1, count + 1):
        frames = sorted(draw(st.sets(st.integers(0, FRAMES - 1), min_size=1, max_size=5)))
        boxes = []
        for frame in frames:
            x, y = draw(st.integers(0, 60)), draw(st.integers(0, 60))
            outside = frame > frames[0] and draw(st.booleans())
            box = None if outside else (float(x), float(y), x + 20.0, y + 30.0)
            occluded = not outside and draw(st.booleans())
            boxes.append(Keyframe(frame, box, outside=outside, occluded=occluded))
        parent = draw(st.sampled_from([None, *range(1, track_id)]))
        made.append(Track(track_id, "cell", tuple(boxes), parent=parent))
    return of(*made)


def test_a_split_between_two_keyframes_keeps_every_box() -> None:
    tracks, new = split_track(of(track(1, {0: A, 10: B}, "car"), track(4, {3: C})), 1, 6)
    assert new == 5
    assert keyframes(tracks, 1) == {0: A, 5: (15, 10, 35, 40), 6: OUTSIDE}
    assert keyframes(tracks, 5) == {6: (16, 10, 36, 40), 10: B}
    assert find_track(tracks, 5).label == "car"
    assert keyframes(tracks, 4) == {3: C}


def test_a_split_on_a_keyframe_adds_none_to_the_new_track() -> None:
    tracks, new = split_track(of(track(1, {0: A, 10: B})), 1, 10)
    assert keyframes(tracks, 1) == {0: A, 9: (19, 10, 39, 40), 10: OUTSIDE}
    assert keyframes(tracks, new) == {10: B}


def test_a_split_where_the_track_is_away_just_parts_it() -> None:
    tracks, new = split_track(of(track(1, {0: A, 5: OUTSIDE, 12: B})), 1, 8)
    assert keyframes(tracks, 1) == {0: A, 5: OUTSIDE}
    assert keyframes(tracks, new) == {12: B}


def test_children_that_come_later_go_to_the_new_track() -> None:
    mother = track(1, {0: A, 12: OUTSIDE})
    children = (track(n, {f: B}, parent=1) for n, f in ((2, 3), (3, 5), (4, 9)))
    tracks, new = split_track(of(mother, *children), 1, 5)
    assert [t.parent for t in tracks.tracks] == [None, 1, 1, new, None]


def check(tracks: BoxTracks) -> None:
    """What an edit makes can be saved and read back."""
    assert boxes_from_json(boxes_to_json(tracks)) == tracks


@SEEDED
@given(some_tracks(), st.integers(0, FRAMES - 1))
def test_a_split_moves_nothing(tracks: BoxTracks, frame: int) -> None:
    before = positions(tracks)
    try:
        split, new = split_track(tracks, 1, frame)
    except InputError:
        drawn = [k.frame for k in find_track(tracks, 1).keyframes if k.xyxy is not None]
        later = any(1 in before[f] for f in range(frame, FRAMES))
        assert frame <= drawn[0] or not later or followed(tracks, 1, frame)
        return
    check(split)
    for f, now in enumerate(positions(split)):
        mine, other = (new, 1) if f >= frame else (1, new)
        assert other not in now
        assert now.get(mine) == before[f].get(1)
        assert now.get(2) == before[f].get(2)
    merged = merge_tracks(split, 1, new)
    check(merged)
    assert positions(merged) == before


@pytest.mark.parametrize(("frame", "side"), [(4, "before frame 4"), (15, "from frame 15 on")])
def test_a_split_needs_boxes_on_both_sides(frame: int, side: str) -> None:
    with pytest.raises(InputError) as caught:
        split_track(of(track(1, {4: A, 12: OUTSIDE})), 1, frame)
    assert str(caught.value) == (f"Track 1 has no box {side}, {SPLIT}")


def test_merged_parts_are_one_track_and_what_stays_gives_way() -> None:
    pieces = of(track(1, {0: A, 4: OUTSIDE}), track(2, {12: B}), track(3, {8: C}))
    once = merge_tracks(pieces, 1, 3)
    assert keyframes(once, 1) == {0: A, 4: OUTSIDE, 8: C}
    twice = merge_tracks(once, 1, 2)
    assert keyframes(twice, 1) == {0: A, 4: OUTSIDE, 8: C, 12: B}  # 8 to 12: interpolated
    assert [t.id for t in twice.tracks] == [1]
    other_way = merge_tracks(pieces, 2, 1)
    assert keyframes(other_way, 2) == {0: A, 4: OUTSIDE, 12: B}


def test_no_outside_is_left_where_one_part_follows_the_other_at_once() -> None:
    tracks = merge_tracks(of(track(1, {0: A, 4: OUTSIDE}), track(2, {4: B, 9: OUTSIDE})), 1, 2)
    assert keyframes(tracks, 1) == {0: A, 3: A, 4: B, 9: OUTSIDE}


def test_merging_hands_the_children_over() -> None:
    family = of(
        track(1, {0: A, 3: OUTSIDE}),
        track(2, {3: B, 6: OUTSIDE}, parent=1),
        track(3, {6: B}, parent=2),
    )
    assert [t.parent for t in merge_tracks(family, 1, 2).tracks] == [None, 1]
    assert [t.parent for t in merge_tracks(family, 2, 1).tracks] == [None, 2]


def test_one_object_is_in_one_place() -> None:
    tracks = of(track(1, {0: A, 9: A}), track(2, {5: B, 7: B}))
    with pytest.raises(InputError, match="both have a box in frame 5, and one object"):
        merge_tracks(tracks, 1, 2)


def followed(tracks: BoxTracks, track_id: int, frame: int) -> bool:
    """Whether a track is in a frame without anything drawn from there on."""
    last = find_track(tracks, track_id).keyframes[-1]
    return last.xyxy is not None and last.frame < frame


@SEEDED
@given(some_tracks(), st.integers(0, FRAMES - 1))
def test_a_swap_exchanges_what_comes_and_twice_is_nothing(tracks: BoxTracks, frame: int) -> None:
    before = positions(tracks)
    try:
        swapped = swap_tracks(tracks, 1, 2, frame)
    except InputError:
        assert followed(tracks, 1, frame) or followed(tracks, 2, frame)
        return
    check(swapped)
    for f, now in enumerate(positions(swapped)):
        one, two = (2, 1) if f >= frame else (1, 2)
        assert (now.get(1), now.get(2)) == (before[f].get(one), before[f].get(two))
    assert positions(swap_tracks(swapped, 1, 2, frame)) == before


def test_a_swap_exchanges_later_children_too() -> None:
    children = track(3, {2: C}, parent=1), track(4, {8: C}, parent=1)
    family = of(track(1, {0: A, 9: A}), track(2, {0: B, 9: B}), *children)
    assert [t.parent for t in swap_tracks(family, 1, 2, 5).tracks] == [None, None, 1, 2]


def test_a_mother_and_a_daughter_that_were_mixed_up() -> None:
    daughters = track(2, {10: A, 19: A}, parent=1), track(3, {10: B, 19: B}, parent=1)
    family = of(track(1, {0: A, 10: OUTSIDE}), *daughters)
    swapped = swap_tracks(family, 1, 2, 10)
    check(swapped)
    assert [(t.id, t.parent, len(t.keyframes)) for t in swapped.tracks] == [
        (1, None, 4),
        (2, 1, 0),
        (3, 1, 2),
    ]


@SEEDED
@given(some_tracks(), st.integers(0, FRAMES - 1), st.integers(0, FRAMES - 1))
def test_a_cleared_range_is_empty_and_the_rest_stays(tracks: BoxTracks, a: int, b: int) -> None:
    first, last = min(a, b), max(a, b)
    before = positions(tracks)
    try:
        cleared = clear_range(tracks, 1, first, last)
    except InputError:
        assert followed(tracks, 1, last + 1)
        return
    check(cleared)
    for f, now in enumerate(positions(cleared)):
        assert now.get(1) == (None if first <= f <= last else before[f].get(1))
        assert now.get(2) == before[f].get(2)


@SEEDED
@given(some_tracks(), st.integers(0, FRAMES - 1), st.integers(0, FRAMES - 1))
def test_only_the_ranges_keyframes_are_removed(tracks: BoxTracks, a: int, b: int) -> None:
    first, last = min(a, b), max(a, b)
    own = tracks.tracks[0].keyframes
    kept = tuple(k for k in own if not first <= k.frame <= last)
    if kept == own:
        with pytest.raises(InputError, match="no keyframe in the frames"):
            remove_keyframes(tracks, 1, first, last)
        return
    changed = remove_keyframes(tracks, 1, first, last)
    check(changed)
    assert changed.tracks[0].keyframes == kept
    assert changed.tracks[1:] == tracks.tracks[1:]


@SEEDED
@given(some_tracks(4), st.integers(0, FRAMES - 1), st.permutations([1, 2, 3, 4]))
def test_descent_has_no_circles(tracks: BoxTracks, frame: int, order: list[int]) -> None:
    one, two, *_ = order
    for edit in (
        lambda: swap_tracks(tracks, one, two, frame),
        lambda: merge_tracks(tracks, one, two),
        lambda: split_track(tracks, one, frame)[0],
    ):
        try:
            edited = edit()
        except InputError:
            continue
        check(edited)
        parents = {t.id: t.parent for t in edited.tracks}
        for track_id in parents:
            above = parents[track_id]
            for _ in parents:
                assert above != track_id
                above = parents[above] if above is not None else None


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (lambda t: split_track(t, 9, 3), "There is no track 9. The tracks are: 1, 2."),
        (
            lambda t: split_track(t, 1, 20),
            BEYOND + "20.",
        ),
        (
            lambda t: merge_tracks(t, 1, 1),
            "Track 1 cannot be merged with itself." + CHOOSE,
        ),
        (
            lambda t: swap_tracks(t, 2, 2, 0),
            "Track 2 cannot be swapped with itself." + CHOOSE,
        ),
        (
            lambda t: swap_tracks(t, 1, 2, -1),
            BEYOND + "-1.",
        ),
        (lambda t: split_track(t, 2, 5), f"Track 2 has no box from frame 5 on, {SPLIT}"),
        (lambda t: swap_tracks(t, 1, 2, 5), f"Track 2 has no box from frame 5 on: {FOLLOWED}"),
        (lambda t: clear_range(t, 2, 3, 5), f"Track 2 has no box from frame 6 on: {FOLLOWED}"),
        (
            lambda t: remove_keyframes(t, 1, 1, 1),
            "Track 1 has no keyframe in the frames 1 to 1. Choose others.",
        ),
        (lambda t: remove_keyframes(t, 1, 5, 4), "The range must not be empty, got frames 5 to 4."),
        (lambda t: clear_range(t, 1, 5, 4), "The range must not be empty, got frames 5 to 4."),
        (
            lambda t: clear_range(t, 1, 5, 20),
            BEYOND + "20.",
        ),
    ],
)
def test_what_cannot_be_done_is_said(edit: object, words: str) -> None:
    tracks = of(track(1, {0: A, 19: A}), track(2, {0: C}))
    with pytest.raises(InputError) as caught:
        edit(tracks)  # type: ignore[operator]
    assert str(caught.value) == words


def test_what_was_given_stays_as_it_was() -> None:
    tracks = of(track(1, {0: A, 10: B}), track(2, {0: C, 12: A}))
    copy = dataclasses.replace(tracks)
    split_track(tracks, 1, 5)
    swap_tracks(tracks, 1, 2, 5)
    clear_range(tracks, 1, 2, 3)
    assert tracks == copy
