"""Edits that are in a session's journal alone are said by the commands that work with its files."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from typing import TYPE_CHECKING, Any

import pytest

from maskfree.journal import Journal
from maskfree.journal_records import base_record, edit_record, open_record
from maskfree.journal_waiting import waiting_edits

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from maskfree.session import Session


@pytest.fixture
def path(session: Session) -> Path:
    return session.path / "journal.jsonl"


def digest(session: Session) -> str:
    return hashlib.sha256((session.path / "boxes.json").read_bytes()).hexdigest()


def edit(session: Session, frames: dict[int, Any] | None = None) -> dict[str, Any]:
    """An edit of the boxes, or of the corrections of some frames."""
    now = session.boxes
    label = dataclasses.replace(now.tracks[0], label="other")
    after = now if frames else dataclasses.replace(now, tracks=(label, *now.tracks[1:]))
    empty: dict[int, Any] = {frame: {} for frame in frames or ()}
    return edit_record("edit", "a change", (now, after), (1, 1), (empty, frames or {}))


def write(path: Path, session: Session, *records: dict[str, Any]) -> None:
    Journal.begin(path, [base_record(session.boxes, 1), open_record(), *records]).close()


def test_nothing_waits_without_edits(session: Session, path: Path) -> None:
    assert waiting_edits(session) == 0
    write(path, session)
    assert waiting_edits(session) == 0


def test_edits_wait_until_the_boxes_after_them_are_written(session: Session, path: Path) -> None:
    undo = {"kind": "undo", "selected": 1}
    write(path, session, edit(session), edit(session), undo)
    assert waiting_edits(session) == 3
    saved = {"kind": "saved", "digest": digest(session), "at": 4}
    write(path, session, edit(session), edit(session), undo, saved)
    assert waiting_edits(session) == 1, "one came while the boxes were written"
    write(path, session, edit(session), {**saved, "kind": "saving", "at": 3})
    assert waiting_edits(session) == 0, "killed before it could say that they are written"
    write(path, session, edit(session), {**saved, "digest": "0" * 64, "at": 3}, edit(session))
    assert waiting_edits(session) == 0, "another program's boxes stand"


def test_corrections_wait_until_their_files_are_written(session: Session, path: Path) -> None:
    frames = {0: {}, 3: {}}
    write(path, session, edit(session, frames))
    assert waiting_edits(session) == 1
    write(path, session, edit(session, frames), {"kind": "wrote", "frames": [0]})
    assert waiting_edits(session) == 1
    write(path, session, edit(session, frames), {"kind": "wrote", "frames": [0, 3]})
    assert waiting_edits(session) == 0


def test_a_window_that_has_it_open_saves_them(session: Session, path: Path) -> None:
    write(path, session, edit(session))
    held = Journal.open(path)
    assert waiting_edits(session) == 0
    held.close()
    assert waiting_edits(session) == 1


def test_commands_say_so(small_session: Session, cli: Callable[..., Any], tmp_path: Path) -> None:
    folder, out = small_session.path, tmp_path / "out"
    path = folder / "journal.jsonl"
    write(path, small_session, edit(small_session))
    for command in (("info", folder), ("export", folder, "--out", out, "--format", "boxes")):
        done = cli(*command)
        assert done.code == 0, done.err
        assert "1 edit of" in done.err
        assert "is in its journal alone" in done.err
    path.write_bytes(path.read_bytes().replace(b'"kind":"base"', b'"kind":"base" '))
    assert cli("info", folder).code == 0, "a damaged one is the window's to mend"


def test_odd_records_count_for_nothing(session: Session, path: Path) -> None:
    odd = [
        {"kind": "saved", "digest": digest(session), "at": "x"},
        {"kind": "wrote", "frames": 3},
        {"kind": "wrote", "frames": [[], {}]},
        {"kind": "edit", "corrections": [1]},
        {"kind": ["edit"]},
    ]
    write(path, session, *odd)
    assert json.loads(path.read_text().splitlines()[-1])["kind"] == ["edit"]
    assert waiting_edits(session) == 0
