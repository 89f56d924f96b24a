"""Ctrl-C, and a polite request to end, that wait until what is being done is safe to leave."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator
    from types import FrameType
    from typing import Self

__all__ = ["Interrupted", "Interrupts", "follow"]

T = TypeVar("T")
_NAMES = ("SIGINT", "SIGTERM", "SIGBREAK")
_EXIT_BASE = 128


class Interrupted(KeyboardInterrupt):
    """The work was stopped on request, at a safe place.

    ``code`` is the exit code that a shell expects: 128 + the signal's number, 130 for Ctrl-C.
    """

    def __init__(self, code: int) -> None:
        super().__init__("stopped")
        self.code = code


class Interrupts:
    """Within the ``with`` block a signal to end sets :attr:`asked` rather than raising.

    Before :attr:`armed` is set there is nothing to lose and it raises at once, and so does the
    second one, for a person who will not wait. Outside the main thread, which alone gets signals,
    this does nothing.

    Parameters
    ----------
    patience
        A second signal within so many seconds of the first is the same request: a launcher of
        processes passes on what they got already.
    """

    def __init__(self, *, patience: float = 0.0) -> None:
        self.armed = False
        self.asked = False
        self._code = 0
        self._patience, self._first = patience, 0.0
        self._previous: dict[int, object] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for name in _NAMES:  # Windows has no real SIGTERM, only it has SIGBREAK
                number = getattr(signal, name, None)
                # What the shell has switched off, as for a job in the background, stays off.
                if number is not None and signal.getsignal(number) != signal.SIG_IGN:
                    self._previous[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        for number, previous in self._previous.items():
            with contextlib.suppress(TypeError):  # a handler that was not installed from Python
                signal.signal(number, previous)  # type: ignore[arg-type]

    @property
    def code(self) -> int:
        """The exit code of what was asked for; 0 where nothing was."""
        return self._code

    def _handle(self, number: int, _: FrameType | None) -> None:
        now = time.monotonic()
        again, self.asked = self.asked and now - self._first >= self._patience, True
        self._first = self._first or now
        self._code = _EXIT_BASE + number
        if again or not self.armed:
            raise Interrupted(self._code)

    def check(self) -> None:
        """Raise :class:`Interrupted` if somebody asked for it."""
        if self.asked:
            raise Interrupted(self._code)


def follow(steps: Generator[T, None, None] | Iterator[T], report: Callable[[T], None]) -> None:
    """Run a generator to its end, calling ``report`` after each step.

    A signal to end lets the step in progress finish; then the generator is closed, so that it
    saves what it has.

    Raises
    ------
    Interrupted
        When that happened.
    """
    with Interrupts() as interrupts:
        try:
            for step in steps:
                interrupts.armed = True
                report(step)
                interrupts.check()
        finally:
            close = getattr(steps, "close", None)
            if close is not None:
                close()
