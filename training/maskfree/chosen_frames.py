"""Which few frames stand for a video, where nobody chose any. No torch here."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from maskfree.evenly import evenly
from maskfree.tracks import box_at

if TYPE_CHECKING:
    from collections.abc import Sequence

    from maskfree.types import BoxTracks

__all__ = ["chosen_frames", "spread_frames", "with_frame"]

_LOOKED_AT = 64
"""Frames in which boxes are looked for where there are few keyframes."""


def chosen_frames(tracks: BoxTracks, count: int, *, now: int | None = None) -> list[int]:
    """Return at most ``count`` frames with a box, in order, see :func:`spread_frames`.

    ``now``, if it has a box, is one of them, in place of the nearest.
    """
    found = spread_frames(tracks, count)
    return found if now is None else with_frame(tracks, found, now)


def spread_frames(tracks: BoxTracks, count: int) -> list[int]:
    """Return at most ``count`` frames with a box, in order.

    They are spread over the keyframes, or, where those are too few, over all frames with a box.
    """
    drawn = sorted({k.frame for t in tracks.tracks for k in t.keyframes if k.xyxy is not None})
    if not drawn:
        return []
    if len(drawn) < count:
        looked = np.linspace(drawn[0], tracks.num_frames - 1, _LOOKED_AT).round().astype(int)
        drawn = [f for f in sorted({*drawn, *looked.tolist()}) if _is_boxed(tracks, f)]
    return sorted(evenly(drawn, count))


def with_frame(tracks: BoxTracks, chosen: Sequence[int], now: int) -> list[int]:
    """Return the chosen frames with ``now``, if it has a box, in place of the nearest of them."""
    found = list(chosen)
    if found and now not in found and _is_boxed(tracks, now):
        found.remove(min(found, key=lambda frame: abs(frame - now)))
        found.append(now)
    return sorted(found)


def _is_boxed(tracks: BoxTracks, frame: int) -> bool:
    return any(box_at(track, frame) is not None for track in tracks.tracks)
