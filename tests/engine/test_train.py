from __future__ import annotations

import dataclasses
import math
import os
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from maskfree.model.checkpoint import load_model, read_tensors
from maskfree.presets import preset
from maskfree.trainer import Trainer
from training_run import CPU, go, last_run, losses_of, same

if TYPE_CHECKING:
    from collections.abc import Callable

    from maskfree.config import Config
    from maskfree.session import Run, Session


# a run from its start to its end


def test_a_run_leaves_a_checkpoint_and_a_log(small_session: Session, small_config: Config) -> None:
    progress = list(go(small_session, small_config, seed=3))
    assert [(p.step, p.steps) for p in progress] == [(k, 4) for k in (1, 2, 3, 4)]
    assert progress[-1].seconds_left == 0
    run = last_run(small_session)
    first, *looks_and_steps, end = run.records()
    middle = [record for record in looks_and_steps if "preparing" not in record]
    assert first == {"status": "running", "pid": os.getpid()}
    assert middle.pop(0) == {"device": "cpu"}
    assert [r["step"] for r in middle] == [1, 2, 3, 4]
    assert set(middle[0]) == {"step", "steps", "losses", "seconds_left"}
    assert [p.losses for p in progress] == losses_of(run)
    assert progress[0].total == pytest.approx(sum(progress[0].losses.values()))
    assert all(math.isfinite(v) for losses in losses_of(run) for v in losses.values())
    assert end == {"status": "done", "step": 4, "message": ""}
    assert (run.status, run.steps_done, run.seed) == ("done", 4, 3)
    model, config, classes, ids = load_model(run.weights_path, CPU)
    assert (config, classes, ids) == (small_config, ["blob", "star"], [1, 2])
    assert model.config.num_queries == 4
    assert {p.name for p in run.path.iterdir()} == {
        "boxes.npz",
        "config.json",
        "consensus.npz",
        "metrics.jsonl",
        "told.json",
        "model.json",
        "model.safetensors",
        "taught.sha256",
    }


def test_the_loss_falls(
    small_session: Session, small_config: Config, settings_of: Callable[..., Config]
) -> None:
    config = settings_of(
        small_config, "optimiser", steps=30, learning_rate=3e-3, checkpoint_every=100
    )
    totals = [p.total for p in go(small_session, config)]
    assert np.mean(totals[-5:]) < 0.7 * np.mean(totals[:5])


def test_one_seed_gives_one_result_and_another_another(
    small_session: Session, small_config: Config
) -> None:
    for seed in (5, 5, 6):
        assert len(list(go(small_session, small_config, seed=seed))) == 4
    first, second, third = small_session.runs()
    assert losses_of(first) == losses_of(second)
    assert same(read_tensors(first.weights_path), read_tensors(second.weights_path))
    assert losses_of(first)[0] != losses_of(third)[0]
    assert not same(read_tensors(first.weights_path), read_tensors(third.weights_path))


def test_what_happened_before_does_not_change_a_run(
    small_session: Session, small_config: Config
) -> None:
    list(go(small_session, small_config, seed=5))
    torch.manual_seed(77)
    np.random.default_rng(1).random(9)
    torch.rand(13)
    list(go(small_session, small_config, seed=5))
    first, second = small_session.runs()
    assert same(read_tensors(first.weights_path), read_tensors(second.weights_path))


@pytest.mark.parametrize("name", ["paper", "released", "boxinst"])
def test_the_published_recipes_run(small_session: Session, small_config: Config, name: str) -> None:
    recipe = preset(name)
    kept = {
        f: getattr(small_config, f)
        for f in ("model", "sampling", "optimiser", "augment", "predict")
    }
    config = dataclasses.replace(recipe, **kept)
    for progress in go(small_session, config):
        assert set(progress.losses) <= {"class", "projection", "pairwise", "temporal"}
    assert load_model(last_run(small_session).weights_path, CPU)[3] == []  # no query is bound


def test_checkpoints_are_as_far_apart_as_set_and_the_last_is_not_written_twice(
    monkeypatch: pytest.MonkeyPatch, small_session: Session, small_config: Config
) -> None:
    saved: list[int] = []
    real = Trainer.save

    def spy(self: Trainer, run: Run, step: int) -> None:
        saved.append(step)
        real(self, run, step)

    monkeypatch.setattr(Trainer, "save", spy)
    list(go(small_session, small_config))
    assert saved == [2, 4]


# stopping


def test_a_request_to_stop_ends_the_run_within_one_step(
    small_session: Session, small_config: Config
) -> None:
    seen = []
    for progress in go(small_session, small_config):
        seen.append(progress.step)
        last_run(small_session).request_stop()
    assert seen == [1]
    run = last_run(small_session)
    assert run.records()[-1] == {"status": "stopped", "step": 1, "message": ""}
    assert run.has_checkpoint


def test_closing_the_generator_keeps_what_was_learnt(
    small_session: Session, small_config: Config
) -> None:
    steps = go(small_session, small_config)
    assert [next(steps).step for _ in range(3)] == [1, 2, 3]
    steps.close()  # type: ignore[attr-defined]
    run = last_run(small_session)
    assert run.records()[-1] == {"status": "stopped", "step": 3, "message": ""}
    kept = read_tensors(run.weights_path)
    # the weights are those after three steps of the same run
    steps = go(small_session, small_config)
    for _ in range(3):
        next(steps)
    steps.close()  # type: ignore[attr-defined]
    assert same(kept, read_tensors(last_run(small_session).weights_path))


def test_a_run_that_is_stopped_before_its_first_step_has_nothing_to_keep(
    monkeypatch: pytest.MonkeyPatch, small_session: Session, small_config: Config
) -> None:
    monkeypatch.setattr("maskfree.run.Run.stop_requested", property(lambda run: True))
    assert list(go(small_session, small_config)) == []
    run = last_run(small_session)
    assert run.records()[-1] == {"status": "stopped", "step": 0, "message": ""}
    assert not run.has_checkpoint
