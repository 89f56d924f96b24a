"""Which file of a run's folder are its weights: a session's run, or one of `maskfree train`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from maskfree.run import Run

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["weights_of_run"]

_CHECKPOINTS, _CONFIG = "checkpoints", "config.json"
_RUN = ("model.safetensors", "model.json")


def weights_of_run(path: Path) -> Path:
    """Return the weights in a run's folder; of anything else the path itself.

    A session's run may have kept its best; of `maskfree train` it is the newest checkpoint.
    """
    path = _newest(path)
    if not _is_run(path):
        return path
    return Run(path).kept_weights_path if (path / _CONFIG).is_file() else path / _RUN[0]


def _newest(path: Path) -> Path:
    """Return the newest checkpoint of a run of `maskfree train`; of anything else the path."""
    folder = path / _CHECKPOINTS
    if not folder.is_dir() or (path / _CONFIG).is_file():
        return path
    there = [each for each in folder.iterdir() if each.name.isdecimal() and _is_run(each)]
    return max(there, key=lambda each: int(each.name), default=path)


def _is_run(folder: Path) -> bool:
    """Whether it is the folder of a session's run, or of a checkpoint of `maskfree train`."""
    return all((folder / name).is_file() for name in _RUN)
