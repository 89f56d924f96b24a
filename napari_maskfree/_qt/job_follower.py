"""Follows the job at work with a timer and tells the panels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.compat import isalive
from qtpy.QtCore import QObject, QTimer, Signal

from napari_maskfree.constants import CLOSE_GRACE, POLL_INTERVAL

if TYPE_CHECKING:
    from napari_maskfree.worker import Job, JobView

__all__ = ["JobFollower"]


class JobFollower(QObject):
    """At most one job; ``updated`` at every look while it is active, ``finished`` once."""

    updated = Signal()
    finished = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.job: Job | None = None
        self._timer = QTimer(self)
        self._timer.setInterval(POLL_INTERVAL)
        self._timer.timeout.connect(self._look)

    @property
    def active(self) -> bool:
        """Whether a process is at work."""
        return self.job is not None and self.job.view.active

    @property
    def view(self) -> JobView | None:
        """What to show of the last job."""
        return self.job.view if self.job is not None else None

    def start(self, job: Job) -> None:
        """Start a job and follow it.

        Raises
        ------
        RuntimeError
            While another is at work.
        """
        if self.active:
            raise RuntimeError("A run is at work. Cancel it, or wait until it is done.")
        self.job = job
        job.start()
        self._timer.start()
        self.updated.emit()

    def stop(self) -> None:
        """Ask the job to end."""
        if self.job is not None:
            self.job.stop()
            self.updated.emit()

    def keep_best(self) -> None:
        """Ask the run to end with its best weights."""
        if self.job is not None:
            self.job.keep_best()
            self.updated.emit()

    def kill(self) -> None:
        """End the job now and wait for it; nothing is left behind."""
        self._rest()
        if self.job is not None and self.active:
            self.job.kill(CLOSE_GRACE)

    def detach(self) -> None:
        """Let the job go on without us."""
        self._rest()
        if self.job is not None:
            self.job.detach()

    def _rest(self) -> None:
        if isalive(self._timer):
            self._timer.stop()

    def _look(self) -> None:
        if self.job is None:
            return
        view = self.job.poll()
        self.updated.emit()
        if not view.active:
            self._timer.stop()
            self.finished.emit()
