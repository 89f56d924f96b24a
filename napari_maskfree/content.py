"""What undo brings back. No Qt here."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING

from maskfree.corrections import Correction

if TYPE_CHECKING:
    from maskfree.types import BoxTracks

__all__ = ["Content", "Corrections", "boxed", "cost_of", "size_of"]

Corrections = Mapping[int, Mapping[int, Correction]]
"""By frame and track id."""
_BYTES = 8


@dataclasses.dataclass(frozen=True)
class Content:
    """Tracks, the selected one, and the corrections of the frames that a change was about."""

    tracks: BoxTracks | None
    selected: int | None
    corrections: Corrections


def boxed(tracks: BoxTracks) -> BoxTracks | None:
    """Return the tracks that have a box, None when there is none."""
    kept = tuple(t for t in tracks.tracks if any(k.xyxy for k in t.keyframes))
    ids = {None, *(t.id for t in kept)}
    kept = tuple(t if t.parent in ids else dataclasses.replace(t, parent=None) for t in kept)
    return dataclasses.replace(tracks, tracks=kept) if kept else None


def size_of(corrections: Corrections) -> int:
    """Return how much corrections hold, in keyframes of 8 bytes."""
    counts = (c.object_counts + c.other_counts for f in corrections.values() for c in f.values())
    return len(corrections) + sum(map(len, counts)) // _BYTES


def cost_of(before: Content, after: Content) -> int:
    """Return how many things the content before a change holds that the one after does not share.

    Both have tracks.
    """
    assert before.tracks is not None and after.tracks is not None
    kept = {id(track) for track in after.tracks.tracks}
    gone = sum(len(t.keyframes) for t in before.tracks.tracks if id(t) not in kept)
    return len(kept) + gone + len(before.tracks.ignore) + size_of(after.corrections)
