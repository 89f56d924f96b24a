"""What a track is in a frame, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from maskfree.tracks import box_at, keyframe_at

if TYPE_CHECKING:
    from maskfree.types import Track

__all__ = ["status_of"]


def status_of(track: Track, frame: int) -> str:
    """Say what ``track`` is in ``frame``."""
    if not track.keyframes:
        return "no box yet"
    now = box_at(track, frame)
    if now is None:
        return "absent" if keyframe_at(track, frame) is None else "outside (keyframe)"
    word = "keyframe" if now.keyframe else "interpolated"
    return f"{word}, occluded" if now.occluded else word
