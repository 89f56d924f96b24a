from __future__ import annotations

import dataclasses

import pytest
from torch import nn

from maskfree.config import ModelConfig, ScheduleConfig
from maskfree.distributed.adamw import make_adamw, rate_at
from maskfree.model.build import build_model
from painted_clips import RECIPE

SCHEDULE = ScheduleConfig(
    learning_rate=1e-4, weight_decay=0.05, backbone_multiplier=0.1, decay_steps=(4, 8)
)


def network(**changes: object) -> object:
    config = dataclasses.replace(RECIPE.model, **changes)  # type: ignore[arg-type]
    return build_model(config, num_classes=2, num_queries=1)


def rules(model: object, schedule: ScheduleConfig) -> dict[str, tuple[float, float]]:
    """Multiplier and weight decay of every parameter that learns, by its name."""
    names = {id(p): name for name, p in model.named_parameters()}  # type: ignore[attr-defined]
    groups = make_adamw(model, schedule).param_groups  # type: ignore[arg-type]
    return {
        names[id(p)]: (group["multiplier"], group["weight_decay"])
        for group in groups
        for p in group["params"]
    }


def test_every_parameter_has_the_rule_of_its_kind() -> None:
    model = network(frozen_norms=False)
    found = rules(model, SCHEDULE)
    assert set(found) == {name for name, _ in model.named_parameters()}  # type: ignore[attr-defined]
    backbone = "model.pixel_level_module.encoder."
    norms = (nn.LayerNorm, nn.GroupNorm, nn.BatchNorm2d, nn.Embedding)
    for name, module in model.named_modules():  # type: ignore[attr-defined]
        for own, _ in module.named_parameters(recurse=False):
            full = f"{name}.{own}"
            decay = 0.0 if isinstance(module, norms) else 0.05
            assert found[full] == (0.1 if full.startswith(backbone) else 1.0, decay), full


def test_tables_of_relative_positions_do_not_decay() -> None:
    swin = ModelConfig(
        backbone="swin",
        backbone_sizes=(32, 64, 128, 256),
        backbone_depths=(1, 1, 1, 1),
        backbone_heads=(1, 2, 4, 8),
        backbone_window=4,
    )
    found = rules(build_model(swin, num_classes=2, num_queries=1), SCHEDULE)
    tables = {name: rule for name, rule in found.items() if name.endswith("bias_table")}
    assert tables
    assert set(tables.values()) == {(0.1, 0.0)}


def test_frozen_norms_and_a_frozen_backbone_do_not_learn() -> None:
    found = rules(network(), SCHEDULE)
    assert not [name for name in found if ".encoder." in name and "normalization" in name]
    still = rules(network(), dataclasses.replace(SCHEDULE, backbone_multiplier=0.0))
    assert not [name for name in still if name.startswith("model.pixel_level_module.encoder.")]
    assert len(still) > 20


def test_the_rate_falls_after_each_decay_step() -> None:
    rates = [rate_at(step, dataclasses.replace(SCHEDULE, warmup_steps=0)) for step in range(10)]
    assert rates == pytest.approx([1e-4] * 4 + [1e-5] * 4 + [1e-6] * 2)


def test_the_rate_warms_up_from_its_first_part() -> None:
    warming = dataclasses.replace(SCHEDULE, warmup_steps=4, warmup_factor=0.2, decay_steps=(100,))
    rates = [rate_at(step, warming) for step in range(6)]
    assert rates == pytest.approx([2e-5, 4e-5, 6e-5, 8e-5, 1e-4, 1e-4])
    # Mask2Former's factor of 1 makes its ten steps of warm-up none
    assert rate_at(0, SCHEDULE) == pytest.approx(1e-4)
