"""Which few frames stand for a video, where nobody chose any. No torch here."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from maskfree.evenly import evenly
from maskfree.tracks import boxes_at

if TYPE_CHECKING:
    from maskfree.types import BoxTracks

__all__ = ["chosen_frames"]

_LOOKED_AT = 64
"""Frames in which boxes are looked for where there are few keyframes."""


def chosen_frames(tracks: BoxTracks, count: int, *, now: int | None = None) -> list[int]:
    """Return at most ``count`` frames with a box, in order.

    They are spread over the keyframes, or, where those are too few, over all frames with a box.
    ``now``, if it has a box, is one of them, in place of the nearest.
    """
    drawn = sorted({k.frame for t in tracks.tracks for k in t.keyframes if k.xyxy is not None})
    if not drawn:
        return []
    if len(drawn) < count:
        looked = np.linspace(drawn[0], tracks.num_frames - 1, _LOOKED_AT).round().astype(int)
        drawn = [f for f in sorted({*drawn, *looked.tolist()}) if boxes_at(tracks, f)]
    found = evenly(drawn, count)
    if now is not None and now not in found and boxes_at(tracks, now):
        found.remove(min(found, key=lambda frame: abs(frame - now)))
        found.append(now)
    return sorted(found)
