"""The boxes that a run was trained with, on disk (what they are: `tube.py`). No torch here."""

from __future__ import annotations

import dataclasses
import io
from typing import TYPE_CHECKING

import numpy as np

from maskfree.errors import InputError
from maskfree.safe_npz import DAMAGE, read_arrays

if TYPE_CHECKING:
    from pathlib import Path

    from maskfree.types import BoxTracks, Track

__all__ = ["KeptTubes"]


@dataclasses.dataclass(frozen=True)
class KeptTubes:
    """The boxes of a run, by track id.

    ``drawn``: float ``(K, 5)``, the keyframes that they were made from (frame, xyxy; NaN outside);
    ``boxes``: float ``(T, 4)``; ``slack``: float ``(T,)``.
    """

    drawn: dict[int, np.ndarray]
    boxes: dict[int, np.ndarray]
    slack: dict[int, np.ndarray]

    @classmethod
    def of(cls, tracks: BoxTracks, boxes: np.ndarray, slack: np.ndarray) -> KeptTubes:
        """Keep the boxes ``(N, T, 4)`` and slack ``(N, T)`` of ``tracks``."""
        ids = [track.id for track in tracks.tracks]
        return cls(
            {track.id: _drawn(track) for track in tracks.tracks},
            dict(zip(ids, boxes, strict=True)),
            dict(zip(ids, slack, strict=True)),
        )

    def knows(self, track: Track, num_frames: int) -> bool:
        """Whether a track's boxes are kept and its keyframes are as they were then."""
        return (
            track.id in self.drawn
            and np.array_equal(self.drawn[track.id], _drawn(track), equal_nan=True)
            and self.boxes[track.id].shape == (num_frames, 4)
            and self.slack[track.id].shape == (num_frames,)
        )

    def to_bytes(self) -> bytes:
        """Return it as the content of an ``.npz`` file."""
        arrays = {
            f"{track_id}/{name}": values[track_id]
            for name, values in vars(self).items()
            for track_id in values
        }
        content = io.BytesIO()
        np.savez_compressed(content, **arrays)
        return content.getvalue()

    @classmethod
    def from_file(cls, path: Path) -> KeptTubes:
        """Read what :meth:`to_bytes` made.

        Raises
        ------
        InputError
            When the file is damaged.
        """
        made = cls({}, {}, {})
        try:
            with path.open("rb") as raw:
                arrays = read_arrays(raw)
            for key, values in arrays.items():
                track_id, name = key.split("/")
                vars(made)[name][int(track_id)] = values.astype(float, casting="safe")
            if not made.drawn.keys() == made.boxes.keys() == made.slack.keys():
                raise ValueError("incomplete")
        except DAMAGE as error:
            raise InputError(f"{path} is damaged. Fine-tune again.") from error
        return made


def _drawn(track: Track) -> np.ndarray:
    rows = [(k.frame, *(k.xyxy or (np.nan,) * 4)) for k in track.keyframes]
    return np.array(rows, float).reshape(-1, 5)
