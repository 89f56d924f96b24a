from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from maskfree.ahead import ahead

if TYPE_CHECKING:
    from collections.abc import Iterator

PATIENCE = 30
"""Seconds after which a thread that should have come is given up."""


class Counted:
    """Numbers from 0, and who was asked for them; ``made``: set once so many were made."""

    def __init__(self, count: int, fails_at: int = -1) -> None:
        self.count, self.fails_at = count, fails_at
        self.given: list[int] = []
        self.threads: set[str] = set()
        self.made = {n: threading.Event() for n in range(count)}

    def __iter__(self) -> Iterator[int]:
        for n in range(self.count):
            if n == self.fails_at:
                raise ValueError(f"number {n}")
            self.given.append(n)
            self.threads.add(threading.current_thread().name)
            self.made[n].set()
            yield n


def own_threads() -> list[threading.Thread]:
    return [t for t in threading.enumerate() if t.name.startswith("ahead")]


@pytest.mark.parametrize("count", [0, 1, 2, 5, 40])
@pytest.mark.parametrize("room", [0, 1, 3])
def test_all_items_come_in_their_order(count: int, room: int) -> None:
    items = Counted(count)
    assert list(ahead(iter(items), room)) == list(range(count))
    assert threading.current_thread().name not in items.threads
    assert not own_threads()


@pytest.mark.parametrize("room", [1, 4])
def test_so_many_are_made_meanwhile_and_no_more(room: int) -> None:
    items = Counted(20)
    found = ahead(iter(items), room)
    assert next(found) == 0
    assert items.made[room + 1].wait(PATIENCE)  # one was taken, its place and the room are filled
    assert next(found) == 1
    assert items.made[room + 2].wait(PATIENCE)
    found.close()  # type: ignore[attr-defined]
    assert items.given == list(range(room + 3))


def test_an_error_comes_where_its_item_would_have_come() -> None:
    found = ahead(iter(Counted(9, fails_at=3)), 5)
    assert [next(found) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="number 3"):
        next(found)
    assert not own_threads()


def test_whoever_stops_leaves_no_thread_behind() -> None:
    items = Counted(1000)
    for n in ahead(iter(items), 2):
        if n == 5:
            break
    del n
    assert len(items.given) <= 10
    assert not own_threads()
