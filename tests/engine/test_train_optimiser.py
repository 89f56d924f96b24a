from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pytest
import torch

from maskfree.config import Config, OptimiserConfig
from maskfree.model.checkpoint import read_tensors
from maskfree.optimiser import learning_rate
from maskfree.train import finetune
from maskfree.trainer import Trainer
from training_run import CPU

if TYPE_CHECKING:
    from collections.abc import Callable

    from maskfree.session import Session


# the schedule


def test_one_cycle_by_hand() -> None:
    config = OptimiserConfig(steps=10, learning_rate=2.0 / 10, warmup=0.2, schedule="one-cycle")
    rates = [learning_rate(step, config) for step in range(10)]
    assert rates[:3] == pytest.approx([0.1, 0.2, 0.2])
    falling = [0.1 * (1 + math.cos(math.pi * k / 8)) for k in range(8)]
    assert rates[2:] == pytest.approx(falling)


@pytest.mark.parametrize("steps", [1, 2, 3, 15, 25, 37, 300])
@pytest.mark.parametrize("warmup", [0.0, 0.1, 0.15, 0.9])
def test_the_rate_never_passes_its_peak_and_reaches_it(steps: int, warmup: float) -> None:
    config = OptimiserConfig(steps=steps, learning_rate=0.5, warmup=warmup)
    rates = [learning_rate(step, config) for step in range(steps)]
    assert 0 < min(rates)
    assert 0.4 < max(rates) <= 0.5
    top = rates.index(max(rates))
    assert rates[: top + 1] == sorted(rates[: top + 1])
    assert rates[top:] == sorted(rates[top:], reverse=True)


def test_a_constant_rate() -> None:
    config = OptimiserConfig(steps=5, learning_rate=0.3, schedule="constant")
    assert {learning_rate(step, config) for step in range(5)} == {0.3}


# a step


def test_the_backbone_learns_at_its_own_rate(
    small_session: Session, small_config: Config, settings_of: Callable[..., Config]
) -> None:
    config = settings_of(
        small_config, "optimiser", backbone_multiplier=0.0, weight_decay=0.0, schedule="constant"
    )
    with small_session.open_video() as video:
        trainer = Trainer(video, small_session.boxes, config, device=CPU, seed=0)
        before = {k: v.clone() for k, v in trainer.model.named_parameters()}
        trainer.step(0)
        for name, parameter in trainer.model.named_parameters():
            backbone = name.startswith("model.pixel_level_module.encoder")
            if backbone:
                assert torch.equal(parameter, before[name]), name
        moved = trainer.model.class_predictor.weight
        assert not torch.equal(moved, before["class_predictor.weight"])


def test_a_step_trains_even_after_a_look_at_predictions(
    small_session: Session, small_config: Config
) -> None:
    with small_session.open_video() as video:
        trainer = Trainer(video, small_session.boxes, small_config, device=CPU, seed=0)
        trainer.model.eval()
        before = {k: v.clone() for k, v in trainer.model.named_buffers() if "running" in k}
        trainer.step(0)
        after = dict(trainer.model.named_buffers())
    assert before
    assert not any(torch.equal(value, after[name]) for name, value in before.items())


def test_gradients_are_clipped_as_a_whole(
    monkeypatch: pytest.MonkeyPatch,
    small_session: Session,
    small_config: Config,
    settings_of: Callable[..., Config],
) -> None:
    norms = []
    real = torch.optim.AdamW.step

    def spy(self: Any, *args: Any, **settings: Any) -> Any:
        grads = [
            p.grad.flatten() for g in self.param_groups for p in g["params"] if p.grad is not None
        ]
        norms.append(float(torch.cat(grads).norm()))
        return real(self, *args, **settings)

    monkeypatch.setattr(torch.optim.AdamW, "step", spy)
    for clip_norm in (0.05, 0.0):
        config = settings_of(small_config, "optimiser", clip_norm=clip_norm)
        with small_session.open_video() as video:
            Trainer(video, small_session.boxes, config, device=CPU, seed=0).step(0)
    assert norms[0] == pytest.approx(0.05, rel=1e-3)
    assert norms[1] > 0.1


def test_norms_are_measured_before_they_are_used(
    small_session: Session, small_config: Config, settings_of: Callable[..., Config]
) -> None:
    measured = settings_of(small_config, "optimiser", norm_clips=3)
    running = settings_of(small_config, "optimiser", norm_clips=0)
    weights = []
    for config in (measured, running):
        list(finetune(small_session, config, device="cpu"))
        run = small_session.latest_run()
        assert run is not None
        weights.append(read_tensors(run.weights_path))
    counts = [w for w in weights[0] if w.endswith("num_batches_tracked")]
    assert counts
    assert {int(weights[0][name]) for name in counts} == {3}
    assert {int(weights[1][name]) for name in counts} == {4}  # as many as steps
    # the norms' statistics alone: training takes those of its own clips
    config = settings_of(small_config, "consensus", teacher_at=1.0)
    for count in (0, 3):
        list(finetune(small_session, settings_of(config, "optimiser", norm_clips=count)))
        run = small_session.latest_run()
        assert run is not None
        weights.append(read_tensors(run.weights_path))
    for name, value in weights[2].items():
        if "running" not in name and "num_batches" not in name:
            assert torch.equal(value, weights[3][name]), name
