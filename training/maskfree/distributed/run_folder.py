"""A training run on the disk: what it is made with, how far it is, what was passed over.

``recipe.json``: every setting, the data and their digest, the seed; ``metrics.jsonl``: a line a
step, and one for each evaluation; ``skipped.jsonl``: what of the data was not used, and why;
``tensorboard/``: the same figures for TensorBoard; ``checkpoints/``: see
:mod:`maskfree.distributed.checkpoints`; ``run.lock``: the system's lock on it is that of the one
process that writes, and ends with it.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from maskfree import __version__
from maskfree.config import RecipeConfig
from maskfree.errors import InputError, InputWarning
from maskfree.json_checks import as_object
from maskfree.json_log import JsonLog
from maskfree.settings import changes, from_dict, to_dict
from maskfree.storage import atomic_write, make_folder, read_json, writing
from maskfree.system_lock import HELD, lock_now

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["FREE", "OF_A_RUN", "RunFolder"]

_RECIPE, _BOARD, _LOCK = "recipe.json", "tensorboard", "run.lock"
_OWN = ("metrics.jsonl", "skipped.jsonl", _BOARD, "checkpoints")
"""What a run writes beside it; somebody else's is neither added to nor removed."""
OF_A_RUN = (_RECIPE, _LOCK, *_OWN)
"""What a run's folder holds."""
_FORMAT = 1
_SHOWN = 12
"""Characters of a digest that a message shows."""
FREE = frozenset(
    f"schedule.{name}"
    for name in (
        *("checkpoint_every", "evaluate_every", "keep", "workers", "read_ahead"),
        *("accumulate", "gradient_checkpointing"),
    )
)
"""Settings that a run may go on with others of, as of those of inference: they change nothing of
what is learnt. The last two change rounding, and what a Swin passes over at random; they are what a
lack of memory asks for."""


