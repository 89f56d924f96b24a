"""The command line in a process of its own: Ctrl-C, exit code, a pipe that closes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from command_line import SMALL, Result
from maskfree.formats import Annotations, export
from maskfree.numbered_names import NumberedNames
from maskfree.types import BoxTracks, InstanceMasks, Keyframe, Track

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def stoppable(words: list[str], ready: Callable[[], bool]) -> subprocess.CompletedProcess[str]:
    """Start ``maskfree`` in a process of its own and send Ctrl-C once it is ready."""
    if sys.platform == "win32":
        group: dict[str, Any] = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
    else:  # where the tests run in the background, a shell has switched Ctrl-C off
        group = {"preexec_fn": lambda: signal.signal(signal.SIGINT, signal.default_int_handler)}
    process = subprocess.Popen(
        [sys.executable, "-m", "maskfree", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        **group,
    )
    end = time.monotonic() + 120
    while not ready() and process.poll() is None and time.monotonic() < end:
        time.sleep(0.05)
    if sys.platform == "win32":
        process.send_signal(signal.CTRL_BREAK_EVENT)
    else:
        process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    return subprocess.CompletedProcess(words, process.returncode, out, err)


def test_ctrl_c_keeps_what_was_learnt(
    cli: Callable[..., Result], clip: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "session"
    metrics = folder / "runs" / "0001" / "metrics.jsonl"
    words = ["finetune", str(clip / "frames"), "--boxes", str(clip / "boxes.json")]
    words += ["--session", str(folder), "--steps", "100000", *SMALL]
    done = stoppable(words, lambda: metrics.is_file() and '"step"' in metrics.read_text())
    assert done.returncode in {130, 149}, done.stderr  # 149: Ctrl-Break of Windows
    last = done.stderr.splitlines()[-1]
    assert last.startswith("maskfree: stopped; what was learnt in ")
    assert "--resume" in last
    run = cli("info", folder, "--json").json["runs"][0]
    assert run["status"] == "stopped"
    assert run["checkpoint"]
    records = [json.loads(line) for line in metrics.read_text(encoding="utf-8").splitlines()]
    assert f"in {records[-1]['step']} of 100000 steps" in last


def test_a_process_ends_with_the_exit_code_and_one_line(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "maskfree", "info", str(tmp_path / "Kälte")],
        capture_output=True,
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        check=False,
    )
    assert done.returncode == 2
    assert done.stdout == b""
    lines = done.stderr.decode("utf-8").splitlines()
    assert len(lines) == 1
    assert "Kälte" in lines[0]


@pytest.mark.skipif(sys.platform == "win32", reason="a pipe that closes early is a POSIX matter")
def test_a_reader_that_stops_early_is_no_error() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "maskfree", "settings", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    process.stdout.close()
    process.stdout = None
    _, err = process.communicate(timeout=60)
    assert process.returncode == 0
    assert err == b""


@pytest.mark.skipif(sys.platform == "win32", reason="there it ends a process at once")
@pytest.mark.parametrize("target", ["boxes", "davis", "ome-zarr"])
def test_a_conversion_that_is_told_to_end_leaves_nothing(tmp_path: Path, target: str) -> None:
    masks = InstanceMasks((1,), np.ones((1, 48, 64), bool), (1.0,))
    box = Keyframe(0, (0.0, 0.0, 64.0, 48.0)), Keyframe(1, (1.0, 0.0, 64.0, 48.0))
    boxes = BoxTracks(3000, 48, 64, None, (Track(1, "a", box),))
    long = Annotations(boxes, NumberedNames(3000), lambda _: masks)
    export(long, tmp_path / "a.json", "coco")
    words = ["convert", str(tmp_path / "a.json"), str(tmp_path / "out/b"), "--from", "coco"]
    process = subprocess.Popen(
        [sys.executable, "-m", "maskfree", *words, "--to", target],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )
    end = time.monotonic() + 120
    while process.poll() is None and time.monotonic() < end:
        if any((tmp_path / "out").glob(".tmp-*")):
            break
        time.sleep(0.002)
    process.terminate()
    _, err = process.communicate(timeout=60)
    if process.returncode:  # it may have been quicker
        assert (process.returncode, err) == (143, "maskfree: stopped\n")
        assert not (tmp_path / "out").exists()
