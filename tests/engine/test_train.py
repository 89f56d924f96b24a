from __future__ import annotations

import dataclasses
import errno
import math
import os
import types
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from maskfree import prepare, storage
from maskfree.config import Config, OptimiserConfig
from maskfree.consensus_memory import ConsensusMemory
from maskfree.errors import InputError
from maskfree.model.checkpoint import load_model, read_tensors
from maskfree.network_pass import KeptLogits, network_pass
from maskfree.presets import preset
from maskfree.train import Progress, Trainer, finetune, learning_rate
from maskfree.tube import followed_tube
from maskfree.video import open_video

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from maskfree.session import Run, Session
    from maskfree.types import BoxTracks

CPU = torch.device("cpu")


def go(session: Session, config: Config, **settings: Any) -> Iterator[Progress]:
    return finetune(session, config, device="cpu", **settings)


def last_run(session: Session) -> Run:
    return session.runs()[-1]


def steps_of(run: Run) -> list[dict[str, Any]]:
    return [r for r in run.records() if "losses" in r]


def losses_of(run: Run) -> list[dict[str, float]]:
    return [r["losses"] for r in steps_of(run)]


def same(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(first[k], second[k]) for k in first)


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


# a run from its start to its end


def test_a_run_leaves_a_checkpoint_and_a_log(small_session: Session, small_config: Config) -> None:
    progress = list(go(small_session, small_config, seed=3))
    assert [(p.step, p.steps) for p in progress] == [(k, 4) for k in (1, 2, 3, 4)]
    assert progress[-1].seconds_left == 0
    run = last_run(small_session)
    first, *middle, end = run.records()
    assert first == {"status": "running", "pid": os.getpid(), "device": "cpu"}
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
        "model.json",
        "model.safetensors",
        "state.pt",
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


@pytest.mark.parametrize("name", ["paper", "released"])
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


# resuming


@pytest.mark.parametrize(
    ("after", "mode", "teacher_at"),
    [
        (1, "bound", 0.5),  # stopped before the network's own masks join in
        (2, "tube", 0.5),  # just before
        (3, "bound", 0.5),  # after
        (3, "tube", 0.25),
        (2, "bound", 0.0),
        (2, "bound", 1.0),
    ],
)
def test_a_resumed_run_is_bit_equal_to_an_uninterrupted_one(
    small_session: Session,
    small_config: Config,
    settings_of: Callable[..., Config],
    after: int,
    mode: str,
    teacher_at: float,
) -> None:
    config = settings_of(small_config, "matching", mode=mode, num_points=6)
    config = settings_of(config, "consensus", teacher_at=teacher_at)
    whole = list(go(small_session, config, seed=2))
    steps = go(small_session, config, seed=2)
    for _ in range(after):
        next(steps)
    last_run(small_session).request_stop()
    assert list(steps) == []
    rest = list(go(small_session, preset("tiny"), seed=99, resume=True))  # its own config and seed
    whole_run, parts = small_session.runs()
    assert [p.step for p in rest] == list(range(after + 1, 5))
    assert [p.losses for p in rest] == [p.losses for p in whole[after:]]
    assert losses_of(parts) == losses_of(whole_run)
    assert same(read_tensors(whole_run.weights_path), read_tensors(parts.weights_path))
    assert whole_run.memory_path.read_bytes() == parts.memory_path.read_bytes()
    assert parts.status == "done"
    assert not parts.stop_requested


def test_the_time_left_counts_the_steps_of_this_process_only(
    monkeypatch: pytest.MonkeyPatch, small_session: Session, small_config: Config
) -> None:
    steps = go(small_session, small_config)
    next(steps)
    steps.close()  # type: ignore[attr-defined]
    clock = iter(range(100))
    # the trainer's own clock only: zarr's event loop would wait for ever on such a clock
    fake = types.SimpleNamespace(monotonic=lambda: float(next(clock)))
    monkeypatch.setattr("maskfree.train.time", fake)
    left = [p.seconds_left for p in go(small_session, small_config, resume=True)]
    assert left == [2.0, 1.0, 0.0]  # a second a step, three steps to go


def test_every_source_of_randomness_is_taken_up(
    small_session: Session, small_config: Config, settings_of: Callable[..., Config]
) -> None:
    config = settings_of(small_config, "matching", mode="tube")
    run = small_session.new_run(config, seed=1)

    def states(trainer: Trainer) -> list[Any]:
        drawn = trainer._rng.bit_generator.state["state"]
        return [drawn, trainer._objective.rng_state.tolist(), torch.get_rng_state().tolist()]

    with small_session.open_video() as video:
        first = Trainer(video, small_session.boxes, config, device=CPU, seed=1)
        first.step(0)
        first.save(run, 1)
        expected = states(first)
        second = Trainer(video, small_session.boxes, config, device=CPU, seed=2)
        torch.rand(3)
        assert all(here != there for here, there in zip(states(second), expected, strict=True))
        assert second.restore(run.state_path) == 1
    assert states(second) == expected


