"""What a safetensors file says of its weights beside them: the names of its class outputs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError, safe_open

from maskfree.errors import InputError
from maskfree.storage import read_json

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

__all__ = ["CLASSES", "about", "classes_of"]

CLASSES = "classes"
"""Where a file's metadata, or the description beside a run's weights, keeps them."""
_OF_A_RUN = {"format", "config", CLASSES}
"""What such a description has; another JSON file of that name says nothing of the weights."""


def about(classes: Sequence[str]) -> dict[str, str]:
    """Return a file's metadata for weights with these class outputs; empty: nobody knows them."""
    return {"format": "pt", CLASSES: json.dumps(list(classes))} if classes else {"format": "pt"}


def classes_of(path: Path) -> tuple[str, ...]:
    """Return the classes of a weights file in the order of its outputs; empty: nobody says.

    They stand in the file itself, or in the description that a run's weights have beside them.
    """
    if path.suffix == ".safetensors" and (own := _names(_metadata(path))):
        return own
    beside = path.with_suffix(".json")
    try:
        said: Any = read_json(beside, "description") if beside.is_file() else None
    except InputError:
        return ()
    return _names(said) if isinstance(said, dict) and _OF_A_RUN <= said.keys() else ()


def _names(said: dict[str, Any]) -> tuple[str, ...]:
    names = said.get(CLASSES)
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        return ()
    return tuple(names)


def _metadata(path: Path) -> dict[str, Any]:
    try:
        with safe_open(path, "pt") as file:
            said = file.metadata() or {}
        return {CLASSES: json.loads(said.get(CLASSES, "null"))}
    except (SafetensorError, OSError, ValueError, RecursionError):
        return {}
