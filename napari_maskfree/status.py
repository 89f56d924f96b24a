"""What a track is in a frame, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from maskfree.tracks import box_at

if TYPE_CHECKING:
    from maskfree.types import Track

__all__ = ["status_of"]


def status_of(track: Track, frame: int) -> str:
    """Say what ``track`` is in ``frame``."""
    if not track.keyframes:
        return "no box yet"
    if any(k.frame == frame and k.outside for k in track.keyframes):
        return "outside (keyframe)"
    now = box_at(track, frame)
    if now is None:
        return "absent"
    word = "keyframe" if now.keyframe else "interpolated"
    return f"{word}, occluded" if now.occluded else word
