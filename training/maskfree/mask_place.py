"""Whether a mask lies where its track was boxed: that of a renamed track does not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from maskfree.box_pixels import box_pixels
from maskfree.tracks import box_at

if TYPE_CHECKING:
    import numpy as np

    from maskfree.types import Track

__all__ = ["is_where_boxed"]

_LEAST = 0.5
"""Part of a mask's pixels that lie in the box of its own track."""


def is_where_boxed(track: Track, frame: int, mask: np.ndarray) -> bool:
    """Return whether at least half of a mask, bool ``(H, W)``, lies in its track's box.

    False where the track is absent; true after its last keyframe, where the box follows the object
    and is not known here.
    """
    now = box_at(track, frame)
    if now is None:
        return False
    if frame > track.keyframes[-1].frame:
        return True
    inside = mask[box_pixels(now.xyxy, *mask.shape)]
    return bool(inside.sum() >= _LEAST * mask.sum())
