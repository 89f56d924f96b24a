from __future__ import annotations

import dataclasses
import itertools
import math
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest

from consensus_scene import CONFIG, PLAIN, Scene, assert_equal, constant, crop_of, inside, one_box
from maskfree import consensus as module
from maskfree.appearance import ColourModel
from maskfree.config import GeodesicConfig
from maskfree.consensus import Consensus
from maskfree.edges import GuidedFilter
from maskfree.evidence import SURE

if TYPE_CHECKING:
    from collections.abc import Sequence


def test_the_crop_around_a_box_by_hand() -> None:
    # a quarter of the longer side, 10, on each side, and the slack of 0.1
    crop = crop_of(one_box(dataclasses.replace(PLAIN, margin=0.25)))
    assert (crop.rows, crop.columns) == (slice(0, 60), slice(10, 50))
    assert crop.values.shape == (60, 40)
    crop = crop_of(one_box(dataclasses.replace(PLAIN, margin=0.125), slack=0.1))
    assert (crop.rows, crop.columns) == (slice(1, 59), slice(13, 47))
    crop = crop_of(one_box(dataclasses.replace(PLAIN, margin=0.0), box=(20.5, 10.2, 40.1, 50.9)))
    assert (crop.rows, crop.columns) == (slice(10, 51), slice(20, 41))
    # at the frame's border it ends
    crop = crop_of(one_box(dataclasses.replace(PLAIN, margin=0.25), box=(-5.0, 30, 20, 70)))
    assert (crop.rows, crop.columns) == (slice(20, 64), slice(0, 30))
    crop = crop_of(one_box(dataclasses.replace(PLAIN, margin=0.25), box=(80.0, 10, 120, 50)))
    assert (crop.rows, crop.columns) == (slice(0, 60), slice(70, 96))


def test_the_reach_of_a_box_by_hand() -> None:
    # without any cue a pixel within reach could be either; the slack is 2 and 4 pixels
    crop = crop_of(one_box(PLAIN, slack=0.1))
    expected = np.full(crop.values.shape, -15.0)
    expected[inside(crop, (18, 6, 42, 54))] = 0
    np.testing.assert_allclose(crop.values, expected, atol=1e-3)


def test_large_boxes_are_looked_at_smaller() -> None:
    config = dataclasses.replace(PLAIN, margin=0.25, detail=10.0, shape=1.0)
    crop = crop_of(one_box(config, box=(20.0, 10, 60, 50)))  # 40 x 40: a quarter
    assert (crop.rows, crop.columns) == (slice(0, 60), slice(10, 70))
    assert crop.values.shape == (15, 15)
    # logits 1 - r, with r of the pixels' own centres
    y, x = np.mgrid[:15, :15] * 4 + 2 + np.array([0, 10])[:, None, None]
    radius = np.hypot((y - 30) / 20, (x - 40) / 20)
    within = (y >= 10) & (y < 50) & (x >= 20) & (x < 60)
    np.testing.assert_allclose(crop.values[within], np.clip(1 - radius, -1, 1)[within], atol=1e-5)


def test_a_smaller_picture_is_averaged(monkeypatch: pytest.MonkeyPatch) -> None:
    guides: list[np.ndarray] = []

    def spy(guide: np.ndarray, radius: int, strength: float, **inner: Any) -> GuidedFilter:
        guides.append(guide)
        return GuidedFilter(guide, radius, strength, **inner)

    monkeypatch.setattr(module, "GuidedFilter", spy)
    checks = np.indices((64, 96)).sum(0) % 2 * 100 + 50
    frames = np.repeat(checks[None, ..., None], 3, -1).astype(np.uint8)
    one_box(dataclasses.replace(PLAIN, detail=20.0), frames=frames, box=(20.0, 10, 60, 50))
    grey = cv2.cvtColor(np.full((1, 1, 3), 100 / 255, np.float32), cv2.COLOR_RGB2LAB)
    np.testing.assert_allclose(guides[0], np.broadcast_to(grey[0, 0], guides[0].shape), atol=0.1)


def test_the_ellipse_by_hand() -> None:
    y, x = np.mgrid[10:50, 20:40] + 0.5
    radius = np.hypot((y - 30) / 20, (x - 30) / 10)
    for shape, lean, stretch, weight in ((1.5, 0.0, 1.0, 1.5), (1.0, 4.0, 3.0, 9.0)):
        config = dataclasses.replace(PLAIN, shape=shape, lean=lean)
        crop = crop_of(one_box(config, stretch=stretch))
        np.testing.assert_allclose(crop.values[inside(crop)], weight * (1 - radius), atol=1e-3)


