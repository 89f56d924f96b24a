"""What a run keeps of a consensus, on disk: evidence, contrast and the tracks' colours."""

from __future__ import annotations

import dataclasses
import io
import zipfile
import zlib
from typing import TYPE_CHECKING

import numpy as np

from maskfree.appearance import ColourModel
from maskfree.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

    from maskfree.config import ConsensusConfig

__all__ = ["DAMAGE", "ConsensusMemory", "has_evidence", "read_evidence"]

_EVIDENCE = "evidence"
DAMAGE = (
    OSError,
    EOFError,
    ValueError,
    KeyError,
    RuntimeError,  # an encrypted member, an unknown compression
    TypeError,
    zipfile.BadZipFile,
    zlib.error,
)
"""What reading a damaged ``.npz`` file may raise."""


@dataclasses.dataclass(frozen=True)
class ConsensusMemory:
    """What is kept of a consensus: evidence, contrast, and each track's colours by its id."""

    evidence: np.ndarray | None
    stretch: float
    colours: dict[int, ColourModel]

    def fits(self, num_frames: int) -> bool:
        """Whether it was made of a video of this length."""
        return self.evidence is None or len(self.evidence) == num_frames

    def to_bytes(self) -> bytes:
        """Return it as the content of an ``.npz`` file."""
        arrays: dict[str, np.ndarray] = {"stretch": np.array(self.stretch)}
        if self.evidence is not None:
            arrays[_EVIDENCE] = self.evidence
        for track_id, model in self.colours.items():
            for name, values in model.state().items():
                arrays[f"{track_id}/{name}"] = values
        content = io.BytesIO()
        np.savez_compressed(content, **arrays)  # type: ignore[arg-type]
        return content.getvalue()

    @classmethod
    def from_file(cls, path: Path, config: ConsensusConfig) -> ConsensusMemory:
        """Read what :meth:`to_bytes` made.

        Raises
        ------
        InputError
            When the file is damaged.
        """
        try:
            arrays = _arrays(path)
            states: dict[int, dict[str, np.ndarray]] = {}
            for name, values in arrays.items():
                if "/" in name:
                    track_id, key = name.split("/")
                    states.setdefault(int(track_id), {})[key] = values
            models = {i: ColourModel.from_state(s, config) for i, s in states.items()}
            return cls(arrays.get(_EVIDENCE), float(arrays["stretch"]), models)
        except DAMAGE as error:
            raise _damaged(path) from error


def _arrays(path: Path, *only: str) -> dict[str, np.ndarray]:
    """Read a file's arrays, all or those of these names that it holds."""
    with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
        return {name: file[name] for name in file.files if not only or name in only}


def _damaged(path: Path) -> InputError:
    return InputError(f"{path} is damaged. Fine-tune again.")


def has_evidence(path: Path) -> bool:
    """Say whether a file of :class:`ConsensusMemory` holds evidence, without reading it.

    Raises
    ------
    InputError
        When the file is seen to be damaged.
    """
    try:
        with zipfile.ZipFile(path) as file:
            return f"{_EVIDENCE}.npy" in file.namelist()
    except DAMAGE as error:
        raise _damaged(path) from error


def read_evidence(path: Path) -> np.ndarray | None:
    """Read the evidence alone of a file of :class:`ConsensusMemory`.

    Returns
    -------
    numpy.ndarray
        int8 ``(T, h, w)``, see :mod:`maskfree.evidence`; None where the run looked for none.

    Raises
    ------
    InputError
        When the file is damaged.
    """
    try:
        found = _arrays(path, _EVIDENCE).get(_EVIDENCE)
    except DAMAGE as error:
        raise _damaged(path) from error
    if found is not None and (found.dtype != np.int8 or found.ndim != 3 or not found.size):
        raise InputError(
            f"{path}: expected evidence int8 (T, h, w), got {found.dtype} {found.shape}. "
            "Fine-tune again."
        )
    return found
