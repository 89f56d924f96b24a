"""The cyclic tube: a texture that moves is followed, and back to where it began."""

from __future__ import annotations

import numpy as np
import pytest

from maskfree.config import TemporalKNNConfig
from maskfree.patch_path import follow_cell

PAPER = TemporalKNNConfig.paper()


@pytest.fixture
def texture() -> np.ndarray:
    """Cells of random colours, 20 x 24 of them."""
    cells = np.random.default_rng(0).integers(0, 255, (20, 24, 3), np.uint8)
    return cells.repeat(4, 0).repeat(4, 1)


def moved(texture: np.ndarray, *columns: int) -> dict[int, np.ndarray]:
    return {t: np.roll(texture, 4 * c, axis=1) for t, c in enumerate(columns)}


def test_it_goes_along_and_comes_back(texture):
    path = follow_cell(moved(texture, 0, 1, 3, 2), (0, 1, 2, 3), (10, 12), config=PAPER)
    assert path.frames == (0, 1, 2, 3)
    assert path.cells == ((10, 12), (10, 13), (10, 15), (10, 14))
    assert path.back == (10, 12)
    assert path.distances == (0, 0, 0, 0)
    assert not path.lost


def test_it_cannot_come_back_from_beyond_the_radius(texture):
    path = follow_cell(moved(texture, 0, 4, 8), (0, 1, 2), (10, 12), config=PAPER)
    assert path.cells == ((10, 12), (10, 16), (10, 20))
    assert path.back is None
    assert path.lost


def test_it_ends_where_it_is_lost(texture):
    frames = moved(texture, 0, 1, 1, 1)
    frames[2] = 255 - texture
    path = follow_cell(frames, (0, 1, 2, 3), (10, 12), config=PAPER)
    assert path.frames == (0, 1)
    assert path.back is None
    assert path.lost
    assert len(path.distances) == 1


def test_a_drift_shows_in_where_it_ends():
    """What it was followed to looks more like a place beside the picked one."""
    frames = {t: np.zeros((80, 96, 3), np.uint8) for t in (0, 1)}
    frames[0][36:48, 44:56], frames[0][36:48, 60:72] = 100, 103
    frames[1][36:48, 52:64] = 102
    path = follow_cell(frames, (0, 1), (10, 12), config=PAPER)
    assert path.cells == ((10, 12), (10, 14))
    assert path.back == (10, 16)
    assert path.distances[0] > path.distances[1] > 0


def test_one_frame_is_no_tube(texture):
    path = follow_cell({7: texture}, (7,), (3, 4), config=PAPER)
    assert path.frames == (7,)
    assert path.back is None
    assert not path.lost
