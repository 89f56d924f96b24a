"""Cases: what a reader is given, as files by name; kept in the corpus, a folder each.

The first part of the names is one for all: it is what the reader is told to read, ``in.json`` or
the folder ``in``.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

Case = dict[str, bytes]

CORPUS = Path(__file__).parent / "corpus"
VALID = "valid"
"""Begins the names of cases that must be read; the others were faults once."""


def kept(reader: str, corpus: Path = CORPUS) -> dict[str, Case]:
    """The cases of a reader by name, in order."""
    folder = corpus / reader
    if not folder.is_dir():
        return {}
    return {path.name: case_of(path) for path in sorted(folder.iterdir()) if path.is_dir()}


def case_of(folder: Path) -> Case:
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def keep(case: Case, folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    write(case, folder, case)


def entry(case: Case) -> str:
    """What the reader is told to read."""
    return next(iter(case)).partition("/")[0]


def write(case: Case, folder: Path, names: Iterable[str]) -> None:
    """Write some of a case's files; those that it lacks are removed."""
    for name in names:
        path = os.path.join(folder, *name.split("/"))
        if name not in case:
            if os.path.lexists(path):
                os.unlink(path)
            continue
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(case[name])
