from __future__ import annotations

import dataclasses
import math
import tracemalloc
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest

from maskfree import evidence as module
from maskfree.camera_motion import CameraMotion
from maskfree.config import EvidenceConfig
from maskfree.evidence import SURE, collect_evidence
from maskfree.tracks import tube
from napari_maskfree.sample_data import generated_clip

if TYPE_CHECKING:
    from maskfree.types import BoxTracks

CELL = 2
CONFIG = EvidenceConfig(
    max_sources=32,
    background_distance=4.0,
    object_distance=15.0,
    noise_quantile=0.98,
    background_noise=2.0,
    object_noise=6.0,
    object_least_noise=1.0,
    least_noise=0.5,
    least_shown=0.3,
    split_margin=1.25,
    cell=CELL,
    surroundings=0.75,
    world_share=0.8,
    box_margin=0.0,
)
HEIGHT, WIDTH = 64, 96


def cell_share(masks: np.ndarray) -> np.ndarray:
    """Part of each cell that is True: ``(T, H / CELL, W / CELL)``."""
    count, height, width = masks.shape
    return masks.reshape(count, height // CELL, CELL, width // CELL, CELL).mean((2, 4))


def cells(x0: int, y0: int, x1: int, y1: int) -> tuple[slice, slice]:
    """The cells of a rectangle of pixels that lies on their grid."""
    return slice(y0 // CELL, y1 // CELL), slice(x0 // CELL, x1 // CELL)


def boxes_of(tracks: BoxTracks) -> np.ndarray:
    return tube(tracks, range(tracks.num_frames))


@pytest.fixture(scope="module", params=[0, 1, 2])
def scene(request: pytest.FixtureRequest) -> dict[str, np.ndarray]:
    clip = generated_clip(num_frames=16, height=128, width=192, seed=request.param)
    boxes = boxes_of(clip.boxes(every=1))
    in_box = np.zeros(clip.masks.shape, bool)
    for t in range(len(in_box)):
        for x0, y0, x1, y1 in boxes[:, t][np.isfinite(boxes[:, t]).all(1)].astype(int):
            in_box[t, y0:y1, x0:x1] = True
    return {
        "evidence": collect_evidence(clip.frames, boxes, config=CONFIG),
        "object": cell_share(clip.masks > 0) == 1,
        "background": cell_share(clip.masks > 0) == 0,
        "in box": cell_share(in_box) == 1,
    }


def test_background_is_found_in_the_boxes(scene: dict[str, np.ndarray]) -> None:
    hidden = scene["background"] & scene["in box"]
    assert hidden.sum() > 1000
    assert (scene["evidence"][hidden] < -SURE / 2).mean() > 0.65


def test_an_object_is_seldom_taken_for_background(scene: dict[str, np.ndarray]) -> None:
    assert (scene["evidence"][scene["object"]] < 0).mean() < 0.01


def test_what_is_said_to_be_object_mostly_is(scene: dict[str, np.ndarray]) -> None:
    said = scene["evidence"] > SURE / 2
    assert said.sum() > 1000
    assert scene["background"][said].mean() < 0.08
    assert said[scene["object"]].mean() > 0.95


def test_what_is_believed_less_is_less_often_right(scene: dict[str, np.ndarray]) -> None:
    belief, background = scene["evidence"], scene["background"]
    weak, strong = (belief > 0) & (belief < SURE / 2), belief >= SURE / 2
    assert background[weak].mean() > 2 * background[strong].mean()


def test_outside_the_boxes_everything_is_background(scene: dict[str, np.ndarray]) -> None:
    grown = np.stack(
        [cv2.dilate(m.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0 for m in scene["in box"]]
    )
    assert (scene["evidence"][~grown] == -SURE).all()


def textured(seed: int = 0, width: int = WIDTH) -> np.ndarray:
    rng = np.random.default_rng(seed)
    small = (rng.uniform(0, 255, (16, width // 4, 3)) * [1, 0.5, 1]).astype(np.uint8)  # no green
    return cv2.resize(small, (width, HEIGHT), interpolation=cv2.INTER_CUBIC)


GREEN = np.array([0, 255, 0], np.uint8)


def box_clip(places: list[int | None], size: int = 16) -> tuple[np.ndarray, np.ndarray]:
    """A green square at x = place (y 24) over a still ground; its box in each frame."""
    frames = np.repeat(textured()[None], len(places), 0)
    boxes = np.full((1, len(places), 4), np.nan)
    for t, x in enumerate(places):
        if x is not None:
            frames[t, 24 : 24 + size, x : x + size] = GREEN
            boxes[0, t] = (x, 24, x + size, 24 + size)
    return frames, boxes


def wide(boxes: np.ndarray, by: float) -> np.ndarray:
    return boxes + np.array([-by, -by, by, by])


def assert_split(evidence: np.ndarray, x: int) -> None:
    """A square at x (y 24) in a box 8 larger on each side: certain but for a cell at its edge."""
    edge = CELL  # 3 x 3 means blur
    assert (evidence[cells(x + edge, 24 + edge, x + 16 - edge, 40 - edge)] == SURE).all()
    assert (evidence[cells(x, 24, x + 16, 40)] >= 0).all()
    ring = np.zeros(evidence.shape, bool)
    ring[cells(x - 8, 16, x + 24, 48)] = True
    ring[cells(x - edge, 24 - edge, x + 16 + edge, 40 + edge)] = False
    assert (evidence[ring] == -SURE).all()


def test_with_a_static_camera_a_box_splits_into_object_and_background() -> None:
    frames, boxes = box_clip([12, 68])
    evidence = collect_evidence(frames, wide(boxes, 8), config=CONFIG)
    assert (evidence.shape, evidence.dtype) == ((2, HEIGHT // CELL, WIDTH // CELL), np.int8)
    for t, x in enumerate((12, 68)):
        assert_split(evidence[t], x)


@pytest.mark.parametrize("cell", [1, 2, 3, 4])
def test_cells_of_any_size_tell_the_same(cell: int) -> None:
    frames, boxes = box_clip([12, 68])
    config = dataclasses.replace(CONFIG, cell=cell)
    evidence = collect_evidence(frames, wide(boxes, 8), config=config)
    assert evidence.shape == (2, HEIGHT // cell, WIDTH // cell)
    for t, x in enumerate((12, 68)):
        full = cv2.resize(evidence[t], (WIDTH, HEIGHT), interpolation=cv2.INTER_NEAREST)
        assert (full[30:34, x + 6 : x + 10] == SURE).all()
        assert full[17:47, x - 7].max() < -SURE / 2
        assert full[17:47, x + 22].max() < -SURE / 2


def test_a_clip_without_any_noise_is_no_different() -> None:
    # nothing to follow and nothing that changes but the object: distances of exactly 0
    frames, boxes = box_clip([12, 68])
    for t, x in enumerate((12, 68)):
        frames[t] = (90, 60, 120)
        frames[t, 16:48, x - 8 : x + 24] = (90, 60, 121)  # the smallest difference there is
        frames[t, 24:40, x : x + 16] = GREEN
    evidence = collect_evidence(frames, wide(boxes, 8), config=CONFIG)
    for t, x in enumerate((12, 68)):
        assert_split(evidence[t], x)


def test_what_is_seen_nowhere_else_is_unknown() -> None:
    frames, boxes = box_clip([40, 40, 40])
    evidence = collect_evidence(frames, boxes, config=CONFIG)
    # the box's own surroundings of one cell are kept free as well
    known = np.ones(evidence.shape[1:], bool)
    known[cells(40 - CELL, 24 - CELL, 56 + CELL, 40 + CELL)] = False
    assert (evidence[:, known] == -SURE).all()
    assert (evidence[:, ~known] == 0).all()


def test_one_frame_knows_its_outside_only() -> None:
    frames, boxes = box_clip([40])
    evidence = collect_evidence(frames, boxes, config=CONFIG)
    assert (evidence[0][cells(40, 24, 56, 40)] == 0).all()
    assert evidence[0, 0, 0] == -SURE


def test_the_box_of_another_track_is_no_background() -> None:
    frames, boxes = box_clip([40, None, None])
    other = np.full((1, 3, 4), np.nan)
    other[0, 1:] = (32, 16, 64, 48)  # a second track covers the place in all other frames
    alone = collect_evidence(frames, boxes, config=CONFIG)
    assert (alone[0][cells(42, 26, 54, 38)] == SURE).all()
    both = collect_evidence(frames, np.concatenate([boxes, other]), config=CONFIG)
    assert (both[0][cells(40, 24, 56, 40)] == 0).all()


def test_frames_beyond_a_cut_say_nothing() -> None:
    frames, boxes = box_clip([40, None, None])
    frames[1:] = 255 - textured(5)
    evidence = collect_evidence(frames, boxes, config=CONFIG)
    assert (evidence[0][cells(40, 24, 56, 40)] == 0).all()


def test_shimmering_background_raises_the_distance_of_an_object() -> None:
    frames, boxes = box_clip([12, 68])
    boxes = wide(boxes, 8)
    rng = np.random.default_rng(0)
    shimmer = frames.astype(int) + rng.integers(-60, 61, frames.shape[:3])[..., None]
    frames = shimmer.clip(0, 255).astype(np.uint8)
    ring = np.zeros((2, HEIGHT // CELL, WIDTH // CELL), bool)
    for t, x in enumerate((12, 68)):
        ring[t][cells(x - 8, 16, x + 24, 48)] = True
        ring[t][cells(x - 4, 20, x + 20, 44)] = False

    def share(**values: float) -> tuple[float, float]:
        """Parts of the background that are taken for object, and that are found."""
        config = dataclasses.replace(CONFIG, **values)
        belief = collect_evidence(frames, boxes, config=config)[ring]
        return float((belief > SURE / 2).mean()), float((belief < 0).mean())

    mistaken, found = share()
    assert mistaken == 0
    assert found > 0.95
    # much less is enough for object here, but not less than the shimmer
    assert share(object_distance=5.0)[0] < 0.03
    assert share(object_distance=5.0, object_least_noise=2.0)[0] == 0


def test_where_two_boxes_overlap_the_least_belief_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    frames, boxes = box_clip([40, None, None])
    both = np.concatenate([wide(boxes, 4), wide(boxes, 4) + 2])
    for order in ([0, 1], [1, 0]):
        limits = iter([((1.0, 2.0, 3.0, 4.0), (1e6, 2e6, 3e6, 4e6))[n] for n in order])
        monkeypatch.setattr(
            module, "_limits", lambda seen, _, limits=limits: [next(limits)] * len(seen.here)
        )
        evidence = collect_evidence(frames, both[order], config=CONFIG)[0]
        # the first track says object, the second, whose limits are higher, background
        assert (evidence[cells(42, 26, 54, 38)] == -SURE).all()


# around a box


def test_a_tile_that_moves_otherwise_is_compared_along_its_own_motion() -> None:
    width = 144
    pictures = textured(1, 160), textured(2, 96)
    frames, boxes = [], np.full((1, 5, 4), np.nan)
    for t in range(5):
        left, right = pictures[0][:, 4 * t :][:, :96], pictures[1][:, 30 - 5 * t :][:, :48]
        frame = np.hstack([left, right])
        if t in (1, 3):
            frame[24:40, 112:128] = GREEN
            boxes[0, t] = (104, 16, 136, 48)
        frames.append(frame)
    clip = np.stack(frames)
    assert clip.shape == (5, HEIGHT, width, 3)
    found = {}
    for share in (0.8, 0.0):  # 0: with the world, come what may
        config = dataclasses.replace(CONFIG, world_share=share, min_inliers=8)
        evidence = collect_evidence(clip, boxes, config=config)
        ring = np.zeros(evidence.shape[1:], bool)
        ring[cells(104, 16, 136, 48)] = True
        ring[cells(108, 20, 132, 44)] = False
        found[share] = (evidence[1][ring] < 0).mean(), (evidence[1][ring] > 0).mean()
        assert (evidence[1][cells(116, 28, 124, 36)] > 0).mean() > 0.9
    assert found[0.8][0] > 0.9
    assert found[0.8][1] == 0
    assert found[0.0][0] < 0.5


def test_noise_is_measured_beside_the_box_and_by_frames_that_show_its_inside(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    still = CameraMotion(np.stack([np.eye(3)] * 3), np.zeros(3, int))

    def stands(frames: Any, boxes: np.ndarray, **_: Any) -> Any:
        return list(frames) and (still, [None] * len(boxes))

    monkeypatch.setattr(module, "estimate_motions", stands)
    # frame 1 shows the surroundings as they are but not the inside, frame 2 both, brightened
    frames, boxes = box_clip([40, 40, None])
    frames[2] = (frames[2] * 0.8).astype(np.uint8)
    frames[0, :, 80:] //= 2  # far off
    scene = module._look(frames, boxes, CONFIG)
    view = scene.view(0, 0)
    # around the box a ring of cells, whose 3 x 3 means it touches, is shown by frame 2 alone
    assert len(view.matched) == len(view.own) == 400 - 10 * 10
    assert (view.own > 0.1).sum() == 12 * 12 - 10 * 10
    assert (view.matched > 3).mean() > 0.9
    far = dataclasses.replace(CONFIG, surroundings=4.0)
    assert module._look(frames, boxes, far).view(0, 0).own.max() > 5
    # with any frame that shows a little, the two are the same
    loose = dataclasses.replace(CONFIG, least_shown=0.0)
    both = module._look(frames, boxes, loose).view(0, 0)
    np.testing.assert_array_equal(both.own, both.matched)


def test_a_view_by_hand() -> None:
    frames, boxes = box_clip([40, None])
    scene = module._look(frames, boxes, CONFIG)
    assert scene.present(0) == [0]
    view = scene.view(0, 0)
    # 16 pixels and 12 on each side, in cells of 2
    assert scene.window(0, 0, CONFIG.surroundings) == (slice(6, 26), slice(14, 34))
    assert view.delta.shape == view.in_box.shape == (20, 20)
    expected = np.zeros((20, 20), bool)
    expected[6:14, 6:14] = True
    np.testing.assert_array_equal(view.in_box, expected)
    assert np.isfinite(view.delta).all()
    # but for a cell around the box, which is neither
    assert len(view.own) == 400 - 10 * 10
    assert view.delta[7:13, 7:13].min() > 15 > 1 > view.own.max()
    near = module._look(frames, boxes, dataclasses.replace(CONFIG, surroundings=0.25))
    assert near.view(0, 0).delta.shape == (12, 12)


# from distance to belief


def view_of(delta: np.ndarray, own: np.ndarray, matched: np.ndarray | None = None) -> module._View:
    delta = np.asarray(delta, np.float32)[None]
    in_box = np.ones(delta.shape, bool)
    return module._View(
        delta=delta,
        in_box=in_box,
        own=own,
        matched=own if matched is None else matched,
    )


def limits_of(views: list[module._View], config: EvidenceConfig) -> list[Any]:
    distances = module._Distances()
    for view in views:
        distances.add(view)
    return module._limits(distances, config)


def test_the_limits_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    split = 8.0
    monkeypatch.setattr(module, "_split", lambda *_: split)
    delta = np.full(60, 5.0)
    for noise, values, expected in (
        # near: 2 x 1; belief is 0 from 8 / 1.25 to 8 x 1.25; object: 1.3 of that, not 6 x 1
        (1.0, {}, (2.0, 6.4, 10.0, 13.0)),
        # near is never beyond background_distance, nor below 0.7 of the noise
        (3.0, {}, (4.0, 6.4, 10.0, 15.0)),
        (7.0, {"background_distance": 1.0}, (4.9, 7.0, 10.0, 15.0)),
        # noise above the split: nothing below it is object
        (12.0, {}, (8 / 1.5, 8.0, 12.0, 15.6)),
        # object is at least so many times the noise
        (9.0, {"object_least_noise": 4.0}, (8 / 1.5, 8.0, 10.0, 36.0)),
        (0.0, {"least_noise": 2.0}, (4.0, 6.4, 10.0, 13.0)),
        (1.0, {"split_margin": 1.0}, (2.0, 8.0, 8.0, 10.4)),
    ):
        config = dataclasses.replace(CONFIG, **values)
        own = np.full(60, noise)
        assert limits_of([view_of(delta, own)], config) == [pytest.approx(expected)]
    assert limits_of([], CONFIG) == []


def test_the_noise_of_one_frame_and_of_all_meet_halfway(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_split", lambda *_: 1.0)
    calm, rough = np.full(500, 2.0), np.full(60, 8.0)
    views = [view_of(np.full(60, 5.0), calm * 0 + 0.5, m) for m in (calm, rough, rough[:10])]
    # 0.9 of all lie at 8 or below; the last view is too small to have a noise of its own
    config = dataclasses.replace(CONFIG, object_distance=0.0)
    usual = float(np.quantile(np.concatenate([calm, rough, rough[:10]]), 0.9))
    assert usual == 8.0
    for limits, here in zip(limits_of(views, config), (2.0, 8.0, 8.0), strict=True):
        assert limits[2] == pytest.approx(math.sqrt(here * usual))


def test_too_few_cells_tell_nothing_about_a_distribution() -> None:
    assert module._quantile(np.arange(49.0), 0.5, 77.0) == 77
    assert module._quantile(np.full(50, 3.0), 0.5, 77.0) == 3
    # then the split is where background ends
    few = view_of(np.array([0.1] * 24 + [30.0] * 25), np.full(60, 1.0))
    assert limits_of([few], CONFIG)[0] == pytest.approx((2.0, 2.0, 2.5, 6.0))


def test_four_limits_rise() -> None:
    rng = np.random.default_rng(0)
    for values in rng.uniform(0, 10, (200, 4)):
        near, last, first, far = module._ordered(*values)
        assert near <= last <= first <= far
        assert near == values[0]
        assert far == max(values[0], values[3])


def test_limits_that_rise_stay_as_they_are() -> None:
    assert module._ordered(1, 2, 3, 4) == (1, 2, 3, 4)
    assert module._ordered(3, 2, 5, 4) == (3, 3, 4, 4)


def slow_split(values: np.ndarray, low: float) -> tuple[float, float]:
    """The two edges of the gap that Otsu's threshold lies in: tries every pair of neighbours."""
    logs = np.sort(np.log(np.clip(values, low, None)))
    best, found = -1.0, (0.0, 0.0)
    for k in range(1, len(logs)):
        left, right = logs[:k], logs[k:]
        between = len(left) * len(right) * (left.mean() - right.mean()) ** 2
        if between > best:
            best, found = between, (logs[k - 1], logs[k])
    return math.exp(found[0]), math.exp(found[1])


def test_the_split_lies_in_the_middle_of_a_gap() -> None:
    # wherever it lies between 1 and 100 the two sides are the same; their middle is 10
    values = np.repeat([1.0, 100.0], 100)
    assert module._split(values, 0.5, 1e9) == pytest.approx(10, rel=0.1)
    assert module._split(values, 0.5, 4.0) == pytest.approx(4)  # but no higher than it may


@pytest.mark.parametrize("seed", range(6))
def test_the_split_is_otsus(seed: int) -> None:
    rng = np.random.default_rng(seed)
    centres, counts = rng.uniform([0, 2], [1, 4]), rng.integers(100, 800, 2)
    logs = [rng.normal(c, 0.3, n) for c, n in zip(centres, counts, strict=True)]
    values = np.exp(np.concatenate(logs))
    low, high = slow_split(values, 0.5)
    step = math.exp(np.ptp(np.log(np.clip(values, 0.5, None))) / 64)  # of its histogram
    assert low / step < module._split(values, 0.5, 1e9) < high * step
    assert module._split(values, 0.5, 3.0) == pytest.approx(3.0)  # never above the highest


def test_distances_that_are_all_alike_have_a_split_too() -> None:
    assert 0 < module._split(np.zeros(99), 0.5, 15.0) <= 0.5


def test_belief_by_hand() -> None:
    limits = (1.0, 4.0, 9.0, 81.0)
    for delta, expected in (
        (0.0, -127),
        (1.0, -127),
        (2.0, -64),  # halfway on a logarithmic scale: 63.5, to even
        (4.0, 0),
        (6.0, 0),
        (9.0, 0),
        (27.0, 64),
        (81.0, 127),
        (1e9, 127),
    ):
        found = module._belief(np.array([[delta]]), limits)
        assert found.dtype == np.int8
        assert abs(int(found[0, 0]) - expected) <= (1 if abs(expected) == 64 else 0)


def test_belief_never_falls_with_the_distance() -> None:
    deltas = np.exp(np.linspace(-8, 8, 400))[None]
    for limits in ((1.0, 4.0, 9.0, 81.0), (2.0, 2.0, 2.0, 2.0), (0.0, 0.0, 1.0, 1.0)):
        belief = module._belief(deltas, limits)[0].astype(int)
        assert (np.diff(belief) >= 0).all()
        assert (belief[-1], abs(belief).max()) == (SURE, SURE)


# the grid


def test_without_boxes_all_is_background() -> None:
    frames, _ = box_clip([None, None])
    evidence = collect_evidence(frames, np.zeros((0, 2, 4)), config=CONFIG)
    assert (evidence == -SURE).all()


def test_the_margin_widens_the_boxes() -> None:
    frames, boxes = box_clip([40, 40], size=16)
    config = EvidenceConfig(box_margin=0.5, cell=CELL)
    evidence = collect_evidence(frames, boxes, config=config)
    unknown = np.zeros(evidence.shape[1:], bool)
    unknown[cells(30, 14, 66, 50)] = True  # 16 pixels and 8 + 2 on each side
    assert ((evidence[0] == 0) == unknown).all()


@pytest.mark.parametrize("cell", [2, 4])
@pytest.mark.parametrize(("height", "width"), [(67, 99), (66, 97), (64, 96)])
def test_the_grid_covers_the_frame_evenly(height: int, width: int, cell: int) -> None:
    frames = np.zeros((1, height, width, 3), np.uint8)
    boxes = np.array([[[width - 3.0, height - 3.0, width, height]]])
    config = dataclasses.replace(CONFIG, cell=cell)
    evidence = collect_evidence(frames, boxes, config=config)[0]
    assert evidence.shape == (height // cell, width // cell)
    for length, line in ((height, evidence[:, -1]), (width, evidence[-1])):
        count = len(line)
        first = int(np.flatnonzero(line == 0)[0])
        # the box and one cell around it
        assert first == int((length - 3 - cell) * count / length)


def test_a_frame_smaller_than_a_cell_is_one() -> None:
    config = dataclasses.replace(CONFIG, cell=8)
    frames = np.zeros((2, 5, 20, 3), np.uint8)
    boxes = np.full((1, 2, 4), np.nan)
    evidence = collect_evidence(frames, boxes, config=config)
    assert evidence.shape == (2, 1, 2)
    assert (evidence == -SURE).all()


def test_cells_that_divide_the_frame_evenly_by_hand() -> None:
    frames = np.zeros((1, 67, 99, 3), np.uint8)
    scene = module._look(frames, np.zeros((0, 1, 4)), dataclasses.replace(CONFIG, cell=4))
    for row, column in ((0, 0), (3, 7), (15, 23)):
        x, y, _ = scene.to_pixels @ (column, row, 1)
        assert y == pytest.approx((row + 0.5) * 67 / 16 - 0.5)
        assert x == pytest.approx((column + 0.5) * 99 / 24 - 0.5)


def test_a_box_beyond_the_frame_does_no_harm() -> None:
    frames, _ = box_clip([None, None])
    boxes = np.array([[[90.0, 50, 120, 80], [200, 200, 220, 220]], [[-30.0, -9, -2, 9], [0] * 4]])
    boxes[1, 1] = np.nan
    evidence = collect_evidence(frames, boxes, config=CONFIG)
    assert evidence.shape == (2, HEIGHT // CELL, WIDTH // CELL)
    assert evidence[0, 0, WIDTH // CELL // 2] == -SURE


def test_other_frames_are_spread_over_the_video() -> None:
    assert module._sources(2, 5, 32) == [0, 1, 3, 4]
    assert module._sources(0, 101, 5) == [1, 26, 51, 75, 100]
    assert module._sources(0, 1, 5) == []


def test_frames_are_read_once_each() -> None:
    frames, boxes = box_clip([16, 40, 64])
    asked = []

    class Counted:
        def __len__(self) -> int:
            return len(frames)

        def __getitem__(self, index: int) -> np.ndarray:
            asked.append(index)
            return frames[index]

    collect_evidence(Counted(), boxes, config=CONFIG)  # type: ignore[arg-type]
    assert sorted(set(asked)) == [0, 1, 2]
    assert len(asked) <= 4


def test_the_same_frames_give_the_same_evidence() -> None:
    clip = generated_clip(num_frames=6, height=HEIGHT, width=WIDTH, seed=3)
    boxes = boxes_of(clip.boxes(every=1))
    first = collect_evidence(clip.frames, boxes, config=CONFIG)
    np.testing.assert_array_equal(first, collect_evidence(clip.frames, boxes, config=CONFIG))


# long videos


def test_on_disk_it_is_the_same() -> None:
    clip = generated_clip(num_frames=8, height=HEIGHT, width=WIDTH, seed=4)
    boxes = boxes_of(clip.boxes(every=1))
    found = collect_evidence(clip.frames, boxes, config=CONFIG)
    assert len(np.unique(found)) > 100
    mapped = collect_evidence(clip.frames, boxes, config=dataclasses.replace(CONFIG, most_bytes=0))
    assert type(mapped) is np.ndarray
    assert mapped.dtype == np.int8
    np.testing.assert_array_equal(mapped, found)


def test_a_part_of_the_distances_gives_nearly_the_same_limits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clip = generated_clip(num_frames=12, height=128, width=192, seed=1)
    boxes = boxes_of(clip.boxes(every=1))
    limits, real, found = [], module._limits, []

    def noted(*arguments: Any) -> Any:
        limits.append(real(*arguments))
        assert len(arguments[0].inside.values) <= module._MOST
        return limits[-1]

    monkeypatch.setattr(module, "_limits", noted)
    for most in (module._MOST, 500):
        monkeypatch.setattr(module, "_MOST", most)
        found.append(collect_evidence(clip.frames, boxes, config=CONFIG))
    for whole, part in zip(limits[:2], limits[2:], strict=True):
        assert whole != part
        np.testing.assert_allclose(part, whole, rtol=0.2)
    assert ((found[0] > 0) == (found[1] > 0)).mean() > 0.99


class Endless:
    """Frames made when they are asked for: a square that wanders over a still ground."""

    def __init__(self, num_frames: int) -> None:
        self.ground, self.num_frames = textured(), num_frames

    def __len__(self) -> int:
        return self.num_frames

    def __getitem__(self, index: int) -> np.ndarray:
        frame, x = self.ground.copy(), 8 + index % 60
        frame[24:40, x : x + 16] = GREEN
        return frame

    def boxes(self) -> np.ndarray:
        x = 8.0 + np.arange(self.num_frames) % 60
        y = np.full(self.num_frames, 24.0)
        return wide(np.stack([x, y, x + 16, y + 16], 1), 8)[None]


def test_memory_hardly_grows_with_the_video(monkeypatch: pytest.MonkeyPatch) -> None:
    def stands(frames: Any, boxes: np.ndarray, **_: Any) -> Any:
        count = sum(1 for _ in frames)
        still = CameraMotion(np.broadcast_to(np.eye(3), (count, 3, 3)), np.zeros(count, int))
        return still, [None] * len(boxes)

    monkeypatch.setattr(module, "estimate_motions", stands)
    monkeypatch.setattr(module, "_MOST", 1000)
    config = dataclasses.replace(CONFIG, most_bytes=0, max_sources=4)
    peaks = []
    for num_frames in (50, 50, 200):  # the first warms up
        frames = Endless(num_frames)
        boxes = frames.boxes()
        tracemalloc.start()
        try:
            evidence = collect_evidence(frames, boxes, config=config)  # type: ignore[arg-type]
            peaks.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
        assert (evidence == SURE).any()
    # bytes a frame, in which a single map of the cells would take 32 x 48 = 1536
    assert (peaks[2] - peaks[1]) / 150 < 800
