"""Random annotations for round trips: tracks, masks that overlap, frames that nobody predicted."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from maskfree.formats import Annotations
from maskfree.types import BoxTracks, IgnoreRegion, InstanceMasks, Keyframe, Track
from plain_annotations import SHAPE

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
SCORES = st.sampled_from([0.25, 0.5, 1 / 3, 1.0])
ANY_ID = st.integers(1, 10**6)
H, W = SHAPE


@st.composite
def boxes(draw: st.DrawFn) -> tuple[float, float, float, float]:
    x0, y0 = draw(st.floats(0, W - 2)), draw(st.floats(0, H - 2))
    return x0, y0, draw(st.floats(x0 + 1, W)), draw(st.floats(y0 + 1, H))


@st.composite
def regions(draw: st.DrawFn, length: int) -> IgnoreRegion:
    frame = draw(st.integers(0, length - 1))
    until = draw(st.sampled_from([None, frame, length - 1]))
    x0, y0, x1, y1 = (round(value) for value in draw(boxes()))
    corners = [(x0, y0), (x1 + 1, y0), (x1 + 1, y1 + 1)]
    if draw(st.booleans()):
        corners.append((x0, y1 + 1))
    polygon = tuple((float(min(x, W)), float(min(y, H))) for x, y in corners)
    return IgnoreRegion(polygon, frame, until)


@st.composite
def videos(
    draw: st.DrawFn,
    ids: st.SearchStrategy[int] = ANY_ID,
    labels: st.SearchStrategy[str] = TEXTS,
) -> Annotations:
    """Up to five frames of up to four tracks; masks may have an id without track."""
    length = draw(st.integers(1, 5))
    numbers = draw(st.lists(ids, min_size=1, max_size=4, unique=True))
    tracks = []
    for track_id in numbers[:3]:
        frames = sorted(draw(st.sets(st.integers(0, length - 1), max_size=3)))
        keyframes = []
        for frame in frames:
            outside = bool(keyframes) and draw(st.booleans())
            xyxy = None if outside else draw(boxes())
            keyframes.append(Keyframe(frame, xyxy, outside, draw(st.booleans())))
        extra = {"iscrowd": 1} if draw(st.integers(0, 5)) == 0 else {}
        tracks.append(Track(track_id, draw(labels), tuple(keyframes), extra=extra))
    found: list[InstanceMasks | None] = []
    for _ in range(length):
        here = draw(st.lists(st.sampled_from(numbers), unique=True))
        masks = draw(hnp.arrays(bool, (len(here), *SHAPE)))
        known = InstanceMasks(tuple(here), masks, tuple(draw(SCORES) for _ in here))
        found.append(known if draw(st.booleans()) else None)
    ignore = tuple(draw(st.lists(regions(length), max_size=2)))
    fps = draw(st.sampled_from([None, 25.0, 29.97]))
    names = [f"{n:05d}" for n in range(length)]
    video = BoxTracks(length, *SHAPE, fps, tuple(tracks), ignore)
    return Annotations(video, names, found.__getitem__)


def masks_of(annotations: Annotations, frame: int) -> dict[int, list[list[bool]]]:
    """The masks of a frame that have a pixel, as plain values; none where there are none known."""
    masks = annotations.read_masks(frame)
    if masks is None:
        return {}
    pairs = zip(masks.track_ids, masks.masks, strict=True)
    return {track_id: np.asarray(mask).tolist() for track_id, mask in pairs if mask.any()}
