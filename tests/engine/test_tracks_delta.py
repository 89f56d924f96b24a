"""What changed between two states of the boxes: small, exact, and refused where it does not fit."""

from __future__ import annotations

import dataclasses
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maskfree.errors import InputError
from maskfree.tracks_delta import changed, difference
from maskfree.types import BoxTracks, IgnoreRegion, Keyframe, Track

FRAMES, HEIGHT, WIDTH = 9, 64, 96


@st.composite
def keyframes(draw: st.DrawFn, frame: int) -> Keyframe:
    extra = draw(st.sampled_from([{}, {}, {"note": "ä"}, {"by": [1, None]}]))
    if draw(st.booleans()) and draw(st.booleans()):
        return Keyframe(frame, None, True, draw(st.booleans()), extra)
    x, y = draw(st.floats(0, 40)), draw(st.floats(0, 40))
    return Keyframe(frame, (x, y, x + 8.5, y + 0.1), False, draw(st.booleans()), extra)


@st.composite
def states(draw: st.DrawFn) -> BoxTracks:
    ids = draw(st.lists(st.integers(1, 6), unique=True, max_size=5))
    tracks = []
    for track_id in ids:
        frames = sorted(draw(st.sets(st.integers(0, FRAMES - 1), max_size=5)))
        label = draw(st.sampled_from(["car", "dog"]))
        parent = draw(st.sampled_from([None, None, 7]))
        boxes = tuple(draw(keyframes(frame)) for frame in frames)
        tracks.append(Track(track_id, label, boxes, parent, draw(st.sampled_from([{}, {"k": 1}]))))
    square = ((1.0, 1.0), (9.0, 1.0), (9.0, 9.0))
    ignore = draw(st.lists(st.builds(IgnoreRegion, st.just(square), st.just(2), st.none())))
    extra = draw(st.sampled_from([{}, {"classes": ["car"]}, {"video": {"lens": 2}}]))
    return BoxTracks(FRAMES, HEIGHT, WIDTH, 25.0, tuple(tracks), tuple(ignore), extra)


@settings(max_examples=50, deadline=None, derandomize=True)
@given(states(), states())
def test_a_difference_leads_from_one_to_the_other(before: BoxTracks, after: BoxTracks) -> None:
    delta = json.loads(json.dumps(difference(before, after)))
    assert changed(before, delta, where="here") == after
    assert difference(after, after) == {}


def many(count: int = 50_000) -> BoxTracks:
    boxes = tuple(Keyframe(n, (1.0, 2.0, 30.0, 40.0 + n / 1e5)) for n in range(count))
    return BoxTracks(count, HEIGHT, WIDTH, None, (Track(1, "car", boxes), Track(2, "dog", ())))


def test_an_edit_among_many_boxes_is_as_small_as_the_edit() -> None:
    before = many()
    frames = list(before.tracks[0].keyframes)
    frames[30_000] = Keyframe(30_000, (5.0, 5.0, 6.0, 6.0))
    moved = dataclasses.replace(before.tracks[0], keyframes=tuple(frames))
    after = dataclasses.replace(before, tracks=(moved, before.tracks[1]))
    delta = difference(before, after)
    assert len(json.dumps(delta)) < 200
    made = changed(before, delta, where="here")
    assert made == after
    assert made.tracks[1] is before.tracks[1], "what stays is shared"
    assert made.tracks[0].keyframes[7] is before.tracks[0].keyframes[7]


def test_a_new_label_does_not_name_the_boxes() -> None:
    before = many()
    after = dataclasses.replace(
        before, tracks=tuple(dataclasses.replace(t, label="ox") for t in before.tracks)
    )
    delta = difference(before, after)
    assert len(json.dumps(delta)) < 300
    assert changed(before, delta, where="here") == after


def test_a_difference_of_another_state_is_refused() -> None:
    one, two = many(3), many(4)
    delta = difference(two, dataclasses.replace(two, tracks=two.tracks[:1]))
    with pytest.raises(InputError, match=r"here: .*does not fit what was there before it"):
        changed(one, delta | {"order": {"at": 1, "was": [3], "now": []}}, where="here")
    first = dataclasses.replace(two.tracks[0], keyframes=two.tracks[0].keyframes[1:])
    delta = difference(two, dataclasses.replace(two, tracks=(first, two.tracks[1])))
    other = dataclasses.replace(one.tracks[0], keyframes=one.tracks[0].keyframes[1:])
    with pytest.raises(InputError, match="track 1: the change does not fit"):
        changed(dataclasses.replace(one, tracks=(other,)), delta, where="here")


@pytest.mark.parametrize(
    "delta",
    [
        {"tracks": 5},
        {"tracks": [5]},
        {"tracks": [{"id": 0}]},
        {"tracks": [{"id": 9, "boxes": {"at": 0, "was": [], "now": []}, "head": [None]}]},
        {"tracks": [{"id": 1, "boxes": {"at": 10**30, "was": [], "now": []}}]},
        {"tracks": [{"id": 1, "boxes": {"at": 0, "was": [], "now": [{"frame": 99}]}}]},
        {"tracks": [{"id": 1, "boxes": {"at": 0, "was": [], "now": [{"frame": 2}] * 2}}]},
        {"order": {"at": 0, "was": [1], "now": [1, 1]}},
        {"order": {"at": 0, "was": [], "now": [77]}},
        {"ignore": {"at": 0, "was": [], "now": [{}]}},
        {"head": [1, 2]},
        {"head": "x"},
    ],
)
def test_what_is_no_difference_is_refused(delta: dict[str, object]) -> None:
    with pytest.raises(InputError):
        changed(many(3), delta, where="here")
