"""Random tracks of boxes, for formats that hold boxes."""

from __future__ import annotations

import string
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from maskfree.formats import Annotations
from maskfree.numbered_names import NumberedNames
from maskfree.tracks import boxes_at
from maskfree.types import BoxTracks, Keyframe, Track

if TYPE_CHECKING:
    from pathlib import Path

    from maskfree.types import Box

HEIGHT, WIDTH = 48, 64
LABELS = st.text(string.ascii_letters + " äß<&\"'>é", min_size=1, max_size=6)


@st.composite
def box(draw: st.DrawFn, *, whole: bool = False) -> Box:
    """A box of a pixel or more within the frame."""
    side = st.integers if whole else st.floats
    x0, y0 = draw(side(0, WIDTH - 2)), draw(side(0, HEIGHT - 2))
    x1, y1 = draw(side(x0 + 1, WIDTH)), draw(side(y0 + 1, HEIGHT))
    return float(x0), float(y0), float(x1), float(y1)


@st.composite
def drawn(draw: st.DrawFn, labels: st.SearchStrategy[str] = LABELS) -> Annotations:
    """Up to four tracks over up to nine frames; each has a box."""
    num_frames = draw(st.integers(1, 9))
    ids = draw(st.lists(st.integers(1, 99), min_size=1, max_size=4, unique=True))
    tracks = []
    for track_id in ids:
        frames = draw(st.sets(st.integers(0, num_frames - 1), min_size=1))
        boxed = draw(st.sampled_from(sorted(frames)))
        keyframes = []
        for frame in sorted(frames):
            outside = frame != boxed and draw(st.booleans())
            xyxy = None if outside else draw(box())
            keyframes.append(Keyframe(frame, xyxy, outside, draw(st.booleans())))
        tracks.append(Track(track_id, draw(labels), tuple(keyframes)))
    fps = draw(st.sampled_from([None, 25.0, 29.97]))
    boxes = BoxTracks(num_frames, HEIGHT, WIDTH, fps, tuple(tracks))
    return only_boxes(boxes)


def only_boxes(boxes: BoxTracks) -> Annotations:
    return Annotations(boxes, NumberedNames(boxes.num_frames), lambda frame: None)


def states(annotations: Annotations) -> list[dict[int, Any]]:
    """The box and whether it is occluded, of every track in every frame."""
    return [
        {i: (each.xyxy, each.occluded) for i, each in boxes_at(annotations.boxes, frame).items()}
        for frame in range(len(annotations.frame_names))
    ]


def save(path: Path, text: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@st.composite
def damaged(draw: st.DrawFn, raw: bytes, words: tuple[bytes, ...]) -> bytes:
    """A file with a few stretches replaced by bytes, numbers or words of its own kind."""
    piece = st.one_of(
        st.binary(max_size=4),
        st.sampled_from([b"", b"-1", b"0", b"1e9", b"nan", b"inf", b"99999999999999999999"]),
        st.sampled_from(words),
    )
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(raw)))
        end = draw(st.integers(start, min(start + 12, len(raw))))
        raw = raw[:start] + draw(piece) + raw[end:]
    return raw
