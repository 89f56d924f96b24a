"""A folder for a new session: nothing may be in it, and it goes again where none is made."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from maskfree.errors import InputError
from maskfree.storage import writing

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

__all__ = ["check_free", "remove_new"]

_IGNORED_ENTRIES = {".DS_Store", "Thumbs.db", "desktop.ini"}


def check_free(folder: Path, mark: str) -> None:
    """Check that a session can be made in ``folder``; ``mark``: the file that makes it one.

    Raises
    ------
    InputError
        Where it holds something, or a file is in its place.
    """
    if os.path.isfile(folder / mark):
        raise InputError(f"{folder} is a session already. Open it, or choose another folder.")
    if os.path.exists(folder) and not os.path.isdir(folder):
        raise InputError(f"A session is a folder, but {folder} is a file. Choose another path.")
    if not os.path.isdir(folder):
        return
    with writing(folder):
        foreign = sorted(set(os.listdir(folder)) - _IGNORED_ENTRIES)
    if foreign:
        raise InputError(
            f"A new session needs a new or empty folder, but {folder} holds {foreign[0]} and is "
            f"not a session (no {mark}). Choose another folder; this one was left as it is."
        )


def remove_new(folder: Path, names: Sequence[str], made: Sequence[Path]) -> None:
    """Remove these files of ``folder``, then the folders that were ``made`` for it."""
    with contextlib.suppress(OSError):
        for name in names:
            (folder / name).unlink(missing_ok=True)
        for path in made:
            path.rmdir()
