"""Where exports and commands may write: not over a session's own files, nor over what they read."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from maskfree.errors import InputError
from maskfree.storage import writing

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["check_output"]

_SESSION = "session.json"
_OWN = re.compile(
    r"(session\.(json|lock|holder\.json)|boxes(\..*)?\.json|journal(\..*)?\.jsonl|predict\.jsonl"
    r"|frame_(prints\.json|index\.bin)|masks\.lock|swap\.json|process\.log|maskfree-error\.log"
    r"|corrections|masks(\.before.*)?|runs|other|\.?shift(ed|ing)|video\.zarr)",
    re.IGNORECASE,
)
"""What a session has in its folder, see docs/session-format.md."""


def check_output(
    path: str | os.PathLike[str], *, inputs: Iterable[str | os.PathLike[str] | None] = ()
) -> None:
    """Check that writing to ``path`` takes nothing away that it must not.

    ``inputs``: files and folders that are read for it; None: one that does not exist.

    Raises
    ------
    InputError
        Where ``path`` is one of the ``inputs``, or a part of a session.
    """
    with writing(path):
        target = Path(os.path.realpath(path))
        for each in inputs:
            if each is not None and target == Path(os.path.realpath(each)):
                raise InputError(f"{path} is what is read, and would be lost. Choose another path.")
        for folder in target.parents:
            part = target.relative_to(folder).parts[0]
            if _OWN.fullmatch(part) and (folder / _SESSION).is_file():
                raise InputError(
                    f"{path} is a part of the session {folder}, and would be lost or in its way. "
                    "Choose a path outside of the session, or another name."
                )
