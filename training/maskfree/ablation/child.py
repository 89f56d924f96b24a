"""Starts a job in a process of its own and listens to it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from maskfree.ablation.job import JobResult
from maskfree.ablation.which_code import code_digest
from maskfree.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Self

    from maskfree.ablation.job import Job

__all__ = ["Children", "JobFailed"]

_COMMAND = (sys.executable, "-m", "maskfree.ablation.job_process")
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")
_ENDED_BY_SYSTEM = -int(getattr(signal, "SIGKILL", 9))
_TOLD = 4096
"""Last bytes of what a process says that are looked at."""


class JobFailed(Exception):
    """A job that came to no result; the message says why, in one line."""


class Children:
    """Runs jobs, each in a process of its own; leaving the ``with`` block ends those at work.

    Parameters
    ----------
    threads
        Threads of a job.
    command
        What is started; for tests.
    """

    def __init__(self, threads: int, command: Sequence[str] = _COMMAND) -> None:
        self._threads, self._command = threads, tuple(command)
        self._lock = threading.Lock()
        self._at_work: set[subprocess.Popen[str]] = set()
        self._closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._closed = True
            for process in self._at_work:
                process.kill()

    def run(self, job: Job) -> JobResult:
        """Run a job to its end; may be called by several threads at once.

        Raises
        ------
        JobFailed
            Where there is no result.
        """
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as temporary:
            asked = {
                "clip": job.clip.name,
                "folder": str(job.clip.folder.absolute()),
                "digest": job.clip.digest,
                "settings": list(job.recipe.settings),
                "share": job.recipe.share,
                "oracle": job.recipe.oracle,
                "seed": job.seed,
                "device": job.device,
                "threads": self._threads,
                "code": code_digest(),
                "session": str(Path(temporary) / "session"),
            }
            errors = Path(temporary) / "errors"
            with errors.open("wb") as file:
                said, code = self._listen(json.dumps(asked), file)
            return _understood(said, code, _last_line(errors))

    def _listen(self, asked: str, errors: BinaryIO) -> tuple[dict[str, Any], int]:
        """Return the last thing that the process said, and its exit code."""
        threads = dict.fromkeys(_THREADS, str(self._threads))
        with self._lock:
            if self._closed:
                raise JobFailed("It was stopped before it began.")
            process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                encoding="utf-8",
                env={**os.environ, **threads},
            )
            self._at_work.add(process)
        said: dict[str, Any] = {}
        try:
            with process:
                assert process.stdin is not None and process.stdout is not None
                with contextlib.suppress(BrokenPipeError), process.stdin as into:
                    into.write(asked)
                for line in process.stdout:
                    with contextlib.suppress(ValueError):  # half of a line
                        found = json.loads(line)
                        said = found if isinstance(found, dict) else said
        finally:
            with self._lock:
                self._at_work.discard(process)
        return said, process.returncode


def _last_line(path: Path) -> str:
    """Return the last thing that a process said on its way out."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _TOLD))
        lines = file.read().decode("utf-8", "replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "")


def _understood(said: dict[str, Any], code: int, last: str) -> JobResult:
    if "result" in said:
        try:
            return JobResult.from_json(said["result"], "the job's process")
        except InputError as error:
            raise JobFailed(str(error)) from None
    if told := said.get("input") or said.get("fault"):
        raise JobFailed(str(told))
    if code == _ENDED_BY_SYSTEM:
        raise JobFailed("The system ended it, as where memory runs out.")
    raise JobFailed(f"Its process ended with exit code {code}: {last or 'it said nothing'}")
