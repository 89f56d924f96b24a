"""Putting a whole folder in place at once: the new one complete, or the old one untouched."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING

from maskfree.errors import InputError
from maskfree.storage import writing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["atomic_folder", "check_replaceable"]

_TOKEN_BYTES = 6
_PINNED = frozenset((errno.EBUSY, errno.EXDEV))
_TRIES, _PAUSE = 40, 0.05
_LITTER = frozenset((".ds_store", "thumbs.db", "desktop.ini"))


@contextlib.contextmanager
def atomic_folder(path: Path, is_ours: Callable[[Path], bool]) -> Iterator[Path]:
    """Yield a path beside ``path`` for a new folder; on success it takes the place of ``path``.

    An earlier folder is renamed aside first and back again where the swap fails; on any failure
    the new one is removed.

    Raises
    ------
    InputError
        Where ``path`` may not be replaced (see :func:`check_replaceable`), and as
        :func:`maskfree.storage.writing`.
    """
    target = Path(os.path.realpath(path))
    staged = target.with_name(f".tmp-{secrets.token_hex(_TOKEN_BYTES)}")
    try:
        with writing(path):
            check_replaceable(target, is_ours)
            yield staged
            check_replaceable(target, is_ours)
            _swap(staged, target)
    finally:
        _remove(staged)


def _remove(folder: Path) -> None:
    """Remove a folder, in which threads of an export that was stopped may write for a while."""
    for _ in range(_TRIES):
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return
        time.sleep(_PAUSE)


def check_replaceable(folder: Path, is_ours: Callable[[Path], bool]) -> None:
    """Check that ``folder`` is absent, empty, or holds only what an export of ours wrote.

    ``is_ours`` is asked of each file and folder in it.

    Raises
    ------
    InputError
        Otherwise, naming the first file that would be lost.
    """
    if not folder.exists():
        return
    if not folder.is_dir():
        raise InputError(f"{folder} is a file, a folder is to be written. Choose another path.")
    for entry in sorted(folder.iterdir()):
        if entry.name.lower() in _LITTER:
            continue
        if not (entry.is_file() or entry.is_dir()) or not is_ours(entry):
            raise InputError(
                f'{folder} holds "{entry.name}", which no export of this format wrote and which '
                "would be lost. Choose an empty or new folder, or move it away first."
            )


def _swap(staged: Path, target: Path) -> None:
    if not target.exists():
        os.replace(staged, target)
        return
    aside = staged.with_name(f"{staged.name}-old")
    try:
        os.replace(target, aside)
    except OSError as error:
        if error.errno in _PINNED:
            raise InputError(
                f"{target} is a mounted disk or in use and cannot be replaced as a whole. Name a "
                f"folder inside it, for instance {target / 'masks'}."
            ) from None
        raise
    try:
        os.replace(staged, target)
    except BaseException:
        os.replace(aside, target)
        raise
    shutil.rmtree(aside, ignore_errors=True)
