"""What a file says of each frame, kept in a temporary file until the frame is asked for.

Files that list masks one by one, in any order, are read once: what grows with frames and masks goes
to the disk, and a frame's part of it comes back alone.
"""

from __future__ import annotations

import contextlib
import io
import json
import tempfile
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from maskfree import rle
from maskfree.config import FormatConfig
from maskfree.formats.limits import check_masks
from maskfree.formats.spool import Spool
from maskfree.storage import writing
from maskfree.types import InstanceMasks

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["FrameRecords", "stacked"]


class FrameRecords:
    """Lists of plain values by frame; the file goes with the object. For one thread at a time.

    Raises
    ------
    InputError
        From every method: where there is no room for the file.
    """

    def __init__(self) -> None:
        stack = contextlib.ExitStack()
        with writing("a temporary file"):
            self._folder = Path(tempfile.gettempdir())
        spool = Spool(self._folder, most_bytes=FormatConfig().spool_bytes)
        self._spool = stack.enter_context(spool)
        weakref.finalize(self, stack.close)

    def put(self, frame: int, record: list[Any]) -> None:
        """Add a record, of values that JSON holds, to those of ``frame``."""
        with writing(self._folder):
            self._spool.append(frame, json.dumps(record).encode() + b"\n")

    def at(self, frame: int) -> list[Any]:
        """Return the records of ``frame`` in the order that they came in."""
        out = io.BytesIO()
        with writing(self._folder):
            self._spool.copy(frame, out)
        return [json.loads(line) for line in out.getvalue().splitlines()]


def stacked(
    counts: Mapping[int, str], scores: Mapping[int, float], height: int, width: int, where: str
) -> InstanceMasks:
    """Return the masks of one frame in order of id, from id to compressed counts and to score.

    Raises
    ------
    InputError
        Where there are too many for one frame; ``where`` begins the message.
    """
    check_masks(len(counts), height, width, where)
    track_ids = tuple(sorted(counts))
    masks = np.zeros((len(track_ids), height, width), bool)
    for index, track_id in enumerate(track_ids):
        masks[index] = rle.decode(counts[track_id], height, width)
    return InstanceMasks(track_ids, masks, tuple(scores[track_id] for track_id in track_ids))
