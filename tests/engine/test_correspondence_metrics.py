"""Patches compared by L1, by correlation and in sRGB: slow loops, and who follows the metric."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest
import torch

from maskfree.config import TemporalKNNConfig
from maskfree.correspondence import match_clip, match_patches
from maskfree.inspect_patch import Fate, cut_lab, judge_candidates
from maskfree.lab import lab_to_rgb
from maskfree.losses import temporal_knn_loss
from maskfree.match_cache import MatchCache

PAPER = dataclasses.replace(TemporalKNNConfig.paper(), search_radius=2)
RELEASED = TemporalKNNConfig.released()
METRICS = ("l2", "l1", "ncc")


def frames(*shape: int, seed: int = 0) -> torch.Tensor:
    """Lab with a plain left third and a textured rest."""
    generator = torch.Generator().manual_seed(seed)
    lab = torch.randn(*shape, generator=generator) * 4 + 40
    lab[..., : shape[-1] // 3] = 25.0
    return lab


def slow_distance(one: np.ndarray, other: np.ndarray, metric: str) -> float:
    """Of two patches ``(3, N, N)``, from the definition."""
    if metric == "l2":
        return float(((one - other) ** 2).sum()) ** 0.5
    if metric == "l1":
        return float(abs(one - other).sum())
    one, other = (each - each.mean((1, 2), keepdims=True) for each in (one, other))
    spreads = (one**2).sum(), (other**2).sum()
    if min(spreads) < 1e-6:
        return 0.0 if max(spreads) < 1e-6 else 1.0
    return float(1 - (one * other).sum() / (spreads[0] * spreads[1]) ** 0.5)


def slow_matches(source: torch.Tensor, target: torch.Tensor, config: TemporalKNNConfig) -> tuple:
    """Distances, and the best candidates' offsets, of every cell: patch by patch, then sorted."""
    if config.colour_space == "rgb":
        source, target = (100 * lab_to_rgb(lab.double()) for lab in (source, target))
    height, width = source.shape[-2:]
    half, radius = config.patch_size // 2, config.search_radius
    wide = radius + half
    a, b = (
        np.pad(f.double().numpy(), [(0, 0), (wide, wide), (wide, wide)]) for f in (source, target)
    )

    def patch(image: np.ndarray, y: int, x: int) -> np.ndarray:
        y, x = y + radius, x + radius
        return image[:, y : y + 2 * half + 1, x : x + 2 * half + 1]

    distance = np.full((config.num_neighbors, height, width), np.inf)
    places = np.zeros((config.num_neighbors, height, width, 2), int)
    for y, x in itertools.product(range(height), range(width)):
        found = []
        for dy, dx in itertools.product(range(-radius, radius + 1), repeat=2):
            inside = 0 <= y + dy < height and 0 <= x + dx < width
            if inside and dy * dy + dx * dx <= radius * radius:
                d = slow_distance(patch(a, y, x), patch(b, y + dy, x + dx), config.metric)
                found.append((round(d, 5), dy * dy + dx * dx, dy, dx))
        places[:, y, x] = y, x
        for n, (d, _, dy, dx) in enumerate(sorted(found)[: config.num_neighbors]):
            distance[n, y, x] = d
            places[n, y, x] = y + dy, x + dx
    return distance, places


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize(
    ("size", "count", "radius"), [(1, 5, 2), (3, 1, 3), (3, 9, 2), (5, 3, 1), (7, 7, 2)]
)
def test_slow_reference(metric: str, size: int, count: int, radius: int) -> None:
    config = dataclasses.replace(
        PAPER, metric=metric, patch_size=size, num_neighbors=count, search_radius=radius
    )
    source, target = frames(3, 6, 8), frames(3, 6, 8, seed=1)
    matches = match_patches(source, target, config=config)
    distance, places = slow_matches(source, target, config)
    np.testing.assert_allclose(matches.distance.numpy(), distance, rtol=1e-5, atol=2e-5)
    np.testing.assert_array_equal(matches.target_yx.numpy(), places)
    np.testing.assert_array_equal(matches.valid.numpy(), distance <= config.limit)


@pytest.mark.parametrize("metric", METRICS)
def test_in_srgb(metric: str) -> None:
    config = dataclasses.replace(PAPER, metric=metric, colour_space="rgb")
    source, target = frames(3, 6, 8), frames(3, 6, 8, seed=1)
    distance, places = slow_matches(source, target, config)
    matches = match_patches(source, target, config=config)
    np.testing.assert_allclose(matches.distance.numpy(), distance, rtol=1e-4, atol=1e-4)
    assert (matches.target_yx.numpy() == places).mean() > 0.99  # the slow one is in float64
    lab = match_patches(source, target, config=dataclasses.replace(config, colour_space="lab"))
    assert not torch.equal(lab.distance, matches.distance)


def test_each_metric_by_hand() -> None:
    source, target = torch.zeros(3, 3, 3), torch.zeros(3, 3, 3)
    source[0, 1, 1], source[1, 0, 0] = 3.0, 4.0
    target[0, 1, 1] = 6.0
    config = dataclasses.replace(PAPER, num_neighbors=1, search_radius=1)

    def middle(metric: str) -> float:
        changed = dataclasses.replace(config, metric=metric, window="disc")
        one = judge_candidates(
            source.numpy(),
            np.pad(target.numpy(), [(0, 0), (2, 2), (2, 2)]),
            (1, 1),
            (3, 3),
            config=changed,
        )
        at = [tuple(yx) for yx in one.yx.tolist()].index((1, 1))
        return float(one.distance[at])

    assert middle("l2") == 5.0
    assert middle("l1") == 7.0
    # of nine cells with one of h: squared deviations 8/9 h^2, products 8/9 of the two heights
    assert middle("ncc") == pytest.approx(1 - 18 / (25**0.5 * 6), abs=1e-5)


