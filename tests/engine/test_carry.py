"""What a person changed in one frame goes to the frames around it."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np
import pytest

from maskfree.carry import Carried, carry, changes_of, with_carried, without_carried
from maskfree.config import CarryConfig
from maskfree.corrections import Correction
from maskfree.errors import InputError
from maskfree.types import InstanceMasks
from maskfree.video import open_video

FRAMES, HEIGHT, WIDTH, SIDE = 9, 96, 160, 32
STEP = 3
CONFIG = CarryConfig()


def nowhere(_track_id: int, _frame: int) -> bool:
    return False


def square(frame: int) -> np.ndarray:
    """The true mask in a frame, bool (H, W)."""
    mask = np.zeros((HEIGHT, WIDTH), bool)
    x = 40 + STEP * frame
    mask[30 : 30 + SIDE, x : x + SIDE] = True
    return mask


def smooth(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    return (
        cv2.GaussianBlur(rng.uniform(-400, 656, (height, width, 3)), (0, 0), 2)
        .clip(0, 255)
        .astype(np.uint8)
    )


@pytest.fixture(scope="module")
def frames() -> np.ndarray:
    """A textured square that goes right over a textured ground."""
    rng = np.random.default_rng(0)
    ground, thing = smooth(rng, HEIGHT, WIDTH), smooth(rng, SIDE, SIDE)
    video = np.repeat(ground[None], FRAMES, 0)
    for t in range(FRAMES):
        video[t][square(t)] = thing.reshape(-1, 3)
    return video


def iou(a: np.ndarray, b: np.ndarray) -> float:
    return float((a & b).sum() / (a | b).sum())


@pytest.mark.parametrize("forward", [True, False])
def test_what_was_added_goes_with_the_object(frames: np.ndarray, forward: bool) -> None:
    change = {1: square(4).astype(np.float32)}
    way = dict(carry(open_video(frames), change, 4, forward=forward, barred=nowhere, config=CONFIG))
    assert list(way) == ([5, 6, 7, 8] if forward else [3, 2, 1, 0])
    for t, found in way.items():
        assert iou(found[1].becomes_object, square(t)) > 0.65
        assert not found[1].becomes_other.any()


def test_what_was_taken_away_stays_on_the_ground(frames: np.ndarray) -> None:
    ground = np.zeros((HEIGHT, WIDTH), bool)
    ground[70:90, 20:60] = True
    change = {1: -ground.astype(np.float32)}
    way = dict(carry(open_video(frames), change, 4, forward=True, barred=nowhere, config=CONFIG))
    for found in way.values():
        assert iou(found[1].becomes_other, ground) > 0.9
        assert not found[1].becomes_object.any()


def test_what_is_hidden_is_carried_no_further(frames: np.ndarray) -> None:
    hidden = frames.copy()
    hidden[6:] = smooth(np.random.default_rng(9), HEIGHT, WIDTH)
    change = {1: square(4).astype(np.float32)}
    way = dict(carry(open_video(hidden), change, 4, forward=True, barred=nowhere, config=CONFIG))
    assert list(way) == [5]


def test_tracks_go_each_their_own_way(frames: np.ndarray) -> None:
    ground = np.zeros((HEIGHT, WIDTH), np.float32)
    ground[70:90, 20:60] = 1
    change = {2: square(4).astype(np.float32), 7: ground}
    way = dict(
        carry(
            open_video(frames),
            change,
            4,
            forward=True,
            barred=lambda track_id, frame: (track_id, frame) == (2, 6),
            config=CONFIG,
        )
    )
    assert {t: sorted(found) for t, found in way.items()} == {5: [2, 7], 6: [7], 7: [7], 8: [7]}


def test_it_ends_after_the_most_frames(frames: np.ndarray) -> None:
    near = CarryConfig(frames=2)
    change = {1: square(4).astype(np.float32)}
    way = carry(open_video(frames), change, 4, forward=False, barred=nowhere, config=near)
    assert [t for t, _ in way] == [3, 2]


def test_large_frames_are_gone_through_smaller(frames: np.ndarray) -> None:
    small = CarryConfig(area=HEIGHT * WIDTH // 2)
    change = {1: square(4).astype(np.float32)}
    way = dict(carry(open_video(frames), change, 4, forward=True, barred=nowhere, config=small))
    assert way[5][1].becomes_object.shape == (HEIGHT, WIDTH)
    assert iou(way[5][1].becomes_object, square(5)) > 0.6


@pytest.mark.parametrize("height, width", [(1, 1), (5, 7), (16, 9)])
def test_frames_may_be_tiny(height: int, width: int) -> None:
    video = open_video(np.zeros((2, height, width, 3), np.uint8))
    change = {1: np.ones((height, width), np.float32)}
    way = dict(carry(video, change, 0, forward=True, barred=nowhere, config=CONFIG))
    assert way[1][1].becomes_object.all()


def test_a_single_picture_has_no_neighbours() -> None:
    video = open_video(np.zeros((1, 32, 32, 3), np.uint8))
    change = {1: np.ones((32, 32), np.float32)}
    for forward in (True, False):
        assert not [*carry(video, change, 0, forward=forward, barred=nowhere, config=CONFIG)]


def test_another_size_is_said(frames: np.ndarray) -> None:
    change = {1: np.ones((32, 48), np.float32)}
    way = carry(open_video(frames), change, 4, forward=True, barred=nowhere, config=CONFIG)
    with pytest.raises(InputError, match=r"is for frames of 48 x 32 pixels .* video has 160 x 96"):
        next(way)


# ---- what a correction changed, and what becomes of it elsewhere


def corner(*places: tuple[int, int]) -> np.ndarray:
    mask = np.zeros((3, 4), bool)
    for y, x in places:
        mask[y, x] = True
    return mask


def test_only_what_differs_from_the_prediction_is_a_change() -> None:
    predicted = InstanceMasks((1,), corner((0, 0), (0, 1))[None], (0.5,))
    corrections = {
        1: Correction.make(corner((0, 0), (2, 2)), corner((0, 1), (1, 1))),
        2: Correction.make(corner((1, 3)), corner((0, 3))),
        3: Correction.make(corner(), corner((2, 0))),
    }
    found = changes_of(predicted, corrections)
    assert found[1].tolist() == [[0, -1, 0, 0], [0, 0, 0, 0], [0, 0, 1, 0]]
    assert found[2].tolist() == [[0, 0, 0, 0], [0, 0, 0, 1], [0, 0, 0, 0]]
    assert sorted(found) == [1, 2]
    assert found[1].dtype == np.float32
    assert changes_of(None, {1: Correction.whole(corner())}) == {}


def test_it_changes_the_prediction_and_no_person_s_word() -> None:
    predicted = InstanceMasks((1,), corner((0, 0), (0, 1))[None], (0.5,))
    carried = Carried(corner((0, 0), (2, 2)), corner((0, 1), (1, 1)))
    made = with_carried(predicted, {}, {1: carried}, 7)
    assert made == {1: Correction.make(corner((2, 2)), corner((0, 1)), carried=7)}
    known = {1: Correction.make(corner((1, 0)), corner())}
    assert with_carried(predicted, known, {1: carried}, 7) == known
    before = {1: Correction.make(corner((1, 0)), corner(), carried=0)}
    assert with_carried(predicted, before, {1: carried}, 7) == made
    nothing = Carried(corner((0, 0)), corner((1, 1)))
    assert with_carried(predicted, {}, {1: nothing}, 7) == {}
    drawn = Correction.make(carried.becomes_object, corner(), carried=7)
    assert with_carried(None, {}, {4: carried}, 7) == {4: drawn}


def test_it_takes_no_pixel_that_a_person_gave_away_and_leaves_gold_frames_alone() -> None:
    carried = Carried(corner((0, 0), (2, 2)), corner())
    given = {2: Correction.make(corner((2, 2)), corner())}
    made = with_carried(None, given, {1: carried}, 7)
    assert made == {**given, 1: Correction.make(corner((0, 0)), corner(), carried=7)}
    gold = {2: Correction.whole(corner((2, 2)), gold=True)}
    assert with_carried(None, gold, {1: carried}, 7) == gold


def test_neither_gold_nor_what_was_carried_goes_on() -> None:
    corrections = {
        1: Correction.whole(corner((0, 0)), gold=True),
        2: Correction.make(corner((1, 1)), corner(), carried=0),
        3: Correction.make(corner((2, 2)), corner()),
    }
    assert changes_of(None, corrections).keys() == {3}


def test_what_came_from_a_frame_goes_with_it() -> None:
    own = Correction.make(corner((1, 1)), corner())
    zero, five = (dataclasses.replace(own, carried=source) for source in (0, 5))
    frames = {1: {1: zero, 2: own}, 2: {1: five}, 3: {1: own}, 4: {2: zero}}
    assert without_carried(frames, 0) == {1: {2: own}, 4: {}}
