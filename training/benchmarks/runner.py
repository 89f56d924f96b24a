"""Running jobs: from the cache where they are finished, and keeping what a person wants to see."""

from __future__ import annotations

import dataclasses
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from cache import Cache, job_name
from job import draw_session, run_job
from maskfree.session import is_session
from maskfree.storage import make_folder

if TYPE_CHECKING:
    from job import Job, Result

__all__ = ["Runner"]


@dataclasses.dataclass(frozen=True)
class Runner:
    """Runs jobs.

    Parameters
    ----------
    cache
        Folder of finished results, which are reused; None: run everything.
    keep
        Folder in which each run's session stays, named by its job; None: sessions are removed.
    draw
        Folder for a contact sheet a run.
    """

    cache: Path | None = None
    keep: Path | None = None
    draw: Path | None = None

    def __post_init__(self) -> None:
        for folder in (self.cache, self.keep, self.draw):
            if folder is not None:
                make_folder(folder)  # a folder that cannot be made is said before hours are spent

    def run(self, job: Job) -> Result:
        """Return the job's result, from the cache or by running it.

        Raises
        ------
        InputError
            Where the clip or a setting is at fault.
        """
        results = Cache(self.cache)
        known = results.read(job)
        if known is None:
            result = self._run_in_folder(job)
            results.write(job, result)
        else:
            result = known
            self._draw_kept(job)
        took = result.train_seconds + result.predict_seconds
        _say(
            f"{job}: J {result.j:.3f} F {result.f:.3f}, box {result.box_j:.3f}, {took:.0f} s"
            + (" (finished before)" if known else "")
        )
        return result

    def _run_in_folder(self, job: Job) -> Result:
        if self.keep is None:
            with tempfile.TemporaryDirectory() as temporary:
                return self._run_in(Path(temporary) / "session", job)
        folder = self.keep / job_name(job)
        if is_session(folder):  # of this very job, interrupted
            shutil.rmtree(folder)
        return self._run_in(folder, job)

    def _run_in(self, folder: Path, job: Job) -> Result:
        result = run_job(job, folder)
        if self.draw is not None:
            draw_session(folder, self._sheet(job, self.draw))
        return result

    def _draw_kept(self, job: Job) -> None:
        """Draw a finished job from its session, where that was kept."""
        if self.keep is None and self.draw is None:
            return
        folder = self.keep / job_name(job) if self.keep is not None else None
        if folder is None or not is_session(folder):
            _say(f"{job}: finished before, its session was not kept; leave out --cache to run it")
        elif self.draw is not None:
            draw_session(folder, self._sheet(job, self.draw))

    @staticmethod
    def _sheet(job: Job, folder: Path) -> Path:
        kind = "" if job.kind == "train" else f"-{job.kind}"
        return folder / f"{job.clip.name}{kind}-seed{job.seed}.png"


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
