from __future__ import annotations

import numpy as np
import pytest

from maskfree.box_audit import Finding, audit_boxes
from maskfree.config import AuditConfig
from maskfree.types import Box, BoxTracks, InstanceMasks, Keyframe, Track

FRAMES, HEIGHT, WIDTH = 100, 60, 80
A: Box = (10.0, 10.0, 30.0, 40.0)


def track(track_id: int, boxes: dict[int, Box | None], *, occluded: bool = False) -> Track:
    made = (
        Keyframe(f, b, outside=b is None, occluded=occluded and b is not None)
        for f, b in sorted(boxes.items())
    )
    return Track(track_id, "cell", tuple(made))


def of(*tracks: Track) -> BoxTracks:
    return BoxTracks(FRAMES, HEIGHT, WIDTH, None, tracks)


def moved(box: Box, right: float, down: float = 0.0) -> Box:
    return (box[0] + right, box[1] + down, box[2] + right, box[3] + down)


def found(*tracks: Track) -> list[tuple[int, int, str]]:
    return [(f.track_id, f.frame, f.kind) for f in audit_boxes(of(*tracks))]


def test_good_boxes_have_nothing() -> None:
    assert (
        found(track(1, {0: A, 10: moved(A, 20), 99: moved(A, 25)}), track(2, {5: A, 9: None})) == []
    )


@pytest.mark.parametrize(
    ("boxes", "expected"),
    [
        ({}, [(1, 0, "empty")]),
        ({4: A}, [(1, 4, "single")]),
        ({99: A}, []),  # there is no frame after it
        ({4: A, 9: None}, []),
        # a side of 20 pixels moves by 10 a frame, and by a little more
        ({0: A, 1: moved(A, 10), 3: moved(A, 30)}, []),
        ({0: A, 1: moved(A, 10.2), 99: moved(A, 10.2)}, [(1, 1, "jump")]),
        ({0: A, 2: moved(A, 20.5), 99: moved(A, 20.5)}, [(1, 2, "jump")]),
        ({0: A, 1: None, 2: moved(A, 40), 99: moved(A, 40)}, []),
        # 1.55 times the area
        ({0: A, 1: (10.0, 10.0, 41.0, 40.0)}, [(1, 1, "jump")]),
        ({0: (10.0, 10.0, 41.0, 40.0), 1: A}, [(1, 1, "jump")]),
        ({0: A, 3: (10.0, 10.0, 41.0, 40.0), 9: None}, []),
        ({0: A, 31: moved(A, 10.2), 50: moved(A, 10.2)}, [(1, 15, "far apart")]),
        ({0: A, 30: moved(A, 10.2), 50: moved(A, 10.2)}, []),
        ({0: A, 60: moved(A, 9), 90: moved(A, 9)}, []),
    ],
)
def test_what_is_odd_in_one_track(
    boxes: dict[int, Box | None], expected: list[tuple[int, int, str]]
) -> None:
    assert found(track(1, boxes)) == expected


def test_two_tracks_on_one_object_are_named_once() -> None:
    assert found(track(1, {0: A, 99: A}), track(2, {0: moved(A, 1), 99: moved(A, 1)})) == [
        (2, 0, "twice")
    ]
    late = track(2, {80: moved(A, 12), 90: moved(A, 1)})
    assert found(track(1, {0: A, 99: A}), late) == [(2, 99, "twice")]
    assert found(track(1, {0: A, 95: None}), late) == [(2, 90, "twice")]
    assert found(track(1, {0: A, 99: A}), track(2, {0: moved(A, 5), 99: moved(A, 5)})) == []


def test_findings_come_in_order_and_say_what_may_be_done() -> None:
    advice = (
        "It follows the object until that is lost; a box near its end, or Outside where it leaves, "
        "makes it surer."
    )
    assert audit_boxes(of(track(7, {9: A}), track(3, {4: moved(A, 25)}))) == [
        Finding(3, 4, "single", "Track 3 has one box, in frame 4", advice),
        Finding(7, 9, "single", "Track 7 has one box, in frame 9", advice),
    ]


def masks(track_id: int, box: Box, **cut: float) -> InstanceMasks:
    """An ellipse in ``box``, or all of it with ``full``."""
    y, x = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    x0, y0, x1, y1 = box
    across, down = (2 * x - x0 - x1) / (x1 - x0), (2 * y - y0 - y1) / (y1 - y0)
    inside = np.maximum(abs(across), abs(down)) if cut else np.hypot(across, down)
    return InstanceMasks((track_id,), (inside < 1)[None], (1.0,))


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (masks(1, A), []),
        (masks(1, (14.0, 10.0, 30.0, 40.0)), ["loose in frame 3: left"]),
        (masks(1, (12.0, 10.0, 30.0, 40.0)), []),
        (masks(1, (14.0, 18.0, 30.0, 40.0)), ["loose in frame 3: left and top"]),
        (masks(1, (10.0, 10.0, 26.0, 34.0)), ["loose in frame 3: right and bottom"]),
        (masks(1, A, full=1), ["cut in frame 3: left, top, right and bottom"]),
        (masks(1, (10.0, 10.0, 30.0, 38.0), full=1), ["cut in frame 3: left, top and right"]),
        (masks(2, A, full=1), []),
        (InstanceMasks((1,), np.zeros((1, HEIGHT, WIDTH), bool), (1.0,)), []),
        (None, []),
    ],
)
def test_boxes_are_held_against_masks(made: InstanceMasks | None, expected: list[str]) -> None:
    asked = []

    def read(frame: int) -> InstanceMasks | None:
        asked.append(frame)
        return made

    findings = audit_boxes(of(track(1, {3: A, 9: None})), read)
    assert asked == [3]
    assert len(findings) == len(expected)
    for finding, words in zip(findings, expected, strict=True):
        assert finding.message.endswith(words)
        assert finding.kind == ("loose" if "loose" in words else "cut")


def test_a_frame_cuts_no_object_and_what_is_hidden_is_not_judged() -> None:
    whole: Box = (0.0, 0.0, float(WIDTH), float(HEIGHT))
    full = masks(1, whole, full=1)
    assert audit_boxes(of(track(1, {3: whole, 9: None})), lambda _: full) == []
    small = masks(1, (20.0, 20.0, 25.0, 25.0))
    hidden = of(track(1, {3: A, 9: None}, occluded=True))
    assert audit_boxes(hidden, lambda _: small) == []


def test_small_boxes_have_some_pixels_of_room() -> None:
    small: Box = (10.0, 10.0, 18.0, 20.0)
    boxes = of(track(1, {3: small, 9: None}))
    assert audit_boxes(boxes, lambda _: masks(1, (13.0, 10.0, 18.0, 20.0))) == []
    (finding,) = audit_boxes(boxes, lambda _: masks(1, (14.0, 10.0, 18.0, 20.0)))
    assert finding.kind == "loose"


def test_of_many_frames_some_are_read_and_it_can_be_ended() -> None:
    asked: list[int] = []

    def read(frame: int) -> None:
        asked.append(frame)

    heard: list[tuple[str, int, int]] = []
    many = of(track(1, dict.fromkeys(range(100), A)), track(2, {0: moved(A, 40), 9: None}))
    config = AuditConfig(most_frames=5)
    audit_boxes(many, read, config=config, watch=lambda *words: heard.append(words))
    assert asked == [0, 25, 50, 74, 99]
    assert heard[:3] == [("boxes", 0, 2), ("boxes", 1, 2), ("boxes", 2, 2)]
    assert heard[-1] == ("masks", 5, 5)

    def stop(*_: object) -> None:
        raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        audit_boxes(many, read, watch=stop)
