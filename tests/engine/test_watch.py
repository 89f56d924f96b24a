from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from maskfree import watch
from maskfree.presets import preset
from maskfree.run import new_run
from maskfree.watch import RunWatch, StopAsked, Ticks, unwatched

if TYPE_CHECKING:
    from pathlib import Path

    from maskfree.run import Run


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return new_run(tmp_path, preset("tiny"), seed=0)


def test_ticks_tell_the_start_and_each_piece() -> None:
    heard: list[tuple[str, int, int]] = []
    tick = Ticks(lambda *words: heard.append(words), "colours", 5)
    tick()
    tick(3)
    tick(0)
    assert heard == [("colours", 0, 5), ("colours", 1, 5), ("colours", 4, 5)]


def test_nothing_to_do_is_not_told() -> None:
    heard: list[tuple[str, int, int]] = []
    Ticks(lambda *words: heard.append(words), "colours", 0)(0)
    assert heard == []


def test_nobody_may_listen() -> None:
    Ticks(unwatched, "colours", 1)()


def test_a_run_is_told_at_once_and_then_twice_a_second(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, heard = [0.2], list[tuple[str, int, int]]()
    monkeypatch.setattr(watch.time, "monotonic", lambda: now[0])
    tell = RunWatch(run, lambda *words: heard.append(words))
    for done, seconds in enumerate([0.2, 0.6, 0.75, 0.8, 1.3]):
        now[0] = seconds
        tell("colours", done, 9)
    assert [record["done"] for record in run.records()] == [0, 2, 4]
    assert run.records()[1] == {"preparing": "colours", "done": 2, "total": 9}
    assert [done for _, done, _ in heard] == [0, 1, 2, 3, 4]


def test_a_stop_file_ends_the_look(run: Run) -> None:
    run.request_stop()
    with pytest.raises(StopAsked):
        RunWatch(run)("colours", 1, 9)
    assert run.records() == []
