"""What happens to a frame happens to its boxes: resized, cut out, mirrored, turned."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from maskfree.config import DataConfig
from maskfree.datasets.subsets import frame_part, video_part
from maskfree.datasets.views import View, check_view, draw_view, map_boxes, resized, warp
from maskfree.errors import InputError
from small_datasets import GROUND, OBJECT, painted, xyxy_in

PLAIN = DataConfig(short_sides=(48,), long_side=1000, flip=False)


def seen_box(picture: np.ndarray) -> np.ndarray:
    """The box around what is more object than ground: xyxy, half-open."""
    red = picture[..., 0] > (OBJECT[0] + GROUND[0]) / 2
    rows, columns = np.flatnonzero(red.any(1)), np.flatnonzero(red.any(0))
    return np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1])


def through(view: View, frame: int = 0, *, scale: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """A painted frame through a view, and its box's corners through it."""
    picture = painted(0).repeat(scale, 0).repeat(scale, 1)
    box = scale * np.array([xyxy_in(0)], float)
    return warp(picture, view.matrices[frame], view.size), map_boxes(box, view.matrices[frame])[0]


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize(
    ("data", "scale"),
    [
        (DataConfig(short_sides=(36, 60, 96), flip=True), 1),
        (DataConfig(short_sides=(40, 56), flip=True), 4),
        (
            DataConfig(
                short_sides=(64,),
                crop=True,
                crop_share=1.0,
                crop_short_sides=(96,),
                crop_sides=(90, 96),
            ),
            2,
        ),
        (DataConfig(scale_side=100, scale_low=0.8, scale_high=2.0), 2),
    ],
)
@pytest.mark.parametrize("moving", [False, True])
def test_the_box_follows_the_rectangle(
    data: DataConfig, scale: int, moving: bool, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    view = draw_view(48 * scale, 80 * scale, 3, data, rng, moving=moving)
    for frame in range(3):
        picture, box = through(view, frame, scale=scale)
        inside = np.clip(box, 0, [view.size[1], view.size[0]] * 2)
        assert picture.shape[:2] == view.size
        np.testing.assert_allclose(seen_box(picture), inside, atol=1.01)


@pytest.mark.parametrize("seed", range(8))
def test_the_box_around_the_turned_corners_holds_the_turned_rectangle(seed: int) -> None:
    data = DataConfig(short_sides=(192,), flip=True, rotation=15.0)
    rng = np.random.default_rng(seed)
    view = draw_view(192, 320, 4, data, rng, moving=True)
    for frame in range(4):
        picture, box = through(view, frame, scale=4)
        inside = np.clip(box, 0, [view.size[1], view.size[0]] * 2)
        np.testing.assert_allclose(seen_box(picture), inside, atol=2.01)


def test_a_quarter_turn_by_hand() -> None:
    quarter = np.array([[0.0, 1, 0], [-1, 0, 10]])  # counter-clockwise, a square of 10 pixels
    picture = np.zeros((10, 10, 3), np.uint8)
    picture[1:3, 2:7] = 200
    turned = warp(picture, quarter, (10, 10))
    np.testing.assert_array_equal(turned, np.rot90(picture))
    boxes = map_boxes(np.array([[2.0, 1, 7, 3], [np.nan] * 4]), quarter)
    np.testing.assert_allclose(boxes, [[1, 3, 3, 8], [np.nan] * 4])


def test_a_plain_view_is_the_frame_and_a_mirrored_one_its_mirror() -> None:
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 256, (48, 80, 3), np.uint8)
    view = draw_view(48, 80, 1, PLAIN, rng, moving=False)
    np.testing.assert_array_equal(warp(picture, view.matrices[0], view.size), picture)
    mirror = np.array([[-1.0, 0, 80], [0, 1, 0]])
    np.testing.assert_array_equal(warp(picture, mirror, (48, 80)), picture[:, ::-1])
    np.testing.assert_allclose(map_boxes(np.array([[10.0, 5, 30, 9]]), mirror), [[50, 5, 70, 9]])


def test_a_drawn_mirror_is_the_frames_mirror() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (48, 80, 3), np.uint8)
    data = DataConfig(short_sides=(48,), flip=True)
    found = set()
    for seed in range(10):
        view = draw_view(48, 80, 2, data, np.random.default_rng(seed), moving=True)
        mirrored = bool(view.matrices[0, 0, 0] < 0)
        for matrix in view.matrices:
            expected = picture[:, ::-1] if mirrored else picture
            np.testing.assert_array_equal(warp(picture, matrix, view.size), expected)
        found.add(mirrored)
    assert found == {False, True}


@pytest.mark.parametrize("crop", [False, True])
def test_scales_lie_in_their_range_and_the_square_holds_all(crop: bool) -> None:
    data = DataConfig(scale_side=64, scale_low=0.5, scale_high=2.0, flip=False)
    factors = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        view = draw_view(100, 200, 2, data, rng, moving=False, crop=crop)
        factors.append(view.matrices[0, 0, 0] * 200 / 64)
        whole = np.rint(view.matrices[0, :, :2].sum(1)[::-1] * [100, 200])
        assert view.size == tuple(np.minimum(whole, 64))
        assert (view.matrices[:, :, 2] <= 0).all()
        assert (whole + view.matrices[0, ::-1, 2] >= view.size).all()
    assert 0.5 - 0.02 <= min(factors) < 0.6
    assert (1.8 < max(factors) <= 2.02) if crop else (max(factors) == 1)


