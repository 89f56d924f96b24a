from __future__ import annotations

import dataclasses
import io
import itertools
import math
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest

from maskfree import consensus as module
from maskfree.appearance import ColourModel
from maskfree.config import ConsensusConfig, EvidenceConfig, GeodesicConfig, SamplingConfig
from maskfree.consensus import Consensus, ConsensusMemory, Crop
from maskfree.edges import GuidedFilter
from maskfree.errors import InputError
from maskfree.evidence import SURE, collect_evidence
from maskfree.targets import loose_tube
from napari_maskfree.sample_data import generated_clip

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

CONFIG = ConsensusConfig(bins=12, frames=6)
ABSENT = [np.nan] * 4


# a part of a frame


def ramp(rows: slice, columns: slice, shape: tuple[int, int]) -> Crop:
    """A crop that tells its own places: 100 y + x of each pixel's centre."""
    crop = Crop(rows, columns, np.zeros(shape, np.float32))
    y, x = crop.places()
    return Crop(rows, columns, (100 * y[:, None] + x).astype(np.float32))


def test_the_places_of_a_crop_by_hand() -> None:
    y, x = Crop(slice(10, 14), slice(20, 32), np.zeros((4, 3))).places()
    assert y.tolist() == [10, 11, 12, 13]
    assert x.tolist() == [21.5, 25.5, 29.5]  # the middles of pixels 20 to 23, 24 to 27, 28 to 31


@pytest.mark.parametrize("shape", [(12, 20), (6, 10), (4, 5), (24, 40)])
def test_values_are_found_at_their_places(shape: tuple[int, int]) -> None:
    crop = ramp(slice(7, 19), slice(30, 50), shape)
    y, x = crop.places()
    grid_x, grid_y = np.meshgrid(x, y)
    np.testing.assert_allclose(crop.at(grid_x, grid_y, outside=-1), crop.values, atol=2)
    # between the pixels too: the ramp is straight (OpenCV places on 1/32 of a pixel)
    inside = np.array([[30 + 40 / shape[1], 41.3, 50 - 40 / shape[1]]])
    level = np.array([[7 + 24 / shape[0], 13.7, 19 - 24 / shape[0]]])
    expected = 100 * level + inside
    step = 12 / shape[0]
    np.testing.assert_allclose(crop.at(inside, level, outside=-1), expected, atol=4 * step)


def test_beyond_a_crop_is_outside() -> None:
    crop = Crop(slice(10, 14), slice(20, 28), np.full((4, 4), 5.0, np.float32))
    # a pixel of the crop is 1 x 2; half of one more is taken in on each side
    x = np.array([[18.4, 18.6, 20.5, 26.5, 28.4, 28.6]])
    found = crop.at(x, np.full_like(x, 12.0), outside=-7)
    assert found.tolist() == [[-7, 5, 5, 5, 5, -7]]
    y = np.array([[8.9, 9.1, 10, 13, 13.9, 14.1]])
    assert crop.at(np.full_like(y, 22.0), y, outside=-7).tolist() == [[-7, 5, 5, 5, 5, -7]]


@pytest.mark.parametrize("shape", [(12, 20), (6, 10)])
def test_the_full_crop_is_at_the_videos_pixels(shape: tuple[int, int]) -> None:
    crop = ramp(slice(7, 19), slice(30, 50), shape)
    full = crop.full()
    assert full.shape == (12, 20)
    y, x = np.mgrid[7:19, 30:50]
    inner = (slice(1, -1), slice(1, -1))  # at its border a crop is as its last pixel
    np.testing.assert_allclose(full[inner], (100 * y + x)[inner], atol=1e-2)


def test_belief_by_hand() -> None:
    crop = Crop(slice(0, 2), slice(0, 3), np.array([[0, 1, -1], [30, -30, 4]], np.float32))
    belief = crop.belief(1.0)
    assert (belief.rows, belief.columns) == (crop.rows, crop.columns)
    p = 1 / (1 + math.exp(-1))
    expected = [[0, 2 * p - 1, 1 - 2 * p], [1, -1, math.tanh(2)]]
    np.testing.assert_allclose(belief.values, expected, atol=1e-6)


