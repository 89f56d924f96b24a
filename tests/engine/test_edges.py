from __future__ import annotations

import numpy as np
import pytest

from maskfree.edges import GuidedFilter


def mirrored(index: int, size: int) -> int:
    """The pixel that stands for one beyond the border, which is mirrored with its last pixel."""
    index %= 2 * size
    return index if index < size else 2 * size - 1 - index


def slow_filter(guide: np.ndarray, values: np.ndarray, radius: int, strength: float) -> np.ndarray:
    """Equations 14 to 16 of the paper, window by window, by a solved system in float64.

    a_k = (Sigma_k + eps U)^-1 (mean(I p) - mu_k mean(p)), b_k = mean(p) - a_k mu_k, and
    q_i = mean(a_k) I_i + mean(b_k) over the windows k that hold i.
    """
    height, width = values.shape

    def window(y: int, x: int) -> list[tuple[int, int]]:
        near = range(-radius, radius + 1)
        return [(mirrored(y + j, height), mirrored(x + i, width)) for j in near for i in near]

    slope, offset = np.zeros((height, width, 3)), np.zeros((height, width))
    for y in range(height):
        for x in range(width):
            places = window(y, x)
            colours = np.array([guide[p] for p in places], float)
            inside = np.array([values[p] for p in places], float)
            centre = colours.mean(0)
            spread = (colours - centre).T @ (colours - centre) / len(places)
            cross = (colours * inside[:, None]).mean(0) - centre * inside.mean()
            slope[y, x] = np.linalg.solve(spread + strength * np.eye(3), cross)
            offset[y, x] = inside.mean() - slope[y, x] @ centre
    out = np.zeros((height, width))
    for y in range(height):
        for x in range(width):
            places = window(y, x)
            mean = np.mean([slope[p] for p in places], 0)
            out[y, x] = mean @ guide[y, x] + np.mean([offset[p] for p in places])
    return out


def picture(seed: int, height: int = 9, width: int = 12) -> np.ndarray:
    """Lab noise on two surfaces."""
    rng = np.random.default_rng(seed)
    lab = rng.normal([60, 10, -20], [8, 3, 5], (height, width, 3))
    lab[:, width // 2 :] += (-30, 15, 40)
    return lab.astype(np.float32)


@pytest.mark.parametrize(("radius", "strength"), [(1, 0.5), (2, 30.0), (3, 500.0), (11, 30.0)])
@pytest.mark.parametrize("seed", range(2))
def test_it_is_the_papers(radius: int, strength: float, seed: int) -> None:
    guide = picture(seed)
    values = np.random.default_rng(seed + 9).uniform(0, 1, guide.shape[:2]).astype(np.float32)
    found = GuidedFilter(guide, radius, strength)(values)
    assert (found.shape, found.dtype) == (values.shape, np.float32)
    expected = slow_filter(guide, values, radius, strength)
    np.testing.assert_allclose(found, expected, atol=2e-4)


@pytest.mark.parametrize("radius", [1, 3, 11])
@pytest.mark.parametrize(
    "within",
    [
        (slice(8, 13), slice(9, 20)),
        (slice(0, 7), slice(14, 32)),
        (slice(23, 24), slice(0, 1)),
        (slice(0, 24), slice(0, 32)),
    ],
)
def test_where_all_is_0_beyond_a_part_that_part_alone_is_filtered(
    radius: int, within: tuple[slice, slice]
) -> None:
    guide = picture(3, 24, 32)
    values = np.zeros(guide.shape[:2], np.float32)
    values[within] = np.random.default_rng(0).uniform(0, 1, values[within].shape)
    whole = GuidedFilter(guide, radius, 30.0)(values)
    found = GuidedFilter(guide, radius, 30.0, within=within)(values[within])
    np.testing.assert_allclose(found, whole[within], atol=1e-6)


@pytest.mark.parametrize("value", [0.0, 0.25, 1.0, -3.0])
def test_constant_in_constant_out(value: float) -> None:
    guide = picture(0, 20, 30)
    found = GuidedFilter(guide, 4, 30.0)(np.full((20, 30), value))
    np.testing.assert_allclose(found, value, atol=1e-5)


def step(size: int = 24) -> np.ndarray:
    return np.where(np.arange(size) < size // 2, 0.0, 1.0) * np.ones((size, 1))


def test_an_edge_of_the_picture_is_kept_and_noise_is_not() -> None:
    edge = step()
    guide = edge[..., None] * np.array([40.0, 10, -20])
    noisy = edge + np.random.default_rng(0).normal(0, 0.2, edge.shape)
    found = GuidedFilter(guide, 4, 1.0)(noisy)
    assert np.abs(found - edge).max() < 0.1
    assert found[:, 12].mean() - found[:, 11].mean() > 0.95


def test_where_the_picture_is_flat_it_is_a_mean() -> None:
    edge = step()
    found = GuidedFilter(np.full((24, 24, 3), 50.0), 4, 30.0)(edge)
    # twice a mean over 9 x 9 pixels: 9 columns each, of which the edge's own are a half
    columns = [
        np.mean([max(0, min(9, k - 12 + 5 + i)) / 9 for i in range(-4, 5)]) for k in range(24)
    ]
    np.testing.assert_allclose(found[12], columns, atol=1e-5)


def test_the_more_strength_the_more_an_edge_is_flat() -> None:
    edge = step()
    guide = edge[..., None] * np.array([6.0, 0, 0])  # a variance of 9 where it is halved
    jumps = []
    for strength in (0.1, 9.0, 1000.0):
        found = GuidedFilter(guide, 4, strength)(edge)
        jumps.append(found[12, 12] - found[12, 11])
    assert jumps[0] > 0.95
    assert 0.3 < jumps[1] < 0.8
    assert jumps[2] < 0.15


def test_the_same_colours_moved_or_turned_are_no_different() -> None:
    guide = picture(3)
    values = np.random.default_rng(1).uniform(0, 1, guide.shape[:2])
    plain = GuidedFilter(guide, 2, 30.0)(values)
    turn, _ = np.linalg.qr(np.random.default_rng(2).normal(size=(3, 3)))
    for changed in (guide + np.array([1e5, -50, 7]), guide[..., [2, 0, 1]], guide @ turn):
        np.testing.assert_allclose(GuidedFilter(changed, 2, 30.0)(values), plain, atol=1e-3)
    mirror = GuidedFilter(guide[:, ::-1], 2, 30.0)(values[:, ::-1])
    np.testing.assert_allclose(mirror[:, ::-1], plain, atol=1e-4)


def test_it_is_linear_in_the_values() -> None:
    filtered = GuidedFilter(picture(0), 2, 30.0)
    first, second = np.random.default_rng(0).uniform(0, 1, (2, 9, 12))
    expected = 2 * filtered(first) - 3 * filtered(second)
    np.testing.assert_allclose(filtered(2 * first - 3 * second), expected, atol=1e-4)


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (2, 2)])
def test_pictures_smaller_than_the_window(shape: tuple[int, int]) -> None:
    guide = picture(0, 4, 8)[: shape[0], : shape[1]]
    values = np.random.default_rng(0).uniform(0, 1, shape)
    found = GuidedFilter(guide, 5, 30.0)(values)
    np.testing.assert_allclose(found, slow_filter(guide, values, 5, 30.0), atol=1e-4)