def test_what_shrinks_is_averaged() -> None:
    stripes = np.zeros((64, 64), np.uint8)
    stripes[:, ::2] = 200
    small = warp(stripes, np.array([[0.25, 0, 0], [0, 0.25, 0]]), (16, 16))
    np.testing.assert_array_equal(small, 100)


def test_beyond_a_turned_picture_it_is_black() -> None:
    white = np.full((40, 40, 3), 255, np.uint8)
    data = DataConfig(short_sides=(40,), flip=False, rotation=45.0, rotation_centre=0.0)
    view = draw_view(40, 40, 2, data, np.random.default_rng(3), moving=True)
    picture = warp(white, view.matrices[0], view.size)
    assert abs(view.matrices[0, 0, 1]) > 0.1
    assert (picture[0, 0] == 0).all() and (picture[20, 20] == 255).all()
    assert set(np.unique(picture)) == {0, 255}


@pytest.mark.parametrize(
    ("size", "short", "longest", "expected"),
    [
        ((720, 1280), 360, 1333, (360, 640)),
        ((1280, 720), 480, 1333, (853, 480)),
        ((100, 1000), 360, 1333, (133, 1333)),
        ((375, 500), 480, None, (480, 640)),
        ((1, 5000), 360, 1333, (1, 1333)),
    ],
)
def test_sides_are_the_published_ones(
    size: tuple[int, int], short: int, longest: int | None, expected: tuple[int, int]
) -> None:
    assert resized(size, short, longest) == expected


def test_a_real_video_has_one_view_and_a_pseudo_video_moves_along_a_line() -> None:
    data = DataConfig(crop=True, crop_share=1.0, rotation=15.0, short_sides=(288,), flip=False)
    rng = np.random.default_rng(5)
    still = draw_view(720, 1280, 4, data, rng, moving=False).matrices
    assert (still == still[:1]).all()
    moved = [draw_view(720, 1280, 4, data, rng, moving=True).matrices for _ in range(40)]
    angles = np.array([np.rad2deg(np.arctan2(m[:, 0, 1], m[:, 0, 0])) for m in moved])
    assert np.abs(angles).max() <= 15
    steps = np.diff(angles, axis=1)
    rising = (steps > 0).all(1)
    assert (rising | (steps < 0).all(1)).all()
    assert 5 < rising.sum() < 35


def test_a_crop_lies_within_the_frame_and_its_sides_in_the_range() -> None:
    data = DataConfig(
        crop=True,
        crop_share=1.0,
        crop_short_sides=(100,),
        crop_sides=(40, 60),
        short_sides=(32,),
        flip=False,
    )
    for seed in range(30):
        rng = np.random.default_rng(seed)
        view = draw_view(100, 200, 3, data, rng, moving=bool(seed % 2))
        for matrix in view.matrices:
            corners = np.array([[0, 0], [view.size[1], view.size[0]]], float)
            back = np.linalg.solve(matrix[:, :2], (corners - matrix[:, 2]).T).T
            assert (back >= -1e-9).all() and (back <= np.array([200, 100]) + 1e-9).all()
            sides = back[1] - back[0]
            assert (sides >= 40 - 1e-6).all() and (sides <= 60 + 1e-6).all()


def test_before_a_crop_the_longer_side_is_bounded() -> None:
    data = DataConfig(
        crop=True, crop_share=1.0, crop_short_sides=(600,), crop_sides=(600, 600), flip=False
    )
    view = draw_view(200, 640, 1, data, np.random.default_rng(0), moving=False)
    across = view.size[1] / np.linalg.norm(view.matrices[0, :, 0])
    assert across == pytest.approx(600 * 640 / 1333)  # of 1333 pixels, not of 1920


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"short_sides": ()}, "short_sides must hold a number of pixels, got none"),
        ({"crop_sides": (600, 384)}, "crop_sides must be the smallest and the largest side, got"),
        ({"scale_low": 3.0}, "scale_low must be no larger than scale_high, got 3.0 and 2.0"),
        ({"crop_sides": (384,)}, "crop_sides must be the smallest and the largest side, got"),
    ],
)
def test_settings_that_do_not_fit(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        check_view(DataConfig(**changes))


# ---- parts of a data set


def test_parts_of_videos_are_nested_and_keep_their_order() -> None:
    names = [f"video {n}" for n in range(200)]
    before: list[int] = []
    for share in (0.01, 0.1, 0.25, 0.5, 1.0):
        part = video_part(range(200), names, share)
        assert len(part) == round(200 * share)
        assert part == sorted(part)
        assert set(before) <= set(part)
        before = part
    other = video_part(range(200), names[::-1], 0.1)
    assert [names[n] for n in video_part(range(200), names, 0.1)] == sorted(
        (names[199 - n] for n in other), key=names.index
    )


@pytest.mark.parametrize("length", [1, 2, 7, 30, 36, 101, 300])
def test_parts_of_frames_are_nested_and_even(length: int) -> None:
    before: set[int] = set()
    for share in (0.01, 0.1, 0.2, 0.5, 0.9, 1.0):
        part = frame_part(length, share)
        assert len(part) == max(1, int(np.ceil(length * share - 1e-9)))
        assert (np.diff(part) > 0).all()
        assert before <= set(part.tolist())
        gaps = np.diff([*part, length + part[0]])
        assert gaps.max() <= 2 * length / len(part) + 1
        before = set(part.tolist())
    np.testing.assert_array_equal(part, np.arange(length))


def test_the_first_frames_by_hand() -> None:
    assert [frame_part(8, n / 8).tolist() for n in (1, 2, 3, 4)] == [
        [0],
        [0, 4],
        [0, 2, 4],
        [0, 2, 4, 6],
    ]
