"""Queries of clips become tracks: worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from maskfree.inference.query_tracks import QueryTracks, surest, top_pairs

HEIGHT, WIDTH = 4, 6


def clip(*columns: tuple[int, ...] | None) -> torch.Tensor:
    """Mask logits of queries that are a column of pixels in each frame; None: nowhere."""
    length = max(len(each) for each in columns if each is not None)
    masks = torch.full((len(columns), length, HEIGHT, WIDTH), -5.0)
    for query, places in enumerate(columns):
        for frame, column in enumerate(places or ()):
            if column >= 0:
                masks[query, frame, :, column] = 5
    return masks


def sure(*rows: tuple[float, float]) -> np.ndarray:
    return np.array(rows)


def test_the_best_pairs_come_first_and_a_query_may_have_several() -> None:
    scores = np.array([[0.1, 0.6], [0.3, 0.5]])
    assert top_pairs(scores, 3) == [(0, 1), (1, 1), (1, 0)]
    assert len(top_pairs(scores, 10)) == 4
    assert surest(scores, 1) == [0]
    assert surest(np.array([[0.1, 0.2], [0.3, 0.5], [0.0, 0.4]]), 2) == [1, 2]


def test_a_query_goes_on_with_the_track_that_it_overlaps() -> None:
    tracks = QueryTracks(0.3, 0.0)
    first = tracks.add(sure((0.8, 0.1), (0.2, 0.6)), clip((0, 1, 1), (3, 4, 4)), shared=0)
    second = tracks.add(sure((0.1, 0.9), (0.4, 0.3)), clip((4, 4, 5), (1, 1, 2)), shared=2)
    assert (first, second) == ([0, 1], [1, 0])
    assert tracks.scores() == pytest.approx(np.array([[0.6, 0.2], [0.15, 0.75]]))


def test_what_overlaps_nothing_begins_a_track_with_scores_of_its_own() -> None:
    tracks = QueryTracks(0.3, 0.0)
    tracks.add(sure((0.8, 0.1)), clip((0, 0)), shared=0)
    rows = tracks.add(sure((0.4, 0.2), (0.9, 0.0)), clip((3, 3), (-1, 2)), shared=1)
    assert sorted(rows) == [1, 2]
    assert tracks.scores()[0] == pytest.approx([0.8, 0.1])
    assert tracks.scores()[rows[1]] == pytest.approx([0.9, 0.0])


def test_two_queries_on_one_track_are_one_to_one() -> None:
    tracks = QueryTracks(0.3, 0.0)
    tracks.add(sure((0.8, 0.1)), clip((2, 2)), shared=0)
    wide = clip((2, 2), (2, 2))
    wide[1, :, :, 3] = 5  # half as much overlap
    assert tracks.add(sure((0.1, 0.1), (0.1, 0.1)), wide, shared=1) == [0, 1]


def test_the_overlap_is_that_of_the_shared_frames_alone() -> None:
    for least, same in ((0.5, True), (0.51, False)):
        tracks = QueryTracks(least, 0.0)
        tracks.add(sure((0.8, 0.1)), clip((5, 0)), shared=0)
        wide = clip((0, 4))
        wide[0, 0, :, 1] = 5  # IoU 1/2 in the one shared frame
        assert (tracks.add(sure((0.8, 0.1)), wide, shared=1) == [0]) is same


def test_clips_that_share_no_frame_are_compared_where_they_meet() -> None:
    tracks = QueryTracks(0.3, 0.0)
    tracks.add(sure((0.8, 0.1), (0.1, 0.8)), clip((0, 1), (1, 0)), shared=0)
    assert tracks.add(sure((0.1, 0.8), (0.8, 0.1)), clip((0, 3), (1, 3)), shared=0) == [1, 0]


def test_nothing_found_is_no_track() -> None:
    tracks = QueryTracks(0.0, 0.0)
    nothing = np.zeros((0, 2))
    assert tracks.add(nothing, torch.zeros(0, 2, HEIGHT, WIDTH), shared=0) == []
    assert tracks.add(sure((0.8, 0.1)), clip((0, 0)), shared=1) == [0]
    assert tracks.add(sure((0.8, 0.1)), clip(None, (0, 0))[:1], shared=1) == [1]  # two empty masks
