"""Where cells lie in the video, and that the grid is the one that a run trains on."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from maskfree.config import Config, SamplingConfig, TemporalKNNConfig
from maskfree.contrast import lab_stretch
from maskfree.ignore_regions import rectangle
from maskfree.matching_grid import MatchingGrid, compared_video, grid_of_run
from maskfree.prepare import prepare
from maskfree.tracks import add_track, empty_tracks, set_keyframe
from maskfree.tube import tracks_scale
from maskfree.types import IgnoreRegion, Keyframe
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


@pytest.fixture
def glaring():
    """A dull video with a glaring corner in its frames 0 to 2, which is ignored there."""
    frames = np.random.default_rng(0).integers(90, 110, (5, 120, 200, 3), np.uint8)
    frames[:3, 80:, 120:] = np.random.default_rng(1).integers(0, 256, (3, 40, 80, 3), np.uint8)
    tracks, track = add_track(empty_tracks(5, 120, 200, None))
    tracks = set_keyframe(tracks, track, Keyframe(0, (10, 10, 40, 40)))
    region = IgnoreRegion(rectangle((120, 80, 200, 120)), 0, 2)
    return open_video(frames), tracks, dataclasses.replace(tracks, ignore=(region,))


def test_what_is_ignored_has_no_part_in_the_contrast(glaring):
    video, plain, tracks = glaring
    config = Config()
    seen = grid_of_run(video, tracks, config)
    assert seen.stretch > 1.5 * grid_of_run(video, plain, config).stretch
    prepared = prepare(video, tracks, config)
    assert seen.stretch == lab_stretch(prepared.seen, config=config.sampling)
    compared = compared_video(video, tracks, config)
    for frame in (0, 4):
        np.testing.assert_array_equal(seen.frame(compared[frame]), prepared.seen[frame])
    assert compared_video(video, plain, config) is video
    assert compared_video(video, None, config) is video


def test_ignored_cells_are_those_that_a_region_touches(glaring):
    grid = grid_of_run(glaring[0], glaring[2], Config())
    cells = grid.ignored(1)
    assert cells.shape == grid.shape
    rows, columns = (n.tolist() for n in np.nonzero(cells))
    assert min(rows) == int(80 / grid.cell_size[0])
    assert min(columns) == int(120 / grid.cell_size[1])
    assert (max(rows) + 1, max(columns) + 1) == grid.shape
    assert grid.ignored(3) is None
    assert grid != grid_of_run(glaring[0], glaring[1], Config())
