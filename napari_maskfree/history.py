"""What was done, by name, and the way back. No Qt here.

Each change keeps the content as it was before, which shares all that did not change with the
content after it. What a step keeps for itself is counted, and the oldest go when that is too much.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

from napari_maskfree.constants import HISTORY

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["History"]

T = TypeVar("T")


class History(Generic[T]):
    """Changes that can be taken back, and those that were."""

    def __init__(self, most: int = HISTORY) -> None:
        self._most = most
        self._costs: list[int] = []
        self._done: list[tuple[str, T]] = []
        self._undone: list[tuple[str, T]] = []

    def record(self, name: str, before: T, *, cost: int = 1) -> None:
        """Keep the content as it was ``before`` the change ``name``; what was undone is gone.

        ``cost``: how many things it holds that the content after it does not share.
        """
        del self._costs[len(self._done) :]
        self._done.append((name, before))
        self._costs.append(cost)
        self._undone.clear()
        while sum(self._costs) > self._most and len(self._done) > 1:
            del self._done[0], self._costs[0]

    def undo(self, now: T) -> T:
        """Return the content before the last change; the same where there is none."""
        return self._travel(self._done, self._undone, now)

    def redo(self, now: T) -> T:
        """Return the content after the change undone last; the same where there is none."""
        return self._travel(self._undone, self._done, now)

    @property
    def steps(self) -> tuple[list[tuple[str, T]], list[tuple[str, T]]]:
        """The names and contents that undo brings back, oldest first; and redo, the next one last.

        The last of the first is the content before the last change, that of the second the one
        after the change undone last.
        """
        return list(self._done), list(self._undone)

    @property
    def before(self) -> T | None:
        """The content that :meth:`undo` would bring back; None: there is none."""
        return self._done[-1][1] if self._done else None

    @property
    def after(self) -> T | None:
        """The content that :meth:`redo` would bring back; None: there is none."""
        return self._undone[-1][1] if self._undone else None

    def any(self, holds: Callable[[T], bool]) -> bool:
        """Whether ``holds`` is true of any content that undo or redo would bring back."""
        return any(holds(content) for _, content in (*self._done, *self._undone))

    def clear(self) -> None:
        """Forget everything."""
        self._done.clear()
        self._undone.clear()
        self._costs.clear()

    @property
    def undo_name(self) -> str | None:
        """What :meth:`undo` would take back; None: nothing."""
        return self._done[-1][0] if self._done else None

    @property
    def redo_name(self) -> str | None:
        """What :meth:`redo` would do again; None: nothing."""
        return self._undone[-1][0] if self._undone else None

    @staticmethod
    def _travel(source: list[tuple[str, T]], target: list[tuple[str, T]], now: T) -> T:
        if not source:
            return now
        name, there = source.pop()
        target.append((name, now))
        return there
