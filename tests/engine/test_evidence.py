from __future__ import annotations

import dataclasses
from typing import Any

import cv2
import numpy as np
import pytest

from evidence_clips import (
    CELL,
    CONFIG,
    GREEN,
    HEIGHT,
    WIDTH,
    box_clip,
    boxes_of,
    cells,
    collected,
    textured,
    wide,
)
from maskfree import evidence as module
from maskfree.camera_motion import CameraMotion
from maskfree.evidence import SURE
from napari_maskfree.sample_data import generated_clip


def cell_share(masks: np.ndarray) -> np.ndarray:
    """Part of each cell that is True: ``(T, H / CELL, W / CELL)``."""
    count, height, width = masks.shape
    return masks.reshape(count, height // CELL, CELL, width // CELL, CELL).mean((2, 4))


@pytest.fixture(scope="module", params=[0, 1, 2])
def scene(request: pytest.FixtureRequest) -> dict[str, np.ndarray]:
    clip = generated_clip(num_frames=16, height=128, width=192, seed=request.param)
    boxes = boxes_of(clip.boxes(every=1))
    in_box = np.zeros(clip.masks.shape, bool)
    for t in range(len(in_box)):
        for x0, y0, x1, y1 in boxes[:, t][np.isfinite(boxes[:, t]).all(1)].astype(int):
            in_box[t, y0:y1, x0:x1] = True
    return {
        "evidence": collected(clip.frames, boxes, config=CONFIG),
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
    evidence = collected(frames, wide(boxes, 8), config=CONFIG)
    assert (evidence.shape, evidence.dtype) == ((2, HEIGHT // CELL, WIDTH // CELL), np.int8)
    for t, x in enumerate((12, 68)):
        assert_split(evidence[t], x)


@pytest.mark.parametrize("cell", [1, 2, 3, 4])
def test_cells_of_any_size_tell_the_same(cell: int) -> None:
    frames, boxes = box_clip([12, 68])
    config = dataclasses.replace(CONFIG, cell=cell)
    evidence = collected(frames, wide(boxes, 8), config=config)
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
    evidence = collected(frames, wide(boxes, 8), config=CONFIG)
    for t, x in enumerate((12, 68)):
        assert_split(evidence[t], x)


def test_what_is_seen_nowhere_else_is_unknown() -> None:
    frames, boxes = box_clip([40, 40, 40])
    evidence = collected(frames, boxes, config=CONFIG)
    # the box's own surroundings of one cell are kept free as well
    known = np.ones(evidence.shape[1:], bool)
    known[cells(40 - CELL, 24 - CELL, 56 + CELL, 40 + CELL)] = False
    assert (evidence[:, known] == -SURE).all()
    assert (evidence[:, ~known] == 0).all()


def test_one_frame_knows_its_outside_only() -> None:
    frames, boxes = box_clip([40])
    evidence = collected(frames, boxes, config=CONFIG)
    assert (evidence[0][cells(40, 24, 56, 40)] == 0).all()
    assert evidence[0, 0, 0] == -SURE


def test_the_box_of_another_track_is_no_background() -> None:
    frames, boxes = box_clip([40, None, None])
    other = np.full((1, 3, 4), np.nan)
    other[0, 1:] = (32, 16, 64, 48)  # a second track covers the place in all other frames
    alone = collected(frames, boxes, config=CONFIG)
    assert (alone[0][cells(42, 26, 54, 38)] == SURE).all()
    both = collected(frames, np.concatenate([boxes, other]), config=CONFIG)
    assert (both[0][cells(40, 24, 56, 40)] == 0).all()


def test_frames_beyond_a_cut_say_nothing() -> None:
    frames, boxes = box_clip([40, None, None])
    frames[1:] = 255 - textured(5)
    evidence = collected(frames, boxes, config=CONFIG)
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
        belief = collected(frames, boxes, config=config)[ring]
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
        evidence = collected(frames, both[order], config=CONFIG)[0]
        # the first track says object, the second, whose limits are higher, background
        assert (evidence[cells(42, 26, 54, 38)] == -SURE).all()


def test_without_boxes_all_is_background() -> None:
    frames, _ = box_clip([None, None])
    evidence = collected(frames, np.zeros((0, 2, 4)), config=CONFIG)
    assert (evidence == -SURE).all()


def test_the_same_frames_give_the_same_evidence() -> None:
    clip = generated_clip(num_frames=6, height=HEIGHT, width=WIDTH, seed=3)
    boxes = boxes_of(clip.boxes(every=1))
    first = collected(clip.frames, boxes, config=CONFIG)
    np.testing.assert_array_equal(first, collected(clip.frames, boxes, config=CONFIG))


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
        evidence = collected(clip, boxes, config=config)
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


def test_what_was_not_seen_has_no_say_in_a_view() -> None:
    # frame 1 shows the box's left half, frame 2 the right one, neither the middle
    frames, boxes = box_clip([40, 48, 32])
    view = module._look(frames, boxes, dataclasses.replace(CONFIG, least_shown=0.9)).view(0, 0)
    inside = view.delta[view.in_box].reshape(8, 8)
    assert np.isinf(inside[:, 3:5]).all()
    assert inside[:, [0, 7]].min() > 15
    assert np.isfinite(inside[:, [0, 7]]).all()
    assert not view.matched.size  # neither shows nine tenths of it
