"""A journal: whole records in order, whatever the disk, the clock or another program does."""

from __future__ import annotations

import datetime
import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from full_disk import full_disk
from maskfree import journal as module
from maskfree.errors import InputError
from maskfree.journal import Journal, JournalGone, JournalHeld

if TYPE_CHECKING:
    from pathlib import Path


def kinds(journal: Journal) -> list[object]:
    return [record["kind"] for record in journal.records()]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.jsonl"


@pytest.fixture
def whole(path: Path) -> bytes:
    """Three records, in a journal that is closed."""
    made = Journal.begin(path, [{"kind": "base", "text": "ä\ud83d\n"}])
    made.append([{"kind": "a"}, {"kind": "b", "n": 77, "crc": "x"}])
    made.close()
    return path.read_bytes()


def test_records_are_numbered_summed_and_read_in_order(path: Path, whole: bytes) -> None:
    made = Journal.open(path)
    assert [(r["n"], r["kind"]) for r in made.records()] == [(1, "base"), (2, "a"), (3, "b")]
    assert (made.number, made.damage, made.size) == (3, "", len(whole))
    assert made.base_size == whole.index(b"\n") + 1
    lines = whole.splitlines()
    assert all(json.loads(line) for line in lines), "each line is JSON of its own"
    assert next(made.records())["text"] == "ä\ud83d\n"
    made.close()


def test_a_half_written_last_line_is_dropped_at_every_length(path: Path, whole: bytes) -> None:
    last = whole.rindex(b"\n", 0, -1) + 1
    for length in range(last, len(whole)):
        path.write_bytes(whole[:length])
        made = Journal.open(path)
        assert kinds(made) == ["base", "a"]
        assert made.damage == ("" if length == last else "torn")
        made.append([{"kind": "c"}])
        assert kinds(made) == ["base", "a", "c"]
        made.close()
        again = Journal.open(path)
        assert (kinds(again), again.damage) == (["base", "a", "c"], "")
        again.close()


@pytest.mark.parametrize("tail", [b"\0" * 4096, b"\n", b"{}\n", b"\xff\xfe\n\n{", b'{"n":4}\n'])
def test_what_is_behind_the_last_record_is_dropped(path: Path, whole: bytes, tail: bytes) -> None:
    path.write_bytes(whole + tail)
    made = Journal.open(path)
    assert (made.number, made.damage) == (3, "torn")
    made.append([{"kind": "c"}])
    made.close()
    again = Journal.open(path)
    assert (kinds(again), again.damage) == (["base", "a", "b", "c"], "")
    again.close()


def test_damage_before_whole_records_ends_what_is_read(path: Path, whole: bytes) -> None:
    first, second, third = whole.splitlines(keepends=True)
    for broken in (second.replace(b'"a"', b'"x"'), second[:-9] + b"\n", b"", b"\n"):
        path.write_bytes(first + broken + third)
        made = Journal.open(path)
        assert (kinds(made), made.damage) == (["base"], "middle")
        aside = made.copy_aside("damaged")
        assert aside.read_bytes() == first + broken + third
        aside.unlink()
        made.close()


def test_a_line_of_another_journal_or_number_is_no_record(path: Path, whole: bytes) -> None:
    first, second, third = whole.splitlines(keepends=True)
    path.write_bytes(first + third + second)
    made = Journal.open(path)
    assert (kinds(made), made.damage) == (["base"], "middle")
    made.close()


def test_a_clock_that_jumps_changes_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    years = iter([2026, 1970, 2099, 2026])

    class Clock(datetime.datetime):
        @classmethod
        def now(cls, tz: datetime.tzinfo | None = None) -> datetime.datetime:
            return datetime.datetime(next(years), 1, 1, tzinfo=tz)

    monkeypatch.setattr(module.datetime, "datetime", Clock)
    made = Journal.begin(path, [{"kind": "base"}])
    for kind in "abc":
        made.append([{"kind": kind}])
    made.close()
    monkeypatch.undo()
    again = Journal.open(path)
    assert kinds(again) == ["base", "a", "b", "c"]
    assert [r["t"][:4] for r in again.records()] == ["2026", "1970", "2099", "2026"]
    again.close()


def test_a_full_disk_leaves_it_as_it_was(
    path: Path, whole: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Journal.open(path)
    full_disk(monkeypatch)
    with pytest.raises(InputError, match="The disk is full"):
        made.append([{"kind": "c"}])
    assert path.read_bytes() == whole
    monkeypatch.undo()
    made.append([{"kind": "c"}])
    assert kinds(made) == ["base", "a", "b", "c"]
    made.close()


def test_one_process_holds_it(path: Path, whole: bytes) -> None:
    made = Journal.open(path)
    for again in (Journal.open, lambda p: Journal.begin(p, [])):
        with pytest.raises(JournalHeld, match="is open in another window"):
            again(path)
    code = (
        "import sys; from maskfree.journal import Journal, JournalHeld\n"
        "try: Journal.open(sys.argv[1])\n"
        "except JournalHeld: print('held')\n"
    )
    words = [sys.executable, "-c", code, str(path)]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert done.stdout == "held\n"
    made.close()
    Journal.open(path).close()


def test_a_file_that_somebody_changed_or_removed_is_not_written(path: Path, whole: bytes) -> None:
    made = Journal.open(path)
    path.write_bytes(whole[:-20])
    with pytest.raises(JournalGone, match="was changed"):
        made.append([{"kind": "c"}])
    path.unlink()
    with pytest.raises(JournalGone, match="was removed"):
        made.append([{"kind": "c"}])
    assert not path.exists()
    path.parent.rename(path.parent.with_name("away"))
    with pytest.raises(InputError, match="could not be written"):
        made.append([{"kind": "c"}])
    made.close()


def test_no_journal(path: Path) -> None:
    with pytest.raises(InputError, match="There is no journal"):
        Journal.open(path)
    for content in (b"", b"nonsense"):
        path.write_bytes(content)
        made = Journal.open(path)
        assert (made.number, list(made.records())) == (0, [])
        made.close()


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.data())
def test_any_bytes_are_read_or_left(tmp_path_factory: pytest.TempPathFactory, data: object) -> None:
    path = tmp_path_factory.mktemp("j") / "journal.jsonl"
    made = Journal.begin(path, [{"kind": "base"}, {"kind": "a"}, {"kind": "b"}])
    made.close()
    good = path.read_bytes()
    draw = data.draw  # type: ignore[attr-defined]
    if draw(st.booleans()):
        content = draw(st.binary(max_size=300))
    else:
        start, stop = sorted(draw(st.integers(0, len(good))) for _ in range(2))
        content = good[:start] + draw(st.binary(max_size=9)) + good[stop:]
    path.write_bytes(content)
    opened = Journal.open(path)
    found = list(opened.records())
    assert [r["n"] for r in found] == list(range(1, len(found) + 1))
    assert content.startswith(opened.content())
    opened.close()
