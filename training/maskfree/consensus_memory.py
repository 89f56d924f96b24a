"""What a run keeps of a consensus, on disk: evidence, contrast and the tracks' colours."""

from __future__ import annotations

import dataclasses
import io
import zipfile
from typing import TYPE_CHECKING

import numpy as np

from maskfree.appearance import ColourModel
from maskfree.belief import Belief
from maskfree.errors import InputError
from maskfree.limits import check_length, check_size
from maskfree.safe_npz import DAMAGE, open_archive, read_arrays, read_head

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from maskfree.config import ConsensusConfig

__all__ = ["ConsensusMemory", "has_evidence", "read_belief", "read_evidence"]

_EVIDENCE, _FRAMES, _LENGTH = "evidence", "evidence_frames", "evidence_length"
"""Beliefs of the frames that were looked at; which these are, and of how many: else of all."""


@dataclasses.dataclass(frozen=True)
class ConsensusMemory:
    """What is kept of a consensus: evidence, contrast, and each track's colours by its id."""

    evidence: Belief | None
    stretch: float
    colours: dict[int, ColourModel]

    def fits(self, num_frames: int) -> bool:
        """Whether it was made of a video of this length."""
        return self.evidence is None or len(self.evidence) == num_frames

    def to_bytes(self) -> bytes:
        """Return it as the content of an ``.npz`` file."""
        arrays: dict[str, np.ndarray] = {"stretch": np.array(self.stretch)}
        if self.evidence is not None and self.evidence.frames != list(range(len(self.evidence))):
            arrays[_FRAMES] = np.array(self.evidence.frames, np.int64)
            arrays[_LENGTH] = np.array(len(self.evidence))
        for track_id, model in self.colours.items():
            for name, values in model.state().items():
                arrays[f"{track_id}/{name}"] = values
        content = io.BytesIO()
        np.savez_compressed(content, **arrays)  # type: ignore[arg-type]
        if self.evidence is not None:
            with zipfile.ZipFile(content, "a", zipfile.ZIP_DEFLATED) as file:
                _write_belief(file, self.evidence)
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
            return cls(_read_belief(path, arrays), float(arrays["stretch"]), models)
        except DAMAGE as error:
            raise _damaged(path) from error


def _arrays(path: Path) -> dict[str, np.ndarray]:
    """Read a file's arrays, but for the evidence."""
    with path.open("rb") as raw:
        return read_arrays(raw, leave_out=_EVIDENCE)


def _write_belief(file: zipfile.ZipFile, belief: Belief) -> None:
    """Write the frames that were looked at as one array, holding one of them at a time."""
    frames = belief.frames
    header = {"descr": "|i1", "fortran_order": False, "shape": (len(frames), *belief.shape[1:])}
    with file.open(f"{_EVIDENCE}.npy", "w", force_zip64=True) as member:
        np.lib.format.write_array_header_1_0(member, header)
        for t in frames:
            member.write(belief[t].tobytes())


def _read_belief(path: Path, arrays: Mapping[str, np.ndarray]) -> Belief | None:
    """Read the evidence of a file whose other arrays are known; None: there is none.

    Raises
    ------
    ValueError
        For arrays that do not fit together, and as `DAMAGE` says.
    """
    with path.open("rb") as raw, open_archive(raw) as file:
        if f"{_EVIDENCE}.npy" not in file.namelist():
            return None
        with file.open(f"{_EVIDENCE}.npy") as member:
            shape, _, dtype = read_head(member)
            if dtype != np.int8 or len(shape) != 3 or 0 in shape[1:]:
                raise InputError(
                    f"{path}: expected evidence int8 (T, h, w), got {dtype} {shape}. "
                    "Fine-tune again."
                )
            check_length(shape[0], f"{path}: evidence")
            frames = arrays.get(_FRAMES, np.arange(shape[0]))
            if frames.shape != shape[:1]:
                raise ValueError("beliefs of other frames")
            count, rows, columns = int(arrays.get(_LENGTH, shape[0])), shape[1], shape[2]
            check_size(rows, columns, f"{path}: evidence")
            check_length(count, f"{path}: evidence")
            made = Belief((count, rows, columns))
            for t in frames.tolist():
                content = member.read(rows * columns)
                made[t] = np.frombuffer(content, np.int8).reshape(rows, columns)
            if member.read():
                raise ValueError("more than it says")
            return made


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


def read_belief(path: Path) -> Belief | None:
    """Read the evidence alone of a file of :class:`ConsensusMemory`; None: it holds none.

    Raises
    ------
    InputError
        When the file is damaged.
    """
    try:
        return _read_belief(path, _arrays(path))
    except InputError:
        raise
    except DAMAGE as error:
        raise _damaged(path) from error


def read_evidence(path: Path) -> np.ndarray | None:
    """Return what :func:`read_belief` does as an array.

    Returns
    -------
    numpy.ndarray
        int8 ``(T, h, w)``, see :mod:`maskfree.evidence`; None where the run looked for none.

    Raises
    ------
    InputError
        When the file is damaged.
    """
    found = read_belief(path)
    return None if found is None else np.asarray(found)
