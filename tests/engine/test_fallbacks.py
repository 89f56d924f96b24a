"""What makes a run smaller: each on its own, worked out by hand."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import pytest

from maskfree.config import Config, PreflightConfig
from maskfree.errors import InputError
from maskfree.fallbacks import FALLBACKS, Plan, check_order, made_to_fit
from maskfree.presets import preset
from maskfree.settings import changes, override

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT = PreflightConfig()
LONG = override(Config(), {"sampling.clip_length": 3})


def tried(
    name: str,
    values: Mapping[str, Any] | None = None,
    *,
    config: Config | None = None,
    device: str = "cuda",
    settings: PreflightConfig = DEFAULT,
) -> tuple[tuple[str, ...], str] | None:
    """Return what a fallback changes, and the device then."""
    given = override(config or LONG, values or {})
    made = FALLBACKS[name].apply(Plan(given, device), settings)
    return None if made is None else (changes(given, made.config), made.device)


def test_mixed_precision_is_for_cuda_where_it_is_off() -> None:
    off = {"optimiser.amp": False}
    assert tried("amp", off) == (("optimiser.amp=true",), "cuda")
    assert tried("amp") is None, "it is on already"
    assert tried("amp", off, device="cpu") is None
    assert tried("amp", off, device="mps") is None


def test_a_shorter_clip_in_training_and_in_prediction() -> None:
    short = ("sampling.clip_length=2", "predict.clip_length=3")
    assert tried("clip") == (short, "cuda")
    assert tried("clip", {"sampling.clip_length": 2}) == (short[1:], "cuda")
    assert tried("clip", {"sampling.clip_length": 1, "predict.clip_length": 3}) is None
    least = PreflightConfig(least_clip=1, least_predict_clip=4)
    assert tried("clip", settings=least) == (
        ("sampling.clip_length=1", "predict.clip_length=4"),
        "cuda",
    )


def test_a_smaller_frame_has_half_the_area() -> None:
    assert tried("frame", {"sampling.frame_area": 100_000}) == (
        ("sampling.frame_area=50000", "sampling.max_frame_area=524288"),
        "cuda",
    )
    nearly = {"sampling.frame_area": 20_000, "sampling.max_frame_area": 20_000}
    assert tried("frame", nearly) == (
        ("sampling.frame_area=16384", "sampling.max_frame_area=16384"),
        "cuda",
    )
    assert tried("frame", {"sampling.frame_area": 16384}) is None
    assert tried("frame", {"sampling.frame_area": 4096}) is None, "it never becomes larger"


def test_a_backbone_is_frozen_where_it_has_learnt_before() -> None:
    frozen = (("optimiser.backbone_multiplier=0.0",), "cuda")
    assert tried("freeze", config=preset("resnet18")) == frozen
    assert tried("freeze", config=preset("tiny")) is None, "fresh weights would never learn"
    assert tried("freeze", config=preset("swin-l")) == frozen, "the whole network's weights"
    known = preset("resnet18")
    assert tried("freeze", {"optimiser.backbone_multiplier": 0.0}, config=known) is None


def test_the_cpu_comes_last_and_once() -> None:
    assert tried("cpu") == ((), "cpu")
    assert tried("cpu", device="mps") == ((), "cpu")
    assert tried("cpu", device="cpu") is None


def test_the_default_order_is_all_of_them() -> None:
    assert DEFAULT.order == ("amp", "clip", "frame", "freeze", "cpu") == tuple(FALLBACKS)
    assert check_order(["cpu", "clip"]) == ("cpu", "clip")
    assert check_order([]) == ()


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        (
            ["clips"],
            'There is no fallback "clips". Choose of amp, clip, frame, freeze, cpu. '
            'Did you mean "clip"?',
        ),
        (["amp", "amp"], "Each fallback is tried once, got amp,amp."),
    ],
)
def test_a_wrong_order_is_refused(order: list[str], expected: str) -> None:
    with pytest.raises(InputError) as caught:
        check_order(order)
    assert str(caught.value) == expected


def test_what_is_changed_can_be_set_again() -> None:
    before = Config()
    after = dataclasses.replace(before, model=dataclasses.replace(before.model, num_heads=2))
    after = override(after, {"model.backbone_sizes": "8,8,8,8", "optimiser.amp": "no"})
    words = changes(before, after)
    assert words == ("model.backbone_sizes=8,8,8,8", "model.num_heads=2", "optimiser.amp=false")
    assert override(before, dict(word.split("=") for word in words)) == after
    assert changes(before, before) == ()


def test_what_made_a_run_fit_is_told_from_other_settings() -> None:
    """A session that is opened again shows it of its newest run; older defaults were larger."""
    usual = override(LONG, {"optimiser.amp": False, "model.weights": "r50.pth"})
    plan = Plan(usual, "cuda")
    for name, fallback in FALLBACKS.items():
        made = fallback.apply(plan, DEFAULT)
        assert made is not None
        assert made_to_fit(made.config, usual) == changes(usual, made.config), name
        assert made_to_fit(usual, made.config) == ()
    other = {"temporal.weight": 3, "sampling.clip_length": 5, "optimiser.steps": 9}
    assert made_to_fit(override(usual, other), usual) == ()
