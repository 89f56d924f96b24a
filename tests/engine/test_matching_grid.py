"""Where cells lie in the video, and that the grid is the one that a run trains on."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from maskfree.config import Config, SamplingConfig, TemporalKNNConfig
from maskfree.matching_grid import MatchingGrid, grid_of_run
from maskfree.sampling import lab_stretch
from maskfree.tracks import add_track, empty_tracks, set_keyframe
from maskfree.tube import tracks_scale
from maskfree.types import Keyframe
from maskfree.video import open_video
from maskfree.working import WorkingFrames

PAPER = TemporalKNNConfig.paper()


def test_cells_of_pixels_and_back():
    grid = MatchingGrid((1080, 1920), (252, 448), 1.0, PAPER)
    assert grid.shape == (63, 112)
    assert grid.cell_size == pytest.approx([17.142857, 17.142857])
    assert grid.radius == pytest.approx(85.714, abs=1e-3)
    assert grid.cell_at(np.array([0, 0])) == (0, 0)
    assert grid.cell_at(np.array([17.0, 16.0])) == (1, 0)
    assert grid.cell_at(np.array([1079.4, 1919.4])) == (62, 111)
    assert grid.cell_at(np.array([-0.6, 5.0])) is None
    assert grid.cell_at(np.array([1080.0, 5.0])) is None
    for cell in ((0, 0), (31, 57), (62, 111)):
        assert grid.cell_at(grid.centres(np.array(cell))) == cell
    one = MatchingGrid((64, 96), (64, 96), 1.0, PAPER)
    assert one.centres(np.array([[7, 10]])).tolist() == [[29.5, 41.5]]


def test_pixels_beyond_a_whole_cell_belong_to_none():
    grid = MatchingGrid((10, 11), (10, 11), 1.0, PAPER)
    assert grid.shape == (2, 2)
    assert grid.cell_at(np.array([8.0, 3.0])) is None


@pytest.mark.parametrize("boxed", [True, False])
def test_it_is_the_grid_of_a_run(boxed):
    frames = np.random.default_rng(0).integers(90, 110, (5, 120, 200, 3), np.uint8)
    video = open_video(frames)
    sampling = SamplingConfig(frame_area=64 * 64, object_size=24.0)
    config = dataclasses.replace(Config(), sampling=sampling)
    tracks, track = add_track(empty_tracks(5, 120, 200, None))
    tracks = set_keyframe(tracks, track, Keyframe(0, (10, 10, 40, 40)))
    grid = grid_of_run(video, tracks if boxed else None, config)
    scale = tracks_scale(video, tracks, config) if boxed else (64 * 64 / (120 * 200)) ** 0.5
    working = WorkingFrames(video, scale, cache_bytes=0)
    assert grid.size == (working.height, working.width)
    assert grid.size == ((96, 160) if boxed else (50, 83))
    assert grid.stretch == lab_stretch(working, config=sampling) > 1
    np.testing.assert_array_equal(grid.frame(video[3]), working[3])
