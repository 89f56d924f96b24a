"""Which of our formats a file or folder is, by a look at its beginning."""

from __future__ import annotations

import os
import re
from pathlib import Path

from maskfree.session import is_session

__all__ = ["SESSION", "kind_of"]

SESSION = "session"
_HEAD = 1 << 16
"""Bytes of a file that are looked at, at its beginning and, of JSON, at its end."""
_FIELDS: tuple[tuple[str, str], ...] = (
    ("coco", "images"),
    ("ovis", "occlusion"),
    ("ytvis", "videos"),
    ("bdd100k", "videoName"),
    ("boxes", "tracks"),
)
"""Fields of JSON files that only one format has; the first that is found counts."""
_SUFFIXES = {".npz": "npz", ".labels.tif": "tiff", ".labels.tiff": "tiff"}
_PNG_AT, _PNG = (
    slice(24, 26),
    {
        (8, 3): "davis",
        (4, 3): "davis",
        (2, 3): "davis",
        (1, 3): "davis",
        (16, 0): "mots-png",
        (8, 6): "bdd100k-masks",
    },
)
"""Where a PNG says its bits a channel and its kind of colour, and what masks have there."""


def kind_of(path: str) -> str | None:
    """Return the name of the format, `SESSION` for a session, None for anything else."""
    if os.path.isdir(path):
        return SESSION if is_session(path) else _kind_of_folder(Path(path))
    if os.path.basename(path) == "session.json" and is_session(os.path.dirname(path) or "."):
        return SESSION
    for suffix, kind in _SUFFIXES.items():
        if path.lower().endswith(suffix):
            return kind
    return _kind_of_json(path) if path.lower().endswith(".json") else None


def _kind_of_json(path: str) -> str | None:
    text = (_head(path) + _head(path, tail=True)).decode("utf-8", "replace")
    fields = set(re.findall(r'"(\w+)"\s*:', text))
    return next((kind for kind, field in _FIELDS if field in fields), None)


def _kind_of_folder(folder: Path) -> str | None:
    if any((folder / name).is_file() for name in ("res_track.txt", "man_track.txt")):
        return "ctc"
    zarr = ("zarr.json", ".zgroup", ".zattrs")
    if any((folder / name).is_file() for name in zarr):
        labels = (folder / "labels").is_dir() or folder.name == "labels"
        return "ome-zarr" if labels or b'"image-label"' in _heads(folder, zarr) else None
    if (folder / "labels").is_dir() and b"napari_maskfree" in _head(folder / "data.yaml"):
        return "yolo"
    with os.scandir(folder) as entries:
        first = min((each.name for each in entries if _is_picture(each.name)), default="")
    head = _head(folder / first)[_PNG_AT] if first else b""
    # Grey pictures of 8 bit may be frames as well as masks.
    return _PNG.get((head[0], head[1])) if len(head) == 2 else None


def _is_picture(name: str) -> bool:
    return name.lower().endswith(".png") and not name.startswith(".")


def _heads(folder: Path, names: tuple[str, ...]) -> bytes:
    return b"".join(_head(folder / name) for name in names)


def _head(path: str | Path, *, tail: bool = False) -> bytes:
    """Return the first bytes of a file, or the last ones; nothing where it cannot be read."""
    try:
        with open(path, "rb") as file:
            file.seek(max(0, os.path.getsize(path) - _HEAD) if tail else 0)
            return file.read(_HEAD)
    except OSError:
        return b""
