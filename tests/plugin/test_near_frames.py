"""Frames around the shown one: what is read, what is kept, whose wish counts. No window."""

from __future__ import annotations

import numpy as np
import pytest

from maskfree.config import Config, TemporalKNNConfig
from maskfree.matching_grid import MatchingGrid
from napari_maskfree import near_frames
from napari_maskfree.near_frames import MatchedVideo, NearFrames

GRID = MatchingGrid((8, 8), (8, 8), 1.0, TemporalKNNConfig.paper())


class Video:
    """Frames whose pixels are their number; counts what is read."""

    shape = (100, 8, 8, 3)

    def __init__(self, shift: int = 0) -> None:
        self.shift, self.read = shift, []

    def __getitem__(self, index: int) -> np.ndarray:
        if index == 13:
            raise ValueError("Frame 13 cannot be decoded.")
        self.read.append(index)
        return np.full((8, 8, 3), index + self.shift, np.uint8)


class Hand:
    """Runs what was put off when it is told to, and remembers what was said."""

    def __init__(self, monkeypatch) -> None:
        self.video, self.grid, self.waiting = Video(), GRID, []
        self.ready, self.errors, self.found = 0, [], 0
        monkeypatch.setattr(near_frames, "grid_of_run", self.find)
        self.near = NearFrames(
            lambda *job: self.waiting.append(job),
            source=lambda: MatchedVideo(self.video, None, Config(), "as run 0001 did"),
            ready=self.count,
            failed=self.errors.append,
        )

    def find(self, *_):
        self.found += 1
        return self.grid

    def count(self) -> None:
        self.ready += 1

    def work(self) -> None:
        work, done, failed = self.waiting.pop(0)
        try:
            result = work()
        except ValueError as error:
            failed(str(error))
        else:
            done(result)


@pytest.fixture
def hand(monkeypatch) -> Hand:
    return Hand(monkeypatch)


def test_what_is_missing_is_read_once(hand):
    near = hand.near
    assert not near.want("pick", [4, 5, 6])
    hand.work()
    assert hand.ready == 1
    assert near.want("pick", [4, 5, 6])
    assert not near.want("pick", [5, 6, 7])
    hand.work()
    assert hand.video.read == [4, 5, 6, 7]
    assert near.frames[7][0, 0, 0] == 7
    assert hand.found == 1
    assert not hand.waiting


def test_the_latest_wish_counts_and_nothing_queues_up(hand):
    for frame in range(40, 60):
        hand.near.want("pick", [frame])
    assert len(hand.waiting) == 1
    hand.work()
    assert len(hand.waiting) == 1
    hand.work()
    assert hand.video.read == [40, 59]
    assert not hand.waiting


def test_two_that_wish_get_both(hand):
    hand.near.want("ahead", [1, 2])
    hand.near.want("categories", [2, 3])
    hand.work()
    hand.work()
    assert sorted(hand.near.frames) == [1, 2, 3]
    hand.near.want("categories", ())
    assert not hand.waiting


def test_no_more_are_kept_than_may_be(hand, monkeypatch):
    monkeypatch.setattr(near_frames, "NEAR_FRAMES", 4)
    for frame in (1, 2, 3, 4):
        hand.near.want("pick", [frame])
        hand.work()
    hand.near.want("pick", [1])
    hand.near.want("pick", [5])
    hand.work()
    assert sorted(hand.near.frames) == [1, 3, 4, 5], "the one that was looked at last stays"
    hand.near.want("pick", list(range(20, 30)))
    hand.work()
    assert sorted(hand.near.frames) == list(range(20, 30)), "all that are wanted"


def test_another_video_forgets_even_what_is_under_way(hand):
    near = hand.near
    near.want("pick", [4])
    near.forget()
    hand.video = other = Video(shift=100)
    hand.work()
    assert not near.frames
    assert hand.ready == 0
    near.want("pick", [4])
    hand.work()
    assert near.frames[4][0, 0, 0] == 104
    near.forget()
    near.want("pick", [5])
    near.forget()
    near.want("pick", [6])
    hand.work()
    assert 5 not in near.frames
    hand.work()
    assert list(near.frames) == [6]
    assert other.read == [4, 5, 6]


def test_new_boxes_change_the_grid_only_where_it_is_another(hand):
    near = hand.near
    near.renew()
    near.want("pick", [4])
    hand.work()
    near.renew()
    assert near.want("pick", [4]), "the answer does not wait"
    hand.work()
    assert (hand.found, hand.video.read) == (2, [4])
    hand.grid = MatchingGrid((8, 8), (16, 16), 1.0, GRID.config)
    near.renew()
    near.want("pick", [4])
    hand.work()
    assert near.grid is hand.grid
    assert near.frames[4].shape == (16, 16, 3)
    assert hand.video.read == [4, 4]


def test_a_frame_that_cannot_be_read(hand):
    hand.near.want("pick", [12, 13])
    hand.work()
    assert hand.errors == ["Frame 13 cannot be decoded."]
    assert not hand.waiting
    assert not hand.near.want("pick", [12])
    hand.work()
    assert hand.near.want("pick", [12])


def test_a_video_that_cannot_be_opened_leaves_nothing_under_way(hand):
    hand.near._source = lambda: None
    assert not hand.near.want("pick", [4])
    assert not hand.near.reading
    assert not hand.waiting
