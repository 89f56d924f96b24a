"""The event loop's heartbeat in a real napari window: the gaps between two beats, in milliseconds.

What the canvas takes is taken out of the gaps and stands on its own: its paint events, and until
the window was composed of it, which is when a driver without a graphics card really draws.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Heart", "after", "beaten", "canvas_of", "live", "until"]

PATIENCE = 3600.0
"""Seconds that a run may take."""
BEAT = 5
"""Milliseconds between two beats of an idle event loop."""
LOOK = 50
"""Milliseconds between two looks whether something is so."""


class Heart:
    """Beats with the event loop; notes the gaps, less what the canvas took of them."""

    def __init__(self, canvas: Any) -> None:
        from qtpy.QtCore import QEvent, QObject, QTimer

        heart = self
        self.gaps: list[float] = []
        self.own: list[float] = []
        self.paintings: list[float] = []
        self._painting = self._painted = self._painted_own = 0.0
        self._began: tuple[float, float] | None = None

        class Watch(QObject):
            """Times the canvas: its paint events are handled here."""

            def eventFilter(self, watched: Any, event: Any) -> bool:
                if event.type() != QEvent.Type.Paint:
                    return False
                heart._begin()
                watched.event(event)
                heart._end()
                return True

        self._canvas, self._watch, self._timer = canvas, Watch(), QTimer()
        canvas.installEventFilter(self._watch)
        canvas.aboutToCompose.connect(self._begin)
        canvas.frameSwapped.connect(self._swapped)
        self._timer.timeout.connect(self._beat)
        self._last = self._now()
        self._timer.start(BEAT)

    @staticmethod
    def _now() -> tuple[float, float]:
        """Return wall and main-thread time in milliseconds."""
        return time.perf_counter() * 1e3, time.thread_time() * 1e3

    def _begin(self) -> None:
        self._began = self._now()

    def _end(self) -> None:
        if self._began is None:
            return
        wall, own = (now - then for now, then in zip(self._now(), self._began, strict=True))
        self._began = None
        self._painting += wall
        self._painted += wall
        self._painted_own += own

    def _swapped(self) -> None:
        """The window shows the canvas: one painting is over."""
        self._end()
        if self._painting:
            self.paintings.append(self._painting)
            self._painting = 0.0

    def _beat(self) -> None:
        now, last = self._now(), self._last
        self.gaps.append(now[0] - last[0] - self._painted)
        self.own.append(now[1] - last[1] - self._painted_own)
        self._last, self._painted, self._painted_own = now, 0.0, 0.0

    def rest(self) -> dict[str, float]:
        """Stop, and return gaps and paintings in milliseconds."""
        self._timer.stop()
        self._canvas.removeEventFilter(self._watch)
        self._canvas.aboutToCompose.disconnect(self._begin)
        self._canvas.frameSwapped.disconnect(self._swapped)
        painted = self.paintings or [0.0]
        return {
            "beats": len(self.gaps),
            "median": float(np.median(self.gaps)),
            "p99.9": float(np.percentile(self.gaps, 99.9)),
            "longest": max(self.gaps),
            "main thread p99.9": float(np.percentile(self.own, 99.9)),
            "paintings": len(self.paintings),
            "painting median": float(np.median(painted)),
            "painting longest": max(painted),
        }


def beaten(canvas: Any, done: Callable[[], bool]) -> dict[str, float]:
    """Return what a heart notes until something is so."""
    heart = Heart(canvas)
    until(done)
    return heart.rest()


def canvas_of() -> Any:
    """Return the widget that napari's canvas is painted on: the largest one."""
    from qtpy.QtWidgets import QApplication

    found = [w for w in QApplication.allWidgets() if "CanvasBackend" in type(w).__name__]
    return max(found, key=lambda w: w.width() * w.height())


def until(done: Callable[[], bool]) -> None:
    """Let the window live as its own event loop does, until something is so."""
    from qtpy.QtCore import QEventLoop, QTimer

    loop, end = QEventLoop(), time.monotonic() + PATIENCE
    timer = QTimer()
    timer.timeout.connect(lambda: loop.quit() if done() or time.monotonic() > end else None)
    timer.start(LOOK)
    loop.exec()
    timer.stop()
    if time.monotonic() > end:
        raise SystemExit("The window did not come to its end in an hour.")


def after(seconds: float) -> Callable[[], bool]:
    """Return what becomes true after so many seconds."""
    end = time.monotonic() + seconds
    return lambda: time.monotonic() > end


def live(seconds: float) -> None:
    """Let the window live for a while."""
    until(after(seconds))
