"""A folder with one JSON file a frame: ``00000.json``, ``00001.json``, …"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from maskfree.storage import writing

if TYPE_CHECKING:
    import os

__all__ = ["FrameFiles", "stamp_of"]

_NAME = re.compile(r"(\d{5,})\.json")


class FrameFiles:
    """The files of the frames under the folder ``path``; other files there are passed over."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)

    def frames(self) -> list[int]:
        """Return the frames that have a file, in order."""
        return sorted(frame for frame, _ in self._files())

    def stamps(self) -> dict[int, tuple[int, int]]:
        """Return by frame what changes whenever its file is written: (time in ns, size)."""
        found = {}
        for frame, path in self._files():
            if (known := stamp_of(path)) is not None:  # else removed by another process just now
                found[frame] = known
        return found

    def stamp(self, frame: int) -> tuple[int, int] | None:
        """Return the stamp of one frame, None where it has no file that can be seen."""
        return stamp_of(self._file(frame))

    def _file(self, frame: int) -> Path:
        return self.path / f"{frame:05d}.json"

    def _files(self) -> list[tuple[int, Path]]:
        if not self.path.is_dir():
            return []
        with writing(self.path):
            found = [(_NAME.fullmatch(path.name), path) for path in self.path.iterdir()]
        return [(int(match.group(1)), path) for match, path in found if match]


def stamp_of(path: Path) -> tuple[int, int] | None:
    """Return what changes whenever a file is written, None where it cannot be seen."""
    try:
        known = path.stat()
    except OSError:  # never written, removed just now, or not to be seen
        return None
    return known.st_mtime_ns, known.st_size
