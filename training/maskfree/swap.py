"""Several files and folders of a session take the place of others: all of them, or none.

What is to be done is written down first, in ``swap.json``. Who finds that file does the rest, as
after a kill: each step is done once, however often it is tried. What was there is kept.
"""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from maskfree.errors import InputError
from maskfree.json_checks import as_flag, as_list, as_object, as_whole
from maskfree.session_hold import SessionHold
from maskfree.storage import atomic_write, make_folder, read_json, writing

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["finish_left", "finish_swap", "swap", "swap_waits"]

_PLAN = "swap.json"
_VERSION = 1
_one_at_a_time = threading.Lock()


def swap(root: Path, staged: Path, kept: Path, names: Iterable[str]) -> None:
    """Put what is in ``staged`` into ``root``, and what was there into ``kept``.

    Parameters
    ----------
    root
        The session's folder.
    staged, kept
        Folders under it.
    names
        Files and folders by their path under ``root``, with ``/``, none within another. One that is
        not staged is only taken away.

    Raises
    ------
    InputError
        Where that is not possible; the next `finish_swap` goes on then.
    """
    checked = _check_names(names, (root, staged, kept), str(root))
    moves = [
        {"name": name, "had": (root / name).exists(), "gets": (staged / name).exists()}
        for name in checked
    ]
    plan = {
        "version": _VERSION,
        "staged": staged.relative_to(root).as_posix(),
        "kept": kept.relative_to(root).as_posix(),
        "moves": moves,
    }
    atomic_write(root / _PLAN, json.dumps(plan) + "\n")
    finish_swap(root)


def swap_waits(root: Path) -> bool:
    """Whether a swap was begun in a session's folder and is not done."""
    return (root / _PLAN).is_file()


def finish_swap(root: Path) -> None:
    """Do the rest of a swap that was begun; nothing happens where none was.

    Raises
    ------
    InputError
        Where that is not possible, or the plan is damaged.
    """
    path = root / _PLAN
    with _one_at_a_time, writing(path):
        if not path.is_file():
            return
        staged, kept, moves = _read(path, root)
        for name, had, gets in moves:
            target, old, new = root / name, kept / name, staged / name
            if had and not old.exists() and target.exists():
                make_folder(old.parent)
                os.rename(target, old)
            if gets and new.exists():
                make_folder(target.parent)
                os.rename(new, target)
        path.unlink()
        _remove_empty(staged)


def finish_left(root: Path) -> None:
    """Do the rest of a swap that was left behind; not where another process is at it.

    Raises
    ------
    InputError
        As `finish_swap`.
    """
    with SessionHold(root, "maskfree") as hold:
        if hold.take() is None:
            finish_swap(root)


def _remove_empty(folder: Path) -> None:
    """Remove a folder tree as far as nothing is in it."""
    for each in sorted(folder.rglob("*"), reverse=True):
        if each.is_dir() and not any(each.iterdir()):
            each.rmdir()
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()


def _read(path: Path, root: Path) -> tuple[Path, Path, list[tuple[str, bool, bool]]]:
    where = str(path)
    fields = as_object(read_json(path, "plan"), where, "a plan", "moves")
    if as_whole(fields.get("version"), where, "version", low=1) > _VERSION:
        raise InputError(
            f"{where} was made by a newer napari-maskfree. Update with: "
            "pip install --upgrade napari-maskfree"
        )
    moves = []
    for each in as_list(fields.get("moves"), where, "moves"):
        move = as_object(each, where, "a move", "name")
        name = _inside(move.get("name"), where)
        had, gets = (as_flag(move.get(key), where, key) for key in ("had", "gets"))
        moves.append((name, had, gets))
    staged, kept = (root / _inside(fields.get(key), where) for key in ("staged", "kept"))
    _check_names([name for name, _, _ in moves], (root, staged, kept), where)
    return staged, kept, moves


def _check_names(names: Iterable[str], folders: tuple[Path, Path, Path], where: str) -> list[str]:
    """Return the names where none leads out of the session, and none is within another.

    ``folders``: the session's, the staged one, and that of what is kept.
    """
    listed = [_inside(name, where) for name in names]
    for folder in folders:
        _check_inside([folder / name for name in listed], folders[0], where)
    known = set(listed)
    for name in listed:
        if known.intersection(str(parent) for parent in PurePosixPath(name).parents):
            raise InputError(f"{where} is damaged: {name} is within another. Remove it.")
    return listed


def _check_inside(paths: Iterable[Path], root: Path, where: str) -> None:
    """Check that no link on the way leads out of the session."""
    inside = os.path.realpath(root)
    for path in paths:
        if os.path.commonpath([inside, os.path.realpath(path.parent)]) != inside:
            raise InputError(f"{where} is damaged: {path} leads out of the session. Remove it.")


def _inside(value: Any, where: str) -> str:
    """Return a path of a plan, which may not lead out of the session."""
    path = PurePosixPath(value) if isinstance(value, str) and not {"\\", "\0"} & {*value} else None
    if path is None or path.is_absolute() or not path.parts or ".." in path.parts or ":" in value:
        raise InputError(f"{where} is damaged: {value!r} is no path in the session. Remove it.")
    return str(path)
