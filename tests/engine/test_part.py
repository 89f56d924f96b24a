"""Some frames of a video with the boxes that they have."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from maskfree.belief import Belief
from maskfree.config import Config
from maskfree.held import is_held
from maskfree.kept_tubes import KeptTubes
from maskfree.loose_tube import loose_tube
from maskfree.part import (
    fullest_span,
    part_of_belief,
    part_of_tracks,
    part_of_tubes,
    part_of_video,
)
from maskfree.tracks import tube

if TYPE_CHECKING:
    from collections.abc import Callable

    from maskfree.session import Session
    from maskfree.types import BoxTracks

A, B = (10.0, 10.0, 30.0, 30.0), (20.0, 10.0, 50.0, 30.0)


def test_frames_are_those_of_the_video(small_session: Session) -> None:
    with small_session.open_video() as video:
        part = part_of_video(video, 3, 8, Config())
        assert part.shape == (5, 64, 96, 3)
        assert list(part.names) == list(video.names[3:8])
        assert all(np.array_equal(part[i], video[3 + i]) for i in range(5))


def test_boxes_are_where_they_were(make_tracks: Callable[..., BoxTracks]) -> None:
    tracks = make_tracks(
        {0: A, 10: B},  # interpolated all along
        {4: A, 6: B},  # begins here and goes on after its last keyframe
        {0: A, 5: None, 9: B},  # outside for a while
        {9: A},  # not there yet
        {0: A, 3: None},  # gone
    )
    part = part_of_tracks(tracks, 3, 8)
    assert part.num_frames == 5
    assert np.allclose(tube(part, range(5)), tube(tracks, range(3, 8)), equal_nan=True)
    frames = [[k.frame for k in track.keyframes] for track in part.tracks]
    assert frames == [[0, 4], [1, 3], [0, 2], [], [0]]
    assert [is_held(part_of_tracks(make_tracks(b), 3, 8), 5) for b in ({0: A}, {0: A, 9: B})] == [
        True,
        False,
    ]


def test_the_span_with_the_most_boxes_and_of_several_the_last(
    make_tracks: Callable[..., BoxTracks],
) -> None:
    tracks = make_tracks({0: A}, {2: A, 7: None})
    assert fullest_span(tracks, 12, 5, Config()) == 2
    assert fullest_span(tracks, 12, 3, Config()) == 4
    assert fullest_span(make_tracks({0: A}), 12, 5, Config()) == 7
    assert fullest_span(tracks, 12, 12, Config()) == 0


def test_what_a_run_kept_of_these_frames(make_tracks: Callable[..., BoxTracks]) -> None:
    tracks = make_tracks({0: A, 10: B}, {4: A, 6: B})
    boxes, slack = loose_tube(tracks, range(12), config=Config().sampling)
    kept = KeptTubes.of(tracks, boxes + 1, slack)
    part, own = part_of_tubes(kept, tracks, 3, 8), part_of_tracks(tracks, 3, 8)
    assert part is not None
    assert all(part.knows(track, 5) for track in own.tracks)
    np.testing.assert_array_equal(part.boxes[2], boxes[1, 3:8] + 1)
    np.testing.assert_array_equal(part.slack[1], slack[0, 3:8])
    assert part_of_tubes(None, tracks, 3, 8) is None
    moved = make_tracks({0: A, 10: A}, {4: A, 6: B})
    assert part_of_tubes(kept, moved, 3, 8) is None, "all are followed anew"

    values = np.arange(12 * 2 * 3, dtype=np.int8).reshape(12, 2, 3)
    belief = part_of_belief(Belief.of(values), 3, 8)
    np.testing.assert_array_equal(np.asarray(belief), values[3:8])
    assert part_of_belief(None, 3, 8) is None
