"""The categories of a frame's cells as a layer, without a window."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from napari.components import ViewerModel

from maskfree.config import CategoryConfig, TemporalKNNConfig
from maskfree.frame_categories import categorise_frame
from maskfree.ignore_regions import rectangle
from maskfree.matching_grid import MatchingGrid
from maskfree.types import IgnoreRegion
from moving_cells import moving
from napari_maskfree.category_layer import CategoryLayer
from napari_maskfree.video_layer import guess_axes, video_info

PAPER = TemporalKNNConfig.paper()
SIZE = (64, 96)
GRID = MatchingGrid(SIZE, SIZE, 1.0, PAPER)


def open_in(viewer: ViewerModel, frames: np.ndarray):
    layer = viewer.add_image(frames, rgb=True, name="frames")
    return layer, video_info(layer, guess_axes(layer))


def test_an_ignored_cell_has_no_match():
    frames = moving(0, 2)
    region = IgnoreRegion(rectangle((0, 0, SIZE[1], SIZE[0])), 1, None)
    grid = MatchingGrid(SIZE, SIZE, 1.0, PAPER, (region,))
    found = categorise_frame(0, 1, (frames[0], frames[1]), grid, CategoryConfig())
    assert set(found.counts) == {0}, "in the frame that it is matched with, all is ignored"
    away = dataclasses.replace(grid, ignore=(dataclasses.replace(region, frame=5),))
    plain = categorise_frame(0, 1, (frames[0], frames[1]), GRID, CategoryConfig())
    other = categorise_frame(0, 1, (frames[0], frames[1]), away, CategoryConfig())
    np.testing.assert_array_equal(other.categories, plain.categories)
    assert set(plain.counts) != {0}


def test_a_category_lies_over_its_cell():
    viewer, frames = ViewerModel(), moving(0, 2)
    image, info = open_in(viewer, np.zeros((2, 192, 288, 3), np.uint8))
    image.scale, image.translate = (1, 0.5, 0.5), (0, 7, 7)
    grid = MatchingGrid((info.height, info.width), SIZE, 1.0, PAPER)
    found = categorise_frame(0, 1, (frames[0], frames[1]), grid, CategoryConfig())
    assert found.categories.shape == (16, 24)
    assert sum(found.counts.values()) == 16 * 24
    assert found.categories[7, 10] == 1
    layer = CategoryLayer(viewer)
    layer.show(image, found)
    for side in (0, 1):  # the outer edges of the first and of the last cell and pixel
        cell, pixel = (side * np.array(s) - 0.5 for s in (found.categories.shape, (192, 288)))
        there = layer.layer.data_to_world(cell)
        assert there == pytest.approx(image.data_to_world((0, *pixel))[-2:])
    assert viewer.layers.index(layer.layer) == 1
    layer.hide()
    layer.show(image, found)
    assert layer.layer.visible
    layer.clear()
    assert list(viewer.layers) == [image]
