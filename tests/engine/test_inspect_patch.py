"""One cell's candidates: the same as match_patches', and each one's fate worked out by hand."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest
import torch

from maskfree.config import TemporalKNNConfig
from maskfree.correspondence import match_patches
from maskfree.inspect_patch import Fate, cut_cells, cut_lab, inspect_cell, judge_candidates
from maskfree.lab import to_lab

PAPER = TemporalKNNConfig.paper()
RELEASED = TemporalKNNConfig.released()


def candidates_in(a: torch.Tensor, b: torch.Tensor, cell: tuple[int, int], config: object):
    half = config.patch_size // 2
    return judge_candidates(
        cut_lab(a.numpy(), cell, half),
        cut_lab(b.numpy(), cell, half + 2 * config.search_radius),
        cell,
        tuple(a.shape[1:]),
        config=config,
    )


@pytest.mark.parametrize("shape", [(7, 9), (16, 13), (3, 4)])
@pytest.mark.parametrize(
    "config",
    [
        dataclasses.replace(PAPER, max_distance=14.0),
        dataclasses.replace(PAPER, search_radius=2, patch_size=5, num_neighbors=3),
        dataclasses.replace(PAPER, search_radius=2, patch_size=1, window="square"),
        dataclasses.replace(PAPER, search_radius=1, num_neighbors=7),
        dataclasses.replace(PAPER, search_radius=9, candidate_stride=4, num_neighbors=2),
        dataclasses.replace(RELEASED, max_distance=14.0),
        dataclasses.replace(RELEASED, search_radius=2, candidate_stride=1, max_distance=300.0),
    ],
)
def test_every_cell_agrees_with_the_whole_frame(shape, config):
    generator = torch.Generator().manual_seed(sum(shape))
    a, b = (torch.randn(3, *shape, generator=generator) * 3 + 40 for _ in "ab")
    matches = match_patches(a, b, config=config)
    for cell in itertools.product(*map(range, shape)):
        found = candidates_in(a, b, cell, config)
        at = (slice(None), *cell)
        distance = matches.distance[at].numpy()
        known = np.isfinite(distance)
        best = slice(0, int(known.sum()))
        np.testing.assert_array_equal(found.yx[best], matches.target_yx[at].numpy()[known])
        np.testing.assert_allclose(found.distance[best], distance[known], rtol=1e-6)
        kept = found.of(Fate.KEPT)
        valid = matches.valid[at].numpy()
        np.testing.assert_array_equal(found.yx[kept], matches.target_yx[at].numpy()[valid])


def test_equally_far_candidates_come_in_the_same_order():
    flat = torch.full((3, 9, 9), 50.0)
    matches = match_patches(flat, flat, config=PAPER)
    for cell in itertools.product(range(9), range(9)):
        found = candidates_in(flat, flat, cell, PAPER)
        best = found.yx[: PAPER.num_neighbors]
        np.testing.assert_array_equal(best, matches.target_yx[:, cell[0], cell[1]].numpy())


def test_fates_by_hand():
    """One row, patches of one cell, R=2, K=2, D=5: L is 50 in the source, as below in the target.

    Columns      0   1   2   3   4   5   6   7   8
    L           50  50  59  53  51  54  50  50  50   picked: column 4
    """
    config = dataclasses.replace(
        PAPER, search_radius=2, num_neighbors=2, patch_size=1, max_distance=5.0
    )
    source, target = torch.zeros(3, 1, 9), torch.zeros(3, 1, 9)
    source[0, 0] = 50
    target[0, 0] = torch.tensor([50.0, 50, 59, 53, 51, 54, 50, 50, 50])
    found = candidates_in(source, target, (0, 4), config)
    row = [
        (int(x), float(d), Fate(f))
        for (y, x), d, f in zip(found.yx, found.distance, found.fate, strict=True)
        if y == 0
    ]
    assert row == [
        (6, 0.0, Fate.KEPT),
        (4, 1.0, Fate.KEPT),
        (3, 3.0, Fate.BEYOND_K),
        (5, 4.0, Fate.BEYOND_K),
        (2, 9.0, Fate.TOO_FAR),
        (1, 0.0, Fate.RADIUS),
        (7, 0.0, Fate.RADIUS),
        (0, 0.0, Fate.RADIUS),
        (8, 0.0, Fate.RADIUS),
    ]
    assert found.count(Fate.OUTSIDE) == 8, "a disc of 13 cells, 5 of which lie in the row"
    assert np.isinf(found.distance[found.of(Fate.OUTSIDE)]).all()


def test_one_too_far_is_that_whatever_its_rank():
    config = dataclasses.replace(
        PAPER, search_radius=1, num_neighbors=2, patch_size=1, max_distance=5.0
    )
    source, target = torch.zeros(3, 3, 3), torch.full((3, 3, 3), 0.0)
    target[0] = 7.0
    target[0, 1, 1] = 1.0
    found = candidates_in(source, target, (1, 1), config)
    assert found.fate.tolist() == [Fate.KEPT, *[Fate.TOO_FAR] * 4]


def test_where_outside_counts_such_a_candidate_takes_a_place_among_the_best():
    config = dataclasses.replace(
        PAPER,
        search_radius=1,
        num_neighbors=2,
        patch_size=1,
        max_distance=5.0,
        outside_counts=True,
    )
    source, target = torch.zeros(3, 3, 3), torch.full((3, 3, 3), 2.0)
    found = candidates_in(source, target, (0, 0), config)
    # the two beyond the edge are equal to the patch (Lab 0): they are the two nearest
    assert found.fate.tolist()[:5] == [*[Fate.OUTSIDE] * 2, *[Fate.BEYOND_K] * 3]
    assert set(found.fate[5:]) == {Fate.RADIUS}
    matches = match_patches(source, target, config=config)
    assert not matches.valid[:, 0, 0].any()


def test_from_pixels_it_is_what_the_whole_frames_give():
    rng = np.random.default_rng(0)
    source = rng.integers(0, 255, (34, 47, 3), np.uint8)
    target = np.roll(source, (4, 8), (0, 1))
    grid = (34 // 4, 47 // 4)
    pair = np.stack([source, target])[:, : grid[0] * 4, : grid[1] * 4].astype(np.float32) / 255
    lab = to_lab(torch.from_numpy(pair).permute(0, 3, 1, 2).contiguous()) * 1.5
    matches = match_patches(lab[0], lab[1], config=PAPER)
    for cell in itertools.product(*map(range, grid)):
        found = inspect_cell(source, target, cell, config=PAPER, stretch=1.5)
        np.testing.assert_allclose(
            cut_cells(source, cell, 2) * 1.5, cut_lab(lab[0].numpy(), cell, 2), atol=2e-3
        )
        distance = matches.distance[:, cell[0], cell[1]].numpy()
        np.testing.assert_allclose(found.distance[:5], distance, atol=5e-2)
        assert found.count(Fate.KEPT) == int(matches.valid[:, cell[0], cell[1]].sum())


def test_what_is_refused():
    frame = np.zeros((16, 16, 3), np.uint8)
    with pytest.raises(ValueError, match="must have one shape"):
        inspect_cell(frame, frame[:8], (0, 0), config=PAPER)
    with pytest.raises(ValueError, match="outside the grid"):
        inspect_cell(frame, frame, (4, 0), config=PAPER)
