"""Logits of the last pass that are kept and looked up at a crop's pixels."""

from __future__ import annotations

import io
import itertools
import math
from typing import Any

import numpy as np
import pytest
import torch

from maskfree.crop import Crop
from maskfree.network_pass import GridFrame, KeptLogits


def bilinear(grid: np.ndarray, y: float, x: float) -> float:
    """Value between the cells' centres; the outermost reach on for ever."""
    total = 0.0
    y0, x0 = math.floor(y), math.floor(x)
    for j, i in itertools.product((0, 1), (0, 1)):
        weight = (1 - abs(y - y0 - j)) * (1 - abs(x - x0 - i))
        row = min(max(y0 + j, 0), grid.shape[0] - 1)
        column = min(max(x0 + i, 0), grid.shape[1] - 1)
        total += weight * float(grid[row, column])
    return total


def smooth(count: int, rows: int, columns: int) -> np.ndarray:
    """Logits of a few units that change little from cell to cell: OpenCV places on 1/32."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:rows, :columns]
    waves = [np.sin(y / a + b) * np.cos(x / c) * 4 for a, b, c in rng.uniform(2, 5, (count, 3))]
    return np.stack(waves).astype(np.float32)


def kept(
    boxes: Any, *, slack: float = 0.0, size: tuple[int, int] = (61, 100), frame: int = 3
) -> tuple[KeptLogits, np.ndarray]:
    array = np.array(boxes, float)
    logits = smooth(len(array), 16, 24)
    made = KeptLogits(size)
    grid = GridFrame(frame, logits, list(range(len(array))), [1.0] * len(array))
    made.add(grid, array, np.full(len(array), slack))
    return made, logits


@pytest.mark.parametrize("detail", [1.0, 0.5, 0.3])
@pytest.mark.parametrize(
    ("box", "slack"),
    [
        ((30.0, 20, 70, 50), 0.0),
        ((30.3, 20.7, 61.2, 49.1), 0.2),
        ((-10.0, -5, 20, 15), 0.1),
        ((90.0, 50, 140, 90), 0.3),
        ((0.0, 0, 100, 61), 0.3),
        ((44.0, 33, 45, 33.5), 0.0),
    ],
)
def test_kept_logits_at_a_crops_pixels_are_the_grids(
    box: tuple[float, ...], slack: float, detail: float
) -> None:
    made, logits = kept([box], slack=slack)
    x0, y0, x1, y1 = box
    dx, dy = slack * (x1 - x0), slack * (y1 - y0)
    rows = slice(max(0, math.floor(y0 - dy) - 3), min(61, math.ceil(y1 + dy) + 3))
    columns = slice(max(0, math.floor(x0 - dx) - 3), min(100, math.ceil(x1 + dx) + 3))
    shape = [max(1, round((s.stop - s.start) * detail)) for s in (rows, columns)]
    crop = Crop(rows, columns, np.zeros(shape, np.float32))
    found = made(0, 3, crop)
    assert found is not None
    assert found.shape == tuple(shape)
    compared = 0
    for j, i in np.ndindex(*shape):
        y = rows.start + (j + 0.5) * (rows.stop - rows.start) / shape[0]
        x = columns.start + (i + 0.5) * (columns.stop - columns.start) / shape[1]
        if y0 - dy <= y <= y1 + dy and x0 - dx <= x <= x1 + dx:
            expected = bilinear(logits[0], y * 16 / 61 - 0.5, x * 24 / 100 - 0.5)
            assert found[j, i] == pytest.approx(expected, abs=0.05)
            compared += 1
    assert compared > 0 or detail < 1 or x1 - x0 < 2


@pytest.mark.parametrize(
    "box", [(20.0, 70, 40, 80), (120.0, 20, 140, 40), (-40.0, -30, -20, -10), (30.0, 30, 30.0, 30)]
)
def test_a_box_beyond_the_frame_does_no_harm(box: tuple[float, ...]) -> None:
    made, _ = kept([box])
    found = made(0, 3, Crop(slice(60, 61), slice(20, 40), np.zeros((1, 20), np.float32)))
    assert found is not None
    assert np.abs(found).max() <= 4
    ((*_, part),) = made.state()
    assert min(part.shape) >= 1  # the nearest cells


def test_what_is_kept_by_hand() -> None:
    # in a video of 64 x 96 a cell is 4 pixels: the box covers rows 5 to 9 and columns 3 to 7
    made, logits = kept([(12, 20, 32, 40), [np.nan] * 4], size=(64, 96))
    (state,) = made.state()
    assert state[:6] == (0, 3, 4, 2, 16, 24)  # track, frame, first row and column, the grid
    part = state[6]
    assert (part.dtype, tuple(part.shape)) == (torch.float16, (7, 7))
    np.testing.assert_allclose(part.numpy(), logits[0, 4:11, 2:9], atol=2e-3)


def test_what_was_not_kept_is_none() -> None:
    made, _ = kept([(12, 20, 32, 40), [np.nan] * 4])
    crop = Crop(slice(20, 40), slice(12, 32), np.zeros((20, 20), np.float32))
    assert made(0, 3, crop) is not None
    for n, t in ((1, 3), (0, 2), (2, 3)):
        assert made(n, t, crop) is None


def test_what_is_kept_is_a_copy_and_newer_is_better() -> None:
    made, logits = kept([(12, 20, 32, 40)])
    crop = Crop(slice(20, 40), slice(12, 32), np.zeros((20, 20), np.float32))
    before = made(0, 3, crop)
    logits[:] = 77
    after = made(0, 3, crop)
    assert before is not None
    assert after is not None
    np.testing.assert_array_equal(after, before)
    made.add(GridFrame(3, logits, [0], [1.0]), np.array([[12.0, 20, 32, 40]]), np.zeros(1))
    newer = made(0, 3, crop)
    assert newer is not None
    np.testing.assert_array_equal(newer, 77)


def test_the_state_goes_through_a_file_that_holds_no_code() -> None:
    made, _ = kept([(12, 20, 32, 40), (50.0, 3, 90, 30)], slack=0.1)
    content = io.BytesIO()
    torch.save(made.state(), content)
    content.seek(0)
    again = KeptLogits((61, 100))
    again.restore(torch.load(content, weights_only=True))
    crop = Crop(slice(0, 61), slice(0, 100), np.zeros((30, 50), np.float32))
    for n in (0, 1):
        expected, found = made(n, 3, crop), again(n, 3, crop)
        assert expected is not None
        assert found is not None
        np.testing.assert_array_equal(found, expected)
    again.restore([])
    assert again(0, 3, crop) is None
