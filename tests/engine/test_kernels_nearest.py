"""The faster searches give what the plain one gives."""

from __future__ import annotations

import dataclasses
import itertools

import pytest
import torch

from maskfree.config import TemporalKNNConfig
from maskfree.kernels import nearest as chosen
from maskfree.kernels import nearest_cpu as module
from maskfree.kernels.nearest_cpu import nearest_cpu
from maskfree.kernels.nearest_plain import nearest_plain

PAPER = TemporalKNNConfig.paper()
RELEASED = TemporalKNNConfig.released()

CONFIGS = [
    PAPER,
    dataclasses.replace(PAPER, window="square"),
    dataclasses.replace(PAPER, num_neighbors=1, search_radius=2),
    dataclasses.replace(PAPER, num_neighbors=2, patch_size=1),
    dataclasses.replace(PAPER, num_neighbors=3, patch_size=7),
    dataclasses.replace(PAPER, num_neighbors=9, search_radius=1),
    dataclasses.replace(PAPER, num_neighbors=16, search_radius=3),
    dataclasses.replace(PAPER, num_neighbors=81, search_radius=4),
    dataclasses.replace(PAPER, outside_counts=True, patch_size=5),
    dataclasses.replace(PAPER, search_radius=12, candidate_stride=4),
    RELEASED,
    dataclasses.replace(PAPER, metric="l1"),
    dataclasses.replace(RELEASED, metric="l1", patch_size=1),
]


def frames(height: int, width: int, pairs: int = 2) -> tuple[torch.Tensor, torch.Tensor]:
    """Frames with many equally distant candidates: whole numbers, few of them."""
    generator = torch.Generator().manual_seed(height)
    lab = torch.randint(0, 3, (2, pairs, 3, height, width), generator=generator).float()
    lab[..., : width // 2] += torch.rand(2, pairs, 3, height, width // 2, generator=generator)
    return lab[0], lab[1]


@pytest.mark.parametrize("config", CONFIGS)
@pytest.mark.parametrize("size", [(17, 23), (1, 9), (9, 1), (1, 1), (4, 30)])
def test_cpu_is_the_plain_one_to_the_bit(config: TemporalKNNConfig, size: tuple[int, int]) -> None:
    source, target = frames(*size)
    expected = nearest_plain(source, target, config)
    found = nearest_cpu(source, target, config)
    assert torch.equal(found[0], expected[0])
    assert torch.equal(found[1], expected[1])
    assert (found[0].dtype, found[1].dtype) == (torch.long, torch.float32)


def test_cpu_takes_frames_that_are_not_contiguous() -> None:
    source, target = frames(20, 12)
    expected = nearest_plain(source.mT, target.mT, PAPER)
    found = nearest_cpu(source.mT, target.mT, PAPER)
    assert torch.equal(found[0], expected[0])


@pytest.mark.parametrize(
    ("metric", "asked"), [("l2", "nearest_cpu"), ("l1", "nearest_cpu"), ("ncc", "nearest_plain")]
)
def test_who_searches_on_a_cpu(metric: str, asked: str, monkeypatch: pytest.MonkeyPatch) -> None:
    called = []
    for name in ("nearest_cpu", "nearest_plain"):
        monkeypatch.setattr(chosen, name, lambda *_, name=name: called.append(name))
    chosen.nearest(*frames(4, 5), dataclasses.replace(PAPER, metric=metric))
    assert called == [asked]


def test_the_gpu_kernel_is_asked_for_l2_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(chosen, "fused_on", lambda _: asked.append(1))
    for metric in ("l1", "ncc", "l2"):
        chosen.nearest(*frames(4, 5), dataclasses.replace(PAPER, metric=metric))
    assert asked == [1]


@pytest.mark.parametrize("count", module._SORT)
def test_sorting_networks_sort(count: int) -> None:
    for keys in itertools.product(range(count), repeat=count):
        assert run(module._SORT[count], list(keys)) == sorted(keys)


@pytest.mark.parametrize("count", [*range(1, 18), 33, 81])
def test_bitonic_networks_sort_what_rises_and_falls(count: int) -> None:
    network = module._bitonic(count)
    # zeros and ones suffice (Knuth, volume 3, 5.3.4, theorem Z)
    for first in range(count + 1):
        for last in range(first, count + 1):
            keys = [0] * first + [1] * (last - first) + [0] * (count - last)
            assert run(network, keys) == sorted(keys)


def run(network: tuple[tuple[int, int], ...], keys: list[int]) -> list[int]:
    for i, j in network:
        keys[i], keys[j] = min(keys[i], keys[j]), max(keys[i], keys[j])
    return keys
