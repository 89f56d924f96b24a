from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

from maskfree.config import Config, FollowConfig, SamplingConfig
from maskfree.consensus import Consensus
from maskfree.crop import Crop
from maskfree.held import _spanned, follow_held, is_held
from maskfree.loose_tube import loose_tube
from maskfree.prepare import prepare
from maskfree.video import open_video
from maskfree.working import WorkingFrames

if TYPE_CHECKING:
    from collections.abc import Callable

    from maskfree.types import BoxTracks

HEIGHT, WIDTH, FRAMES = 96, 160, 10
RADIUS = 14
CONFIG = Config(sampling=SamplingConfig(max_enlarge=1.0, contrast=0.0))


def centre(t: int) -> tuple[float, float]:
    return 30.0 + 9 * t, 45.0 + 12 * np.sin(t / 2)


def box(t: int) -> tuple[float, float, float, float]:
    x, y = centre(t)
    return (x - RADIUS, y - RADIUS, x + RADIUS + 1, y + RADIUS + 1)


def clip(gone_from: int = FRAMES) -> np.ndarray:
    """A mottled red disc that wanders over mottled green, until it is gone."""
    rng = np.random.default_rng(0)
    ground = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    ground[..., 1] = cv2.resize(rng.integers(60, 160, (24, 40), np.uint8), (WIDTH, HEIGHT))
    side = 2 * RADIUS + 1
    cover = np.zeros((side, side, 3), np.uint8)
    cover[..., 0] = cv2.resize(rng.integers(120, 255, (8, 8), np.uint8), (side, side))
    disc = np.zeros((side, side), np.uint8)
    cv2.circle(disc, (RADIUS, RADIUS), RADIUS, 255, -1)
    frames = []
    for t in range(FRAMES):
        frame = ground.copy()
        if t < gone_from:
            x, y = centre(t)
            matrix = np.array([[1, 0, x - RADIUS], [0, 1, y - RADIUS]], float)
            shown = cv2.warpAffine(cover, matrix, (WIDTH, HEIGHT))
            there = cv2.warpAffine(disc, matrix, (WIDTH, HEIGHT)) > 127
            frame[there] = shown[there]
        frames.append(frame)
    return np.stack(frames)


@pytest.fixture
def first(make_tracks: Callable[..., BoxTracks]) -> BoxTracks:
    return make_tracks({0: box(0)}, num_frames=FRAMES, height=HEIGHT, width=WIDTH)


def held(frames: np.ndarray, tracks: BoxTracks, **settings: float) -> np.ndarray:
    config = dataclasses.replace(CONFIG, follow=dataclasses.replace(CONFIG.follow, **settings))
    boxes, slack = loose_tube(tracks, range(len(frames)), config=config.sampling)
    working = WorkingFrames(open_video(frames), 1.0, cache_bytes=2**24)
    return follow_held(working, tracks, boxes, slack, evidence=None, stretch=1.0, config=config)


def test_one_box_goes_with_its_object(first: BoxTracks) -> None:
    boxes = held(clip(), first)
    np.testing.assert_allclose(boxes[0], [box(t) for t in range(FRAMES)], atol=3)
    assert boxes[0, 0].tolist() == list(box(0))  # the keyframe to the bit


def test_it_stays_where_it_was_lost(first: BoxTracks) -> None:
    boxes = held(clip(gone_from=5), first)
    np.testing.assert_allclose(boxes[0, :5], [box(t) for t in range(5)], atol=3)
    assert np.isfinite(boxes).all()
    x0, _, x1, _ = boxes[0, -1]
    assert (x0 + x1) / 2 < centre(7)[0]  # not along with what is no longer there


def test_it_follows_so_far_and_no_further(first: BoxTracks) -> None:
    boxes = held(clip(), first, most_held=4)
    np.testing.assert_allclose(boxes[0, 4], box(4), atol=3)
    np.testing.assert_array_equal(boxes[0, 5:], np.broadcast_to(boxes[0, 4], (FRAMES - 5, 4)))


