from __future__ import annotations

import json
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from full_disk import full_disk
from maskfree.config import Config
from maskfree.errors import InputError
from maskfree.json_log import JsonLog
from maskfree.session import Session
from maskfree.settings import override


def test_a_run_keeps_config_and_seed(session: Session) -> None:
    config = override(Config(), {"optimiser.steps": "7", "model.backbone_sizes": "8,16"})
    run = session.new_run(config, seed=3)
    assert run.path == session.path / "runs" / "0001"
    (again,) = Session.open(session.path).runs()
    assert (again.name, again.config, again.seed) == ("0001", config, 3)
    assert (again.status, again.steps_done, again.has_checkpoint) == ("unknown", 0, False)


def test_runs_are_listed_by_number_and_the_latest_has_a_checkpoint(session: Session) -> None:
    (session.path / "runs" / "9999").mkdir(parents=True)  # half-made: no config
    (session.path / "runs" / "notes").mkdir()
    names = [session.new_run(Config(), seed=n).name for n in range(3)]
    assert names == ["10000", "10001", "10002"]
    (session.path / "runs" / "0002").mkdir()
    assert [run.name for run in session.runs()] == names
    session.runs()[1].weights_path.write_bytes(b"")
    latest = session.latest_run()
    assert latest is not None and latest.name == "10001"


def test_many_processes_get_a_run_each(session: Session) -> None:
    ready = threading.Barrier(8)
    names: list[str] = []

    def make() -> None:
        ready.wait()
        names.append(session.new_run(Config(), seed=0).name)

    threads = [threading.Thread(target=make) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(names) == [f"{n:04d}" for n in range(1, 9)]


def test_a_run_that_another_process_made_meanwhile_is_passed_over(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Path.mkdir

    def overtaken(path: Path, *args: Any, **kwargs: Any) -> None:
        if path.name == "0001":
            real(path, *args, **kwargs)
        real(path, *args, **kwargs)

    monkeypatch.setattr(Path, "mkdir", overtaken)
    assert session.new_run(Config(), seed=0).name == "0002"


def test_a_full_disk_leaves_no_half_made_run(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    full_disk(monkeypatch)
    with pytest.raises(InputError, match=r"The disk is full"):
        session.new_run(Config(), seed=0)
    assert os.listdir(session.path / "runs") == []


def test_metrics_are_followed_while_they_are_written(session: Session) -> None:
    run = session.new_run(Config(), seed=0)
    follower = session.runs()[0]
    assert follower.records() == []
    run.append({"status": "running", "pid": 1})
    run.append({"step": 1, "losses": {"projection": 0.5}})
    assert follower.records() == [
        {"status": "running", "pid": 1},
        {"step": 1, "losses": {"projection": 0.5}},
    ]
    with run.log.path.open("ab") as file:
        file.write(b'{"step": 2, "lo')
    assert len(follower.records()) == 2  # half-written: not yet
    with run.log.path.open("ab") as file:
        file.write(b'sses": {}}\n')
    assert follower.records(start=2) == [{"step": 2, "losses": {}}]
    assert (follower.status, follower.steps_done) == ("running", 2)


def test_a_line_that_a_killed_process_left_is_passed_over(session: Session) -> None:
    run = session.new_run(Config(), seed=0)
    run.append({"step": 1})
    with run.log.path.open("ab") as file:
        file.write(b'{"step": 2')
    run.append({"status": "stopped", "step": 3})
    assert run.records() == [{"step": 1}, {"status": "stopped", "step": 3}]


def test_only_the_new_lines_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log, parsed = JsonLog(tmp_path / "log"), []
    monkeypatch.setattr(
        "maskfree.json_log._parsed", lambda line: parsed.append(line) or json.loads(line)
    )
    for step in range(3):
        log.append({"step": step})
        log.records()
    assert len(parsed) == 3
    log.path.write_bytes(b'{"step": 9}\n')  # begun anew
    assert log.records() == [{"step": 9}]
    log.path.unlink()
    assert log.records() == []


@pytest.mark.parametrize("status", ["running", "done", "stopped", "failed"])
def test_status(session: Session, status: str) -> None:
    run = session.new_run(Config(), seed=0)
    run.append({"status": status})
    run.append({"step": 1})
    assert run.status == status
    run.append({"status": "melted"})
    assert run.status == "unknown"


def test_a_stop_is_asked_for_and_taken_back(session: Session) -> None:
    run, trainer = session.new_run(Config(), seed=0), session.runs()[0]
    trainer.clear_stop()
    assert not trainer.stop_requested
    run.request_stop()
    run.request_stop()
    assert trainer.stop_requested
    trainer.clear_stop()
    assert not run.stop_requested


def test_a_run_of_another_version_is_listed_and_its_config_at_fault(session: Session) -> None:
    run = session.new_run(Config(), seed=0)
    (run.path / "config.json").write_text('{"seed": 0, "config": {"model": 9}}', encoding="utf-8")
    (again,) = session.runs()
    with pytest.raises(InputError, match=r"config.model must be a section of settings, got 9"):
        _ = again.config
    assert session.info()["runs"][0]["preset"] == "unknown"


def test_only_an_unfinished_newest_run_with_a_state_is_resumed(session: Session) -> None:
    config = override(Config(), {"optimiser.steps": 5})
    assert session.resumable_run() is None
    first, second = (session.new_run(config, seed=n) for n in range(2))
    first.state_path.write_bytes(b"")
    first.append({"step": 3})
    found = session.resumable_run()
    assert found is not None and found.name == "0001"
    second.state_path.write_bytes(b"")
    second.append({"step": 5})
    found = session.resumable_run()  # it was killed while it saved what it learnt in the end
    assert found is not None and found.name == "0002"
    second.append({"status": "done"})  # and its state is there, as runs had it once
    assert session.resumable_run() is None
    second.state_path.unlink()
    second.weights_path.write_bytes(b"")  # as a finished run leaves it
    assert session.resumable_run() is None
