"""A run: one fine-tuning job of a session, a folder that the trainer writes and others follow."""

from __future__ import annotations

import contextlib
import functools
import json
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from maskfree.config import Config
from maskfree.errors import InputError
from maskfree.json_checks import as_object, as_whole
from maskfree.json_log import JsonLog
from maskfree.preview_files import PreviewFiles
from maskfree.settings import from_dict, to_dict
from maskfree.storage import atomic_write, make_folder, read_json, writing

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

__all__ = ["Run", "list_runs", "new_run"]

VERSION = 1
"""The version of a run's config that we write, and the newest that we read."""
_NAME = re.compile(r"\d{4,}")
_CONFIG = "config.json"
_BEST = "best\n"
_ASIDE = "earlier_"


class Run:
    """A run's folder: ``config.json``, ``metrics.jsonl``, the checkpoint, and ``stop`` if asked.

    ``path`` is the folder, ``name`` its number in the session (``0001``, …).
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self.name = self.path.name
        self.log = JsonLog(self.path / "metrics.jsonl")

    @property
    def config_path(self) -> Path:
        """The settings that it was made with, written once."""
        return self.path / _CONFIG

    @functools.cached_property
    def _settings(self) -> dict[str, Any]:
        path = self.config_path
        fields = as_object(read_json(path, "run's config"), str(path), "a run's config", "config")
        version = as_whole(fields.get("version", VERSION), str(path), "version", low=1)
        if version > VERSION:
            raise InputError(
                f"{path}: expected a run of version {VERSION}, got {version}: it was made by a "
                "newer napari-maskfree. Update with: pip install --upgrade napari-maskfree"
            )
        return fields

    @property
    def config(self) -> Config:
        """The config that the run was made with.

        Raises
        ------
        InputError
            Where ``config.json`` is missing or broken, or holds a value that is not allowed (any
            more). Settings that only another version has are passed over.
        """
        where = str(self.config_path)
        known = as_object(self._settings.get("config"), where, "config", "preset")
        return from_dict(Config, known, kept=True)

    @property
    def seed(self) -> int:
        """The seed that the run was made with."""
        return as_whole(self._settings.get("seed"), str(self.config_path), "seed")

    @property
    def start(self) -> str | None:
        """Name of the run that this one went on from; None: it began with fresh weights."""
        name = self._settings.get("start")
        return name if isinstance(name, str) else None

    def append(self, record: Mapping[str, Any]) -> None:
        """Write one line to ``metrics.jsonl`` and flush it.

        Raises
        ------
        InputError
            Where the disk is full or the file may not be written.
        """
        self.log.append(record)

    def records(self, start: int = 0) -> list[dict[str, Any]]:
        """Return the records of ``metrics.jsonl`` from number ``start`` on."""
        return self.log.records(start)

    @property
    def status(self) -> str:
        """The last status in the log: running, done, stopped or failed; else unknown.

        A trainer that was killed could not say so: its run still says running.
        """
        return self.log.status

    @property
    def steps_done(self) -> int:
        """The last step in the log, 0 before the first."""
        steps = (r["step"] for r in reversed(self.records()) if isinstance(r.get("step"), int))
        return next(steps, 0)

    @property
    def weights_path(self) -> Path:
        """Where the run's weights are, or will be."""
        return self.path / "model.safetensors"

    @property
    def state_path(self) -> Path:
        """Where the trainer's state is kept, from which the run can be resumed."""
        return self.path / "state.pt"

    def drop_state(self) -> None:
        """Remove the state of a run that is done; it is several times as large as the weights."""
        with contextlib.suppress(OSError):  # as where another program reads it just now
            self.state_path.unlink()

    @property
    def tube_path(self) -> Path:
        """The boxes that it was trained with."""
        return self.path / "boxes.npz"

    @property
    def memory_path(self) -> Path:
        """What the run learnt about its video, see :mod:`maskfree.consensus_memory`."""
        return self.path / "consensus.npz"

    @property
    def best_path(self) -> Path:
        """The weights whose preview was best so far, where previews were asked for."""
        return self.path / "best.safetensors"

    @property
    def best_tube_path(self) -> Path:
        """The boxes that the best weights were scored with."""
        return self.path / "best.boxes.npz"

    @property
    def best_memory_path(self) -> Path:
        """What the run had learnt about its video when the best weights were scored."""
        return self.path / "best.consensus.npz"

    @property
    def previews(self) -> PreviewFiles:
        """The chosen frames, redrawn while it trains."""
        return PreviewFiles(self.path / "previews")

    @property
    def keeps_best(self) -> bool:
        """Whether its best weights are those to predict with, rather than its last.

        So it is where somebody chose them, or asked the run to stop with them and it was killed
        before it could say so.
        """
        wanted = self._keep_path.is_file() or self.stop_keeps_best
        return wanted and self.best_path.is_file()

    @property
    def kept_weights_path(self) -> Path:
        """The weights to predict with."""
        return self.best_path if self.keeps_best else self.weights_path

    @property
    def kept_tube_path(self) -> Path:
        """The boxes to predict with."""
        with_best = self.keeps_best and self.best_tube_path.is_file()
        return self.best_tube_path if with_best else self.tube_path

    @property
    def kept_memory_path(self) -> Path:
        """What to refine predictions with."""
        with_best = self.keeps_best and self.best_memory_path.is_file()
        return self.best_memory_path if with_best else self.memory_path

    def keep(self, which: str) -> None:
        """Let predictions use the "best" weights or the "last"; both stay on disk.

        Raises
        ------
        InputError
            Where there are no best ones, or the folder may not be written.
        """
        if which == "last":
            if self.stop_keeps_best:
                atomic_write(self._stop_path, "")
            with writing(self._keep_path):
                self._keep_path.unlink(missing_ok=True)
            return
        if not self.best_path.is_file():
            raise InputError(
                f"Run {self.name} has no best weights to keep: it was made without previews. "
                "Fine-tune with --preview auto."
            )
        atomic_write(self._keep_path, _BEST)

    def put_best_aside(self) -> None:
        """Rename the best weights and what belongs to them: what follows has no score like theirs.

        Raises
        ------
        InputError
            Where the folder may not be written.
        """
        own = self.best_path, self.best_tube_path, self.best_memory_path
        for path in (*own, self.best_path.with_suffix(".json"), self.previews.best_path):
            if path.is_file():
                with writing(path):
                    path.replace(path.with_name(f"{_ASIDE}{path.name}"))

    @property
    def _keep_path(self) -> Path:
        return self.path / "keep"

    @property
    def has_checkpoint(self) -> bool:
        """Whether there are weights to predict with."""
        return self.kept_weights_path.is_file()

    @property
    def _stop_path(self) -> Path:
        return self.path / "stop"

    def request_stop(self, *, keep_best: bool = False) -> None:
        """Ask the process that trains this run to stop after its step, and what it is to keep."""
        if keep_best:
            atomic_write(self._stop_path, _BEST)
        else:
            with writing(self._stop_path):
                self._stop_path.touch()

    @property
    def stop_requested(self) -> bool:
        """Whether somebody asked the run to stop."""
        return self._stop_path.exists()

    @property
    def stop_keeps_best(self) -> bool:
        """Whether who asked it to stop wants its best weights rather than its last."""
        with contextlib.suppress(OSError):
            return self._stop_path.read_text(encoding="utf-8") == _BEST
        return False

    def remove(self) -> None:
        """Take away a run that has learnt nothing."""
        shutil.rmtree(self.path, ignore_errors=True)

    def clear_stop(self) -> None:
        """Take the request to stop back, as before a run is resumed."""
        with writing(self._stop_path):
            self._stop_path.unlink(missing_ok=True)


def new_run(folder: Path, config: Config, *, seed: int, start: str | None = None) -> Run:
    """Make the next run under ``folder``; two processes that do so at once get two runs.

    ``start``: the name of the run that it goes on from.

    Raises
    ------
    InputError
        Where the folder may not be written or the disk is full; no run is left behind.
    """
    make_folder(folder)
    number = max((int(path.name) for path in _numbered(folder)), default=0) + 1
    while True:
        path = folder / f"{number:04d}"
        with writing(path), contextlib.suppress(FileExistsError):
            path.mkdir()
            break
        number += 1
    try:
        content = {"version": VERSION, "seed": seed, "start": start, "config": to_dict(config)}
        atomic_write(path / _CONFIG, json.dumps(content, indent=1) + "\n")
    except BaseException:
        shutil.rmtree(path, ignore_errors=True)
        raise
    return Run(path)


def list_runs(folder: Path) -> list[Run]:
    """Return the runs under ``folder``, oldest first; half-made ones are left out."""
    return [Run(path) for path in _numbered(folder) if (path / _CONFIG).is_file()]


def _numbered(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    with writing(folder):
        paths = [path for path in folder.iterdir() if _NAME.fullmatch(path.name)]
    return sorted(paths, key=lambda path: int(path.name))