@pytest.mark.parametrize(
    ("cell", "pixels"),
    [(0.3, 1), (1.9, 1), (2.2, 3), (3.7, 3), (4.4, 5), (6.0, 3), (9.0, 9), (10.0, 5)],
)
def test_belief_is_averaged_over_cells_by_hand(cell: float, pixels: int) -> None:
    size = 18 if cell in (6.0, 10.0) else 9
    values = np.where(np.random.default_rng(0).random((9, 9)) < 0.5, 40.0, -40.0)
    crop = Crop(slice(0, size), slice(5, 5 + size), values.astype(np.float32))
    sign = np.pad(np.sign(values), pixels // 2, mode="edge")
    expected = [[sign[y : y + pixels, x : x + pixels].mean() for x in range(9)] for y in range(9)]
    np.testing.assert_allclose(crop.belief(cell).values, expected, atol=1e-5)


@pytest.mark.parametrize(
    "cell",
    [
        3.0,
        4.0,
    ],
)
def test_the_belief_in_a_mirrored_crop_is_the_mirror_image(cell: float) -> None:
    values = np.random.default_rng(0).normal(0, 3, (9, 12)).astype(np.float32)
    plain = Crop(slice(0, 9), slice(0, 12), values).belief(cell).values
    mirrored = Crop(slice(0, 9), slice(0, 12), values[:, ::-1].copy()).belief(cell).values
    np.testing.assert_allclose(mirrored[:, ::-1], plain, atol=1e-5)


# on a clip


@dataclasses.dataclass(frozen=True)
class Scene:
    """A generated clip, its boxes every fourth frame, and what is known without a network."""

    frames: np.ndarray
    masks: np.ndarray
    boxes: np.ndarray
    slack: np.ndarray
    ids: list[int]
    evidence: np.ndarray

    def consensus(self, config: ConsensusConfig = CONFIG, **changed: Any) -> Consensus:
        evidence = changed.pop("evidence", self.evidence)
        frames = changed.pop("frames", self.frames)
        stretch = changed.pop("stretch", 1.0)
        return Consensus(frames, self.boxes, self.slack, evidence, stretch=stretch, config=config)

    def present(self) -> list[tuple[int, int]]:
        return [(int(n), int(t)) for n, t in np.argwhere(np.isfinite(self.boxes).all(-1))]

    def true(self, n: int, t: int) -> np.ndarray:
        return np.asarray(self.masks[t] == self.ids[n])

    def filled(self, n: int, t: int) -> np.ndarray:
        mask = np.zeros(self.masks.shape[1:], bool)
        x0, y0, x1, y1 = self.boxes[n, t].round().astype(int)
        mask[max(0, y0) : y1, max(0, x0) : x1] = True
        return mask

    def mean_j(self, mask_of: Callable[[int, int], np.ndarray]) -> float:
        scores = []
        for n, t in self.present():
            found, true = mask_of(n, t), self.true(n, t)
            if true.any():
                scores.append((found & true).sum() / (found | true).sum())
        assert len(scores) > 15
        return float(np.mean(scores))

    def mask(self, consensus: Consensus, n: int, t: int) -> np.ndarray:
        out = np.zeros(self.masks.shape[1:], bool)
        crop = consensus.crop(n, t)
        assert crop is not None
        out[crop.rows, crop.columns] = crop.full() > 0
        return out

    def truth(self, n: int, t: int, crop: Crop) -> np.ndarray:
        """What a network that knows the truth would say."""
        mask = self.true(n, t)[crop.rows, crop.columns].astype(np.float32)
        h, w = crop.values.shape
        return np.asarray(cv2.resize(mask, (w, h), interpolation=cv2.INTER_AREA) * 12 - 6)


def make_scene(seed: int) -> Scene:
    clip = generated_clip(num_frames=12, height=64, width=96, seed=seed)
    tracks = clip.boxes(every=4)
    boxes, slack = loose_tube(tracks, range(12), config=SamplingConfig())
    evidence = collect_evidence(clip.frames, boxes, config=EvidenceConfig())
    return Scene(clip.frames, clip.masks, boxes, slack, [t.id for t in tracks.tracks], evidence)


@pytest.fixture(scope="module")
def scene() -> Scene:
    return make_scene(0)


@pytest.fixture(scope="module")
def settled(scene: Scene) -> Consensus:
    made = scene.consensus()
    made.fit()
    return made


def crops(consensus: Consensus, scene: Scene) -> list[Crop]:
    found = [consensus.crop(n, t) for n, t in scene.present()]
    assert all(found)
    return [crop for crop in found if crop is not None]


def assert_equal(first: Sequence[Crop], second: Sequence[Crop]) -> None:
    for here, there in zip(first, second, strict=True):
        assert (here.rows, here.columns) == (there.rows, there.columns)
        np.testing.assert_array_equal(here.values, there.values)


def assert_alike(first: Sequence[Crop], second: Sequence[Crop]) -> None:
    """The colours are kept in half precision: 0.002 of a logit, which the steps add to."""
    for here, there in zip(first, second, strict=True):
        assert (here.rows, here.columns) == (there.rows, there.columns)
        first_chance, second_chance = (1 / (1 + np.exp(-c.values)) for c in (here, there))
        np.testing.assert_allclose(first_chance, second_chance, atol=5e-3, rtol=0)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("seen", [True, False])
def test_masks_from_boxes_alone_are_much_better_than_the_boxes(seed: int, seen: bool) -> None:
    scene = make_scene(seed)
    consensus = scene.consensus(evidence=scene.evidence if seen else None)
    consensus.fit()
    found = scene.mean_j(lambda n, t: scene.mask(consensus, n, t))
    assert found > 0.77
    assert found > scene.mean_j(scene.filled) + 0.2


def test_where_a_track_is_absent_there_is_no_crop(scene: Scene, settled: Consensus) -> None:
    absent = np.argwhere(~np.isfinite(scene.boxes).all(-1))
    assert len(absent)
    for n, t in absent:
        assert settled.crop(int(n), int(t)) is None


def test_before_it_has_learnt_there_is_no_crop(scene: Scene) -> None:
    consensus = scene.consensus()
    assert all(consensus.crop(n, t) is None for n, t in scene.present())


def test_a_track_that_is_never_there_does_no_harm(scene: Scene, settled: Consensus) -> None:
    boxes = np.concatenate([np.full((1, 12, 4), np.nan), scene.boxes])
    slack = np.concatenate([np.zeros((1, 12)), scene.slack])
    consensus = Consensus(scene.frames, boxes, slack, scene.evidence, stretch=1.0, config=CONFIG)
    consensus.fit()
    assert consensus.crop(0, 3) is None
    moved = [consensus.crop(n + 1, t) for n, t in scene.present()]
    assert_equal([c for c in moved if c is not None], crops(settled, scene))


def test_two_equal_runs_give_equal_results(scene: Scene, settled: Consensus) -> None:
    again = scene.consensus()
    again.fit()
    assert_equal(crops(again, scene), crops(settled, scene))
    again.fit()  # and learning starts anew each time
    assert_equal(crops(again, scene), crops(settled, scene))


def test_nothing_is_object_beyond_a_boxs_reach(scene: Scene, settled: Consensus) -> None:
    for (n, t), crop in zip(scene.present(), crops(settled, scene), strict=True):
        x0, y0, x1, y1 = scene.boxes[n, t]
        dx, dy = scene.slack[n, t] * (x1 - x0), scene.slack[n, t] * (y1 - y0)
        y, x = crop.places()
        rows = (y + 0.5 < y0 - dy) | (y + 0.5 >= y1 + dy)
        columns = (x + 0.5 < x0 - dx) | (x + 0.5 >= x1 + dx)
        beyond = rows[:, None] | columns
        assert beyond.any()
        np.testing.assert_allclose(crop.values[beyond], -15, atol=1e-3)
        assert crop.values[~beyond].max() > 0
        assert np.abs(crop.values).max() < 15.1
        assert crop.values.dtype == np.float32


# the network's say


def constant(value: float) -> Callable[[int, int, Crop], np.ndarray]:
    return lambda n, t, crop: np.full(crop.values.shape, value, np.float32)


def test_masks_go_towards_the_network(scene: Scene) -> None:
    consensus = scene.consensus(dataclasses.replace(CONFIG, network=1.0))
    consensus.fit()
    alone = crops(consensus, scene)
    consensus.hear(constant(6.0))
    more = crops(consensus, scene)
    consensus.hear(constant(-6.0))
    less = crops(consensus, scene)
    consensus.hear(lambda n, t, crop: None)
    nothing = crops(consensus, scene)
    consensus.hear(None)
    silent = crops(consensus, scene)
    assert_equal(nothing, alone)
    assert_equal(silent, alone)
    for before, up, down in zip(alone, more, less, strict=True):
        inside = before.values > -14.9
        assert (up.values[inside] >= before.values[inside] - 1e-3).all()
        assert (down.values[inside] <= before.values[inside] + 1e-3).all()
        assert up.values[inside].mean() > before.values[inside].mean() + 0.5
        assert down.values[inside].mean() < before.values[inside].mean() - 0.5


def test_a_network_that_is_right_makes_masks_better(scene: Scene) -> None:
    consensus = scene.consensus(dataclasses.replace(CONFIG, network=1.0))
    consensus.fit()
    before = scene.mean_j(lambda n, t: scene.mask(consensus, n, t))
    consensus.hear(scene.truth)
    heard = scene.mean_j(lambda n, t: scene.mask(consensus, n, t))
    assert heard > before + 0.03
    # also where it had a say in the colours only
    consensus.fit(scene.truth)
    fitted = consensus.memory(scene.ids)
    consensus.fit()
    plain = consensus.memory(scene.ids)
    assert fitted.colours.keys() == plain.colours.keys() == set(scene.ids)
    for i in scene.ids:
        assert not np.array_equal(
            fitted.colours[i].state()["table"], plain.colours[i].state()["table"]
        )


def test_the_network_is_asked_about_the_crop_and_counts_up_to_its_limit(scene: Scene) -> None:
    asked: list[tuple[int, int, Crop]] = []

    def network(n: int, t: int, crop: Crop) -> np.ndarray:
        asked.append((n, t, crop))
        return np.full(crop.values.shape, 1000.0, np.float32)

    config = dataclasses.replace(CONFIG, network_limit=2.5)
    consensus = scene.consensus(config)
    consensus.fit()
    n, t = scene.present()[3]
    consensus.hear(network)
    crop = consensus.crop(n, t)
    assert crop is not None
    ((asked_n, asked_t, about),) = asked
    assert (asked_n, asked_t) == (n, t)
    assert (about.rows, about.columns, about.values.shape) == (
        crop.rows,
        crop.columns,
        crop.values.shape,
    )
    consensus.hear(constant(2.5))
    limited = consensus.crop(n, t)
    assert limited is not None
    np.testing.assert_array_equal(limited.values, crop.values)


# what it is made of

PLAIN = dataclasses.replace(
    CONFIG,
    network=0.0,
    evidence=0.0,
    colour=0.0,
    shape=0.0,
    lean=0.0,
    first_shape=0.0,
    steps=0,
    geodesic=GeodesicConfig(weight=0.0),
)
"""Every cue off."""


def one_box(
    config: ConsensusConfig,
    *,
    frames: np.ndarray | None = None,
    box: Sequence[float] = (20.0, 10, 40, 50),
    slack: float = 0.0,
    evidence: np.ndarray | None = None,
    stretch: float = 1.0,
) -> Consensus:
    if frames is None:
        frames = np.full((1, 64, 96, 3), 90, np.uint8)
    boxes = np.tile(np.array(box, float), (1, len(frames), 1))
    made = Consensus(
        frames, boxes, np.full((1, len(frames)), slack), evidence, stretch=stretch, config=config
    )
    made.fit()
    return made


def crop_of(consensus: Consensus, n: int = 0, t: int = 0) -> Crop:
    crop = consensus.crop(n, t)
    assert crop is not None
    return crop


def inside(crop: Crop, box: Sequence[float] = (20.0, 10, 40, 50)) -> tuple[slice, slice]:
    x0, y0, x1, y1 = (int(v) for v in box)
    top, left = crop.rows.start, crop.columns.start
    return slice(y0 - top, y1 - top), slice(x0 - left, x1 - left)


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

    def spy(guide: np.ndarray, radius: int, strength: float) -> GuidedFilter:
        guides.append(guide)
        return GuidedFilter(guide, radius, strength)

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
        ((10.0, 10, 58, 58), {"detail": 36.0}, 3),  # in pixels of the crop
    ],
)
def test_the_reach_of_the_neighbours_follows_the_boxs_size(
    monkeypatch: pytest.MonkeyPatch, box: tuple[float, ...], config: dict[str, Any], reach: int
) -> None:
    made: list[tuple[int, float]] = []

    def spy(guide: np.ndarray, radius: int, strength: float) -> GuidedFilter:
        made.append((radius, strength))
        return GuidedFilter(guide, radius, strength)

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


