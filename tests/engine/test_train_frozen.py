"""A backbone whose rate is 0 is frozen: no gradient, no optimiser state, nothing moves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch

from maskfree.optimiser import make_optimiser
from maskfree.trainer import Trainer
from training_run import CPU, go, last_run, losses_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from maskfree.config import Config
    from maskfree.session import Session


@pytest.fixture
def frozen(small_config: Config, settings_of: Callable[..., Config]) -> Config:
    return settings_of(small_config, "optimiser", backbone_multiplier=0.0)


def test_a_frozen_backbone_has_no_gradient_and_no_state(
    small_session: Session, frozen: Config
) -> None:
    with small_session.open_video() as video:
        trainer = Trainer(video, small_session.boxes, frozen, device=CPU, seed=0)
        encoder = trainer.model.model.pixel_level_module.encoder
        before = [p.clone() for p in encoder.parameters()]
        trainer.step(0)
    assert before
    for parameter, old in zip(encoder.parameters(), before, strict=True):
        assert parameter.grad is None
        assert torch.equal(parameter, old)
    state = trainer._optimiser.state_dict()
    rest = [p for p in trainer.model.parameters() if p.requires_grad]
    assert len(state["param_groups"]) == 1
    assert len(state["param_groups"][0]["params"]) == len(rest)
    assert len(rest) + len(before) == len(list(trainer.model.parameters()))


def test_an_optimiser_made_anew_thaws_it(small_session: Session, frozen: Config) -> None:
    with small_session.open_video() as video:
        trainer = Trainer(video, small_session.boxes, frozen, device=CPU, seed=0)
    made = make_optimiser(trainer.model, frozen.optimiser, backbone_multiplier=0.5)
    assert [group["multiplier"] for group in made.param_groups] == [1.0, 0.5]
    assert all(p.requires_grad for p in trainer.model.parameters())


def test_a_frozen_run_is_resumed_as_if_never_stopped(
    small_session: Session, frozen: Config
) -> None:
    list(go(small_session, frozen))
    whole = losses_of(last_run(small_session))
    steps = go(small_session, frozen)
    next(steps)
    steps.close()
    list(go(small_session, frozen, resume=True))
    assert losses_of(last_run(small_session)) == whole


def test_a_state_in_which_the_backbone_learnt_can_be_resumed(
    small_session: Session, small_config: Config, frozen: Config
) -> None:
    """As of a run that found no pretrained weights, or of an older version."""
    steps = go(small_session, small_config)
    next(steps)
    steps.close()
    with small_session.open_video() as video:
        trainer = Trainer(video, small_session.boxes, frozen, device=CPU, seed=0, resumed=True)
        assert trainer.restore(last_run(small_session).state_path) == 1
        assert [g["multiplier"] for g in trainer._optimiser.param_groups] == [1.0, 1.0]
        encoder = trainer.model.model.pixel_level_module.encoder
        before = [p.clone() for p in encoder.parameters()]
        trainer.step(1)
    moved = zip(encoder.parameters(), before, strict=True)
    assert any(not torch.equal(new, old) for new, old in moved)
