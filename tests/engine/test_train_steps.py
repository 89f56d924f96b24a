from __future__ import annotations

import dataclasses
import errno
import json
import math
import os
import shutil
import signal
from typing import TYPE_CHECKING, Any

import pytest
import torch

from maskfree.distributed import checkpoints
from maskfree.distributed.checkpoints import Checkpoints
from maskfree.distributed.learner import Learner
from maskfree.distributed.loop import _next, train_steps
from maskfree.distributed.run_folder import RunFolder
from maskfree.distributed.team import Team
from maskfree.errors import InputError, InputWarning
from maskfree.interrupts import Interrupted, Interrupts
from maskfree.model.build import build_model
from maskfree.model.checkpoint import load_model, read_tensors
from painted_clips import CLASSES, RECIPE, PaintedClips

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from maskfree.distributed.shares import Share

pytestmark = pytest.mark.filterwarnings("ignore:The network begins with fresh weights")


class Run:
    """A run in a folder: made, or gone on with as the command does."""

    def __init__(self, path: Path, **schedule: Any) -> None:
        changed = dataclasses.replace(RECIPE.schedule, ema_decay=0.9, **schedule)
        self.recipe = dataclasses.replace(RECIPE, schedule=changed)
        torch.manual_seed(0)
        model = build_model(self.recipe.model, num_classes=len(CLASSES), num_queries=1)
        self.learner = Learner(model, self.recipe, seed=0, team=Team(torch.device("cpu")))
        self.folder = RunFolder(path)
        self.saved = Checkpoints(self.folder.checkpoints_path)

    def go(self, **options: Any) -> None:
        first = 0
        if self.saved.steps():
            first = self.saved.restore(self.learner)
            self.folder.rewind(first)
        else:
            self.folder.path.mkdir(exist_ok=True)
        clips = options.pop("clips", PaintedClips())
        with Interrupts() as interrupts:
            train_steps(
                self.learner,
                clips,
                self.folder,
                first,
                classes=CLASSES,
                interrupts=interrupts,
                **options,
            )


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Run:
    run = Run(tmp_path_factory.mktemp("runs") / "whole")
    run.go()
    return run


def logged(run: Run) -> list[Any]:
    """What was logged of each step, but for how long it took."""
    kept = [
        {k: v for k, v in record.items() if "seconds" not in k}
        for record in run.folder.metrics.records()
    ]
    assert [record["step"] for record in kept] == list(range(1, len(kept) + 1))
    return kept


def same_files(one: Path, other: Path) -> None:
    for name in ("model.safetensors", "ema.safetensors", "model.json", "ema.json"):
        assert (one / name).read_bytes() == (other / name).read_bytes(), name


def test_the_checkpoints_of_a_run_can_be_loaded_by_others(whole: Run) -> None:
    assert whole.saved.steps() == [2, 4]
    path = whole.saved.path(4)
    assert sorted(os.listdir(path)) == [
        "ema.json",
        "ema.safetensors",
        "model.json",
        "model.safetensors",
        "state.pt",
    ]
    model, config, classes, ids = load_model(path / "model.safetensors", torch.device("cpu"))
    assert (classes, ids, config.model) == (CLASSES, [], RECIPE.model)
    expected = whole.learner.model.state_dict()
    assert all(torch.equal(value, expected[key]) for key, value in model.state_dict().items())
    mean = read_tensors(path / "ema.safetensors")
    assert any(not torch.equal(mean[key], expected[key]) for key in mean)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_run_that_was_killed_goes_on_bit_by_bit(whole: Run, tmp_path: Path, workers: int) -> None:
    run = Run(tmp_path / "run")

    def die(done: int, *_: Any) -> None:
        if done == 3:  # a step after the last checkpoint
            raise MemoryError("killed")

    with pytest.raises(MemoryError):
        run.go(report=die)
    assert run.saved.steps() == [2]
    begun = run.folder.checkpoints_path / ".begun-3"
    begun.mkdir()
    (begun / "model.safetensors").write_bytes(b"half")
    again = Run(tmp_path / "run", workers=workers)
    again.go()
    assert again.saved.steps() == [2, 4]
    assert not begun.exists()
    same_files(whole.saved.path(4), again.saved.path(4))
    assert logged(again) == logged(whole)