def test_crops_are_kept_up_to_a_number(scene: Scene) -> None:
    asked: list[int] = []

    class Counted:
        def __getitem__(self, index: int) -> np.ndarray:
            asked.append(index)
            return np.asarray(scene.frames[index])

    consensus = scene.consensus(dataclasses.replace(CONFIG, kept=2), frames=Counted())
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


# what is kept of it


def test_the_memory_makes_the_same_crops(tmp_path: Path, scene: Scene, settled: Consensus) -> None:
    path = tmp_path / "consensus.npz"
    path.write_bytes(settled.memory(scene.ids).to_bytes())
    memory = ConsensusMemory.from_file(path, CONFIG)
    assert memory.stretch == 1.0
    assert memory.evidence is not None
    assert memory.evidence.dtype == np.int8
    np.testing.assert_array_equal(memory.evidence, scene.evidence)
    assert set(memory.colours) == set(scene.ids)
    again = Consensus.recall(
        scene.frames, scene.boxes, scene.slack, scene.ids, memory, config=CONFIG
    )
    assert_alike(crops(again, scene), crops(settled, scene))
    for n, t in scene.present():
        np.testing.assert_array_equal(scene.mask(again, n, t), scene.mask(settled, n, t))


def test_memory_goes_by_ids_not_by_their_order(scene: Scene, settled: Consensus) -> None:
    memory = settled.memory([3, 7])
    order = [1, 0]
    swapped = Consensus.recall(
        scene.frames, scene.boxes[order], scene.slack[order], [7, 3], memory, config=CONFIG
    )
    for n, t in scene.present():
        assert_equal([crop_of(swapped, 1 - n, t)], [crop_of(settled, n, t)])
    other = Consensus.recall(scene.frames, scene.boxes, scene.slack, [3, 9], memory, config=CONFIG)
    for n, t in scene.present():
        assert (other.crop(n, t) is None) is (n == 1)  # track 9 is new


