from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from maskfree.consensus_memory import ConsensusMemory
from maskfree.network_pass import KeptLogits, network_pass
from maskfree.trainer import Trainer
from maskfree.tube import followed_tube
from training_run import CPU, changed_state, go, last_run

if TYPE_CHECKING:
    from collections.abc import Callable

    from maskfree.config import Config
    from maskfree.session import Session


# the network as its own teacher


@pytest.mark.parametrize(
    ("teacher_at", "steps", "expected"),
    [(0.5, 4, [2]), (0.5, 3, [2]), (0.0, 3, [0]), (0.3, 4, [1]), (0.9, 4, []), (1.0, 3, [])],
)
def test_the_networks_masks_join_in_once_at_their_time(
    monkeypatch: pytest.MonkeyPatch,
    small_session: Session,
    small_config: Config,
    settings_of: Callable[..., Config],
    teacher_at: float,
    steps: int,
    expected: list[int],
) -> None:
    done: list[int] = []
    taught: list[int] = []

    def spy(self: Trainer) -> None:
        taught.append(len(done))

    monkeypatch.setattr(Trainer, "_teach", spy)
    config = settings_of(small_config, "consensus", teacher_at=teacher_at)
    config = settings_of(config, "optimiser", steps=steps)
    for progress in go(small_session, config):
        done.append(progress.step)
    assert taught == expected


def trainer_of(session: Session, config: Config, video: Any) -> Trainer:
    return Trainer(video, session.boxes, config, device=CPU, seed=1)


@pytest.mark.parametrize("mode", ["bound", "tube"])
def test_what_the_network_says_becomes_part_of_the_labels(
    small_session: Session, small_config: Config, settings_of: Callable[..., Config], mode: str
) -> None:
    config = settings_of(small_config, "matching", mode=mode)
    with small_session.open_video() as video:
        trainer = trainer_of(small_session, config, video)
        consensus = trainer._sampler.consensus
        assert consensus is not None
        before = consensus.crop(0, 4)
        trainer.step(0)
        random = trainer._rng.bit_generator.state, torch.get_rng_state()
        trainer._teach()
        after = consensus.crop(0, 4)
        assert before is not None
        assert after is not None
        assert before.values.shape == after.values.shape
        assert not np.array_equal(before.values, after.values)
        # it draws nothing: the run goes on with the same clips
        assert trainer._rng.bit_generator.state == random[0]
        assert torch.equal(torch.get_rng_state(), random[1])
        # what was kept is what the network says now, seen once and not mirrored
        assert trainer._teacher is not None
        kept = trainer._teacher(0, 4, after)
        ids = [1, 2] if mode == "bound" else []
        boxes, slack = tube = followed_tube(video, small_session.boxes, config)
        grids = network_pass(
            video,
            small_session.boxes,
            trainer.model,
            config,
            track_ids=ids,
            device=CPU,
            mirror=False,
            tube=tube,
        )
        fresh = KeptLogits((64, 96))
        for grid in grids:
            fresh.add(grid, boxes[:, grid.frame], slack[:, grid.frame])
        expected = fresh(0, 4, after)
    assert kept is not None
    assert expected is not None
    np.testing.assert_array_equal(kept, expected)


def test_nobody_is_taught_where_nobody_listens(
    small_session: Session, small_config: Config, settings_of: Callable[..., Config]
) -> None:
    config = settings_of(settings_of(small_config, "consensus", refine=False), "evidence", weight=0)
    with small_session.open_video() as video:
        trainer = trainer_of(small_session, config, video)
        trainer._teach()
        assert trainer._teacher is None


def test_the_teacher_looks_at_so_many_clips_and_no_more(
    small_session: Session, small_config: Config, settings_of: Callable[..., Config]
) -> None:
    config = settings_of(small_config, "consensus", teacher_clips=2)
    with small_session.open_video() as video:
        trainer = trainer_of(small_session, config, video)
        trainer._teach()
        assert trainer._teacher is not None
        frames = {t for _, t, *_ in trainer._teacher.state()}
    assert frames == {0, 1, 2, 9, 10, 11}  # the first and the last of its clips of three


@pytest.mark.parametrize(
    ("sections", "labels", "taught", "kept"),
    [
        ({}, True, True, True),
        ({"consensus": {"train": False}}, False, True, True),
        ({"consensus": {"refine": False}}, True, True, False),
        ({"consensus": {"train": False, "refine": False}}, False, False, False),
        ({"evidence": {"weight": 0.0}}, False, True, True),
        ({"evidence": {"seek": False}}, True, True, True),
    ],
)
def test_what_the_consensus_is_for_can_be_switched_off(
    small_session: Session,
    small_config: Config,
    settings_of: Callable[..., Config],
    sections: dict[str, Any],
    labels: bool,
    taught: bool,
    kept: bool,
) -> None:
    config = small_config
    for section, values in sections.items():
        config = settings_of(config, section, **values)
    run = small_session.new_run(config, seed=1)
    with small_session.open_video() as video:
        trainer = trainer_of(small_session, config, video)
        assert (trainer._sampler.consensus is not None) is labels
        assert (trainer._sampler.evidence is not None) is config.evidence.seek
        knows = bool(trainer._consensus.memory([1, 2]).colours)
        assert knows is (labels or config.consensus.refine)
        trainer._teach()
        assert (trainer._teacher is not None) is taught
        trainer.step(0)
        trainer.save(run, 1)
    assert run.memory_path.is_file() is kept
    state = torch.load(run.state_path, weights_only=True)
    assert (state["teacher"] is not None) is taught


def test_the_memory_is_what_the_run_knows_in_the_end(
    small_session: Session, small_config: Config
) -> None:
    steps = go(small_session, small_config, seed=1)
    next(steps), next(steps), next(steps)
    steps.close()  # type: ignore[attr-defined]
    run = last_run(small_session)
    memory = ConsensusMemory.from_file(run.memory_path, small_config.consensus)
    assert memory.fits(12)
    assert set(memory.colours) == {1, 2}
    assert memory.evidence is not None
    assert memory.evidence.shape == (12, 32, 48)
    with small_session.open_video() as video:
        trainer = trainer_of(small_session, small_config, video)
        untaught = trainer._consensus.memory([1, 2])
        assert trainer.restore(run.state_path) == 3
        taught = trainer._consensus.memory([1, 2])
    for i in (1, 2):
        table = memory.colours[i].state()["table"]
        np.testing.assert_array_equal(table, taught.colours[i].state()["table"])
        assert not np.array_equal(table, untaught.colours[i].state()["table"])


@pytest.mark.parametrize("teacher", [[1, 2], [(0, 0, 0, 0, 16, 24, None)], 3])
def test_a_state_with_a_broken_teacher_is_refused(
    small_session: Session, small_config: Config, teacher: Any
) -> None:
    steps = go(small_session, small_config)
    for _ in range(3):
        next(steps)
    steps.close()  # type: ignore[attr-defined]
    path = last_run(small_session).state_path
    torch.save({**torch.load(path, weights_only=True), "teacher": teacher}, path)
    changed_state(small_session, small_config)
