from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

from maskfree.config import Config, FollowConfig
from maskfree.follow import follow_boxes, moved_boxes
from maskfree.loose_tube import loose_tube
from maskfree.tracks import tube
from maskfree.tube import followed_tube
from maskfree.video import open_video

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from maskfree.types import BoxTracks

CONFIG = FollowConfig()
SIDE = 40
HEIGHT, WIDTH = 120, 200
Path = list[tuple[float, float]]


def surface(seed: int, side: int) -> np.ndarray:
    """Coloured blotches of a few pixels, uint8 ``(side, side, 3)``."""
    noise = np.random.default_rng(seed).integers(0, 256, (side // 4, side // 4, 3), np.uint8)
    return cv2.resize(noise, (side, side), interpolation=cv2.INTER_CUBIC)


def painted(*paths: Path, growth: float = 1.0) -> np.ndarray:
    """A square of ``SIDE`` on each path (its corner, x and y, frame by frame) on a grey ground."""
    frames = []
    for t in range(len(paths[0])):
        frame = np.full((HEIGHT, WIDTH, 3), 90, np.uint8)
        for number, path in enumerate(paths):
            scale = growth**t
            matrix = np.array([[scale, 0, path[t][0]], [0, scale, path[t][1]]])
            cover = surface(number, SIDE)
            cv2.warpAffine(cover, matrix, (WIDTH, HEIGHT), frame, borderMode=cv2.BORDER_TRANSPARENT)
        frames.append(frame)
    return np.stack(frames)


def box(path: Path, t: int, side: float = SIDE) -> tuple[float, float, float, float]:
    x, y = path[t]
    return (x, y, x + side, y + side)


def follow(
    frames: np.ndarray, tracks: BoxTracks, **settings: object
) -> tuple[np.ndarray, np.ndarray]:
    config = dataclasses.replace(CONFIG, **settings)
    return follow_boxes(frames, tracks, tube(tracks, range(len(frames))), config=config)


BOW: Path = [(20.0 + 12 * t, 40.0 + 20 * np.sin(np.pi * t / 8)) for t in range(9)]
"""Straight to the right, but for a bow down that interpolation does not know of."""
HALT: Path = [(140.0 - 10 * min(t, 4), 10.0) for t in range(9)]
"""To the left, then it stands."""


@pytest.fixture
def bow(make_tracks: Callable[..., BoxTracks]) -> BoxTracks:
    return make_tracks({0: box(BOW, 0), 8: box(BOW, 8)}, num_frames=9, height=HEIGHT, width=WIDTH)


def off(boxes: np.ndarray, path: Sequence[tuple[float, float]]) -> float:
    """Largest distance of a side to where it belongs, pixels."""
    return float(np.abs(boxes - [box(list(path), t) for t in range(len(path))]).max())


def test_a_box_follows_what_interpolation_misses(bow: BoxTracks) -> None:
    assert off(tube(bow, range(9))[0], BOW) > 15
    moved, followed = follow(painted(BOW), bow)
    assert off(moved[0], BOW) < 1
    assert followed.tolist() == [[False, *[True] * 7, False]]


def test_keyframes_stay_to_the_bit(bow: BoxTracks) -> None:
    moved, _ = follow(painted(BOW), bow)
    for t in (0, 8):
        assert moved[0, t].tolist() == list(box(BOW, t))


def test_what_a_way_misses_is_spread_over_it(make_tracks: Callable[..., BoxTracks]) -> None:
    # the last box was drawn 6 pixels too far right: both ways meet both keyframes
    x0, y0, x1, y1 = box(BOW, 8)
    tracks = make_tracks(
        {0: box(BOW, 0), 8: (x0 + 6, y0, x1 + 6, y1)}, num_frames=9, height=HEIGHT, width=WIDTH
    )
    moved, _ = follow(painted(BOW), tracks)
    early, late = (moved[0, t, 0] - BOW[t][0] for t in (1, 7))
    assert early == pytest.approx(6 / 8, abs=0.6)
    assert late == pytest.approx(6 * 7 / 8, abs=0.6)


def test_a_box_grows_with_its_object(make_tracks: Callable[..., BoxTracks]) -> None:
    path: Path = [(60.0, 30.0)] * 7
    sides = [SIDE * 1.06**t for t in range(7)]
    tracks = make_tracks(
        {0: box(path, 0), 6: box(path, 6, sides[6])}, num_frames=7, height=HEIGHT, width=WIDTH
    )
    moved, _ = follow(painted(path, growth=1.06), tracks)
    widths = moved[0, :, 2] - moved[0, :, 0]
    straight = np.interp(3, [0, 6], [sides[0], sides[6]])
    assert abs(widths[3] - sides[3]) < 0.5 * abs(straight - sides[3]) + 0.3


def test_tracks_do_not_disturb_each_other(make_tracks: Callable[..., BoxTracks]) -> None:
    frames = painted(BOW, HALT)
    one = {0: box(BOW, 0), 8: box(BOW, 8)}
    other = {0: box(HALT, 0), 3: box(HALT, 3), 8: box(HALT, 8)}
    both, _ = follow(frames, make_tracks(one, other, num_frames=9, height=HEIGHT, width=WIDTH))
    alone, _ = follow(frames, make_tracks(other, num_frames=9, height=HEIGHT, width=WIDTH))
    assert off(both[0], BOW) < 1
    assert off(both[1], HALT) < 1
    np.testing.assert_allclose(both[1], alone[0], atol=1e-3)


def test_where_nothing_can_be_followed_the_box_stays_interpolated(bow: BoxTracks) -> None:
    frames = np.full((9, HEIGHT, WIDTH, 3), 90, np.uint8)
    moved, followed = follow(frames, bow)
    np.testing.assert_array_equal(moved, tube(bow, range(9)))
    assert not followed.any()


def test_a_way_that_ends_somewhere_else_is_not_taken(make_tracks: Callable[..., BoxTracks]) -> None:
    # what was in the box stands still; a person says that the object is far away by then
    still: Path = [(20.0, 40.0)] * 5
    tracks = make_tracks(
        {0: box(still, 0), 4: (140.0, 40.0, 180.0, 80.0)},
        num_frames=5,
        height=HEIGHT,
        width=WIDTH,
    )
    moved, followed = follow(painted(still), tracks)
    np.testing.assert_array_equal(moved, tube(tracks, range(5)))
    assert not followed.any()
    assert follow(painted(still), tracks, most_drift=10.0)[1].any()


def test_long_spans_stay_interpolated(bow: BoxTracks) -> None:
    assert follow(painted(BOW), bow, most_gap=8)[1].any()
    assert not follow(painted(BOW), bow, most_gap=7)[1].any()


def test_an_absence_is_not_bridged(make_tracks: Callable[..., BoxTracks]) -> None:
    tracks = make_tracks(
        {0: box(BOW, 0), 2: None, 8: box(BOW, 8)}, num_frames=9, height=HEIGHT, width=WIDTH
    )
    moved, followed = follow(painted(BOW), tracks)
    np.testing.assert_array_equal(moved, tube(tracks, range(9)))
    assert not followed.any()


def test_only_the_wanted_frames_are_read(make_tracks: Callable[..., BoxTracks]) -> None:
    class Frames(list[np.ndarray]):
        asked: set[int] = set()  # noqa: RUF012

        def __getitem__(self, index: int) -> np.ndarray:  # type: ignore[override]
            self.asked.add(index)
            return super().__getitem__(index)

    drawn = {t: box(BOW, t) for t in (0, 4, 5, 8)}
    tracks = make_tracks(drawn, num_frames=9, height=HEIGHT, width=WIDTH)
    frames = Frames(painted(BOW))
    boxes = tube(tracks, range(9))
    _, followed = follow_boxes(frames, tracks, boxes, within=(6, 8), config=CONFIG)
    assert frames.asked == {5, 6, 7, 8}
    assert np.flatnonzero(followed[0]).tolist() == [6, 7]


def test_a_box_beyond_the_frame_is_followed_by_what_is_seen(
    make_tracks: Callable[..., BoxTracks],
) -> None:
    path: Path = [(-10.0 + 3 * t + 4 * np.sin(np.pi * t / 6), 40.0) for t in range(7)]
    tracks = make_tracks(
        {0: box(path, 0), 6: box(path, 6)}, num_frames=7, height=HEIGHT, width=WIDTH
    )
    moved, _ = follow(painted(path), tracks)
    assert off(moved[0], path) < 1.5 < off(tube(tracks, range(7))[0], path)


def test_too_few_points_are_lost() -> None:
    here, there = (cv2.cvtColor(f, cv2.COLOR_RGB2GRAY) for f in painted(BOW[:2]))
    boxes = np.array([box(BOW, 0)] * 2)
    points = [np.array([[x, 50.0] for x in range(25, 55, step)], np.float32) for step in (2, 6)]
    moved = moved_boxes(here, there, boxes, points, config=CONFIG)
    np.testing.assert_allclose(moved[0], box(BOW, 1), atol=0.5)
    assert np.isnan(moved[1]).all()
    assert moved_boxes(here, there, boxes[:0], [], config=CONFIG).shape == (0, 4)


def test_the_tube_is_in_the_videos_pixels_and_surer_where_it_followed(bow: BoxTracks) -> None:
    config = Config(follow=dataclasses.replace(CONFIG, slack_per_travel=0.01))
    with open_video(painted(BOW)) as video:  # looked at enlarged: it is smaller than the budget
        boxes, slack = followed_tube(video, bow, config)
        plain = dataclasses.replace(config, follow=FollowConfig(between=False))
        straight, loose = followed_tube(video, bow, plain)
    assert off(boxes[0], BOW) < 1
    expected, expected_slack = loose_tube(bow, range(9), config=config.sampling)
    np.testing.assert_array_equal(straight, expected)
    np.testing.assert_array_equal(loose, expected_slack)
    assert (slack[0, 1:8] < loose[0, 1:8]).all()
    assert slack[0, [0, 8]].tolist() == [0, 0]


def test_a_video_without_boxes_has_an_empty_tube(make_tracks: Callable[..., BoxTracks]) -> None:
    with open_video(painted(BOW)) as video:
        boxes, slack = followed_tube(video, make_tracks(num_frames=9), Config())
    assert boxes.shape == (0, 9, 4)
    assert slack.shape == (0, 9)
