from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
from transformers.models.mask2former import modeling_mask2former

from maskfree.kernels import deformable
from maskfree.model.build import build_model

if TYPE_CHECKING:
    from maskfree.config import ModelConfig

SHAPES = [(4, 6), (2, 3)]


class Extension:
    """A stand-in with the compiled extension's two functions, by plain torch."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, int]] = []

    def ms_deform_attn_forward(self, value: Any, shapes: Any, starts: Any, *rest: Any) -> Any:
        *places, step = rest
        assert starts.tolist() == [0, 24]
        assert all(
            each.is_contiguous() and each.dtype == torch.float32 for each in (value, *places)
        )
        self.calls.append(("forward", step))
        return deformable._plain(value, [tuple(s) for s in shapes.tolist()], *places)

    def ms_deform_attn_backward(self, value: Any, shapes: Any, starts: Any, *rest: Any) -> Any:
        *places, upstream, step = rest
        self.calls.append(("backward", step))
        leaves = [each.detach().requires_grad_() for each in (value, *places)]
        with torch.enable_grad():
            out = deformable._plain(leaves[0], [tuple(s) for s in shapes.tolist()], *leaves[1:])
        return torch.autograd.grad(out, leaves, upstream)


def inputs() -> list[torch.Tensor]:
    torch.manual_seed(0)
    weights = torch.rand(6, 5, 2, 2, 3).flatten(3).softmax(-1).view(6, 5, 2, 2, 3)
    return [torch.randn(6, 30, 2, 4), torch.rand(6, 5, 2, 2, 3, 2), weights]


def gradients(call: Any) -> tuple[torch.Tensor, ...]:
    leaves = [each.requires_grad_() for each in inputs()]
    out = call(*leaves)
    return out, *torch.autograd.grad(out.square().sum(), leaves)


def test_a_compiled_kernel_computes_the_same_forward_and_backward() -> None:
    kernel = Extension()
    shapes = torch.tensor(SHAPES)
    plain = gradients(lambda v, p, w: deformable._plain(v, SHAPES, p, w))
    compiled = gradients(lambda v, p, w: deformable._Compiled.apply(v, shapes, p, w, kernel))
    for ours, theirs in zip(compiled, plain, strict=True):
        torch.testing.assert_close(ours, theirs)
    assert kernel.calls == [("forward", 6), ("backward", 6)]


@pytest.mark.parametrize(
    ("images", "step"), [(1, 1), (6, 6), (64, 64), (66, 33), (67, 1), (130, 26)]
)
def test_the_kernel_works_on_a_divisor_of_the_images(images: int, step: int) -> None:
    assert deformable._at_once(images) == step


def test_without_cuda_it_is_the_librarys(monkeypatch: pytest.MonkeyPatch) -> None:
    def never() -> None:
        raise AssertionError

    monkeypatch.setattr(deformable, "compiled_kernel", never)
    value, places, weights = inputs()
    found = deformable.deformable_attention(value, SHAPES, places, weights)
    torch.testing.assert_close(found, deformable._plain(value, SHAPES, places, weights))


def test_every_network_goes_through_it(
    monkeypatch: pytest.MonkeyPatch, model_config: ModelConfig
) -> None:
    model = build_model(model_config, num_classes=1, num_queries=1)
    assert modeling_mask2former.multi_scale_deformable_attention is deformable.deformable_attention
    seen: list[int] = []

    def counted(*arguments: Any) -> Any:
        seen.append(1)
        return deformable._plain(*arguments)

    monkeypatch.setattr(modeling_mask2former, "multi_scale_deformable_attention", counted)
    model(torch.rand(1, 2, 3, 64, 64))
    assert len(seen) == model_config.encoder_layers


def test_an_extension_that_cannot_be_loaded_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(name: str) -> None:
        raise OSError(f"{name}: undefined symbol")

    deformable.compiled_kernel.cache_clear()
    monkeypatch.setattr(deformable.importlib, "import_module", broken)
    assert deformable.compiled_kernel() is None
    deformable.compiled_kernel.cache_clear()