def test_the_limit_is_the_metric_s_own() -> None:
    config = TemporalKNNConfig(max_distance=1.0, max_distance_l1=2.0, max_distance_ncc=0.5)
    limits = [dataclasses.replace(config, metric=metric).limit for metric in METRICS]
    assert limits == [1.0, 2.0, 0.5]


def test_correlation_does_not_see_brightness_and_contrast() -> None:
    config = dataclasses.replace(PAPER, metric="ncc", num_neighbors=1)
    source = frames(3, 12, 14)
    inner = (0, slice(3, 9), slice(7, 11))
    for target in (source + 20, source * 1.7 - 5):
        matches = match_patches(source, target, config=config)
        assert (matches.distance[inner] == 0).all()
        assert (match_patches(source, target, config=PAPER).distance[inner] > 5).all()
    assert (match_patches(source, -source, config=config).distance[inner] > 0.05).all()


def test_patches_of_one_colour_are_alike_and_like_no_other() -> None:
    config = dataclasses.replace(PAPER, metric="ncc", num_neighbors=5)
    plain = torch.full((3, 9, 9), 30.0)
    matches = match_patches(plain, plain + 50, config=config)
    assert (matches.distance[:, 4, 4] == 0).all()
    around = [tuple(yx) for yx in (matches.target_yx[:, 4, 4] - 4).tolist()]
    assert around == [(0, 0), (-1, 0), (0, -1), (0, 1), (1, 0)]
    other = match_patches(plain, torch.randn(3, 9, 9) * 5, config=config)
    assert (other.distance[:, 4, 4] == 1).all()
    assert not other.valid[:, 4, 4].any()


@pytest.mark.parametrize("metric", METRICS)
def test_shifting_both_frames_shifts_the_matches(metric: str) -> None:
    config = dataclasses.replace(PAPER, metric=metric)
    source, target = frames(3, 16, 18), frames(3, 16, 18, seed=1)
    one = match_patches(source[:, :14, :14], target[:, :14, :14], config=config)
    other = match_patches(source[:, 1:15, 2:16], target[:, 1:15, 2:16], config=config)
    here, there = one.distance[:, 5:10, 6:10], other.distance[:, 4:9, 4:8]
    torch.testing.assert_close(here, there, rtol=0, atol=0)


@pytest.mark.parametrize("metric", METRICS)
def test_matches_of_a_clip_and_kept_ones_follow(metric: str) -> None:
    config = dataclasses.replace(PAPER, metric=metric)
    lab = frames(3, 3, 8, 9)
    cache, found = MatchCache(config), match_clip(lab, config=config)
    for kept in (cache.match_clip(lab), cache.match_clip(lab)):
        for (pair, one), (other_pair, other) in zip(kept, found, strict=True):
            assert pair == other_pair
            torch.testing.assert_close(one.distance, other.distance, rtol=1e-5, atol=2e-6)
            assert torch.equal(one.valid, other.valid)
    assert cache.hits == 3


@pytest.mark.parametrize("colour_space", ["lab", "rgb"])
@pytest.mark.parametrize("metric", METRICS)
def test_the_inspector_agrees_with_the_whole_frame(metric: str, colour_space: str) -> None:
    config = dataclasses.replace(PAPER, metric=metric, colour_space=colour_space)
    config = dataclasses.replace(config, max_distance_ncc=0.7, max_distance_l1=90.0)
    a, b = frames(3, 7, 9), frames(3, 7, 9, seed=1)
    matches = match_patches(a, b, config=config)
    same = 0
    for cell in itertools.product(range(7), range(9)):
        patch, window = cut_lab(a.numpy(), cell, 1), cut_lab(b.numpy(), cell, 1 + 4)
        found = judge_candidates(patch, window, cell, (7, 9), config=config)
        distance = matches.distance[:, cell[0], cell[1]].numpy()
        np.testing.assert_allclose(found.distance[:5], distance, rtol=1e-4, atol=1e-4)
        same += (found.yx[:5] == matches.target_yx[:, cell[0], cell[1]].numpy()).all()
        assert found.count(Fate.KEPT) == int(matches.valid[:, cell[0], cell[1]].sum())
    assert same == 63 if colour_space == "lab" else same > 55


def test_the_normaliser_counts_by_the_limit_in_force() -> None:
    """Candidates outside count where they are near: with L1 as the limit of L1 says."""
    config = dataclasses.replace(RELEASED, metric="l1", max_distance=0.0, max_distance_l1=5.0)
    dark = torch.full((2, 3, 7, 8), 0.1)
    logits = torch.randn(1, 2, 7, 8, generator=torch.Generator().manual_seed(0))
    loss = temporal_knn_loss(logits, dark, config=config)
    strict = temporal_knn_loss(
        logits, dark, config=dataclasses.replace(config, outside_counts=False)
    )
    assert 0 < loss.item() < strict.item()
