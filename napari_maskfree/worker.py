"""The one place that starts processes: a fine-tuning run and the prediction after it.

A :class:`Job` starts ``python -m maskfree …`` and follows the files that it writes. Qt-free: the
window calls :meth:`Job.poll` from a timer. The process writes its messages into a file of the
session, not into a pipe, so it goes on undisturbed when the window is closed and left running.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

from maskfree.errors import InputError
from maskfree.storage import make_folder, writing
from napari_maskfree import constants as c
from napari_maskfree.attached import Attached
from napari_maskfree.endings import last_words
from napari_maskfree.tail import Tail

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import psutil

    from napari_maskfree.stages import Stage

__all__ = ["Job", "JobView"]

LOG_NAME = "process.log"
_WARNING = "maskfree: warning: "


@dataclasses.dataclass
class JobView:
    """What a window shows of a job: updated by :meth:`Job.poll`.

    ``state`` is "running", "stopping", "done", "stopped", "failed" or "detached". ``losses`` holds
    the last step's losses by name, ``totals`` their sum at each of ``steps_seen``, ``terms`` each
    of them there: NaN where it was not, shorter where it has ended. ``preparing``: what a run looks
    at before its first step, empty text later. ``start``: the run that it goes on from, empty
    where it begins afresh. ``begins``: what was made of the weights that it began with.
    ``first_masks``: of how many frames there are masks that it shows before
    it trains. ``keeping``: it was asked to end with its best weights. ``warnings`` are
    what the processes said on their way, each once; of an attached one they are not known.
    """

    state: str = "running"
    stage: str = ""
    preparing: str = ""
    done: int = 0
    total: int = 0
    seconds_left: float | None = None
    message: str = ""
    device: str = ""
    start: str = ""
    begins: str = ""
    first_masks: int = 0
    keeping: bool = False
    steps_seen: list[int] = dataclasses.field(default_factory=list)
    totals: list[float] = dataclasses.field(default_factory=list)
    losses: dict[str, float] = dataclasses.field(default_factory=dict)
    terms: dict[str, list[float]] = dataclasses.field(default_factory=dict)
    warnings: list[str] = dataclasses.field(default_factory=list)

    @property
    def active(self) -> bool:
        """Whether a process is at work."""
        return self.state in ("running", "stopping")


class Job:
    """A chain of processes, each started when the one before ended well."""

    def __init__(self, stages: Sequence[Stage], folder: Path) -> None:
        self.stages = list(stages)
        self.folder = folder
        self.view = JobView()
        self._index = -1
        self._process: subprocess.Popen[bytes] | Attached | None = None
        self._status = ""
        self._tail: Tail | None = None
        self._messages: Tail | None = None
        self._log_start = 0
        self._stop_deadline: float | None = None
        self._terminated = False
        self._step_seconds = 0.0

    @property
    def pid(self) -> int | None:
        """Id of the process at work, None when there is none."""
        return self._process.pid if self._process is not None else None

    def start(self) -> None:
        """Start the first process."""
        self._next_stage()

    def poll(self) -> JobView:
        """Read what was written since the last call; go on to the next process or end."""
        if not self.view.active:
            return self.view
        code = self._process.poll() if self._process is not None else 0
        self._read()
        if code is None:
            self._hasten()
        elif self.view.state == "stopping":
            self._end("stopped", "Stopped.")
        elif code != 0 and not (self.view.keeping and self._status == "stopped"):
            attached = isinstance(self._process, Attached)
            log = self.folder / LOG_NAME
            words = self.view.message if attached else last_words(log, self._log_start, code)
            self._end("failed", words or "The run ended without a result. Start it again.")
        elif self.view.state == "running":
            self._next_stage()
        return self.view

    def stop(self, grace: float = c.STOP_GRACE) -> None:
        """Ask the process to end by itself; it is ended after ``grace`` seconds.

        One whose steps are long has more: it saves what it has learnt after its step.
        """
        if not self.view.active:
            return
        self.view.state = "stopping"
        self._stop_deadline = time.monotonic() + grace + c.STOP_STEPS * self._step_seconds
        stage = self.stages[self._index]
        asked = False
        with contextlib.suppress(InputError, OSError):  # a full disk, or a folder that is gone
            if stage.stop is not None:
                stage.stop()
                asked = True
        if not asked:
            self._signal(force=False)

    def keep_best(self) -> None:
        """Ask the run to end with its best weights; what comes after it goes on with them."""
        stage = self.stages[self._index]
        if self.view.state == "running" and stage.keep_best is not None:
            self.view.keeping = stage.keep_best()

    @property
    def run_folder(self) -> Path | None:
        """The folder of the run that is fine-tuned now; None until it is made, and otherwise."""
        if not self.view.active or self.view.stage != "finetune":
            return None
        log = self.stages[self._index].log()
        return None if log is None else log.parent

    def kill(self, grace: float = 0.0) -> None:
        """End the process now, after at most ``grace`` seconds of asking, and wait for it."""
        if self._process is None or self._process.poll() is not None:
            self.poll()
            return
        if grace > 0:
            self.stop(grace)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(grace)
        for force in (False, True):
            if self._process.poll() is None:
                self._signal(force=force)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self._process.wait(c.TERMINATE_GRACE)
        self._end("stopped", "Stopped.")

    def detach(self) -> None:
        """Let the process and those after it go on without the window, and forget them."""
        if self._process is None:
            return
        previous = self._process
        for stage in self.stages[self._index + 1 :]:
            if stage.attached is None:
                waits = (sys.executable, "-m", "napari_maskfree._then", str(previous.pid))
                previous.returncode = 0  # Popen would complain of a child left running
                previous = self._spawn((*waits, *stage.command))
        previous.returncode = 0
        self._process = None
        self.view.state = "detached"

    # ---- inside

    def _next_stage(self) -> None:
        self._index += 1
        if self._index == len(self.stages):
            self._end("done", "Done.")
            return
        stage = self.stages[self._index]
        self._step_seconds = 0.0
        self.view.stage = stage.name
        self.view.done, self.view.total, self.view.seconds_left = 0, 0, None
        self.view.preparing, self.view.keeping = "", False
        path = stage.log()
        self._status = ""
        self._tail = Tail(path, from_end=stage.attached is None) if path is not None else None
        if stage.attached is not None:
            self._process = Attached(stage.attached, lambda: self._status)
            return
        try:
            self._process = self._spawn(stage.command)
        except (InputError, OSError) as error:
            self._end("failed", str(error))

    def _spawn(self, command: Sequence[str]) -> subprocess.Popen[bytes]:
        make_folder(self.folder)
        log = self.folder / LOG_NAME
        self._messages = Tail(log, from_end=True)
        with writing(log):
            messages = log.open("ab")
        with messages:
            self._log_start = messages.tell()
            return subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=messages,
                stderr=messages,
                env={**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONIOENCODING": "utf-8"},
                **_own_group(),
            )

    def _read(self) -> None:
        if self._tail is None:
            path = self.stages[self._index].log()
            self._tail = Tail(path) if path is not None else None
        for record in self._tail.read() if self._tail is not None else ():
            self._take(record)
        for line in self._messages.lines() if self._messages is not None else ():
            text = line.decode("utf-8", errors="replace").strip()
            words = text.removeprefix(_WARNING)
            if words != text and words not in self.view.warnings:
                self.view.warnings.append(words)

    def _take(self, record: dict[str, Any]) -> None:
        view = self.view
        view.device = str(record.get("device", view.device))
        view.start = str(record.get("start", view.start))
        view.begins = str(record.get("begins", view.begins))
        view.first_masks = int(record.get("first_masks", view.first_masks))
        self._status = str(record.get("status", self._status))
        looked, view.preparing = view.preparing, str(record.get("preparing", ""))
        if looked and not view.preparing:  # how far that look was says nothing of the steps
            view.done, view.total = 0, 0
        if "losses" in record:
            view.done, view.total = int(record["step"]), int(record["steps"])
            view.steps_seen.append(view.done)
            view.losses = {str(k): float(v) for k, v in record["losses"].items()}
            for name, value in view.losses.items():
                term = view.terms.setdefault(name, [])
                term += [math.nan] * (len(view.totals) - len(term)) + [value]
            view.totals.append(sum(view.losses.values()))
            if view.done < view.total:
                left = float(record.get("seconds_left", 0.0))
                self._step_seconds = left / (view.total - view.done)
        elif "total" in record:
            view.done, view.total = int(record.get("done", view.done)), int(record["total"])
        view.seconds_left = record.get("seconds_left", view.seconds_left)
        if record.get("message"):
            view.message = str(record["message"])

    def _hasten(self) -> None:
        if self._stop_deadline is None or time.monotonic() < self._stop_deadline:
            return
        self._signal(force=self._terminated)
        self._terminated = True
        self._stop_deadline = time.monotonic() + c.TERMINATE_GRACE

    def _signal(self, *, force: bool) -> None:
        if self._process is not None and self._process.poll() is None:
            _signal_group(self._process, force=force)

    def _end(self, state: str, message: str) -> None:
        self.view.state = state
        self.view.message = message
        self.view.seconds_left = None
        self._process = None
        for stage in self.stages[self._index + 1 :]:
            if stage.attached is not None:
                _signal_group(stage.attached, force=True)


def _signal_group(
    process: subprocess.Popen[bytes] | Attached | psutil.Process, *, force: bool
) -> None:
    """Ask a process and its children to end, or end them; each is the head of its own group."""
    if sys.platform == "win32":
        process.kill() if force else process.terminate()
        return
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL if force else signal.SIGTERM)


def _own_group() -> dict[str, Any]:
    """Return what keeps the child apart from the window's own signals."""
    if sys.platform == "win32":
        flags = subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW
        return {"creationflags": flags}
    return {"start_new_session": True}
