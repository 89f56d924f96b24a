"""What a session's folder may hold: files and folders of its own, and no way out.

A session may come from a stranger. What is written to it must not end elsewhere, so nothing in it
may be a link that leads out of it; and what is neither a file nor a folder (a pipe, a device) would
be waited for for ever.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from maskfree.errors import InputError
from maskfree.storage import reading

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["check_contents"]

_DEPTH = 8
"""Levels of folders that a session has: video.zarr/c/T/Z/Y/X/C is the deepest, and one to spare."""


def check_contents(folder: Path) -> None:
    """Check everything in the session ``folder``, without reading a file.

    Raises
    ------
    InputError
        For a link that leads out of it, what is neither a file nor a folder, and folders in
        folders beyond what a session has.
    """
    root = os.path.realpath(folder)
    with reading(f"session {folder}"):
        for entry, depth in _entries(root, 1):
            if entry.is_symlink():
                _check_link(entry, root)
            elif depth > _DEPTH:
                raise InputError(
                    f"{entry.path} lies deeper than anything in a session. Move it out of {folder}."
                )
            elif not (entry.is_file(follow_symlinks=False) or entry.is_dir(follow_symlinks=False)):
                raise InputError(
                    f"{entry.path} is neither a file nor a folder, as everything in a session "
                    "must be. Remove it."
                )


def _entries(folder: str, depth: int) -> Iterator[tuple[os.DirEntry[str], int]]:
    with os.scandir(folder) as entries:
        inside = []
        for entry in entries:
            yield entry, depth
            if depth <= _DEPTH and entry.is_dir(follow_symlinks=False):
                inside.append(entry.path)
    for path in inside:
        yield from _entries(path, depth + 1)


def _check_link(entry: os.DirEntry[str], root: str) -> None:
    target = os.path.realpath(entry.path)
    inside = os.path.commonpath([root, target]) == root if _same_drive(root, target) else False
    if not inside:
        raise InputError(
            f"{entry.path} is a link that leads out of the session, to {target}: what is written "
            "to the session would be written there. Put the file or folder itself in its place."
        )
    try:
        mode = os.stat(target).st_mode
    except OSError:
        mode = 0
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise InputError(f"{entry.path} is a link to nothing that can be read. Remove it.")


def _same_drive(one: str, other: str) -> bool:
    return Path(one).drive == Path(other).drive
