from __future__ import annotations

import math

import numpy as np
import pytest

from maskfree.crop import Crop


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
