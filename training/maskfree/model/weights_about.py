"""What a safetensors file says of its weights beside them: the names of its class outputs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError, safe_open

from maskfree.errors import InputError
from maskfree.storage import read_json

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

__all__ = ["CLASSES", "about", "classes_of", "library_classes"]

CLASSES = "classes"
"""Where a file's metadata, or the description beside a run's weights, keeps them."""
_OF_A_RUN = {"format", "config", CLASSES}
"""What such a description has; another JSON file of that name says nothing of the weights."""
_CONFIG, _KIND = "config.json", "mask2former"
_OF_THE_LIBRARY = ("model.safetensors", "pytorch_model.bin")
"""Names that transformers gives the weights in such a folder."""


def about(classes: Sequence[str]) -> dict[str, str]:
    """Return a file's metadata for weights with these class outputs; empty: nobody knows them."""
    return {"format": "pt", CLASSES: json.dumps(list(classes))} if classes else {"format": "pt"}


def classes_of(path: Path, outputs: int) -> tuple[str, ...]:
    """Return the classes of a weights file in the order of its outputs; empty: nobody says.

    They stand in the file itself, in the description that a run's weights have beside them, or in
    the ``config.json`` of transformers' folder, where that names as many as there are ``outputs``.
    """
    if path.suffix == ".safetensors" and (own := _names(_metadata(path))):
        return own
    said = _beside(path.with_suffix(".json"))
    if _OF_A_RUN <= said.keys():
        return _names(said)
    about = _beside(path.with_name(_CONFIG)) if path.name in _OF_THE_LIBRARY else {}
    return library_classes(about, outputs) if about.get("model_type") == _KIND else ()


def library_classes(about: Mapping[str, Any], outputs: int) -> tuple[str, ...]:
    """Return the classes that transformers' config.json names, where they are ``outputs``."""
    named = about.get("id2label")
    if not isinstance(named, dict) or len(named) != outputs:
        return ()
    try:
        return tuple(str(named[str(place)]) for place in range(outputs))
    except KeyError:
        return ()


def _beside(path: Path) -> dict[str, Any]:
    """Return a description in JSON; empty: there is none, or it cannot be read."""
    try:
        said: Any = read_json(path, "description") if path.is_file() else None
    except InputError:
        return {}
    return said if isinstance(said, dict) else {}


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
