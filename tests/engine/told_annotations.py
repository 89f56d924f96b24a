"""Annotations that hold everything there is, and random ones, to write and to read back."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from maskfree.formats import Annotations
from maskfree.types import BoxTracks, IgnoreRegion, InstanceMasks, Keyframe, Track
from plain_annotations import SHAPE, A, B

NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=5)


def instances(
    masks: dict[int, np.ndarray], scores: tuple[float, ...] = (), shape: tuple[int, int] = SHAPE
) -> InstanceMasks:
    stack = np.stack(list(masks.values())) if masks else np.zeros((0, *shape), bool)
    return InstanceMasks(tuple(masks), stack, scores or (1.0,) * len(masks))


def everything_told() -> Annotations:
    """Overlap, scores, labels, a division, an ignore region, unknown fields, all keyframes."""
    frames = [
        instances({7: A, 3: A | B}, (0.25, 0.5)),
        None,
        instances({}),
        instances({3: np.zeros(SHAPE, bool), 9: B}, (0.1, 1.0)),
    ]
    mother = (
        Keyframe(0, (0.5, 0.25, 8.0, 6.1), extra={"by": "me"}),
        Keyframe(2, (1.0, 1.0, 7.0 / 3.0, 9.0), occluded=True),
        Keyframe(3, None, outside=True, extra={"why": ["left", float("nan")]}),
    )
    tracks = (
        Track(7, 'käfer, "groß"\r\n', mother, extra={"k": {"a": 1}}),
        Track(3, "=1+1", (Keyframe(1, (1.0, 1.0, 2.0, 2.0)),), parent=7),
        Track(12, "never seen", ()),
    )
    ignore = (IgnoreRegion(((0.0, 0.0), (4.0, 0.0), (4.0, 4.5)), 0, 2, extra={"n": 1}),)
    extra = {"note": ["x"], "video": {"camera": "left"}}
    boxes = BoxTracks(4, *SHAPE, 29.97, tracks, ignore, extra)
    names, files = ["shot 7", "8", "ä\ud83d", "8"], [f"clip/{n}.png" for n in range(4)]
    return Annotations(boxes, names, frames.__getitem__, files)


@st.composite
def videos(draw: st.DrawFn) -> Annotations:
    """Few frames, few tracks; boxes with and without masks, unknown frames, overlap."""
    length = draw(st.integers(1, 6))
    tracks = []
    for track_id in draw(st.lists(st.integers(1, 300), max_size=3, unique=True)):
        frames = draw(st.lists(st.integers(0, length - 1), unique=True, max_size=3))
        parent = tracks[-1].id if tracks and draw(st.booleans()) else None
        keyframes = tuple(draw(_keyframe(frame)) for frame in sorted(frames))
        tracks.append(Track(track_id, draw(NAMES), keyframes, parent))
    ids = [1, 2, 300, *(track.id for track in tracks)]
    found: list[InstanceMasks | None] = []
    for _ in range(length):
        here = draw(st.lists(st.sampled_from(sorted(set(ids))), unique=True, max_size=3))
        masks = draw(hnp.arrays(bool, (len(here), *SHAPE)))
        scores = tuple(draw(st.sampled_from([0.125, 0.5, 1.0])) for _ in here)
        found.append(InstanceMasks(tuple(here), masks, scores) if draw(st.booleans()) else None)
    names = draw(st.lists(NAMES, min_size=length, max_size=length))
    boxes = BoxTracks(length, *SHAPE, draw(st.sampled_from([None, 25.0])), tuple(tracks))
    return Annotations(boxes, names, found.__getitem__)


@st.composite
def _keyframe(draw: st.DrawFn, frame: int) -> Keyframe:
    if draw(st.integers(0, 3)) == 0:
        return Keyframe(frame, None, outside=True)
    x0, y0 = draw(st.floats(0, 7)), draw(st.floats(0, 5))
    width, height = draw(st.floats(0.5, 8)), draw(st.floats(0.5, 6))
    return Keyframe(frame, (x0, y0, x0 + width, y0 + height), occluded=draw(st.booleans()))