class RunFolder:
    """The folder of a training run.

    Parameters
    ----------
    path
        Made where absent.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self.metrics = JsonLog(self.path / "metrics.jsonl")
        self._skipped = JsonLog(self.path / "skipped.jsonl")
        self._board: Any = None
        self._lock: int | None = None

    @property
    def checkpoints_path(self) -> Path:
        """Where its checkpoints are."""
        return self.path / "checkpoints"

    @property
    def exists(self) -> bool:
        """Whether a run was begun there."""
        return (self.path / _RECIPE).is_file()

    def begin(
        self,
        recipe: RecipeConfig,
        data: Mapping[str, Any],
        *,
        seed: int,
        processes: int,
        weights: str | None = None,
    ) -> None:
        """Make the folder and write down what the run is made with, and ``weights``: by which.

        Raises
        ------
        InputError
            Where there is a run already, another process begins one, or the folder may not be
            written.
        """
        if self.exists:
            raise InputError(
                f"{self.path} holds a training run already. Go on with it: --resume, or name "
                "another folder with --out."
            )
        taken = [name for name in _OWN if (self.path / name).exists()]
        if taken:
            raise InputError(
                f"{self.path} has a {taken[0]} already, which is not of a run that can be gone on "
                "with, and a run would write its own. Name another folder with --out."
            )
        make_folder(self.path)
        self.hold()
        about = {
            "format": _FORMAT,
            "version": __version__,
            "recipe": to_dict(recipe),
            "data": dict(data),
            "seed": seed,
            "weights": weights,
            "processes": processes,
        }
        atomic_write(self.path / _RECIPE, json.dumps(about, indent=1))

    def hold(self) -> None:
        """Be the one process that writes, until :meth:`release`.

        A disk that knows no locks is passed over.

        Raises
        ------
        InputError
            Where another process is that, or the folder may not be written.
        """
        with writing(self.path):
            self._lock = os.open(self.path / _LOCK, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            lock_now(self._lock)
        except OSError as error:
            if error.errno in HELD:
                self.release()
                raise InputError(
                    f"Another process trains into {self.path}. Wait until it ends, or name another "
                    "folder with --out."
                ) from None

    def release(self) -> None:
        """Let others write; nothing happens where it is not held."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def weights(self) -> str | None:
        """Return what the run's network began with, beside its settings; None: nothing.

        Raises
        ------
        InputError
            Where the folder does not say.
        """
        where = str(self.path / _RECIPE)
        about = as_object(read_json(self.path / _RECIPE, "recipe"), where, "a recipe", "recipe")
        named = about.get("weights")
        return named if isinstance(named, str) else None

    def last_losses(self) -> dict[str, float]:
        """Return the losses of the last step that was logged, by name; empty: there is none."""
        found = [r["losses"] for r in self.metrics.records() if isinstance(r.get("losses"), dict)]
        return dict(found[-1]) if found else {}

    def check(self, recipe: RecipeConfig, data: Mapping[str, Any], *, seed: int) -> None:
        """Check that a run of these settings and data is this one.

        Raises
        ------
        InputError
            Where there is none, or it is another: it says what differs.
        """
        if not self.exists:
            raise InputError(
                f"{self.path} holds no training run to go on with. Leave --resume out."
            )
        about = as_object(
            read_json(self.path / _RECIPE, "recipe"), str(self.path / _RECIPE), "a recipe", "recipe"
        )
        before = from_dict(RecipeConfig, about.get("recipe", {}), _RECIPE, kept=True)
        differs = [
            f"{each} (was {_before(before, recipe, each)})"
            for each in changes(before, recipe)
            if not _is_free(each.partition("=")[0])
        ]
        if about.get("seed") != seed:
            differs.append(f"--seed {seed} (was {about.get('seed')})")
        known = about.get("data")
        known = known if isinstance(known, dict) else {}
        if known.get("digest") != data["digest"]:
            differs.append(f"the data ({_data_words(data)}; was {_data_words(known)})")
        if differs:
            raise InputError(
                f"The run in {self.path} was begun with something else: {'; '.join(differs)}. "
                "Resume it as it was begun, or train into another folder."
            )

    def take_back(self) -> None:
        """Remove a run that has learnt nothing, as where its first step fails."""
        self.release()  # Windows removes no file that is open
        with contextlib.suppress(OSError):
            own = (self.path / name for name in (_RECIPE, _LOCK))
            for path in (*own, self.metrics.path, self._skipped.path):
                path.unlink(missing_ok=True)
            shutil.rmtree(self.path / _BOARD, ignore_errors=True)
            self.path.rmdir()

    def rewind(self, step: int) -> None:
        """Forget what was logged after ``step`` steps: those are taken again.

        Raises
        ------
        InputError
            Where the log may not be written.
        """
        self.metrics = _rewound(self.metrics, step)
        if self._skipped.path.exists():
            self._skipped = _rewound(self._skipped, step)

    def evaluated(self, step: int) -> bool:
        """Whether the network was scored after so many steps."""
        return any("evaluation" in r and _step_of(r) == step for r in self.metrics.records())

    def log(self, record: Mapping[str, Any], figures: Mapping[str, float], step: int) -> None:
        """Write a line of metrics, and its figures for TensorBoard.

        Raises
        ------
        InputError
            Where the disk is full or the log may not be written.
        """
        self.metrics.append(record)
        if self._board is not None:
            for name, value in figures.items():
                self._board.add_scalar(name, value, step)

    def note_skipped(self, items: Iterable[Mapping[str, Any]]) -> None:
        """Write down what was not used, and why.

        Raises
        ------
        InputError
            As :meth:`log`.
        """
        for each in items:
            self._skipped.append(each)

    def open_board(self, step: int) -> None:
        """Begin to write for TensorBoard, from after ``step`` steps on, where it is installed."""
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            warnings.warn(
                "The package tensorboard is not installed: the figures are in metrics.jsonl alone.",
                InputWarning,
                stacklevel=2,
            )
            return
        with writing(self.path):
            self._board = SummaryWriter(str(self.path / _BOARD), purge_step=step + 1)

    def close(self) -> None:
        """Finish what is written for TensorBoard."""
        if self._board is not None:
            with contextlib.suppress(OSError):
                self._board.close()
            self._board = None


def _is_free(key: str) -> bool:
    return key in FREE or key.startswith("inference.")


def _before(before: RecipeConfig, after: RecipeConfig, change: str) -> str:
    key = change.partition("=")[0]
    (found,) = (c for c in changes(after, before) if c.partition("=")[0] == key)
    return found.partition("=")[2]


def _data_words(data: Mapping[str, Any]) -> str:
    counts = [f"{data.get(name)} {name}" for name in ("videos", "instances", "boxes")]
    return ", ".join([*counts, f"digest {str(data.get('digest'))[:_SHOWN]}"])


def _rewound(log: JsonLog, step: int) -> JsonLog:
    """Write a log anew without what is of later steps."""
    kept = [record for record in log.records() if _step_of(record) <= step]
    atomic_write(log.path, "".join(json.dumps(record) + "\n" for record in kept))
    return JsonLog(log.path)


def _step_of(record: Mapping[str, Any]) -> int:
    step = record.get("step", 0)
    return step if isinstance(step, int) else 0
