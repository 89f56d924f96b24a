from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch

from full_disk import full_disk
from maskfree.errors import InputError
from maskfree.train import finetune
from maskfree.trainer import Trainer
from training_run import CPU, go, last_run

if TYPE_CHECKING:
    from collections.abc import Callable

    from maskfree.config import Config
    from maskfree.session import Session


# failing


def test_a_failing_step_is_logged_and_raised(
    monkeypatch: pytest.MonkeyPatch, small_session: Session, small_config: Config
) -> None:
    real = Trainer.step

    def fails(self: Trainer, index: int) -> dict[str, float]:
        if index == 3:
            raise RuntimeError("the loss is nan")
        return real(self, index)

    monkeypatch.setattr(Trainer, "step", fails)
    with pytest.raises(RuntimeError, match="the loss is nan"):
        list(go(small_session, small_config))
    run = last_run(small_session)
    assert run.records()[-1] == {"status": "failed", "step": 3, "message": "the loss is nan"}
    assert run.has_checkpoint  # that of step 2


@pytest.mark.parametrize("after", [1, 2])
def test_a_full_disk_ends_the_run_as_failed_and_leaves_no_half_file(
    monkeypatch: pytest.MonkeyPatch, small_session: Session, small_config: Config, after: int
) -> None:
    # after step 1 only the save at the end is left, after step 2 a checkpoint is due
    steps = go(small_session, small_config)
    for _ in range(after):
        next(steps)
    full_disk(monkeypatch)
    last_run(small_session).request_stop()
    with pytest.raises(InputError, match="The disk is full"):
        list(steps)
    monkeypatch.undo()
    run = last_run(small_session)
    end = run.records()[-1]
    assert (end["status"], end["step"]) == ("failed", after)
    assert end["message"].startswith("The disk is full")
    left = {p.name for p in run.path.iterdir()}
    assert left == {"config.json", "metrics.jsonl", "stop", "taught.sha256", "told.json"}


def test_the_state_is_written_whole_or_not_at_all(
    monkeypatch: pytest.MonkeyPatch, small_session: Session, small_config: Config
) -> None:
    steps = go(small_session, small_config)
    next(steps), next(steps), next(steps)  # a checkpoint after two steps
    run = last_run(small_session)
    before = run.state_path.read_bytes()
    full_disk(monkeypatch)
    run.request_stop()
    with pytest.raises(InputError, match="The disk is full"):
        list(steps)
    assert run.state_path.read_bytes() == before
    assert not [p for p in run.path.iterdir() if p.name.startswith(".") or p.suffix == ".part"]


def test_a_loss_that_is_not_finite_says_what_to_do(
    small_session: Session, small_config: Config
) -> None:
    with small_session.open_video() as video:
        trainer = Trainer(video, small_session.boxes, small_config, device=CPU, seed=0)
        trainer.step(0)
        with torch.no_grad():
            trainer.model.class_predictor.weight.fill_(torch.nan)
        with pytest.raises(InputError) as caught:
            trainer.step(1)
    assert str(caught.value) == (
        "The loss is nan at step 2. Lower optimiser.learning_rate (now 0.001) or try another "
        "--seed."
    )


@pytest.mark.parametrize("mode", ["tube", "frame"])
def test_matching_does_not_hide_that_the_loss_is_not_finite(
    small_session: Session, small_config: Config, settings_of: Callable[..., Config], mode: str
) -> None:
    config = settings_of(small_config, "matching", mode=mode)
    with small_session.open_video() as video:
        trainer = Trainer(video, small_session.boxes, config, device=CPU, seed=0)
        with torch.no_grad():
            trainer.model.class_predictor.weight.fill_(torch.nan)
        with pytest.raises(InputError, match="The loss is nan at step 1"):
            trainer.step(0)


# refused before a run is made


def test_a_device_that_is_not_there_is_refused_before_a_run_is_made(
    monkeypatch: pytest.MonkeyPatch, small_session: Session, small_config: Config
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(InputError, match="--device cuda was asked for"):
        list(finetune(small_session, small_config, device="cuda"))
    assert small_session.runs() == []


@pytest.mark.parametrize("seed", [-1, 2**63])
def test_a_seed_that_is_none_is_refused_before_a_run_is_made(
    small_session: Session, small_config: Config, seed: int
) -> None:
    with pytest.raises(InputError) as caught:
        list(go(small_session, small_config, seed=seed))
    assert str(caught.value) == (
        f"seed must be a whole number from 0 to 9223372036854775807, got {seed}."
    )
    assert small_session.runs() == []


def test_the_largest_seed_will_do(small_session: Session, small_config: Config) -> None:
    steps = go(small_session, small_config, seed=2**63 - 1)
    assert next(steps).step == 1
    steps.close()  # type: ignore[attr-defined]
