"""A folder with one JSON file a frame: ``00000.json``, ``00001.json``, …"""

from __future__ import annotations

import os
import re
from pathlib import Path

from maskfree.storage import writing

__all__ = ["FrameFiles", "stamp_of"]

_NAME = re.compile(r"(\d{5,})\.json")


class FrameFiles:
    """The files of the frames under the folder ``path``; other files there are passed over."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)

    def frames(self) -> list[int]:
        """Return the frames that have a file, in order."""
        return sorted(self._names())

    def stamps(self) -> dict[int, tuple[int, int]]:
        """Return by frame what changes whenever its file is written: (time in ns, size)."""
        found = {}
        for frame, name in self._names().items():
            known = stamp_of(os.path.join(self.path, name))
            if known is not None:  # else removed by another process just now
                found[frame] = known
        return found

    def stamp(self, frame: int) -> tuple[int, int] | None:
        """Return the stamp of one frame, None where it has no file that can be seen."""
        return stamp_of(self._file(frame))

    def _file(self, frame: int) -> str:
        # Not a Path: those keep a table of names, which grows over a long video.
        return os.path.join(self.path, f"{frame:05d}.json")

    def _names(self) -> dict[int, str]:
        """Return the files' names by frame; names alone, since there may be very many."""
        if not self.path.is_dir():
            return {}
        with writing(self.path):
            found = [_NAME.fullmatch(name) for name in os.listdir(self.path)]
        return {int(match.group(1)): match.group() for match in found if match}


def stamp_of(path: str | os.PathLike[str]) -> tuple[int, int] | None:
    """Return what changes whenever a file is written, None where it cannot be seen."""
    try:
        known = os.stat(path)
    except OSError:  # never written, removed just now, or not to be seen
        return None
    return known.st_mtime_ns, known.st_size
