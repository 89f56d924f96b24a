"""The GPU kernels against the plain versions: on a GPU, or in Triton's interpreter without one."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace

import pytest
import torch

from maskfree.config import TemporalKNNConfig
from maskfree.correspondence import match_clip
from maskfree.kernels import fused, nearest
from maskfree.kernels.nearest_plain import nearest_plain
from maskfree.losses import agreement as plain
from maskfree.losses import temporal_knn_loss
from maskfree.losses.agreement import Pairs, agreement

pytest.importorskip("triton", reason="Triton is not here; .ci/kernels.sh brings it")

PAPER = TemporalKNNConfig.paper()
RELEASED = TemporalKNNConfig.released()
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")


@pytest.fixture(scope="module")
def kernels() -> SimpleNamespace:
    """Both kernels."""
    from maskfree.kernels.agreement_triton import sum_pairs_triton
    from maskfree.kernels.nearest_triton import nearest_triton

    return SimpleNamespace(nearest=nearest_triton, sum_pairs=sum_pairs_triton)


def frames(height: int, width: int, pairs: int = 2) -> tuple[torch.Tensor, torch.Tensor]:
    """Lab frames of which one half has many equally distant candidates."""
    generator = torch.Generator().manual_seed(height)
    lab = torch.randint(0, 3, (2, pairs, 3, height, width), generator=generator).float()
    lab[..., : width // 2] += torch.rand(2, pairs, 3, height, width // 2, generator=generator)
    source, target = lab.to(DEVICE)
    return source, target


@pytest.mark.parametrize(
    "config",
    [
        dataclasses.replace(PAPER, search_radius=3),
        dataclasses.replace(PAPER, search_radius=2, num_neighbors=1, patch_size=1),
        dataclasses.replace(PAPER, search_radius=1, num_neighbors=12),
        dataclasses.replace(PAPER, search_radius=1, patch_size=5, outside_counts=True),
        RELEASED,
    ],
)
@pytest.mark.parametrize("size", [(11, 13), (1, 3)])
def test_nearest(
    kernels: SimpleNamespace, config: TemporalKNNConfig, size: tuple[int, int]
) -> None:
    source, target = frames(*size)
    index, distance = nearest_plain(source, target, config)
    found = kernels.nearest(source, target, config)
    torch.testing.assert_close(found[1], distance, rtol=1e-6, atol=1e-6)
    if DEVICE.type == "cpu":  # a GPU fuses products and sums: candidates may change places
        assert torch.equal(found[0], index)
    assert (found[0].dtype, found[1].dtype) == (torch.long, torch.float32)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_nearest_reads_half_precision_and_sums_in_float32(
    kernels: SimpleNamespace, dtype: torch.dtype
) -> None:
    config = dataclasses.replace(PAPER, search_radius=2)
    source, target = (30 * frame.to(dtype) for frame in frames(8, 9))
    _, distance = nearest_plain(source.float(), target.float(), config)
    found = kernels.nearest(source, target, config)[1]
    torch.testing.assert_close(found, distance, rtol=1e-6, atol=1e-6)


def random_pairs(places: int, count: int, each: bool, shared: bool) -> Pairs:
    generator = torch.Generator().manual_seed(count)
    first, second = torch.randint(places, (2, count), generator=generator).to(DEVICE)
    weight = torch.rand(count if each else (), generator=generator).to(DEVICE)
    return Pairs(first, second, weight, shared)


@pytest.mark.parametrize("each", [True, False])
@pytest.mark.parametrize("shared", [True, False])
def test_agreement(kernels: SimpleNamespace, each: bool, shared: bool) -> None:
    logits = torch.randn(3, 2, 5, 6, generator=torch.Generator().manual_seed(0)) * 6
    logits[0, 0, 0, :4] = torch.tensor([200.0, -300.0, 0.0, 90.0])
    logits = logits.to(DEVICE)
    places = logits[0].numel() if shared else logits.numel()
    lists = [random_pairs(places, count, each, shared) for count in (700, 5, 0)]
    total, gradient = plain.sum_pairs_plain(logits, lists, gradient=True)
    found = kernels.sum_pairs(logits, lists, gradient=True)
    torch.testing.assert_close(found[0], total, rtol=1e-5, atol=0)
    torch.testing.assert_close(found[1], gradient, rtol=1e-5, atol=1e-5)
    assert gradient is not None
    assert gradient.abs().sum() > 1
    alone = kernels.sum_pairs(logits, lists, gradient=False)
    torch.testing.assert_close(alone[0], total, rtol=1e-5, atol=0)
    assert alone[1] is None


def test_agreement_of_nothing(kernels: SimpleNamespace) -> None:
    lists = [random_pairs(8, 3, False, True)]
    total, gradient = kernels.sum_pairs(
        torch.zeros(0, 2, 2, 2, device=DEVICE), lists, gradient=True
    )
    assert total.item() == 0
    assert gradient.shape == (0, 2, 2, 2)


@pytest.fixture
def switched_on(kernels: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (nearest, plain):
        monkeypatch.setattr(module, "fused_on", lambda device: True)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_the_loss_is_the_same_through_the_kernels(
    dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    lab = torch.cat(frames(6, 7, 1))
    logits = torch.randn(2, 2, 6, 7, generator=torch.Generator().manual_seed(0)) * 3
    config = dataclasses.replace(PAPER, search_radius=2)
    given = logits.to(DEVICE, dtype).requires_grad_()

    def run() -> tuple[torch.Tensor, torch.Tensor]:
        value = temporal_knn_loss(given, lab, config=config)
        assert value.dtype == torch.float32
        return value.detach(), torch.autograd.grad(3 * value, given)[0]

    monkeypatch.setattr(nearest, "fused_on", lambda device: False)
    monkeypatch.setattr(plain, "fused_on", lambda device: False)
    expected = run()
    request.getfixturevalue("switched_on")
    value, gradient = run()
    assert gradient.dtype == dtype
    tolerance = 1e-5 if dtype == torch.float32 else 1e-2
    torch.testing.assert_close(value, expected[0], rtol=1e-5, atol=0)
    torch.testing.assert_close(gradient, expected[1], rtol=tolerance, atol=tolerance)


@pytest.mark.usefixtures("switched_on")
def test_double_precision_stays_with_the_plain_term() -> None:
    logits = torch.randn(1, 1, 2, 3, dtype=torch.float64, device=DEVICE, requires_grad=True)
    pairs = random_pairs(6, 9, False, False)
    assert torch.autograd.gradcheck(lambda x: agreement(x, [pairs]), logits)


@pytest.mark.usefixtures("kernels")
def test_the_trial_runs_both_kernels() -> None:
    fused._try(DEVICE)


@pytest.mark.usefixtures("switched_on")
def test_match_clip_goes_through_the_kernel(
    kernels: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def counted(*args: object) -> object:
        calls.append(args)
        return kernels.nearest(*args)

    monkeypatch.setattr("maskfree.kernels.nearest_triton.nearest_triton", counted)
    match_clip(torch.cat(frames(4, 5, 1)), config=dataclasses.replace(PAPER, search_radius=1))
    assert len(calls) == 1
