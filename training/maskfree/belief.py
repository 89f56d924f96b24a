"""What is believed of every cell of a video, a frame at a time: memory holds it compressed.

Most of a frame is one value (certain background), so that a frame takes a few hundred bytes to a
few kilobytes in place of one a cell.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import DTypeLike

__all__ = ["SURE", "Belief"]

SURE = 127
"""Belief of a cell that is certainly object; certainly background is ``-SURE``."""
_LEVEL = 1
"""Of the compression: the quickest."""


class Belief:
    """int8 ``(T, h, w)`` from ``-SURE`` to ``SURE``, see :mod:`maskfree.evidence`.

    ``belief[t]`` is frame t, an array of the caller's own; ``belief[t] = values`` puts it there. A
    frame that was never put there is certain background. ``shape``: ``(T, h, w)``.
    """

    def __init__(self, shape: tuple[int, int, int]) -> None:
        self.shape = shape
        self._frames: dict[int, bytes] = {}

    @classmethod
    def of(cls, values: np.ndarray) -> Belief:
        """Return int8 ``(T, h, w)`` as a belief."""
        count, rows, columns = values.shape
        made = cls((count, rows, columns))
        for t, frame in enumerate(values):
            made[t] = frame
        return made

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def frames(self) -> list[int]:
        """The frames that were put there, in order."""
        return sorted(self._frames)

    def __getitem__(self, t: int) -> np.ndarray:
        if not 0 <= t < len(self):
            raise IndexError(f"frame {t} of the beliefs about {len(self)} frames")
        if t not in self._frames:
            return np.full(self.shape[1:], -SURE, np.int8)
        whole = bytearray(zlib.decompress(self._frames[t]))
        return np.frombuffer(whole, np.int8).reshape(self.shape[1:])

    def __setitem__(self, t: int, values: np.ndarray) -> None:
        if not 0 <= t < len(self) or values.shape != self.shape[1:]:
            raise ValueError(
                f"frame {t}, {values.shape}: expected one of {len(self)} frames of "
                f"{self.shape[1:]} cells."
            )
        self._frames[t] = zlib.compress(np.ascontiguousarray(values, np.int8).tobytes(), _LEVEL)

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> Any:
        whole = np.full(self.shape, -SURE, np.int8)
        for t in self._frames:
            whole[t] = self[t]
        return whole if dtype is None else whole.astype(dtype)
