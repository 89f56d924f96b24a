"""What undo brings back. No Qt here."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING

from maskfree.corrections import Correction

if TYPE_CHECKING:
    from maskfree.types import BoxTracks

__all__ = ["Content", "Corrections", "size_of"]

Corrections = Mapping[int, Mapping[int, Correction]]
"""By frame and track id."""
_BYTES = 8


@dataclasses.dataclass(frozen=True)
class Content:
    """Tracks, the selected one, and the corrections of the frames that a change was about."""

    tracks: BoxTracks | None
    selected: int | None
    corrections: Corrections


def size_of(corrections: Corrections) -> int:
    """Return how much corrections hold, in keyframes of 8 bytes."""
    counts = (c.object_counts + c.other_counts for f in corrections.values() for c in f.values())
    return len(corrections) + sum(map(len, counts)) // _BYTES