@pytest.mark.parametrize("name", ["state.pt", "model.safetensors", "ema.safetensors"])
def test_a_damaged_checkpoint_is_passed_over(whole: Run, tmp_path: Path, name: str) -> None:
    shutil.copytree(whole.folder.path, tmp_path / "run")
    damaged = tmp_path / "run" / "checkpoints" / "00000004" / name
    damaged.write_bytes(damaged.read_bytes()[:-1000])
    run = Run(tmp_path / "run")
    with pytest.warns(InputWarning, match=r"00000004 is damaged .*The one before it is taken"):
        run.go()
    same_files(whole.saved.path(4), run.saved.path(4))


def test_no_whole_checkpoint(tmp_path: Path) -> None:
    run = Run(tmp_path / "run")
    run.saved.path(3).mkdir(parents=True)
    with pytest.warns(InputWarning, match=r"is damaged"):
        with pytest.raises(InputError, match=r"holds no whole checkpoint to go on from. Leave --r"):
            run.saved.restore(run.learner)


def test_a_full_disk_leaves_what_was_saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run(tmp_path / "run", checkpoint_every=1, steps=2)
    save = checkpoints.save_model

    def full(path: Path, *rest: Any, **options: Any) -> None:
        if "begun-2" in str(path):
            raise OSError(errno.ENOSPC, "No space left on device")
        save(path, *rest, **options)

    monkeypatch.setattr(checkpoints, "save_model", full)
    with pytest.raises(InputError, match=r"The disk is full: .*00000002 could not be written"):
        run.go()
    assert os.listdir(run.folder.checkpoints_path) == ["00000001"]
    assert run.saved.restore(run.learner) == 1


def test_a_log_that_cannot_be_written_ends_the_run_in_every_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run(tmp_path, steps=3, checkpoint_every=9)
    steps = []
    real = run.learner.step

    def counted(index: int, share: Any, **options: Any) -> Any:
        if share.fault:
            steps.append(share.fault)
        return real(index, share, **options)

    def full(*_: Any) -> None:
        raise InputError("The disk is full.")

    run.learner.step = counted  # type: ignore[method-assign]
    monkeypatch.setattr(RunFolder, "log", full)
    with pytest.raises(InputError, match=r"^The disk is full\.$"):
        run.go()
    assert steps == ["The disk is full."]  # with the next step all processes know it
    short = Run(tmp_path / "short", steps=1)
    with pytest.raises(InputError, match=r"^The disk is full\.$"):
        short.go()
    assert short.saved.steps() == [1]


def test_readers_that_ended_are_told_to_every_process() -> None:
    def killed() -> Iterator[Share]:
        raise RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed.")
        yield

    with Interrupts() as interrupts:
        share = _next(killed(), interrupts)
    assert share.clips == ()
    assert "worker (pid 7) is killed by signal: Killed.). There may be too little" in share.fault


def test_a_step_that_fp16_leaves_out_is_a_line_that_any_reader_takes(tmp_path: Path) -> None:
    run = Run(tmp_path, steps=1)
    real = run.learner.step

    def overflows(*given: Any, **options: Any) -> Any:
        return dataclasses.replace(real(*given, **options), norm=math.inf)

    run.learner.step = overflows  # type: ignore[method-assign]
    run.go()
    (line,) = (tmp_path / "metrics.jsonl").read_text().splitlines()

    def refused(word: str) -> None:
        raise AssertionError(f"{word} is no JSON")

    assert json.loads(line, parse_constant=refused)["gradient_norm"] is None


def test_the_newest_checkpoints_stay(tmp_path: Path) -> None:
    run = Run(tmp_path / "run", checkpoint_every=1, keep=1, steps=2)
    run.go()
    assert run.saved.steps() == [2]