def test_memory_of_a_stretched_clip_without_evidence(tmp_path: Path, scene: Scene) -> None:
    consensus = scene.consensus(evidence=None, stretch=2.25)
    consensus.fit()
    path = tmp_path / "consensus.npz"
    path.write_bytes(consensus.memory(scene.ids).to_bytes())
    memory = ConsensusMemory.from_file(path, CONFIG)
    assert memory.evidence is None
    assert memory.stretch == 2.25
    again = Consensus.recall(
        scene.frames, scene.boxes, scene.slack, scene.ids, memory, config=CONFIG
    )
    assert_alike(crops(again, scene), crops(consensus, scene))


def test_a_memory_fits_a_video_of_its_length(scene: Scene, settled: Consensus) -> None:
    memory = settled.memory(scene.ids)
    assert memory.fits(12)
    assert not memory.fits(11)
    without = ConsensusMemory(None, 1.0, {})
    assert without.fits(5)


def arrays_of(content: bytes) -> dict[str, np.ndarray]:
    with np.load(io.BytesIO(content), allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


def archive(arrays: dict[str, np.ndarray]) -> bytes:
    content = io.BytesIO()
    np.savez_compressed(content, **arrays)  # type: ignore[arg-type]
    return content.getvalue()


def without(content: bytes, name: str) -> bytes:
    arrays = arrays_of(content)
    del arrays[name]
    return archive(arrays)


def with_array(content: bytes, name: str, values: np.ndarray) -> bytes:
    return archive({**arrays_of(content), name: values})


def flipped(content: bytes) -> bytes:
    changed = bytearray(content)
    for k in range(200, len(changed) - 200, 997):
        changed[k] ^= 0xFF
    return bytes(changed)


def single(values: np.ndarray) -> bytes:
    content = io.BytesIO()
    np.save(content, values)
    return content.getvalue()


DAMAGED: dict[str, Callable[[bytes], bytes]] = {
    "half": lambda c: c[: len(c) // 2],
    "text": lambda c: b"nonsense",
    "zip": lambda c: b"PK\x03\x04 cut off",
    "bits": flipped,
    "no stretch": lambda c: without(c, "stretch"),
    "no bins": lambda c: without(c, "1/low"),
    "other bins": lambda c: with_array(c, "1/table", np.zeros(8, np.float16)),
    "no number": lambda c: with_array(c, "one/table", np.zeros(8, np.float16)),
    "pickle": lambda c: with_array(c, "stretch", np.array([None])),
}


MADE_OF_SOMETHING_ELSE = {
    "empty": b"",
    "one array": single(np.zeros(3)),
    "two numbers": archive({"stretch": np.zeros(2)}),
    "text": archive({"stretch": np.array("much")}),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_memory_is_refused(
    tmp_path: Path, scene: Scene, settled: Consensus, name: str
) -> None:
    path = tmp_path / "consensus.npz"
    path.write_bytes(DAMAGED[name](settled.memory(scene.ids).to_bytes()))
    with pytest.raises(InputError) as caught:
        ConsensusMemory.from_file(path, CONFIG)
    assert str(caught.value) == f"{path} is damaged. Fine-tune again."


@pytest.mark.parametrize("name", MADE_OF_SOMETHING_ELSE)
def test_a_memory_of_something_else_is_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / "consensus.npz"
    path.write_bytes(MADE_OF_SOMETHING_ELSE[name])
    with pytest.raises(InputError, match="is damaged"):
        ConsensusMemory.from_file(path, CONFIG)


def test_a_memory_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is damaged"):
        ConsensusMemory.from_file(tmp_path / "consensus.npz", CONFIG)
