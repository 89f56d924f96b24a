"""Packed keyframes are keyframes, in less memory."""

from __future__ import annotations

import bisect
import copy
import dataclasses
import pickle
import tracemalloc
from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from drawn_tracks import drawn
from maskfree.packed_keyframes import PackedKeyframes
from maskfree.tracks import boxes_at, boxes_to_json, set_keyframe
from maskfree.types import Keyframe, Track

if TYPE_CHECKING:
    from maskfree.formats import Annotations

PLAIN = (
    Keyframe(0, (0.1, 0.2, 1 / 3, 5e-324), extra={"by": ["me"]}),
    Keyframe(3, None, outside=True, occluded=True),
    Keyframe(9, (1.0, 2.0, 3.0, 4.0), occluded=True),
)


def test_it_is_the_same_sequence() -> None:
    packed = PackedKeyframes(PLAIN)
    assert packed == PLAIN
    assert PLAIN == packed
    assert packed == PackedKeyframes(packed)
    assert packed != PLAIN[:2]
    assert packed != PackedKeyframes([*PLAIN[:2], dataclasses.replace(PLAIN[2], frame=8)])
    assert (packed[-1], packed[1:], packed[::-1]) == (PLAIN[2], PLAIN[1:], PLAIN[::-1])
    assert (len(packed), list(packed), bool(PackedKeyframes())) == (3, list(PLAIN), False)
    assert Track(1, "a", packed) == Track(1, "a", PLAIN)
    assert bisect.bisect_right(packed, 3, key=lambda each: each.frame) == 2
    assert pickle.loads(pickle.dumps(packed)) == copy.deepcopy(packed) == PLAIN
    assert repr(packed) == f"PackedKeyframes({list(PLAIN)!r})"


@settings(max_examples=30, deadline=None, derandomize=True)
@given(drawn(), st.integers(0, 8))
def test_tracks_do_not_know_the_difference(annotations: Annotations, frame: int) -> None:
    plain = annotations.boxes
    tracks = (
        dataclasses.replace(track, keyframes=PackedKeyframes(track.keyframes))
        for track in plain.tracks
    )
    packed = dataclasses.replace(plain, tracks=tuple(tracks))
    assert packed == plain
    assert boxes_at(packed, frame) == boxes_at(plain, frame)
    assert boxes_to_json(packed) == boxes_to_json(plain)
    if frame < plain.num_frames:
        new = Keyframe(frame, (1.0, 1.0, 4.0, 4.0))
        first = plain.tracks[0].id
        assert set_keyframe(packed, first, new) == set_keyframe(plain, first, new)


def test_it_takes_little_memory() -> None:
    count = 20_000

    def made(n: int) -> Keyframe:
        return Keyframe(n + 1000, (n + 0.5, n + 1.5, n + 2.5, n + 3.5))

    tracemalloc.start()
    try:
        packed = PackedKeyframes(made(n) for n in range(count))
        taken, _ = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        assert sum(each.frame for each in packed) == sum(range(1000, 1000 + count))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert taken < 5 * count
    assert peak < 50 * count, "what was looked at last stays"
