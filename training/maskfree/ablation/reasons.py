"""What a person found out about a comparison, to stand below its table: a TOML file."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING

from maskfree.ablation.groups import chosen_groups
from maskfree.errors import InputError
from maskfree.storage import read_text

if TYPE_CHECKING:
    import os

__all__ = ["read_reasons"]


def read_reasons(path: str | os.PathLike[str]) -> dict[str, str]:
    """Return a group's key to the Markdown that is said of it.

    Parameters
    ----------
    path
        A TOML file of ``group = "text"``, as ``method = "At twice the weight …"``.

    Raises
    ------
    InputError
        Where the file cannot be read, is not TOML, names an unknown group or holds no text.
    """
    where = f"file of reasons {path}"
    try:
        table = tomllib.loads(read_text(path, "file of reasons"))
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise InputError(f"The {where} is not TOML ({error}). Mend it there.") from None
    try:
        chosen_groups(list(table))
    except InputError as error:
        raise InputError(f"The {where} is not right. {error}") from None
    for key, text in table.items():
        if not isinstance(text, str) or not text.strip():
            raise InputError(
                f'The {where} should hold a text for "{key}", as {key} = "…". Write one, or leave '
                "the line out."
            )
    return {key: text.strip() for key, text in table.items()}