def test_a_killed_run_goes_on_from_its_last_checkpoint(
    monkeypatch: pytest.MonkeyPatch, small_session: Session, small_config: Config
) -> None:
    list(go(small_session, small_config))
    real = Trainer.step

    def dies(self: Trainer, index: int) -> dict[str, float]:
        if index == 3:
            raise MemoryError("killed")
        return real(self, index)

    monkeypatch.setattr(Trainer, "step", dies)
    with pytest.raises(MemoryError):
        list(go(small_session, small_config))
    monkeypatch.undo()
    assert [p.step for p in go(small_session, small_config, resume=True)] == [3, 4]
    first, second = small_session.runs()
    assert same(read_tensors(first.weights_path), read_tensors(second.weights_path))


def test_a_finished_run_is_not_resumed(small_session: Session, small_config: Config) -> None:
    list(go(small_session, small_config))
    list(go(small_session, small_config, resume=True))
    assert [run.steps_done for run in small_session.runs()] == [4, 4]


@pytest.mark.parametrize(
    "content", [b"", b"nonsense", b"PK\x03\x04 cut off", None], ids=["empty", "text", "zip", "half"]
)
def test_a_broken_state_is_refused(
    small_session: Session, small_config: Config, content: bytes | None
) -> None:
    steps = go(small_session, small_config)
    next(steps)
    steps.close()  # type: ignore[attr-defined]
    path = last_run(small_session).state_path
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2] if content is None else content)
    with pytest.raises(InputError) as caught:
        list(go(small_session, small_config, resume=True))
    assert str(caught.value) == (
        f"{path} cannot be resumed: it is damaged or incomplete. Fine-tune without --resume."
    )


def changed_state(session: Session, config: Config) -> None:
    with pytest.raises(InputError) as caught:
        list(go(session, config, resume=True))
    assert str(caught.value) == (
        f"{last_run(session).state_path} cannot be resumed: the tracks or their labels have "
        "changed since, or it is the state of another network. Fine-tune without --resume."
    )


@pytest.mark.parametrize("content", [[1, 2], {"step": 1}, {"step": 1, "model": {"a": 1}}])
def test_a_state_of_something_else_is_refused(
    small_session: Session, small_config: Config, content: Any
) -> None:
    steps = go(small_session, small_config)
    next(steps)
    steps.close()  # type: ignore[attr-defined]
    torch.save(content, last_run(small_session).state_path)
    changed_state(small_session, small_config)


def test_other_tracks_than_when_the_run_began_cannot_be_resumed(
    small_session: Session, small_config: Config, make_tracks: Callable[..., BoxTracks]
) -> None:
    steps = go(small_session, small_config)
    next(steps)
    steps.close()  # type: ignore[attr-defined]
    box = {0: (4.0, 4.0, 30.0, 30.0)}
    for count, labels in ((6, ("blob",) * 6), (1, ("blob",)), (2, ("star", "bolb"))):
        small_session.save_boxes(make_tracks(*[box] * count, labels=labels))
        changed_state(small_session, small_config)
    assert len(small_session.runs()) == 1
    # other boxes of the same tracks are what one resumes for
    small_session.save_boxes(make_tracks(box, box, labels=("blob", "star")))
    assert [p.step for p in go(small_session, small_config, resume=True)] == [2, 3, 4]


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
    list(go(small_session, small_config, seed=1))
    run = last_run(small_session)
    memory = ConsensusMemory.from_file(run.memory_path, small_config.consensus)
    assert memory.fits(12)
    assert set(memory.colours) == {1, 2}
    assert memory.evidence is not None
    assert memory.evidence.shape == (12, 32, 48)
    with small_session.open_video() as video:
        trainer = trainer_of(small_session, small_config, video)
        untaught = trainer._consensus.memory([1, 2])
        assert trainer.restore(run.state_path) == 4
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


