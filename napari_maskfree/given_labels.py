"""Whether labels of somebody's own can be masks of the video. No Qt here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Collection

__all__ = ["why_no_masks"]

_MOST = 5
"""Most ids that are named."""
_STAY = "The masks stay as they are."


def why_no_masks(given: Any, shape: tuple[int, ...], track_ids: Collection[int]) -> str:
    """Say why labels cannot be taken for painted masks; empty text where they can.

    Parameters
    ----------
    given
        An array of ids by pixel.
    shape
        That of the masks layer.
    track_ids
        What an id may be, beside 0.
    """
    if tuple(given.shape) != shape:
        return (
            f"Masks of this video are {_by(shape)}, got labels of {_by(given.shape)}. {_STAY} "
            "Resize the labels, or make them from this video's layer."
        )
    if given.dtype.kind not in "biu":
        return (
            f"Masks are whole numbers, the ids of tracks, got {given.dtype}. {_STAY} Convert the "
            "layer to int."
        )
    found = {int(i) for frame in given for i in np.unique(np.asarray(frame))} - {0}
    strange = sorted(found - set(track_ids))
    if strange:
        listed = ", ".join(map(str, strange[:_MOST])) + (" …" if len(strange) > _MOST else "")
        known = ", ".join(map(str, sorted(track_ids))) or "none yet"
        return (
            f"Labels must be the ids of tracks ({known}), got {listed}. {_STAY} Make tracks for "
            "them first (New track), or give the labels the ids of tracks."
        )
    return ""


def _by(shape: tuple[int, ...]) -> str:
    return " by ".join(map(str, shape))
