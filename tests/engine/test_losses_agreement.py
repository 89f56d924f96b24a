"""The term that the pairwise and the temporal loss share, over lists of pairs."""

from __future__ import annotations

import math

import pytest
import torch

from maskfree.losses import agreement as module
from maskfree.losses.agreement import Pairs, agreement, true_places


def one_pair(x: float, y: float, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """Value, and derivatives by x and y."""
    logits = torch.tensor([[[[x, y]]]], dtype=dtype, requires_grad=True)
    pairs = Pairs(torch.tensor([0]), torch.tensor([1]), torch.tensor(1.0, dtype=dtype))
    value = agreement(logits, [pairs])
    value.backward()
    assert logits.grad is not None
    return torch.cat([value.detach()[None], logits.grad.flatten()])


def random_pairs(places: int, count: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return (
        torch.randint(places, (count,), generator=generator),
        torch.randint(places, (count,), generator=generator),
    )


def test_value_by_hand() -> None:
    # p = q = 1/2: -log(1/4 + 1/4); p = 3/4, q = 1/4: -log(3/16 + 3/16)
    assert one_pair(0.0, 0.0)[0].item() == pytest.approx(math.log(2))
    assert one_pair(math.log(3), -math.log(3))[0].item() == pytest.approx(math.log(8 / 3))
    # p = q = 3/4: -log(10/16); by x: 3/4 - 9/10
    value = one_pair(math.log(3), math.log(3)).tolist()
    assert value == pytest.approx([math.log(16 / 10), 0.75 - 0.9, 0.75 - 0.9])


@pytest.mark.parametrize("x", [-30.0, -8.0, -0.3, 0.0, 2.0, 9.0, 25.0])
@pytest.mark.parametrize("y", [-25.0, -3.0, 0.0, 0.1, 7.0, 30.0])
def test_formula(x: float, y: float) -> None:
    p, q = 1 / (1 + math.exp(-x)), 1 / (1 + math.exp(-y))
    not_p, not_q = 1 / (1 + math.exp(x)), 1 / (1 + math.exp(y))
    value = -math.log(p * q + not_p * not_q)
    assert one_pair(x, y, torch.float64)[0].item() == pytest.approx(value, rel=1e-9, abs=1e-12)
    assert one_pair(x, y)[0].item() == pytest.approx(value, rel=1e-6, abs=5e-7)


@pytest.mark.parametrize(
    ("x", "y", "expected"),
    [
        (200.0, 300.0, [0.0, 0.0, 0.0]),
        (-200.0, -300.0, [0.0, 0.0, 0.0]),
        (200.0, -300.0, [200.0, 1.0, 0.0]),
        (-1e4, 1e4, [1e4 - math.log(2), -0.5, 0.5]),
        (1e4, 0.0, [math.log(2), 0.0, -0.5]),
    ],
)
def test_saturated_logits(x: float, y: float, expected: list[float]) -> None:
    assert one_pair(x, y).tolist() == pytest.approx(expected, rel=1e-6, abs=1e-6)


def test_weights_and_repeated_places() -> None:
    logits = torch.randn(
        1, 2, 3, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0)
    )
    first, second = torch.tensor([0, 5, 5, 7]), torch.tensor([5, 0, 5, 23])
    weight = torch.tensor([1.0, 2.0, 0.5, 3.0], dtype=torch.float64)
    p = logits.flatten().sigmoid()
    expected = sum(
        -float(w) * math.log(p[i] * p[j] + (1 - p[i]) * (1 - p[j]))
        for i, j, w in zip(first, second, weight, strict=True)
    )
    assert agreement(logits, [Pairs(first, second, weight)]).item() == pytest.approx(expected)
    both = [Pairs(first[:2], second[:2], weight[:2]), Pairs(first[2:], second[2:], weight[2:])]
    assert agreement(logits, both).item() == pytest.approx(expected)


def test_shared_lists_are_lists_of_every_instance() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(3, 2, 4, 5, dtype=torch.float64, generator=generator, requires_grad=True)
    first, second = random_pairs(40, 60)
    weight = torch.tensor(0.25, dtype=torch.float64)
    shared = agreement(logits, [Pairs(first, second, weight, shared=True)])
    clips = 40 * torch.arange(3)[:, None]
    own = agreement(logits, [Pairs((clips + first).flatten(), (clips + second).flatten(), weight)])
    torch.testing.assert_close(shared, own)
    torch.testing.assert_close(
        torch.autograd.grad(shared, logits)[0], torch.autograd.grad(own, logits)[0]
    )


@pytest.mark.parametrize("block", [1, 7, 100])
@pytest.mark.parametrize("shared", [True, False])
def test_blocks_change_nothing(block: int, shared: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(3, 2, 4, 5, dtype=torch.float64, generator=generator, requires_grad=True)
    first, second = random_pairs(40, 30)
    pairs = [Pairs(first, second, torch.rand(30, dtype=torch.float64, generator=generator), shared)]
    whole = agreement(logits, pairs)
    monkeypatch.setattr(module, "_BLOCK", block)
    parts = agreement(logits, pairs)
    torch.testing.assert_close(parts, whole)
    torch.testing.assert_close(
        torch.autograd.grad(parts, logits)[0], torch.autograd.grad(whole, logits)[0]
    )


@pytest.mark.parametrize("shared", [True, False])
def test_gradcheck(shared: bool) -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 2, 3, 4, dtype=torch.float64, generator=generator) * 4
    first, second = random_pairs(24, 20)
    weight = torch.rand(20, dtype=torch.float64, generator=generator)
    pairs = [Pairs(first, second, weight, shared)]
    assert torch.autograd.gradcheck(lambda x: 3 * agreement(x, pairs), logits.requires_grad_())


def test_half_precision_is_summed_in_float32() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(1, 1, 40, 40, generator=generator).bfloat16().requires_grad_()
    first, second = random_pairs(1600, 5000)
    pairs = [Pairs(first, second, torch.tensor(1.0))]
    value = agreement(logits, pairs)
    assert value.dtype == torch.float32
    torch.testing.assert_close(value, agreement(logits.float(), pairs))
    (gradient,) = torch.autograd.grad(value, logits)
    assert gradient.dtype == torch.bfloat16


def test_without_gradient() -> None:
    logits = torch.zeros(1, 1, 1, 2)
    pairs = [Pairs(torch.tensor([0]), torch.tensor([1]), torch.tensor(2.0))]
    assert agreement(logits, pairs).item() == pytest.approx(2 * math.log(2))


@pytest.mark.parametrize("instances", [0, 2])
@pytest.mark.parametrize("shared", [True, False])
def test_nothing_to_agree_on_still_has_a_graph(instances: int, shared: bool) -> None:
    logits = torch.zeros(instances, 2, 3, 4, requires_grad=True)
    nothing = torch.zeros(0, dtype=torch.long)
    for lists in ([], [Pairs(nothing, nothing, torch.tensor(1.0), shared)]):
        value = agreement(logits, lists)
        assert value.item() == 0
        value.backward()
        assert logits.grad is not None
        assert not logits.grad.any()


def test_true_places_are_those_of_nonzero() -> None:
    mask = torch.rand(4, 5, 6, generator=torch.Generator().manual_seed(0)) > 0.5
    assert torch.equal(true_places(mask), mask.flatten().nonzero()[:, 0])
    assert torch.equal(true_places(mask.mT), mask.mT.flatten().nonzero()[:, 0])
    assert true_places(torch.zeros(0, 3, dtype=torch.bool)).shape == (0,)
