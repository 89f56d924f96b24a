"""A log that one process writes and others follow: one JSON object a line."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from maskfree.config import FormatConfig
from maskfree.errors import InputError
from maskfree.limits import check_json
from maskfree.storage import append_line, writing

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["JsonLog"]

STATUSES = ("running", "done", "stopped", "failed")
"""What a record's "status" may say."""


class JsonLog:
    """Append records to ``path``, or follow what another process appends there.

    Only what came since the last look is read, so that following a long run stays cheap. One
    object belongs to one thread.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._records: list[dict[str, Any]] = []
        self._consumed = 0

    def append(self, record: Mapping[str, Any]) -> None:
        """Write one line and flush it.

        Raises
        ------
        InputError
            Where the disk is full or the file may not be written; the log is then unchanged.
        """
        append_line(self.path, json.dumps(dict(record)))

    def clear(self) -> None:
        """Begin the log anew.

        Raises
        ------
        InputError
            Where the file may not be removed.
        """
        with writing(self.path):
            self.path.unlink(missing_ok=True)
        self._records, self._consumed = [], 0

    def records(self, start: int = 0) -> list[dict[str, Any]]:
        """Return the records from number ``start`` on; none where there is no log.

        A last line that is still being written, and one that a killed process left broken, are
        left out.

        Raises
        ------
        InputError
            Where the log is longer than ``FormatConfig.log_bytes``, or cannot be read.
        """
        self._follow()
        return self._records[start:]

    @property
    def status(self) -> str:
        """The last "status" that was logged: running, done, stopped, failed; else unknown."""
        for record in reversed(self.records()):
            if "status" in record:
                status = record["status"]
                return status if status in STATUSES else "unknown"
        return "unknown"

    def _follow(self) -> None:
        try:
            with self.path.open("rb") as file:
                size = file.seek(0, os.SEEK_END)
                if size < self._consumed:  # begun anew
                    self._records, self._consumed = [], 0
                self._check_length(size)
                file.seek(self._consumed)
                fresh = file.read(size - self._consumed)
        except FileNotFoundError:
            self._records, self._consumed = [], 0
            return
        except OSError as error:
            raise InputError(
                f"The log {self.path} could not be read ({error.strerror}). Check that it is a "
                "file, or remove it."
            ) from error
        check_json(fresh, f"log {self.path}")
        whole = fresh[: fresh.rfind(b"\n") + 1]
        self._consumed += len(whole)
        self._records.extend(record for line in whole.splitlines() if (record := _parsed(line)))

    def _check_length(self, size: int) -> None:
        most = FormatConfig().log_bytes
        if size > most:
            raise InputError(
                f"The log {self.path} is longer than {most} bytes, which no run writes. Remove it."
            )


def _parsed(line: bytes) -> dict[str, Any] | None:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) else None
