"""Follows a file that another process appends lines to."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Tail"]


class Tail:
    """Reads the new whole lines of a file each time; the file may not exist yet."""

    def __init__(self, path: Path, *, from_end: bool = False) -> None:
        self.path = path
        self._offset = path.stat().st_size if from_end and path.exists() else 0

    def lines(self) -> list[bytes]:
        """Return the whole lines that were written since the last call."""
        try:
            if self.path.stat().st_size < self._offset:
                self._offset = 0
            with self.path.open("rb") as file:
                file.seek(self._offset)
                chunk = file.read()
        except OSError:
            return []
        whole = chunk[: chunk.rfind(b"\n") + 1]
        self._offset += len(whole)
        return whole.splitlines()

    def read(self) -> list[dict[str, Any]]:
        """Return the records of a JSON-lines file that were written since the last call."""
        records = []
        for line in self.lines():
            with contextlib.suppress(ValueError):
                records.append(json.loads(line))
        return [r for r in records if isinstance(r, dict)]
