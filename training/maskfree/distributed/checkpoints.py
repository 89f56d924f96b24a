"""A run's checkpoints: folders that are there whole or not at all, the newest whole one first.

``checkpoints/00001000/`` holds ``model.safetensors`` with ``model.json`` beside it, which say what
the network is and can be loaded anywhere; ``ema.safetensors`` likewise, where a mean of the weights
is kept; and ``state.pt``, without which training cannot go on: the optimiser's state. No file holds
code.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import warnings
from typing import TYPE_CHECKING, Any

import torch

from maskfree.errors import InputError, InputWarning
from maskfree.model.checkpoint import read_tensors, save_model
from maskfree.model.torch_file import read_torch_file
from maskfree.storage import make_folder, writing

if TYPE_CHECKING:
    from pathlib import Path

    from maskfree.config import Config
    from maskfree.distributed.learner import Learner

__all__ = ["Checkpoints"]

_DIGITS = 8
_BEGUN = ".begun-"
"""How the folder of a checkpoint that is being written begins."""


class Checkpoints:
    """The checkpoints of one run, in a folder of their own.

    Parameters
    ----------
    folder
        Made with the first of them.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def steps(self) -> list[int]:
        """Return after how many steps there are some, in order."""
        try:
            names = os.listdir(self.folder)
        except OSError:
            return []
        return sorted(int(name) for name in names if name.isdecimal())

    def path(self, step: int) -> Path:
        """Return the folder of the checkpoint after so many steps."""
        return self.folder / f"{step:0{_DIGITS}d}"

    def save(
        self, learner: Learner, config: Config, step: int, *, classes: list[str], keep: int
    ) -> Path:
        """Write what was learnt in ``step`` steps; then remove all but the ``keep`` newest.

        Raises
        ------
        InputError
            Where the disk is full or may not be written; the checkpoints before are as they were.
        """
        make_folder(self.folder)
        self._tidy()
        begun, path = self.folder / f"{_BEGUN}{step}", self.path(step)
        make_folder(begun)
        try:
            with writing(path):
                self._fill(begun, learner, config, step, classes)
                if path.exists():  # the same step again, after a damaged checkpoint was passed over
                    shutil.rmtree(path)
                begun.rename(path)
        finally:
            shutil.rmtree(begun, ignore_errors=True)
        for old in self.steps()[: -keep or None] if keep else []:
            shutil.rmtree(self.path(old), ignore_errors=True)
        return path

    def _fill(
        self, begun: Path, learner: Learner, config: Config, step: int, classes: list[str]
    ) -> None:
        model = learner.model
        save_model(begun / "model.safetensors", model, config, classes=classes, track_ids=[])
        if learner.averaged is not None:
            own = {name: value.clone() for name, value in model.state_dict().items()}
            try:
                model.load_state_dict(learner.averaged.weights)
                save_model(begun / "ema.safetensors", model, config, classes=classes, track_ids=[])
            finally:
                model.load_state_dict(own)
        scaler = learner.team.scaler
        state = {
            "step": step,
            "optimiser": learner.optimiser.state_dict(),
            "scaler": None if scaler is None else scaler.state_dict(),
        }
        with open(begun / "state.pt", "wb") as file:
            torch.save(state, file)
            file.flush()
            os.fsync(file.fileno())

    def restore(self, learner: Learner) -> int:
        """Let a learner go on from the newest whole checkpoint; return its number of steps.

        A damaged one is passed over with a warning.

        Raises
        ------
        InputError
            Where there is none.
        """
        for step in reversed(self.steps()):
            path = self.path(step)
            try:
                weights, averaged, state = self._read(path, learner)
            except (OSError, InputError, ValueError, KeyError, TypeError) as error:
                warnings.warn(
                    f"The checkpoint {path} is damaged ({error}). The one before it is taken.",
                    InputWarning,
                    stacklevel=2,
                )
                continue
            try:
                learner.model.load_state_dict(weights)
                learner.optimiser.load_state_dict(state["optimiser"])
                if learner.team.scaler is not None and state["scaler"] is not None:
                    learner.team.scaler.load_state_dict(state["scaler"])
            except (RuntimeError, KeyError, ValueError, TypeError) as error:
                raise InputError(
                    f"{path} is the checkpoint of another network. Train into another folder."
                ) from error
            if learner.averaged is not None:
                learner.averaged.restore(averaged or weights)
            return step
        raise InputError(
            f"{self.folder} holds no whole checkpoint to go on from. Leave --resume out and train "
            "into another folder."
        )

    def _read(
        self, path: Path, learner: Learner
    ) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor] | None, dict[str, Any]]:
        weights = read_tensors(path / "model.safetensors")
        averaged = path / "ema.safetensors"
        mean = read_tensors(averaged) if learner.averaged is not None else None
        state = read_torch_file(path / "state.pt")
        if int(state["step"]) != int(path.name):
            raise ValueError(f"its state is that of step {state['step']}")
        return weights, mean, state

    def _tidy(self) -> None:
        """Remove what killed processes left half-written."""
        with contextlib.suppress(OSError):
            for path in self.folder.iterdir():
                if path.name.startswith(_BEGUN):
                    shutil.rmtree(path, ignore_errors=True)