def test_a_dull_clip_leans_on_the_ellipse_in_its_boxes() -> None:
    box = (16.0, 8, 80, 56)
    y, x = np.mgrid[:64, :96] + 0.5
    ellipse = np.hypot((y - 32) / 24, (x - 48) / 32) < 1
    for stretch, agreement in ((1.0, None), (3.0, 0.9)):
        config = dataclasses.replace(CONFIG, colour=0.0, shape=0.0, lean=4.0, steps=3)
        crop = crop_of(one_box(config, box=box, stretch=stretch))
        mask = np.zeros((64, 96), bool)
        mask[crop.rows, crop.columns] = crop.full() > 0
        if agreement is None:
            assert not mask.any()
        else:
            assert (mask & ellipse).sum() / (mask | ellipse).sum() > agreement


def test_the_evidence_by_hand() -> None:
    # cells of 2 x 3 pixels
    evidence = np.random.default_rng(0).integers(-SURE, SURE + 1, (1, 32, 32)).astype(np.int8)
    crop = crop_of(one_box(dataclasses.replace(PLAIN, evidence=3.0), evidence=evidence))
    grid = evidence[0].astype(float) / SURE
    for row, column in itertools.product(range(10, 50, 3), range(20, 40, 2)):
        y, x = (row + 0.5) / 2 - 0.5, (column + 0.5) / 3 - 0.5
        y0, x0 = math.floor(y), math.floor(x)
        square = grid[y0 : y0 + 2, x0 : x0 + 2]
        expected = 3 * np.array([1 - y + y0, y - y0]) @ square @ np.array([1 - x + x0, x - x0])
        found = crop.values[row - crop.rows.start, column - crop.columns.start]
        assert found == pytest.approx(expected, abs=0.15)  # OpenCV places on 1/32


def test_the_evidence_reaches_to_the_frames_edge() -> None:
    evidence = np.full((1, 16, 24), SURE, np.int8)
    box = (0.0, 0, 96, 64)
    crop = crop_of(one_box(dataclasses.replace(PLAIN, evidence=2.0), box=box, evidence=evidence))
    np.testing.assert_allclose(crop.values, 2, atol=1e-4)


def test_large_weights_do_not_overflow() -> None:
    for sign in (1, -1):
        consensus = one_box(dataclasses.replace(PLAIN, shape=1e5, network=1e5))
        consensus.hear(constant(6.0 * sign))
        crop = crop_of(consensus)
        assert np.isfinite(crop.values).all()
        assert (np.sign(crop.values[inside(crop)]) == sign).mean() > 0.9


def test_object_evidence_tells_nothing_where_another_box_reaches() -> None:
    # the other box from 30, with its slack from 28, to beyond
    boxes = np.array([[[20.0, 10, 40, 50]], [[30.0, 0, 50, 64]]])
    slack = np.array([[0.0], [0.1]])
    config = dataclasses.replace(PLAIN, evidence=2.0)
    for said, shared in ((SURE, 0), (-SURE, -2)):
        evidence = np.full((1, 64, 96), said, np.int8)
        frames = np.full((1, 64, 96, 3), 90, np.uint8)
        consensus = Consensus(frames, boxes, slack, evidence, stretch=1.0, config=config)
        consensus.fit()
        crop = crop_of(consensus)
        values = crop.values[inside(crop)]
        np.testing.assert_allclose(values[:, :8], 2 * said / SURE, atol=1e-4)
        np.testing.assert_allclose(values[:, 8:], shared, atol=1e-4)


def test_what_goes_on_outside_the_box_is_weighed() -> None:
    # a post on a plain wall; the box is wide
    rng = np.random.default_rng(0)
    frames = rng.integers(60, 66, (1, 64, 96, 3)).astype(np.uint8)
    frames[0, 10:50, 24:37] += 90
    logits = []
    for weight in (0.0, 2.0):
        config = dataclasses.replace(PLAIN, geodesic=GeodesicConfig(weight=weight))
        crop = crop_of(one_box(config, frames=frames))
        logits.append(crop.values[inside(crop)])
    assert not logits[0].any()
    np.testing.assert_allclose(logits[1][:, 18:], -2, atol=0.3)
    np.testing.assert_allclose(logits[1][5:35, 7:14], 0, atol=0.1)
    dull = crop_of(one_box(config, frames=frames, stretch=2.0)).values[inside(crop)]
    np.testing.assert_allclose(dull[:, 18:], -2 / 16, atol=0.03)


def test_a_long_thin_box_does_not_make_a_large_crop() -> None:
    frames = np.full((1, 300, 900, 3), 90, np.uint8)
    config = dataclasses.replace(PLAIN, detail=128.0, most_detail=100.0)
    crop = crop_of(one_box(config, frames=frames, box=(20.0, 140, 880, 148)))
    assert (crop.rows, crop.columns) == (slice(0, 300), slice(0, 900))
    assert crop.values.size == pytest.approx(100 * 100, rel=0.05)


