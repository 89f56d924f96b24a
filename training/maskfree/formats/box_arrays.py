"""The boxes of one track while a file is read, packed, and the keyframes they become."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from maskfree.box_rows import BoxRows
from maskfree.errors import InputError
from maskfree.field_rows import FieldRows
from maskfree.packed_keyframes import PackedKeyframes
from maskfree.types import Keyframe

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from maskfree.types import Box

__all__ = ["BoxArrays"]


class BoxArrays:
    """Boxes of one track, in any order of frames."""

    def __init__(self) -> None:
        self._rows = BoxRows()
        self._fields = FieldRows()

    def put(
        self,
        frame: int,
        box: Box,
        occluded: bool = False,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        """Add the box ``xyxy`` that the track has in ``frame``; ``extra``: of its keyframe."""
        self._fields.put(len(self._rows), extra or {})
        self._rows.append(frame, box, occluded)

    def frames(self) -> np.ndarray:
        """Return the frames of the boxes as they came, int64."""
        return self._rows.frames()

    def with_others(self, others: BoxArrays) -> BoxArrays:
        """Return these boxes, and those of ``others`` in frames that have none of these."""
        missing = ~np.isin(others.frames(), self.frames())
        if not missing.any():
            return self
        found = BoxArrays()
        for each, kept in ((self, range(len(self._rows))), (others, np.flatnonzero(missing))):
            for place in kept:
                row = each._rows[int(place)]
                found.put(row.frame, row.box, bool(row.marks), each._fields.get(int(place)))
        return found

    def keyframes(self, known: np.ndarray, where: str, *, first: int = 0) -> PackedKeyframes:
        """Return a keyframe for each box, and ``outside`` where the object goes absent.

        As :func:`maskfree.formats.base.keyframes`, in time that grows with the boxes alone.

        Parameters
        ----------
        known
            Int64, ascending: the frames of which something is known, those of the boxes among them.
        where
            Begins every message.
        first
            What the file counts frames from.

        Raises
        ------
        InputError
            Where a frame has two boxes.
        """
        return PackedKeyframes(self._in_order(known, where, first))

    def _in_order(self, known: np.ndarray, where: str, first: int) -> Iterator[Keyframe]:
        numbers = self._rows.frames() - first
        order = np.argsort(numbers, kind="stable")
        frames = numbers[order].tolist()
        places = np.searchsorted(known, frames, side="right").tolist()
        for n, (frame, at, place) in enumerate(zip(frames, order.tolist(), places, strict=True)):
            following = frames[n + 1] if n + 1 < len(frames) else None
            if frame == following:
                raise InputError(
                    f"{where} comes twice in frame {frame + first}, expected one annotation. "
                    "Remove one of the two."
                )
            row, extra = self._rows[at], self._fields.get(at)
            yield Keyframe(frame, row.box, occluded=bool(row.marks), extra=extra)
            if place < len(known) and known[place] != following:
                yield Keyframe(int(known[place]), None, outside=True)
