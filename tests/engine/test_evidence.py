from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

from maskfree import evidence as evidence_module
from maskfree.config import EvidenceConfig
from maskfree.evidence import Evidence, collect_evidence
from maskfree.tracks import tube
from napari_maskfree.sample_data import generated_clip

if TYPE_CHECKING:
    from maskfree.types import BoxTracks

CONFIG = EvidenceConfig(
    max_sources=32,
    background_distance=4.0,
    object_distance=15.0,
    noise_quantile=0.98,
    background_noise=2.0,
    object_noise=6.0,
    object_least_noise=1.0,
    least_noise=0.5,
    box_margin=0.0,
)
HEIGHT, WIDTH = 64, 96


def cell_share(masks: np.ndarray) -> np.ndarray:
    """Part of each 4 x 4 cell that is True: ``(T, H / 4, W / 4)``."""
    count, height, width = masks.shape
    return masks.reshape(count, height // 4, 4, width // 4, 4).mean((2, 4))


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
    assert hidden.sum() > 100
    assert (scene["evidence"][hidden] == Evidence.BACKGROUND).mean() > 0.4


def test_an_object_is_seldom_taken_for_background(scene: dict[str, np.ndarray]) -> None:
    assert (scene["evidence"][scene["object"]] == Evidence.BACKGROUND).mean() < 0.06


def test_what_is_said_to_be_object_mostly_is(scene: dict[str, np.ndarray]) -> None:
    said = scene["evidence"] == Evidence.OBJECT
    assert said.sum() > 100
    assert scene["background"][said].mean() < 0.1
    assert (scene["evidence"][scene["object"]] == Evidence.OBJECT).mean() > 0.3


def test_outside_the_boxes_everything_is_background(scene: dict[str, np.ndarray]) -> None:
    grown = np.stack(
        [cv2.dilate(m.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0 for m in scene["in box"]]
    )
    assert (scene["evidence"][~grown] == Evidence.BACKGROUND).all()


def textured(seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    small = (rng.uniform(0, 255, (16, 24, 3)) * [1, 0.5, 1]).astype(np.uint8)  # nothing green
    return cv2.resize(small, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)


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


def test_with_a_static_camera_a_box_splits_into_object_and_background() -> None:
    frames, boxes = box_clip([12, 68])
    evidence = collect_evidence(frames, wide(boxes, 8), config=CONFIG)
    assert (evidence.shape, evidence.dtype) == ((2, 16, 24), np.uint8)
    for t, column in enumerate((3, 17)):
        inside = evidence[t, 6:10, column : column + 4]
        assert (inside[1:-1, 1:-1] == Evidence.OBJECT).all()
        assert not (inside == Evidence.BACKGROUND).any()
        # what lies in the box more than a cell away from the object (3 x 3 means blur)
        assert (evidence[t, 4, column - 1 : column + 5] == Evidence.BACKGROUND).all()
        assert (evidence[t, 11, column - 1 : column + 5] == Evidence.BACKGROUND).all()


def test_a_clip_without_any_noise_is_no_different() -> None:
    # nothing to follow and nothing that changes but the object: distances of exactly 0
    frames, boxes = box_clip([12, 68])
    for t, x in enumerate((12, 68)):
        frames[t] = (90, 60, 120)
        frames[t, 16:48, x - 8 : x + 24] = (90, 60, 121)  # the smallest difference there is
        frames[t, 24:40, x : x + 16] = GREEN
    evidence = collect_evidence(frames, wide(boxes, 8), config=CONFIG)
    for t, column in enumerate((3, 17)):
        inside = evidence[t, 6:10, column : column + 4]
        assert (inside[1:-1, 1:-1] == Evidence.OBJECT).all()
        for row in (4, 11):
            ring = evidence[t, row, column - 1 : column + 5]
            assert (ring == Evidence.BACKGROUND).all()


def test_what_is_seen_nowhere_else_is_unknown() -> None:
    frames, boxes = box_clip([40, 40, 40])
    evidence = collect_evidence(frames, boxes, config=CONFIG)
    assert (evidence[:, 6:10, 10:14] == Evidence.UNKNOWN).all()
    # the box's own surroundings of one cell are kept free as well
    known = np.ones((16, 24), bool)
    known[5:11, 9:15] = False
    assert (evidence[:, known] == Evidence.BACKGROUND).all()
    assert (evidence[:, ~known] == Evidence.UNKNOWN).all()


def test_one_frame_knows_its_outside_only() -> None:
    frames, boxes = box_clip([40])
    evidence = collect_evidence(frames, boxes, config=CONFIG)
    assert (evidence[0, 6:10, 10:14] == Evidence.UNKNOWN).all()
    assert evidence[0, 0, 0] == Evidence.BACKGROUND


def test_the_box_of_another_track_is_no_background() -> None:
    frames, boxes = box_clip([40, None, None])
    other = np.full((1, 3, 4), np.nan)
    other[0, 1:] = (32, 16, 64, 48)  # a second track covers the place in all other frames
    place = (0, slice(6, 10), slice(10, 14))
    alone = collect_evidence(frames, boxes, config=CONFIG)
    assert (alone[0, 7:9, 11:13] == Evidence.OBJECT).all()
    both = collect_evidence(frames, np.concatenate([boxes, other]), config=CONFIG)
    assert (both[place] == Evidence.UNKNOWN).all()


def test_frames_beyond_a_cut_say_nothing() -> None:
    frames, boxes = box_clip([40, None, None])
    frames[1:] = 255 - textured(5)
    evidence = collect_evidence(frames, boxes, config=CONFIG)
    assert (evidence[0, 6:10, 10:14] == Evidence.UNKNOWN).all()


def test_shimmering_background_raises_the_distance_of_an_object() -> None:
    frames, boxes = box_clip([12, 68])
    boxes = wide(boxes, 8)
    rng = np.random.default_rng(0)
    shimmer = frames.astype(int) + rng.integers(-60, 61, frames.shape[:3])[..., None]
    frames = shimmer.clip(0, 255).astype(np.uint8)
    ring = np.zeros((2, 16, 24), bool)
    for t, column in enumerate((3, 17)):
        ring[t, 4:12, column - 2 : column + 6] = True
        ring[t, 5:11, column - 1 : column + 5] = False

    def mistaken(quantile: float) -> float:
        config = dataclasses.replace(CONFIG, object_distance=5.0, noise_quantile=quantile)
        evidence = collect_evidence(frames, boxes, config=config)
        return float((evidence[ring] == Evidence.OBJECT).mean())

    assert mistaken(0.5) > 0.1
    assert mistaken(0.98) < 0.02


def test_the_thresholds_by_hand() -> None:
    # certain background lies 0 to 10 from its sightings: the noise is 8
    deltas = [np.array([[*range(11), 99.0, np.inf]])]
    certain = [np.array([[True] * 11 + [False, True]])]
    for values, expected in (
        ({"background_distance": 4.0, "object_distance": 15.0}, (4.0, 15.0)),
        ({"background_distance": 40.0, "object_distance": 90.0}, (16.0, 48.0)),
        ({"background_distance": 4.0, "object_distance": 1.0}, (4.0, 8.0)),
        ({"object_distance": 1.0, "object_least_noise": 2.0}, (4.0, 16.0)),
        ({"background_distance": 20.0, "object_distance": 1.0}, (16.0, 16.0)),
        ({"least_noise": 100.0, "object_distance": 15.0}, (4.0, 100.0)),
    ):
        config = dataclasses.replace(CONFIG, noise_quantile=0.8, **values)
        assert evidence_module._thresholds(deltas, certain, config) == pytest.approx(expected)
    nothing = [np.zeros((1, 13), bool)]
    assert evidence_module._thresholds(deltas, nothing, CONFIG) == (4.0, 15.0)


def test_without_boxes_all_is_background() -> None:
    frames, _ = box_clip([None, None])
    evidence = collect_evidence(frames, np.zeros((0, 2, 4)), config=CONFIG)
    assert (evidence == Evidence.BACKGROUND).all()


def test_the_margin_widens_the_boxes() -> None:
    frames, boxes = box_clip([40, 40], size=16)
    config = EvidenceConfig(box_margin=0.5)
    evidence = collect_evidence(frames, boxes, config=config)
    unknown = np.zeros((16, 24), bool)
    unknown[3:13, 7:17] = True  # 16 pixels and 8 + 4 on each side
    assert ((evidence[0] == Evidence.UNKNOWN) == unknown).all()


@pytest.mark.parametrize(("height", "width"), [(67, 99), (66, 97), (64, 96)])
def test_the_grid_covers_the_frame_evenly(height: int, width: int) -> None:
    frames = np.zeros((1, height, width, 3), np.uint8)
    boxes = np.array([[[width - 3.0, height - 3.0, width, height]]])
    evidence = collect_evidence(frames, boxes, config=CONFIG)[0]
    assert evidence.shape == (height // 4, width // 4)
    for length, line in ((height, evidence[:, -1]), (width, evidence[-1])):
        cells = len(line)
        first = int(np.flatnonzero(line == Evidence.UNKNOWN)[0])
        assert first == int((length - 7) * cells / length)  # the box and 4 pixels around it


def test_cells_that_divide_the_frame_evenly_by_hand() -> None:
    to_pixels = evidence_module._cells_to_pixels(67, 99)
    for row, column in ((0, 0), (3, 7), (15, 23)):
        x, y, _ = to_pixels @ (column, row, 1)
        assert y == pytest.approx((row + 0.5) * 67 / 16 - 0.5)
        assert x == pytest.approx((column + 0.5) * 99 / 24 - 0.5)


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
