"""One process at a time edits a session."""

from __future__ import annotations

import errno
import json
import os
import platform
import shutil
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from maskfree import session_hold as module
from maskfree.errors import InputError
from maskfree.session import Session
from maskfree.session_hold import Holder, SessionHold, holding, read_holder
from session_folder import BOXES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from command_line import Result

HOLD = """
import sys, time
from maskfree.session_hold import SessionHold
hold = SessionHold(sys.argv[1], "napari")
assert hold.take() is None
print("held", flush=True)
time.sleep(600)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Session.create(tmp_path / "s", video_source=None, boxes=BOXES).path


@pytest.fixture
def other(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that has the session."""
    command = [sys.executable, "-c", HOLD, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, encoding="utf-8") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_the_second_process_is_told_who_holds_it(
    folder: Path, other: subprocess.Popen[str]
) -> None:
    hold = SessionHold(folder, "maskfree")
    holder = hold.take()
    assert holder is not None
    assert (holder.program, holder.pid, holder.host) == ("napari", other.pid, platform.node())
    assert abs(time.time() - (holder.since or 0)) < 120
    assert holder.words.startswith(f"napari (process {other.pid} on {platform.node()} since ")
    assert not hold.held
    with pytest.raises(InputError, match=rf"is open in napari \(process {other.pid} on ") as error:
        holding(folder, "maskfree").__enter__()
    assert str(error.value).endswith("left as it is. Close it there, then try again.")


def test_a_killed_holder_holds_nobody_back(folder: Path, other: subprocess.Popen[str]) -> None:
    hold = SessionHold(folder, "maskfree")
    assert hold.take() is not None
    other.kill()
    other.wait()
    assert read_holder(folder).pid == other.pid, "its note is still there"
    assert hold.take() is None
    assert read_holder(folder).pid == os.getpid()
    hold.release()
    assert read_holder(folder) == Holder()
    assert not hold.held


def test_scripts_and_runs_work_beside_a_window(
    folder: Path, other: subprocess.Popen[str], cli: Callable[..., Result]
) -> None:
    session = Session.open(folder)
    session.save_boxes(BOXES)
    assert cli("info", folder).code == 0
    assert other.poll() is None
    refused = cli("shift", folder, "--undo")
    assert (refused.code, refused.out) == (2, "")
    assert f"process {other.pid}" in refused.err


def test_windows_of_one_process_share_it(folder: Path) -> None:
    first, second = (SessionHold(folder, "napari") for _ in range(2))
    assert first.take() is second.take() is None
    first.release()
    first.release()
    assert read_holder(folder).pid == os.getpid()
    assert _from_outside(folder) == "napari"
    second.release()
    assert _from_outside(folder) == "None"


def _from_outside(folder: Path) -> str:
    code = (
        "import sys; from maskfree.session_hold import SessionHold; "
        "h = SessionHold(sys.argv[1], 'x').take(); print(h.program if h else None)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder)], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_a_link_to_the_folder_is_the_same_session(folder: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(folder)
    first, second = SessionHold(folder, "a"), SessionHold(link, "b")
    assert first.take() is second.take() is None
    first.release()
    assert second.held
    second.release()


def test_a_child_keeps_nothing_of_it(folder: Path) -> None:
    hold = SessionHold(folder, "napari")
    hold.take()
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) as child:
        hold.release()
        assert _from_outside(folder) == "None", "a run goes on when its window ends"
        child.kill()


def test_a_folder_that_was_put_back_is_held_anew(folder: Path, tmp_path: Path) -> None:
    hold = SessionHold(folder, "napari")
    assert hold.take() is None
    shutil.copytree(folder, tmp_path / "copy")
    shutil.rmtree(folder)
    assert hold.take() is None, "nothing there: nothing to lose"
    shutil.copytree(tmp_path / "copy", folder)
    assert hold.take() is None
    assert _from_outside(folder) == "napari"
    hold.release()


def test_a_disk_that_knows_no_locks(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(module, "lock_now", refuse)
    with holding(folder, "maskfree"):
        assert read_holder(folder).program == "maskfree"
    assert read_holder(folder) == Holder()


def test_a_folder_that_may_not_be_written(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> int:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(module.os, "open", refuse)
    hold = SessionHold(folder, "napari")
    assert hold.take() is None
    hold.release()
    assert not (folder / "session.lock").exists()


def test_a_note_that_cannot_be_read_names_nobody(folder: Path) -> None:
    path = folder / "session.holder.json"
    for content in ("", "nonsense", "[]", '{"pid": "x", "since": true, "host": null}'):
        path.write_text(content, encoding="utf-8")
        assert read_holder(folder).words == "another program"
    note = {"program": "napari", "pid": 7, "host": "lab", "since": 1e300}
    path.write_text(json.dumps(note), encoding="utf-8")
    assert read_holder(folder).words == "napari (process 7 on lab since an unknown time)"
    yesterday = Holder("napari", 7, "lab", time.time() - 2 * 86400)
    assert yesterday.words.count("-") == 2, "with its date"