def full_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    def fsync(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(storage, "_sync_folder", lambda folder: None)
    monkeypatch.setattr(os, "fsync", fsync)


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
    assert {p.name for p in run.path.iterdir()} == {"config.json", "metrics.jsonl", "stop"}


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


# unusual videos and boxes


def noise(length: int, height: int = 64, width: int = 96) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (length, height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize("length", [1, 2])
def test_a_video_shorter_than_a_clip(
    make_session: Callable[..., Session],
    make_tracks: Callable[..., BoxTracks],
    small_config: Config,
    settings_of: Callable[..., Config],
    length: int,
) -> None:
    config = settings_of(small_config, "sampling", clip_length=3, max_gap=2)
    tracks = make_tracks({0: (8.0, 8.0, 40.0, 40.0)}, num_frames=length)
    session = make_session(noise(length), tracks)
    assert [p.step for p in go(session, config)] == [1, 2, 3, 4]


def test_clips_in_which_no_track_is_present(
    make_session: Callable[..., Session],
    make_tracks: Callable[..., BoxTracks],
    small_config: Config,
    settings_of: Callable[..., Config],
) -> None:
    # a box that even the crop which is placed on it shows less than a cell of
    config = settings_of(small_config, "sampling", max_cut=0.0)
    tracks = make_tracks({0: (8.0, 8.0, 40.0, 40.0)}, num_frames=2)
    session = make_session(noise(2), tracks)
    with session.open_video() as video:
        trainer = Trainer(video, tracks, config, device=CPU, seed=0)
        drawn = trainer._sampler.draw

        def empty() -> Any:
            sample = drawn()
            gone = sample.targets.select(torch.tensor([0]))
            gone = dataclasses.replace(gone, box_masks=gone.box_masks * 0, reach=gone.reach & False)
            return dataclasses.replace(sample, targets=gone)

        trainer._sampler.draw = empty  # type: ignore[method-assign]
        losses = [trainer.step(k) for k in range(2)]
    assert [list(each) for each in losses] == [["class"], ["class"]]


def test_twenty_four_tracks_get_a_query_each(
    make_session: Callable[..., Session],
    make_tracks: Callable[..., BoxTracks],
    small_config: Config,
) -> None:
    boxes = [
        {0: (4.0 + 14 * c, 2.0 + 15 * r, 14.0 + 14 * c, 13.0 + 15 * r)}
        for r in range(4)
        for c in range(6)
    ]
    session = make_session(noise(3), make_tracks(*boxes, num_frames=3))
    for progress in go(session, small_config):
        assert math.isfinite(progress.total)
    model, _, _, ids = load_model(last_run(session).weights_path, CPU)
    assert model.config.num_queries == 24
    assert ids == list(range(1, 25))


@pytest.mark.parametrize("tracks", [[], [{}], [{3: None}]])
def test_without_a_box_there_is_nothing_to_learn_from(
    make_session: Callable[..., Session],
    make_tracks: Callable[..., BoxTracks],
    small_config: Config,
    tracks: list[dict[int, Any]],
) -> None:
    boxes = make_tracks(*tracks, num_frames=6)
    with pytest.raises(InputError) as caught:
        Trainer(open_video(noise(6)), boxes, small_config, device=CPU, seed=0)
    assert str(caught.value) == ("There is no box to learn from. Draw a box on at least one frame.")


def test_boxes_of_another_video_are_refused_before_a_run_is_made(
    make_session: Callable[..., Session],
    make_tracks: Callable[..., BoxTracks],
    small_config: Config,
) -> None:
    session = make_session(noise(6, 80, 96), make_tracks({0: (1.0, 1.0, 9.0, 9.0)}, num_frames=6))
    with pytest.raises(InputError, match="The boxes are for a video of 96 x 64 pixels"):
        list(go(session, small_config))
    assert session.runs() == []


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


def test_evidence_is_collected_once_and_at_the_size_of_the_budget(
    monkeypatch: pytest.MonkeyPatch,
    make_tracks: Callable[..., BoxTracks],
    small_config: Config,
    settings_of: Callable[..., Config],
) -> None:
    asked: list[tuple[int, ...]] = []

    def spy(frames: Any, boxes: np.ndarray, **settings: Any) -> np.ndarray:
        asked.append((frames.height, frames.width))
        np.testing.assert_allclose(boxes[0, 0], np.array([20, 10, 30, 20]) * frames.height / 128)
        return real(frames, boxes, **settings)

    real = prepare.collect_evidence
    monkeypatch.setattr(prepare, "collect_evidence", spy)
    config = settings_of(small_config, "sampling", object_size=40.0, max_enlarge=2.0)
    box = (20.0, 10.0, 30.0, 20.0)
    tracks = make_tracks({0: box, 2: box}, num_frames=3, height=128, width=192)
    trainer = Trainer(open_video(noise(3, 128, 192)), tracks, config, device=CPU, seed=0)
    assert trainer._sampler.frames.height == 256  # enlarged, since the object is small
    assert asked == [(64, 96)]
    off = settings_of(config, "evidence", seek=False)
    Trainer(open_video(noise(3, 128, 192)), tracks, off, device=CPU, seed=0)
    assert len(asked) == 1


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
