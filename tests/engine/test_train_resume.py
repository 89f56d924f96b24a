from __future__ import annotations

import types
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch

from maskfree.errors import InputError
from maskfree.model.checkpoint import read_tensors
from maskfree.presets import preset
from maskfree.trainer import Trainer
from training_run import CPU, changed_state, go, last_run, losses_of, same

if TYPE_CHECKING:
    from collections.abc import Callable

    from maskfree.config import Config
    from maskfree.run import Run
    from maskfree.session import Session
    from maskfree.types import BoxTracks


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
    monkeypatch.setattr("maskfree.training_loop.time", fake)
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


def test_a_run_that_was_killed_while_it_saved_its_end_goes_on(
    monkeypatch: pytest.MonkeyPatch, small_session: Session, small_config: Config
) -> None:
    list(go(small_session, small_config))
    real = Trainer.save

    def dies(self: Trainer, run: Run, step: int) -> None:
        if step == 4:
            raise MemoryError("killed")
        real(self, run, step)

    monkeypatch.setattr(Trainer, "save", dies)
    with pytest.raises(MemoryError):
        list(go(small_session, small_config))
    monkeypatch.undo()
    assert last_run(small_session).steps_done == 4
    assert [p.step for p in go(small_session, small_config, resume=True)] == [3, 4]
    first, second = small_session.runs()
    assert same(read_tensors(first.weights_path), read_tensors(second.weights_path))
    assert not second.state_path.exists()


def test_a_run_that_was_stopped_after_its_last_step_is_done(
    small_session: Session, small_config: Config
) -> None:
    steps = go(small_session, small_config)
    for _ in range(4):
        next(steps)
    steps.close()  # type: ignore[attr-defined]
    run = last_run(small_session)
    assert (run.status, run.state_path.exists()) == ("done", False)


def test_a_state_of_the_last_step_has_nothing_to_go_on_with(
    small_session: Session, small_config: Config, cli: Callable[..., Any]
) -> None:
    """As an older version left it where it was stopped at its end, with its best chosen."""
    steps = go(small_session, small_config)
    next(steps), next(steps)
    steps.close()  # type: ignore[attr-defined]
    run = last_run(small_session)
    state = torch.load(run.state_path, weights_only=True)
    torch.save({**state, "step": 4}, run.state_path)
    run.best_path.write_bytes(run.weights_path.read_bytes())
    run.keep("best")
    done = cli("finetune", "--session", small_session.path, "--resume", "--device", "cpu")
    assert done.code == 2
    assert "has had all of its steps. Leave --resume out" in done.err
    assert (run.status, run.state_path.exists(), run.keeps_best) == ("done", False, True)


def test_a_state_that_cannot_be_removed_is_no_fault(
    monkeypatch: pytest.MonkeyPatch, small_session: Session, small_config: Config
) -> None:
    real = Path.unlink

    def held(self: Path, *args: Any, **options: Any) -> None:
        if self.name == "state.pt":
            raise PermissionError(13, "used by another process")
        real(self, *args, **options)

    monkeypatch.setattr(Path, "unlink", held)
    list(go(small_session, small_config))
    run = last_run(small_session)
    assert run.status == "done"
    assert run.state_path.is_file()
    assert small_session.resumable_run() is None


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
