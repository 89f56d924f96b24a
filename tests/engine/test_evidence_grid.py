from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from evidence_clips import CELL, CONFIG, HEIGHT, WIDTH, box_clip, cells, collected
from maskfree import evidence as module
from maskfree.config import EvidenceConfig
from maskfree.evidence import SURE


def test_the_margin_widens_the_boxes() -> None:
    frames, boxes = box_clip([40, 40], size=16)
    config = EvidenceConfig(box_margin=0.5, cell=CELL)
    evidence = collected(frames, boxes, config=config)
    unknown = np.zeros(evidence.shape[1:], bool)
    unknown[cells(30, 14, 66, 50)] = True  # 16 pixels and 8 + 2 on each side
    assert ((evidence[0] == 0) == unknown).all()


@pytest.mark.parametrize("cell", [2, 4])
@pytest.mark.parametrize(("height", "width"), [(67, 99), (66, 97), (64, 96)])
def test_the_grid_covers_the_frame_evenly(height: int, width: int, cell: int) -> None:
    frames = np.zeros((1, height, width, 3), np.uint8)
    boxes = np.array([[[width - 3.0, height - 3.0, width, height]]])
    config = dataclasses.replace(CONFIG, cell=cell)
    evidence = collected(frames, boxes, config=config)[0]
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
    evidence = collected(frames, boxes, config=config)
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
    evidence = collected(frames, boxes, config=CONFIG)
    assert evidence.shape == (2, HEIGHT // CELL, WIDTH // CELL)
    assert evidence[0, 0, WIDTH // CELL // 2] == -SURE
