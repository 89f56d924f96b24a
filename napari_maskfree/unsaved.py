"""Where the journals of videos are that have no session yet: in the home folder. No Qt here."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_maskfree.video_info import VideoInfo

__all__ = ["about", "free_path", "paths_of", "unsaved_folder"]

_DIGITS = 16
_SUFFIX = ".jsonl"


def unsaved_folder() -> Path:
    """Return where changes are kept that belong to no session yet."""
    return Path.home() / "maskfree" / "unsaved"


def free_path(video: VideoInfo) -> Path:
    """Return a file that is not there yet: another window may have the same video open."""
    number, path = 1, unsaved_folder() / f"{_stem(video)}{_SUFFIX}"
    while path.exists():
        number += 1
        path = unsaved_folder() / f"{_stem(video)}-{number}{_SUFFIX}"
    return path


def paths_of(video: VideoInfo) -> list[Path]:
    """Return the journals that there are of a video, the first one first."""
    found = unsaved_folder().glob(f"{_stem(video)}*{_SUFFIX}")
    return sorted((path for path in found if "." not in path.stem), key=lambda p: len(p.name))


def about(video: VideoInfo) -> dict[str, Any]:
    """Return what a journal says of its video."""
    return {"name": video.name, "source": video.source, "size": list(video.size)}


def _stem(video: VideoInfo) -> str:
    """Return the name of a video's journal: a part for people, a part for the machine."""
    key = hashlib.sha256(repr((video.source or video.name, video.size)).encode()).hexdigest()
    name = "".join(c if c.isascii() and c.isalnum() else "_" for c in video.name)
    return f"{name[:_DIGITS]}-{key[:_DIGITS]}"
