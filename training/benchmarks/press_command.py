"""One run of `press.py` as a person has it: through the commands, with the clock on the wall."""

from __future__ import annotations

import dataclasses
import json
import math
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

import baseline
from clips import boxes_from_masks, true_ids
from corrections import correct, least_sure, scores
from maskfree.boxes_file import write_boxes
from maskfree.ignore_masks import IgnoreMasks
from maskfree.mask_store import MaskStore
from maskfree.metrics import evaluate
from maskfree.session import Session

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["Begun", "Commanded", "Press", "Retrain", "begun", "commanded"]

LOOK = 0.02
"""Seconds between two looks at what a run has written."""


@dataclasses.dataclass(frozen=True)
class Press:
    """A run: J of its last masks, and of those on the way, seconds since it was started.

    ``points``: seconds and J. ``masks``: until all frames have the last masks. ``first``: whether
    the first point is of masks that are in the session then; else a point is of weights that would
    give such masks. NaN: not measured.
    """

    points: tuple[tuple[float, float], ...]
    masks: float
    j: float
    first: bool = False

    def near(self, share: float) -> float:
        """Return the first of its moments at which J is ``share`` of the last or more.

        A later moment at which J is lower once more does not count against it: masks as good were
        there to be had.
        """
        return next((t for t, j in self.points if j >= share * self.j), self.masks)


@dataclasses.dataclass(frozen=True)
class Begun:
    """Seconds from the press until the run's log begins (imports are over), and its first masks."""

    log: float
    masks: float


@dataclasses.dataclass(frozen=True)
class Retrain:
    """A correction of one frame: J of the others, and the seconds that were waited for it.

    ``first``, ``then``: of training and of the masks of every frame, each in a process of its own,
    before and after the correction.
    """

    frame: int
    first: tuple[float, float]
    then: tuple[float, float]
    before: float
    again: float
    fresh: float


class Commanded:
    """A session in a temporary folder, trained by ``maskfree finetune`` and ``maskfree predict``.

    ``clip``: folder with ``frames/`` and ``masks/``; a box on every ``every``-th annotated frame;
    ``threads``: that torch takes, None: as it likes.
    """

    def __init__(
        self, clip: Path, seed: int, every: int, folder: Path, threads: int | None = None
    ) -> None:
        self.clip, self.seed, self._threads = clip, seed, threads
        self._place, self._boxes = folder / "session", folder / "boxes.json"
        self._aside = folder / "first"
        self._first = float("nan")
        write_boxes(self._boxes, boxes_from_masks(clip, every))
        self._new = [str(clip / "frames"), "--boxes", str(self._boxes)]

    def press(self) -> tuple[Press, tuple[float, float]]:
        """Train and predict; return what came of it, and the seconds of both commands."""
        took = self._trained(*self._new)
        session = Session.open(self._place)
        points = []
        if self._aside.is_dir():
            points.append((self._first, self._j(session, MaskStore(self._aside))))
        last = self._j(session, session.mask_store())
        return Press(tuple(points), sum(took), last, first=bool(points)), took

    def again(self, first: tuple[float, float]) -> Retrain:
        """Correct the least sure frame and train again: on from there, and from fresh weights."""
        session = Session.open(self._place)
        with session.open_video() as video:
            truth = true_ids(self.clip, video.names)
        frame = next(t for t in least_sure(session, len(truth), 0) if t in truth)

        def j() -> float:
            return float(np.mean([*scores(session, truth, [frame]).values()]))

        before = j()
        correct(session, truth, [frame])
        then = self._trained()
        after = j()
        assert session.runs()[-1].start is not None
        self._trained("--start", "fresh")
        return Retrain(frame, first, then, before, after, j())

    def begin(self) -> Begun:
        """Press, and end the run as soon as it shows masks."""
        started, log = time.perf_counter(), math.nan
        with self._start(["finetune", *self._given(*self._new)]) as process:
            try:
                while not any(self._told()):
                    if process.poll() is not None:
                        raise subprocess.CalledProcessError(process.returncode, process.args)
                    if math.isnan(log) and self._log.is_file():
                        log = time.perf_counter() - started
                    time.sleep(LOOK)
                return Begun(log, time.perf_counter() - started)
            finally:
                process.kill()

    def _given(self, *more: str) -> list[str]:
        return ["--session", str(self._place), "--seed", str(self.seed), "--device", "cpu", *more]

    def _trained(self, *more: str) -> tuple[float, float]:
        begun = time.perf_counter()
        self._run(["finetune", *self._given(*more)], begun)
        trained = time.perf_counter()
        self._run(["predict", str(self._place), "--device", "cpu"], begun)
        return trained - begun, time.perf_counter() - trained

    def _start(self, command: Sequence[str]) -> subprocess.Popen[bytes]:
        limit = {} if self._threads is None else {"OMP_NUM_THREADS": str(self._threads)}
        return subprocess.Popen(
            [sys.executable, "-m", "maskfree", *command],
            env={**baseline.environment(), **limit},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def _run(self, command: Sequence[str], begun: float) -> None:
        with self._start(command) as process:
            while process.poll() is None:
                if not self._aside.is_dir() and any(self._told()):
                    self._first = time.perf_counter() - begun
                    shutil.copytree(self._place / "masks", self._aside)
                time.sleep(LOOK)
        if process.returncode:
            raise subprocess.CalledProcessError(process.returncode, process.args)

    @property
    def _log(self) -> Path:
        """The log of the first run."""
        return self._place / "runs" / "0001" / "metrics.jsonl"

    def _told(self) -> Iterator[bool]:
        """Say of each line of the first run's log whether it tells of the first masks."""
        if self._log.is_file():
            for line in self._log.read_text(encoding="utf-8").splitlines():
                yield line.endswith("}") and "first_masks" in json.loads(line)

    def _j(self, session: Session, store: MaskStore) -> float:
        ignored = IgnoreMasks(session.boxes).at
        with session.open_video() as video:
            return evaluate(store.read, self.clip / "masks", video.names, ignored=ignored).j


def commanded(
    clip: Path, seed: int, every: int, *, retrain: bool, threads: int | None = None
) -> tuple[Press, Retrain | None]:
    """Press once on a clip, and, if asked to, once more after a correction.

    ``threads``: that torch takes; None: as it likes.
    """
    with tempfile.TemporaryDirectory(prefix="maskfree-") as folder:
        run = Commanded(clip, seed, every, Path(folder), threads)
        found, took = run.press()
        return found, run.again(took) if retrain else None


def begun(clip: Path, seed: int, every: int) -> Begun:
    """Press once on a clip, until the first masks are there."""
    with tempfile.TemporaryDirectory(prefix="maskfree-") as folder:
        return Commanded(clip, seed, every, Path(folder)).begin()