def test_each_frame_has_its_own_evidence() -> None:
    evidence = np.stack([np.full((32, 48), v, np.int8) for v in (SURE, -SURE, 0)])
    frames = np.full((3, 64, 96, 3), 90, np.uint8)
    consensus = one_box(dataclasses.replace(PLAIN, evidence=2.0), frames=frames, evidence=evidence)
    for t, expected in enumerate((2, -2, 0)):
        crop = crop_of(consensus, t=t)
        np.testing.assert_allclose(crop.values[inside(crop)], expected, atol=1e-4)


def test_the_networks_weight_by_hand() -> None:
    consensus = one_box(dataclasses.replace(PLAIN, network=0.5, network_limit=6.0))
    for said, expected in ((3.0, 1.5), (50.0, 3.0), (-50.0, -3.0)):
        consensus.hear(constant(said))
        crop = crop_of(consensus)
        np.testing.assert_allclose(crop.values[inside(crop)], expected, atol=1e-4)


def test_colours_tell_object_from_background() -> None:
    # one half of the box is as everything around it
    frames = np.full((1, 64, 96, 3), (60, 90, 160), np.uint8)
    frames[0, 10:50, 20:30] = (160, 90, 60)
    config = dataclasses.replace(PLAIN, colour=1.0, first_shape=2.0, colour_limit=2.0)
    crop = crop_of(one_box(config, frames=frames))
    rows, columns = inside(crop)
    assert crop.values[rows, columns][:, :10].min() > 1
    assert crop.values[rows, columns][:, 10:].max() < 0
    np.testing.assert_array_less(np.abs(crop.values[rows, columns]), 2.001)


def two_colours() -> np.ndarray:
    frame = np.random.default_rng(0).integers(80, 120, (1, 64, 96, 3)).astype(np.uint8)
    frame[0, 20:40, 24:36] += 90
    return frame


def test_mean_field_steps_by_hand() -> None:
    frames = two_colours()
    config = dataclasses.replace(PLAIN, shape=1.0, smooth=5.0, radius=3, flat=20.0)
    start = crop_of(one_box(config, frames=frames, stretch=1.5))
    picture = frames[0, start.rows, start.columns].astype(np.float32) / 255
    # a twelfth of the box's side of 28 is 2
    edges = GuidedFilter(cv2.cvtColor(picture, cv2.COLOR_RGB2LAB), 2, 20.0 / 1.5**2)
    within = inside(start)
    unary = start.values.astype(float)

    def sigmoid(values: np.ndarray) -> np.ndarray:
        kept = np.zeros(values.shape)
        kept[within] = 1 / (1 + np.exp(-values[within]))
        return kept

    found = sigmoid(unary)
    for steps in (1, 2, 3):
        found = sigmoid(unary + 5.0 / 1.5 * (2 * edges(found) - 1))
        crop = crop_of(
            one_box(dataclasses.replace(config, steps=steps), frames=frames, stretch=1.5)
        )
        probability = 1 / (1 + np.exp(-crop.values.astype(float)))
        np.testing.assert_allclose(probability[within], found[within], atol=1e-4)


@pytest.mark.parametrize(
    ("box", "config", "reach"),
    [
        ((10.0, 10, 58, 58), {}, 4),  # 48 / 12
        ((10.0, 10, 22, 22), {}, 2),
        ((10.0, 10, 58, 58), {"radius": 3}, 3),
        ((10.0, 10, 58, 58), {"radius": 1}, 1),
        ((10.0, 10, 58, 58), {"detail": 36.0}, 3),  # in pixels of the crop
    ],
)
def test_the_reach_of_the_neighbours_follows_the_boxs_size(
    monkeypatch: pytest.MonkeyPatch, box: tuple[float, ...], config: dict[str, Any], reach: int
) -> None:
    made: list[tuple[int, float]] = []

    def spy(guide: np.ndarray, radius: int, strength: float, **inner: Any) -> GuidedFilter:
        made.append((radius, strength))
        return GuidedFilter(guide, radius, strength, **inner)

    monkeypatch.setattr(module, "GuidedFilter", spy)
    one_box(dataclasses.replace(PLAIN, flat=32.0, **config), box=box, stretch=4.0)
    assert made == [(reach, 2.0)]  # more contrast, less is flat: 32 / 4^2


class Learner(ColourModel):
    """A colour model that notes what it learns from."""

    lessons: list[list[tuple[np.ndarray, np.ndarray]]]

    def fit(self, samples: Sequence[tuple[np.ndarray, np.ndarray]]) -> None:
        self.lessons.append([(b.copy(), p.copy()) for b, p in samples])
        super().fit(samples)


