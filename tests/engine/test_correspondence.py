"""Patch correspondences against a slow loop written from the definition."""

from __future__ import annotations

import dataclasses
import itertools
import re

import numpy as np
import pytest
import torch

from maskfree.config import TemporalKNNConfig
from maskfree.correspondence import candidate_offsets, frame_pairs, match_clip, match_patches

PAPER = TemporalKNNConfig.paper()
RELEASED = TemporalKNNConfig.released()


def random_lab(*shape: int, seed: int = 0, scale: float = 3.0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator) * scale + 40


def slow_matches(source: torch.Tensor, target: torch.Tensor, config: TemporalKNNConfig) -> tuple:
    """Every candidate of every cell, patch cell by patch cell, then sorted."""
    height, width = source.shape[-2:]
    a, b = source.double().numpy(), target.double().numpy()
    half, k = config.patch_size // 2, config.num_neighbors

    def cell(image: np.ndarray, y: int, x: int) -> np.ndarray:
        return image[:, y, x] if 0 <= y < height and 0 <= x < width else np.zeros(3)

    radius = config.search_radius
    steps = [s for s in range(-radius, radius + 1) if s % config.candidate_stride == 0]
    target_yx = np.zeros((k, height, width, 2), int)
    distance = np.full((k, height, width), np.inf)
    valid = np.zeros((k, height, width), bool)
    for y, x in itertools.product(range(height), range(width)):
        found = []
        for dy, dx in itertools.product(steps, steps):
            if config.window == "disc" and dy * dy + dx * dx > radius * radius:
                continue
            inside = 0 <= y + dy < height and 0 <= x + dx < width
            if not inside and not config.outside_counts:
                continue
            total = 0.0
            for i, j in itertools.product(range(-half, half + 1), repeat=2):
                difference = cell(a, y + i, x + j) - cell(b, y + dy + i, x + dx + j)
                total += float((difference**2).sum())
            found.append((total**0.5, dy * dy + dx * dx, dy, dx, inside))
        target_yx[:, y, x] = y, x
        for n, (d, _, dy, dx, inside) in enumerate(sorted(found)[:k]):
            target_yx[n, y, x] = y + dy, x + dx
            distance[n, y, x] = d
            valid[n, y, x] = inside and d <= config.max_distance
    return target_yx, distance, valid


@pytest.mark.parametrize(
    "config",
    [
        dataclasses.replace(PAPER, search_radius=3, max_distance=14.0),
        dataclasses.replace(PAPER, search_radius=2, patch_size=5, num_neighbors=3),
        dataclasses.replace(PAPER, search_radius=2, patch_size=1, window="square"),
        dataclasses.replace(PAPER, search_radius=1, num_neighbors=7),
        dataclasses.replace(PAPER, search_radius=9, candidate_stride=4, num_neighbors=2),
        dataclasses.replace(RELEASED, max_distance=14.0),
        dataclasses.replace(RELEASED, search_radius=2, candidate_stride=1, max_distance=300.0),
    ],
)
def test_slow_reference(config: TemporalKNNConfig) -> None:
    source, target = random_lab(3, 7, 9), random_lab(3, 7, 9, seed=1)
    matches = match_patches(source, target, config=config)
    target_yx, distance, valid = slow_matches(source, target, config)
    np.testing.assert_allclose(matches.distance.numpy(), distance, rtol=1e-5)
    np.testing.assert_array_equal(matches.target_yx.numpy(), target_yx)
    np.testing.assert_array_equal(matches.valid.numpy(), valid)
    assert matches.target_yx.dtype == torch.long
    assert matches.distance.dtype == torch.float32
    assert matches.valid.dtype == torch.bool


def test_distance_by_hand() -> None:
    source, target = torch.zeros(3, 5, 5), torch.zeros(3, 5, 5)
    source[0, 2, 2] = 3.0  # L
    source[1, 2, 3] = 4.0  # a
    config = dataclasses.replace(PAPER, search_radius=1, num_neighbors=1)
    matches = match_patches(source, target, config=config)
    assert matches.distance[0, 2, 2] == 5.0  # the patch holds both
    assert matches.distance[0, 2, 1] == 3.0  # only the first
    assert matches.distance[0, 2, 4] == 4.0  # only the second
    assert matches.distance[0, 0, 0] == 0.0


def test_a_shifted_frame_is_found() -> None:
    source = random_lab(3, 16, 20)
    target = source.roll((2, -3), dims=(1, 2))
    matches = match_patches(source, target, config=PAPER)
    y, x = torch.meshgrid(torch.arange(3, 13), torch.arange(4, 16), indexing="ij")
    inner = matches.target_yx[0, 3:13, 4:16]
    assert torch.equal(inner, torch.stack([y + 2, x - 3], -1))
    assert (matches.distance[0, 3:13, 4:16] == 0).all()
    assert matches.valid[0, 3:13, 4:16].all()


def test_shifting_both_frames_shifts_the_matches() -> None:
    source, target = random_lab(3, 24, 26), random_lab(3, 24, 26, seed=1)
    one = match_patches(source[:, :20, :20], target[:, :20, :20], config=PAPER)
    other = match_patches(source[:, 2:22, 3:23], target[:, 2:22, 3:23], config=PAPER)
    here, there = (slice(None), slice(8, 14), slice(9, 14)), (slice(None), slice(6, 12))
    there = (*there, slice(6, 11))
    assert torch.equal(one.distance[here], other.distance[there])
    assert torch.equal(one.target_yx[here], other.target_yx[there] + torch.tensor([2, 3]))