@pytest.mark.skipif(os.name == "nt", reason="Windows sends Ctrl-C to whole groups")
@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143)])
def test_a_signal_ends_the_step_and_saves(
    tmp_path: Path, name: str, code: int, request: pytest.FixtureRequest
) -> None:
    number = getattr(signal, name)  # as at a terminal, also where the tests run in the background
    before = signal.signal(number, signal.default_int_handler)
    request.addfinalizer(lambda: signal.signal(number, before))
    run = Run(tmp_path / "run")

    def ask(done: int, *_: Any) -> None:
        if done == 1:
            os.kill(os.getpid(), number)

    with pytest.raises(Interrupted) as stop:
        run.go(report=ask)
    assert stop.value.code == code
    assert "what was learnt in 2 of 4 steps is kept in" in stop.value.__notes__[0]
    assert run.saved.steps() == [2]


def test_evaluation_while_it_trains(tmp_path: Path) -> None:
    run, modes = Run(tmp_path / "run", steps=3, evaluate_every=2), []

    def evaluate(model: Any) -> dict[str, float]:
        modes.append(model.training)
        return {"AP": len(modes) / 10}

    run.go(evaluate=evaluate)
    scores = [r for r in run.folder.metrics.records() if "evaluation" in r]
    assert scores == [
        {"step": 2, "evaluation": {"AP": 0.1}},
        {"step": 3, "evaluation": {"AP": 0.2}},
    ]
    assert modes == [False] * 2
    plain = Run(tmp_path / "plain", steps=3)
    plain.go()
    assert all(
        torch.equal(value, run.learner.model.state_dict()[key])
        for key, value in plain.learner.model.state_dict().items()
    )


def test_a_score_that_fails_loses_no_step_and_is_made_up_for(tmp_path: Path) -> None:
    def fails(model: Any) -> dict[str, float]:
        raise RuntimeError("CUDA out of memory. Tried to allocate 20.00 GiB")

    run = Run(tmp_path / "run", steps=3, evaluate_every=2, checkpoint_every=9)
    with pytest.raises(InputError, match=r"score the network on whole.*inference\.clip_length=20"):
        run.go(evaluate=fails)
    assert run.saved.steps() == [2]
    scored: list[int] = []

    def evaluate(model: Any) -> dict[str, float]:
        scored.append(1)
        return {"AP": 0.5}

    again = Run(tmp_path / "run", steps=3, evaluate_every=2, checkpoint_every=9)
    again.go(evaluate=evaluate)
    records = again.folder.metrics.records()
    assert [r["step"] for r in records if "evaluation" in r] == [2, 3]
    assert [r["step"] for r in records if "losses" in r] == [1, 2, 3]
    Run(tmp_path / "run", steps=3, evaluate_every=2, checkpoint_every=9).go(evaluate=evaluate)
    assert len(scored) == 2  # what was scored is not scored again


def test_what_is_damaged_is_written_down_and_told_once(tmp_path: Path) -> None:
    from maskfree.datasets.types import Skipped

    class Damaged(PaintedClips):
        def draw(self, number: int) -> Any:
            clip, _ = super().draw(number)
            found = (Skipped(f"video {number}", "it is damaged"),) if number in (2, 9) else ()
            return clip, found

    run = Run(tmp_path / "run", steps=3)
    with pytest.warns(InputWarning, match=r"video 2 could not be read .it is damaged.") as told:
        run.go(clips=Damaged())
    assert len(told) == 1
    lines = (run.folder.path / "skipped.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == [
        {"step": 1, "what": "video 2", "why": "it is damaged"},
        {"step": 3, "what": "video 9", "why": "it is damaged"},
    ]
    run.folder.note_skipped([{"what": "video 7", "why": "no pictures"}])
    run.folder.rewind(2)  # step 3 is taken again
    lines = (run.folder.path / "skipped.jsonl").read_text().splitlines()
    assert [json.loads(line)["what"] for line in lines] == ["video 2", "video 7"]