@pytest.fixture
def lessons(monkeypatch: pytest.MonkeyPatch) -> list[list[tuple[np.ndarray, np.ndarray]]]:
    Learner.lessons = []
    monkeypatch.setattr(module, "ColourModel", Learner)
    return Learner.lessons


def test_colours_are_first_learnt_from_evidence_and_ellipse(
    lessons: list[list[tuple[np.ndarray, np.ndarray]]],
) -> None:
    # the evidence speaks above row 30: object at the left of 30, background at its right
    evidence = np.zeros((1, 64, 96), np.int8)
    evidence[0, :30, :30], evidence[0, :30, 30:] = SURE, -SURE
    evidence[0, 30:] = 31  # just below a quarter: silent
    config = dataclasses.replace(
        PLAIN, evidence=2.0, shape=0.5, first_shape=3.0, silence=0.25, rounds=2
    )
    consensus = one_box(config, evidence=evidence)
    assert len(lessons) == 3  # at first, after the first round and after the last
    ((_, first),) = lessons[0]
    crop = crop_of(consensus)
    within = inside(crop)
    y, x = np.mgrid[10:50, 20:40] + 0.5
    shape = 1 - np.hypot((y - 30) / 20, (x - 30) / 10)
    said = evidence[0, 10:50, 20:40] / SURE
    expected = 2 * said + 0.5 * shape + 3 * shape * (y > 30)
    np.testing.assert_allclose(first[within], 1 / (1 + np.exp(-expected)), atol=1e-5)
    assert first.sum() == pytest.approx(first[within].sum())  # nothing beyond the box


def test_colours_are_learnt_from_some_frames_spread_over_the_track(
    lessons: list[list[tuple[np.ndarray, np.ndarray]]],
) -> None:
    asked: list[int] = []

    class Counted:
        def __getitem__(self, index: int) -> np.ndarray:
            asked.append(index)
            return np.full((64, 96, 3), 90, np.uint8)

    boxes = np.tile(np.array([20.0, 10, 40, 50]), (1, 30, 1))
    boxes[0, :10] = np.nan
    for count, expected in ((3, [10, 20, 29]), (1, [10]), (99, list(range(10, 30)))):
        asked.clear()
        lessons.clear()
        consensus = Consensus(
            Counted(),
            boxes,
            np.zeros((1, 30)),
            None,
            stretch=1.0,
            config=dataclasses.replace(PLAIN, frames=count),
        )
        consensus.fit()
        assert asked == expected
        assert {len(lesson) for lesson in lessons} == {len(expected)}


def test_crops_are_kept_within_a_bound(scene: Scene) -> None:
    asked: list[int] = []

    class Counted:
        def __getitem__(self, index: int) -> np.ndarray:
            asked.append(index)
            return np.asarray(scene.frames[index])

    whole = scene.consensus(CONFIG)
    whole.fit()
    made = [whole.crop(0, t) for t in range(3)]
    room = max(a.values.nbytes + b.values.nbytes for a in made for b in made if a and b)
    consensus = scene.consensus(dataclasses.replace(CONFIG, kept_bytes=room), frames=Counted())
    consensus.fit()
    asked.clear()
    first = consensus.crop(0, 0)
    for t in (0, 1, 0, 1, 0):
        consensus.crop(0, t)
    assert asked == [0, 1]
    consensus.crop(0, 2)  # frame 1 was asked for longer ago than frame 0
    consensus.crop(0, 0)
    assert asked == [0, 1, 2]
    consensus.crop(0, 1)
    assert asked == [0, 1, 2, 1]
    consensus.hear(None)  # what the network said is no longer true
    again = consensus.crop(0, 0)
    assert asked[-1] == 0
    assert first is not None
    assert again is not None
    assert_equal([first], [again])


@pytest.mark.parametrize(
    "box",
    [
        (90.0, 58, 130, 90),
        (-30.0, -20, 5, 5),
        (40.2, 30.1, 40.6, 30.3),  # smaller than a pixel, between the pixels' centres
        (10.0, 30, 90, 30.5),
        (200.0, 200, 220, 220),
        (0.0, 0, 96, 64),
    ],
)
def test_odd_boxes_do_no_harm(box: tuple[float, ...]) -> None:
    for slack in (0.0, 0.3):
        consensus = one_box(CONFIG, frames=two_colours(), box=box, slack=slack)
        crop = crop_of(consensus)
        assert np.isfinite(crop.values).all()
        assert min(crop.values.shape) >= 1
        assert 0 <= crop.rows.start < crop.rows.stop <= 64
        assert 0 <= crop.columns.start < crop.columns.stop <= 96