def test_transposing_both_frames_transposes_the_matches() -> None:
    source, target = random_lab(3, 9, 12), random_lab(3, 9, 12, seed=1)
    one = match_patches(source, target, config=PAPER)
    other = match_patches(source.mT, target.mT, config=PAPER)
    torch.testing.assert_close(one.distance, other.distance.mT)
    assert torch.equal(one.target_yx, other.target_yx.transpose(1, 2).flip(-1))


def test_equally_distant_candidates_come_nearest_first() -> None:
    flat = torch.full((3, 15, 15), 30.0)
    matches = match_patches(flat, flat, config=PAPER)
    around = [tuple(yx) for yx in (matches.target_yx[:, 7, 7] - 7).tolist()]
    assert around == [(0, 0), (-1, 0), (0, -1), (0, 1), (1, 0)]


def test_threshold_is_inclusive() -> None:
    source, target = torch.zeros(3, 1, 1), torch.zeros(3, 1, 1)
    target[0] = 4.0
    for max_distance, passes in ((4.0, True), (3.99, False)):
        config = dataclasses.replace(PAPER, num_neighbors=1, max_distance=max_distance)
        assert match_patches(source, target, config=config).valid.item() is passes


def test_too_few_candidates_leave_places_empty() -> None:
    config = dataclasses.replace(PAPER, search_radius=1, num_neighbors=5)
    matches = match_patches(torch.zeros(3, 1, 2), torch.zeros(3, 1, 2), config=config)
    assert matches.valid[:, 0, 0].tolist() == [True, True, False, False, False]
    assert matches.distance[2:].isinf().all()
    assert matches.target_yx[4, 0, 1].tolist() == [0, 1]


def test_released_candidates_outside_compete_but_are_never_valid() -> None:
    source = torch.zeros(3, 5, 5)  # black: as far as the zero patches outside
    matches = match_patches(source, source, config=RELEASED)
    corner = matches.target_yx[:, 0, 0].tolist()
    assert corner == [[0, 0], [-3, 0], [0, -3], [0, 3], [3, 0]]
    assert matches.valid[:, 0, 0].tolist() == [True, False, False, True, True]
    assert (matches.distance == 0).all()


def test_match_clip_is_match_patches_for_each_pair() -> None:
    lab = random_lab(3, 3, 6, 8)
    clip = match_clip(lab, config=PAPER)
    assert [frames for frames, _ in clip] == [(0, 1), (1, 2), (2, 0)]
    for (source, target), matches in clip:
        alone = match_patches(lab[source], lab[target], config=PAPER)
        assert torch.equal(matches.target_yx, alone.target_yx)
        assert torch.equal(matches.distance, alone.distance)
        assert torch.equal(matches.valid, alone.valid)


def test_released_centre_lies_in_the_later_frame() -> None:
    clip = match_clip(random_lab(3, 3, 6, 8), config=RELEASED)
    assert [frames for frames, _ in clip] == [(1, 0), (2, 0), (2, 1)]


def test_one_frame_has_no_pair() -> None:
    assert match_clip(random_lab(1, 3, 6, 8), config=PAPER) == []


def test_matches_carry_no_gradient() -> None:
    lab = random_lab(2, 3, 6, 8).requires_grad_()
    assert not match_clip(lab, config=PAPER)[0][1].distance.requires_grad


def test_frame_pairs() -> None:
    assert frame_pairs(4, "cyclic") == [(0, 1), (1, 2), (2, 3), (3, 0)]
    assert frame_pairs(4, "neighbour") == [(0, 1), (1, 2), (2, 3)]
    assert frame_pairs(3, "dense") == [(0, 1), (0, 2), (1, 2)]
    assert frame_pairs(2, "cyclic") == [(0, 1), (1, 0)]
    for tube in ("cyclic", "neighbour", "dense"):
        assert frame_pairs(1, tube) == []
    message = 'tube must be one of cyclic, neighbour, dense, got "cylic". Did you mean "cyclic"?'
    with pytest.raises(ValueError, match=re.escape(message)):
        frame_pairs(3, "cylic")


def test_candidate_offsets() -> None:
    disc = candidate_offsets(PAPER)
    assert len(disc) == 81
    assert disc[0] == (0, 0)
    assert (3, 4) in disc
    assert (4, 4) not in disc
    released = candidate_offsets(RELEASED)
    assert sorted(released) == list(itertools.product((-3, 0, 3), repeat=2))


@pytest.mark.parametrize(
    ("source", "target", "message"),
    [
        (
            (1, 3, 4, 5),
            (3, 4, 5),
            "lab_source must be (3, H, W), got (1, 3, 4, 5). Pass the Lab image of one frame.",
        ),
        (
            (3, 4, 5),
            (4, 5, 3),
            "lab_target must be (3, H, W), got (4, 5, 3). Pass the Lab image of one frame.",
        ),
        (
            (3, 4, 5),
            (3, 4, 6),
            "lab_source and lab_target must have one shape, got (3, 4, 5) and (3, 4, 6). "
            "Take two frames of one video at one size.",
        ),
    ],
)
def test_wrong_shapes(source: tuple[int, ...], target: tuple[int, ...], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        match_patches(torch.zeros(source), torch.zeros(target), config=PAPER)


def test_wrong_clip() -> None:
    message = "lab must be (T, 3, H, W), got (3, 4, 5). Pass the Lab frames of one clip."
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        match_clip(torch.zeros(3, 4, 5), config=PAPER)
