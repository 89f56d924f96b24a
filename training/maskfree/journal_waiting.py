"""Edits that a session's journal has and its files have not: who made them was killed right then.

A window that opens the session brings them back; a command works with the files, and says so.
"""

from __future__ import annotations

import hashlib
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from maskfree.errors import InputError, InputWarning
from maskfree.journal import Journal, JournalHeld
from maskfree.storage import open_bytes

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from maskfree.session import Session

__all__ = ["count_waiting", "waiting_edits", "warn_of_waiting"]

_FILE, _BOXES = "journal.jsonl", "boxes.json"
_EDITS = ("edit", "loaded", "undo", "redo")
_WRITTEN = ("saving", "saved")


def waiting_edits(session: Session) -> int:
    """Return how many edits wait in the journal to be saved; 0 where a window has it open.

    Raises
    ------
    InputError
        Where the journal or the boxes cannot be read.
    """
    path = Path(session.path) / _FILE
    if not path.is_file():
        return 0
    try:
        journal = Journal.open(path)
    except JournalHeld:  # that window saves them
        return 0
    try:
        with open_bytes(Path(session.path) / _BOXES, "boxes file") as file:
            digest = hashlib.sha256(file.read()).hexdigest()
        return count_waiting(journal.records(), digest)
    finally:
        journal.close()


def count_waiting(records: Iterable[Mapping[str, Any]], digest: str) -> int:
    """Return how many edits came after those in the boxes file of that digest, or in no file."""
    edits: list[int] = []
    frames: dict[str, int] = {}
    is_written, is_known = False, False
    for record in records:
        kind, number = record.get("kind"), int(record["n"])
        if kind in _EDITS:
            if kind in ("undo", "redo") or record.get("delta"):
                edits.append(number)
            corrections = record.get("corrections")
            frames |= dict.fromkeys(corrections if isinstance(corrections, dict) else (), number)
        elif kind in _WRITTEN:
            is_written = True
            at = record.get("at")
            if record.get("digest") == digest and isinstance(at, int):
                is_known = True
                edits = [edit for edit in edits if edit > at]
        elif kind == "wrote" and isinstance(record.get("frames"), list):
            for frame in record["frames"]:
                frames.pop(str(frame), None)
    if is_written and not is_known:  # another program's boxes, which stand
        edits = []
    return len({*edits, *frames.values()})


def warn_of_waiting(session: Session) -> None:
    """Warn where edits wait in the journal, or it cannot be read: the files are made use of."""
    try:
        count = waiting_edits(session)
    except InputError as error:
        warnings.warn(str(error), InputWarning, stacklevel=2)
        return
    if count:
        warnings.warn(
            f"{count} edit{'s' * (count > 1)} of {session.path} {'are' if count > 1 else 'is'} in "
            "its journal alone: the window was killed before they were saved. Open the session in "
            "napari once, which brings them back.",
            InputWarning,
            stacklevel=2,
        )
