"""Killed at any moment, nothing is lost: the benchmark's own code, a few kills or two hundred."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import pytest

import survival
from survival_child import digest_of, work_on

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is POSIX")


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("USERPROFILE", str(home))


def check(arguments: list[str], tmp_path: Path, kills: int) -> None:
    out = tmp_path / "found.json"
    assert survival.main([*arguments, "--kills", str(kills), "--json", str(out)]) == 0
    (row,) = json.loads(out.read_text())["rows"]
    assert row["met"] is True
    assert row["measured"].startswith("0 of ")
    assert row["measured"].endswith(f"; {kills} of {kills} kills survived")


def test_twelve_kills(tmp_path: Path) -> None:
    check(["--light"], tmp_path, 12)


@pytest.mark.slow
def test_two_hundred_kills_with_trainings_among_them(tmp_path: Path) -> None:
    check(["--seed", "1"], tmp_path, 200)


def test_an_edit_that_is_lost_is_counted(tmp_path: Path) -> None:
    survival.new_session(tmp_path / "work", session=True)
    state, _ = work_on(tmp_path / "work")
    done = [digest_of(state)]
    for x in (10.0, 20.0, 30.0):
        state.set_box(1, (x, 5.0, x + 9, 20.0), 3)
        done.append(digest_of(state))
    assert survival._compare(state, done, None) == (0, False)
    state.undo()
    assert survival._compare(state, done, None)[0] == 1
    state.redo()
    assert survival._compare(state, done[:-1], "edit") == (0, True)
    assert survival._compare(state, done[:-1], None)[0] > 0
    assert survival._compare(state, done[:-2], "edit")[0] > 0
    state.undo()
    assert survival._compare(state, done, "undo") == (0, True)
    state.journal.close()
