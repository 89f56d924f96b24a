"""The process at work, with stand-ins for the engine. No Qt."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from textwrap import dedent
from types import SimpleNamespace
from typing import TYPE_CHECKING

import psutil
import pytest

from napari_maskfree.attached import Attached
from napari_maskfree.stages import Stage, finetune_stage, predict_stage
from napari_maskfree.tail import Tail
from napari_maskfree.worker import Job

if TYPE_CHECKING:
    from pathlib import Path

WAIT = 30


def stage(name: str, code: str, log: Path, stop=None) -> Stage:
    return Stage(name, (sys.executable, "-c", dedent(code)), lambda: log, stop)


def finish(job: Job, patience) -> None:
    assert patience(lambda: not job.poll().active, WAIT)


def writer(path: Path, records: list[dict]) -> str:
    lines = "".join(json.dumps(r) + "\n" for r in records)
    return f"open({str(path)!r}, 'a').write({lines!r})"


def test_stages_run_one_after_the_other_and_are_followed(tmp_path, patience):
    one, two = tmp_path / "m.jsonl", tmp_path / "p.jsonl"
    steps = [
        {"status": "running", "pid": 1, "device": "cpu"},
        {"step": 1, "steps": 2, "losses": {"class": 3.0, "projection": 1.0}, "seconds_left": 5},
        {"step": 2, "steps": 2, "losses": {"class": 2.0, "projection": 0.5}, "seconds_left": 0},
        {"status": "done", "step": 2},
    ]
    frames = [{"frame": 0, "done": 1, "total": 1, "seconds_left": 0}, {"status": "done"}]
    job = Job(
        [stage("finetune", writer(one, steps), one), stage("predict", writer(two, frames), two)],
        tmp_path,
    )
    job.start()
    finish(job, patience)
    view = job.view
    assert (view.state, view.stage, view.device) == ("done", "predict", "cpu")
    assert view.steps_seen == [1, 2]
    assert view.losses == {"class": 2.0, "projection": 0.5}
    assert view.terms == {"class": [3.0, 2.0], "projection": [1.0, 0.5]}
    assert view.totals == [4.0, 2.5]
    assert (view.done, view.total) == (1, 1)


def test_a_look_at_the_video_is_followed_until_the_first_step(tmp_path, patience):
    log, go_on = tmp_path / "m.jsonl", tmp_path / "go"
    look = [{"status": "running"}, {"preparing": "colours", "done": 3, "total": 7}]
    steps = [{"step": 1, "steps": 2, "losses": {"class": 3.0}, "seconds_left": 5}]
    wait = f"import os, time\nwhile not os.path.exists({str(go_on)!r}): time.sleep(0.05)"
    code = "\n".join([writer(log, look), wait, writer(log, steps)])
    job = Job([stage("finetune", code, log)], tmp_path)
    job.start()
    assert patience(lambda: job.poll().preparing == "colours", WAIT)
    assert (job.view.done, job.view.total, job.view.steps_seen) == (3, 7, [])
    go_on.touch()
    finish(job, patience)
    assert (job.view.preparing, job.view.done, job.view.total) == ("", 1, 2)


@pytest.mark.parametrize(
    ("status", "code"), [("done", 0), ("failed", 1), ("stopped", 1), ("running", 1), ("", 1)]
)
def test_an_attached_run_that_said_nothing_of_its_end_has_failed(status, code):
    over = subprocess.Popen([sys.executable, "-c", ""])
    process = psutil.Process(over.pid)
    over.wait()
    assert Attached(process, lambda: status).poll() == code


def test_a_failure_names_the_last_line_and_stops_the_chain(tmp_path, patience):
    bad = "import sys; print('a warning', file=sys.stderr); sys.exit('error: Buy a larger disk.')"
    after = tmp_path / "after"
    job = Job(
        [
            stage("finetune", bad, tmp_path / "m"),
            stage("predict", f"open({str(after)!r}, 'w')", tmp_path / "p"),
        ],
        tmp_path,
    )
    job.start()
    finish(job, patience)
    assert (job.view.state, job.view.message) == ("failed", "Buy a larger disk.")
    assert not after.exists()


def test_a_silent_failure_names_the_log(tmp_path, patience):
    job = Job([stage("predict", "raise SystemExit(3)", tmp_path / "p")], tmp_path)
    job.start()
    finish(job, patience)
    assert "exit code 3" in job.view.message
    assert "process.log" in job.view.message


def test_warnings_are_shown_while_the_run_goes_on_and_once(tmp_path, patience):
    (tmp_path / "process.log").write_text("maskfree: warning: Of an older run.\n")
    flag = tmp_path / "go"
    first = f"""
        import pathlib, sys, time
        print("maskfree: warning: No weights “here”. Buy some.", file=sys.stderr, flush=True)
        print("maskfree: fine-tuning: step 1/2", file=sys.stderr, flush=True)
        end = time.monotonic() + {WAIT}
        while not pathlib.Path({str(flag)!r}).exists() and time.monotonic() < end: time.sleep(0.02)
    """
    second = """
        import sys
        print("maskfree: warning: No weights “here”. Buy some.", file=sys.stderr)
        print("maskfree: warning: The video is short.", file=sys.stderr)
    """
    stages = [stage("finetune", first, tmp_path / "m"), stage("predict", second, tmp_path / "p")]
    job = Job(stages, tmp_path)
    job.start()
    assert patience(lambda: bool(job.poll().warnings), WAIT)
    assert (job.view.stage, job.view.state) == ("finetune", "running")
    assert job.view.warnings == ["No weights “here”. Buy some."]
    flag.touch()
    finish(job, patience)
    assert job.view.state == "done"
    assert job.view.warnings == ["No weights “here”. Buy some.", "The video is short."]


def test_stop_asks_first(tmp_path, patience):
    flag = tmp_path / "stop"
    code = f"""
        import pathlib, time
        while not pathlib.Path({str(flag)!r}).exists(): time.sleep(0.02)
    """
    job = Job([stage("finetune", code, tmp_path / "m", flag.touch)], tmp_path)
    job.start()
    assert job.poll().state == "running"
    job.stop()
    assert job.view.state == "stopping"
    finish(job, patience)
    assert job.view.state == "stopped"


def test_who_does_not_listen_is_ended(tmp_path, patience):
    code = """
        import signal, time
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        open(r'READY', 'w').close()
        time.sleep(600)
    """.replace("READY", str(tmp_path / "ready"))
    job = Job([stage("finetune", code, tmp_path / "m", lambda: None)], tmp_path)
    job.start()
    assert patience((tmp_path / "ready").exists, WAIT)
    process = psutil.Process(job.pid)
    start = time.monotonic()
    job.kill(grace=0.1)
    assert time.monotonic() - start < WAIT
    assert not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    assert job.view.state == "stopped"


def test_a_run_of_long_steps_has_time_to_save(tmp_path, patience, monkeypatch):
    now = [1000.0]
    monkeypatch.setattr("napari_maskfree.worker.time", SimpleNamespace(monotonic=lambda: now[0]))
    code = "import time; time.sleep(600)"
    job = Job([stage("finetune", code, tmp_path / "m", lambda: None)], tmp_path)
    job.start()
    job._take({"step": 2, "steps": 10, "losses": {"class": 1.0}, "seconds_left": 800.0})
    job.stop(grace=20.0)
    for later, alive in ((0.0, True), (1515.0, True), (10.0, False)):
        now[0] += later
        job.poll()
        assert job._terminated is not alive
    finish(job, patience)
    assert job.view.state == "stopped"


def test_what_comes_after_a_run_of_long_steps_has_no_more_time_than_others(
    tmp_path, patience, monkeypatch
):
    now = [1000.0]
    monkeypatch.setattr("napari_maskfree.worker.time", SimpleNamespace(monotonic=lambda: now[0]))
    flag = tmp_path / "go"
    code = f"""
        import pathlib, time
        while not pathlib.Path({str(flag)!r}).exists(): time.sleep(0.02)
    """
    stages = [
        stage("finetune", code, tmp_path / "m"),
        stage("predict", "import time; time.sleep(600)", tmp_path / "p", lambda: None),
    ]
    job = Job(stages, tmp_path)
    job.start()
    job._take({"step": 2, "steps": 10, "losses": {"class": 1.0}, "seconds_left": 800.0})
    flag.touch()
    assert patience(lambda: job.poll().stage == "predict", WAIT)
    job.stop(grace=20.0)
    now[0] += 21.0
    job.poll()
    assert job._terminated
    finish(job, patience)


def test_a_detached_job_goes_on_through_all_its_stages(tmp_path, patience):
    first, second = tmp_path / "first", tmp_path / "second"
    job = Job(
        [
            stage("a", f"import time; time.sleep(1); open({str(first)!r}, 'w')", tmp_path / "x"),
            stage("b", f"open({str(second)!r}, 'w')", tmp_path / "y"),
        ],
        tmp_path,
    )
    job.start()
    job.detach()
    assert not job.view.active
    assert patience(second.exists, WAIT)
    assert first.exists()


def test_tail_leaves_a_half_written_line_for_later(tmp_path):
    path = tmp_path / "log"
    tail = Tail(path)
    assert tail.read() == []
    path.write_text('{"step": 1}\n{"st')
    assert tail.read() == [{"step": 1}]
    assert tail.read() == []
    with path.open("a") as file:
        file.write('ep": 2}\nnot json\n')
    assert tail.read() == [{"step": 2}]
    path.write_text('{"step": 9}\n')
    assert tail.read() == [{"step": 9}], "a file that was begun anew is read from its start"


def test_the_commands_are_those_of_the_contract(tmp_path):
    made = finetune_stage(tmp_path, preset="tiny", steps=7, device="cpu", seed=3)
    assert made.command == (
        *(sys.executable, "-m", "maskfree", "finetune", "--session", str(tmp_path)),
        *("--preset", "tiny", "--steps", "7", "--device", "cpu", "--seed", "3"),
    )
    for start in ("last", "fresh"):
        asked = finetune_stage(
            tmp_path,
            preset="tiny",
            steps=7,
            device="cpu",
            seed=3,
            start=start,
            extra=("--set", "a=1"),
        )
        assert asked.command == (*made.command, "--start", start, "--set", "a=1")
    assert made.log() is None, "the run's folder is made by the process"
    (tmp_path / "runs" / "0001").mkdir(parents=True)
    assert made.log() == tmp_path / "runs" / "0001" / "metrics.jsonl"
    again = finetune_stage(tmp_path, preset="tiny", steps=7, device="cpu", seed=3)
    assert again.log() is None, "an older run is not ours"
    predict = predict_stage(tmp_path, device="cpu")
    assert predict.command[1:] == ("-m", "maskfree", "predict", str(tmp_path), "--device", "cpu")


@pytest.mark.skipif(sys.platform == "win32", reason="process groups are POSIX")
def test_children_of_the_process_end_with_it(tmp_path, patience):
    code = f"""
        import subprocess, sys, time
        child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])
        open({str(tmp_path / "pid")!r}, 'w').write(str(child.pid))
        time.sleep(600)
    """
    job = Job([stage("a", code, tmp_path / "x")], tmp_path)
    job.start()
    pid = tmp_path / "pid"
    assert patience(lambda: pid.exists() and pid.read_text().isdigit(), WAIT)
    job.kill()
    child = int(pid.read_text())
    gone = lambda: not psutil.pid_exists(child) or psutil.Process(child).status() == "zombie"  # noqa: E731
    assert patience(gone, WAIT)
