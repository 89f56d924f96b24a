"""A disk that is really full, and one that is really read-only: a small one in memory."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import maskfree
import napari_maskfree
import survival

_WORDS = ["unshare", "--user", "--map-root-user", "--mount"]
SCRIPT = """
import os, subprocess, sys
from pathlib import Path
import survival
from maskfree.errors import InputError
from napari_maskfree.saving import end, save_session_boxes
from survival_child import digest_of, work_on

disk, has_session = Path(sys.argv[1]), sys.argv[2] == "session"
os.environ["HOME"] = str(disk)
survival.new_session(disk / "work", session=has_session)


def fill(left):
    with open(disk / "filler", "wb", buffering=0) as file:
        try:
            while file.write(b"x" * 4096):
                pass
        except OSError:
            pass
        file.truncate(max(0, file.tell() - left))


def mount(how):
    subprocess.run(["mount", "-o", f"remount,{how}", str(disk)], check=True)


def opened_again(state):
    before = digest_of(state)
    end(state)
    again, _ = work_on(disk / "work")
    assert digest_of(again) == before, (digest_of(again), before)
    return again


def draw(state, number):
    state.set_box(1, (number % 1000 / 99, 5.0, 30.0, 40.0), number % 12)


state, _ = work_on(disk / "work")
for left in (0, 4096, 12288):
    fill(left)
    for number in range(90):
        draw(state, number + left)
    assert state.journal.behind, left
    assert "disk is full" in state.journal.problem, state.journal.problem
    if has_session and not left:
        try:
            save_session_boxes(state)
            raise SystemExit("it was saved on a full disk")
        except InputError as error:
            assert "disk is full" in str(error)
    (disk / "filler").unlink()
    draw(state, left + 91)
    assert not state.journal.behind
    state = opened_again(state)
state.let_go()  # nobody may have a file open for writing then
mount("ro")
for number in range(9):
    draw(state, number)
assert state.journal.behind
assert "may not be written" in state.journal.problem, state.journal.problem
mount("rw")
state.journal.retry()
state = opened_again(state)
if has_session:
    save_session_boxes(state)
    opened_again(state)
print("all there")
"""


def allowed() -> bool:
    if sys.platform != "linux" or not all(map(shutil.which, ("unshare", "mount"))):
        return False
    return subprocess.run([*_WORDS, "true"], capture_output=True, check=False).returncode == 0


@pytest.mark.skipif(not allowed(), reason="no disk may be mounted here")
@pytest.mark.parametrize("kind", ["session", "video"])
def test_nothing_is_lost_on_a_full_or_read_only_disk(tmp_path: Path, kind: str) -> None:
    disk, script = tmp_path / "disk", tmp_path / "script.py"
    disk.mkdir()
    script.write_text(SCRIPT, encoding="utf-8")
    mount = (
        f"mount -t tmpfs -o size=2m tmpfs {disk} && exec {sys.executable} {script} {disk} {kind}"
    )
    folders = [Path(each.__file__ or "").parents[n] for each, n in _SOURCES]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, folders))}
    done = subprocess.run(
        [*_WORDS, "sh", "-c", mount],
        env=environment,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert done.stdout == "all there\n", done.stderr
    assert not list(disk.iterdir())


_SOURCES = ((maskfree, 1), (napari_maskfree, 1), (survival, 0))
