"""Frames kept in memory: the least recently used go first, and never more bytes than allowed."""

from __future__ import annotations

from collections import OrderedDict
from typing import Generic, Protocol, TypeVar

__all__ = ["FrameCache"]


class _Sized(Protocol):
    @property
    def nbytes(self) -> int: ...


Kept = TypeVar("Kept", bound=_Sized)


class FrameCache(Generic[Kept]):
    """Frames by number, least recently used first out, never more than ``limit`` bytes.

    ``nbytes`` counts the bytes held, ``hits`` and ``misses`` the lookups.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.nbytes = 0
        self.hits = 0
        self.misses = 0
        self._in_turn = False
        self._frames: OrderedDict[int, Kept] = OrderedDict()

    def __len__(self) -> int:
        return len(self._frames)

    def __contains__(self, index: int) -> bool:
        return index in self._frames

    def get(self, index: int) -> Kept | None:
        """Return the frame and mark it as just used, or None."""
        frame = self._frames.get(index)
        if frame is None:
            self.misses += 1
            return None
        self.hits += 1
        if not self._in_turn:
            self._frames.move_to_end(index)
        return frame

    def put(self, index: int, frame: Kept) -> None:
        """Keep a frame; the oldest ones go. One larger than the limit is not kept."""
        if frame.nbytes > self.limit or index in self._frames:
            return
        self._frames[index] = frame
        self.nbytes += frame.nbytes
        self._drop()

    def shrink(self, limit: int) -> None:
        """Hold no more than ``limit`` bytes from now on; a larger limit does not widen it.

        From now on what was put first goes first, however often it is looked up.
        """
        self.limit, self._in_turn = min(self.limit, limit), True
        self._drop()

    def _drop(self) -> None:
        while self.nbytes > self.limit:
            self.nbytes -= self._frames.popitem(last=False)[1].nbytes

    def clear(self) -> None:
        """Forget every frame."""
        self._frames.clear()
        self.nbytes = 0