def test_what_a_person_said_stays(make_tracks: Callable[..., BoxTracks]) -> None:
    size = {"num_frames": FRAMES, "height": HEIGHT, "width": WIDTH}
    for drawn in ({0: box(0), 9: box(9)}, {0: box(0), 5: None}, {9: box(9)}):
        tracks = make_tracks(drawn, **size)
        assert not is_held(tracks, FRAMES)
        expected, _ = loose_tube(tracks, range(FRAMES), config=CONFIG.sampling)
        np.testing.assert_array_equal(held(clip(), tracks), expected)
    later = make_tracks({0: box(0), 6: box(6)}, **size)
    assert is_held(later, FRAMES)
    assert not is_held(later, 7)
    before, _ = loose_tube(later, range(FRAMES), config=CONFIG.sampling)
    boxes = held(clip(), later)
    np.testing.assert_array_equal(boxes[0, :7], before[0, :7])
    np.testing.assert_allclose(boxes[0, 7:], [box(t) for t in range(7, FRAMES)], atol=3)


@pytest.mark.parametrize("seek", [True, False])
def test_what_is_known_of_a_video_is_with_followed_boxes(first: BoxTracks, seek: bool) -> None:
    config = dataclasses.replace(CONFIG, evidence=dataclasses.replace(CONFIG.evidence, seek=seek))
    with open_video(clip()) as video:
        found = prepare(video, first, config)
        stay = dataclasses.replace(config, follow=FollowConfig(held_passes=0))
        still = prepare(video, first, stay)
    np.testing.assert_allclose(found.boxes[0], [box(t) for t in range(FRAMES)], atol=3)
    np.testing.assert_array_equal(still.boxes[0], np.broadcast_to(box(0), (FRAMES, 4)))
    assert (found.evidence is not None) is seek
    if found.evidence is not None:  # its own ground is background: seen when it has gone on
        x0, y0, x1, y1 = (round(v / 2) for v in box(0))
        first_frame = found.evidence[0]
        assert first_frame[y0, x0] < 0 < first_frame[y0 + 5 : y1 - 5, x0 + 5 : x1 - 5].mean()


def test_a_box_that_is_placed_anew_is_looked_at_anew(first: BoxTracks) -> None:
    frames = clip()
    boxes, slack = loose_tube(first, range(FRAMES), config=CONFIG.sampling)
    consensus = Consensus(frames, boxes, slack, None, stretch=1.0, config=CONFIG.consensus)
    consensus.fit()
    before = consensus.crop(0, 6)
    consensus.place(0, 6, np.array(box(6)), 0.0)
    after = consensus.crop(0, 6)
    assert before is not None
    assert after is not None
    assert after.columns.start > before.columns.start
    y, x = (round(v) for v in centre(6)[::-1])
    assert after.full()[y - after.rows.start, x - after.columns.start] > 0


def test_a_track_that_lost_its_last_keyframe_does_no_harm(
    make_tracks: Callable[..., BoxTracks],
) -> None:
    tracks = make_tracks({}, {0: box(0)}, num_frames=FRAMES, height=HEIGHT, width=WIDTH)
    boxes = held(clip(), tracks)
    assert np.isnan(boxes[0]).all()
    np.testing.assert_allclose(boxes[1], [box(t) for t in range(FRAMES)], atol=3)


def test_points_alone_would_not_see_an_object_open_to_one_side(first: BoxTracks) -> None:
    frames = clip()
    for t in range(FRAMES):  # a bar grows out of the disc, upwards
        x, y = (round(v) for v in centre(t))
        frames[t, y - RADIUS - 2 * t : y, x - 5 : x + 6] = (220, 20, 20)
    boxes, plain = (held(frames, first, held_pull=pull)[0] for pull in (0.5, 0.0))
    truth = [box(t)[1] - 2 * t for t in range(FRAMES)]
    late = slice(FRAMES // 2, None)
    misses = [np.abs(found[late, 1] - truth[late]).mean() for found in (boxes, plain)]
    assert misses[0] < 3
    assert misses[1] > misses[0] + 3


def test_specks_do_not_widen_a_box() -> None:
    logits = np.full((40, 60), -5.0, np.float32)
    logits[10:30, 20:40] = 5
    logits[2:4, 50:52] = 5  # 4 pixels beside 400
    crop = Crop(slice(100, 140), slice(200, 260), logits)
    assert _spanned(crop).tolist() == [220, 110, 240, 130]
    logits[2:8, 50:56] = 5  # 36 are a part of it
    assert _spanned(crop).tolist() == [220, 102, 256, 130]
    assert _spanned(Crop(crop.rows, crop.columns, np.full_like(logits, -1))) is None
