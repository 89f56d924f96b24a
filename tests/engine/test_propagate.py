"""A box goes with its object until that is lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from maskfree.config import Config
from maskfree.enough_boxes import enough_boxes
from maskfree.errors import InputError
from maskfree.propagate import propagate_box
from maskfree.video import open_video

if TYPE_CHECKING:
    from collections.abc import Callable

    from maskfree.types import BoxTracks

CONFIG = Config()


def moving(frames: int = 16) -> tuple[np.ndarray, list[tuple[float, float, float, float]]]:
    """A textured square that goes right over a textured ground."""
    rng = np.random.default_rng(0)
    ground = rng.integers(60, 120, (96, 160, 3))
    thing = rng.integers(0, 256, (24, 24, 3)) // 2 + np.array([120, 0, 0])
    video = np.repeat(ground[None], frames, 0).astype(np.uint8)
    boxes = []
    for t in range(frames):
        x = 20 + 5 * t
        video[t, 36:60, x : x + 24] = thing
        boxes.append((float(x), 36.0, float(x + 24), 60.0))
    return video, boxes


def iou(a: tuple[float, ...], b: tuple[float, ...]) -> float:
    across = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    down = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    both = across * down
    areas = [(q[2] - q[0]) * (q[3] - q[1]) for q in (a, b)]
    return both / (sum(areas) - both)


@pytest.mark.parametrize("forward", [True, False])
def test_it_goes_with_the_object(make_tracks: Callable[..., BoxTracks], forward: bool) -> None:
    video, true = moving()
    tracks = make_tracks({8: true[8]}, num_frames=16, height=96, width=160)
    found = dict(propagate_box(open_video(video), tracks, 1, 8, forward=forward, config=CONFIG))
    assert list(found) == (list(range(9, 16)) if forward else list(range(7, -1, -1)))
    assert min(iou(found[t], true[t]) for t in found) > 0.7


def test_it_ends_at_the_next_keyframe_and_after_the_most_frames(
    make_tracks: Callable[..., BoxTracks],
) -> None:
    video, true = moving()
    tracks = make_tracks({3: None, 5: true[5], 9: true[9]}, num_frames=16, height=96, width=160)
    ahead = propagate_box(open_video(video), tracks, 1, 5, forward=True, config=CONFIG)
    assert [f for f, _ in ahead] == [6, 7, 8]
    back = propagate_box(open_video(video), tracks, 1, 5, forward=False, config=CONFIG)
    assert [f for f, _ in back] == [4]


def test_what_vanishes_is_lost(make_tracks: Callable[..., BoxTracks]) -> None:
    video, true = moving()
    video[6:] = np.random.default_rng(1).integers(0, 256, video[6:].shape)
    tracks = make_tracks({2: true[2]}, num_frames=16, height=96, width=160)
    way = propagate_box(open_video(video), tracks, 1, 2, forward=True, config=CONFIG)
    assert max(f for f, _ in way) < 8


def test_it_needs_a_box_that_was_drawn(make_tracks: Callable[..., BoxTracks]) -> None:
    video, true = moving()
    tracks = make_tracks({2: true[2], 6: None}, num_frames=16, height=96, width=160)
    for frame in (4, 6):
        way = propagate_box(open_video(video), tracks, 1, frame, forward=True, config=CONFIG)
        with pytest.raises(InputError, match=f"no box drawn in frame {frame}"):
            next(way)
    with pytest.raises(InputError, match="no track 5"):
        next(propagate_box(open_video(video), tracks, 5, 2, forward=True, config=CONFIG))


# which of them are enough


def test_a_straight_way_needs_its_ends() -> None:
    boxes = {t: (t, 0.0, t + 10.0, 8.0) for t in range(9)}
    assert enough_boxes(boxes, 0.01) == [0, 8]
    assert enough_boxes({3: boxes[3]}, 0.01) == [3]
    assert enough_boxes({}, 0.01) == []


@pytest.mark.parametrize("tolerance", [0.01, 0.05, 0.2])
def test_what_is_left_out_lies_near_where_it_is_interpolated(tolerance: float) -> None:
    rng = np.random.default_rng(0)
    centres = rng.normal(0, 2, (40, 2)).cumsum(0)
    boxes = {
        t + 5: (float(x - 20), float(y - 10), float(x + 20), float(y + 10))
        for t, (x, y) in enumerate(centres)
    }
    kept = enough_boxes(boxes, tolerance)
    assert (kept[0], kept[-1]) == (5, 44)
    array = np.array([boxes[f] for f in kept])
    for frame, box in boxes.items():
        between = [np.interp(frame, kept, array[:, side]) for side in range(4)]
        missed = np.abs(np.array(box) - between) / [40, 20, 40, 20]
        assert missed.max() <= tolerance + 1e-9
    assert len(kept) < 40 or tolerance < 0.05
