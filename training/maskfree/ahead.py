"""An iterator that is run ahead, in a thread of its own, while what it gave is worked on."""

from __future__ import annotations

import collections
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["ahead"]

T = TypeVar("T")
_END = object()


def ahead(items: Iterator[T], room: int) -> Iterator[T]:
    """Yield the items in order; up to ``room`` more of them are made meanwhile.

    What they raise is raised where their item would have come. Whoever closes this iterator, or
    drops it, waits for the item that is being made; no other is begun.
    """
    with ThreadPoolExecutor(1, "ahead") as thread:
        coming = collections.deque(thread.submit(next, items, _END) for _ in range(room + 1))
        try:
            while (item := coming.popleft().result()) is not _END:
                coming.append(thread.submit(next, items, _END))
                yield item  # type: ignore[misc]  # the end was told apart by identity
        finally:
            for job in coming:
                job.cancel()
