"""Where a mask lies: the box around it, and whether its track was boxed there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from maskfree.box_pixels import box_pixels
from maskfree.tracks import box_at

if TYPE_CHECKING:
    from maskfree.types import Box, BoxTracks, InstanceMasks, Track

__all__ = ["LEAST_BOX", "box_of_mask", "ids_elsewhere", "is_where_boxed", "labels_of"]

LEAST_BOX = 2.0
"""Pixels: a smaller box is a click that slipped."""
_LEAST = 0.5
"""Part of a mask's pixels that lie in the box of its own track."""
_FEW = 1 << 16
"""Below that ids are counted in a table."""


def box_of_mask(mask: np.ndarray) -> Box:
    """Return the box ``xyxy`` around a mask, bool ``(H, W)``, at least `LEAST_BOX` wide and high.

    Raises
    ------
    ValueError
        For a mask without a pixel.
    """
    if not mask.any():
        raise ValueError("a box needs a mask with a pixel, got an empty one. Paint one first.")
    sides = []
    for axis in (0, 1):
        places = np.flatnonzero(mask.any(axis))
        low, high = int(places[0]), int(places[-1]) + 1
        size = mask.shape[1 - axis]
        short = max(0, int(np.ceil(LEAST_BOX)) - (high - low))
        low = min(low, max(0, size - (high - low) - short))
        sides.append((float(low), float(min(size, high + short))))
    (x0, x1), (y0, y1) = sides
    return x0, y0, x1, y1


def labels_of(masks: InstanceMasks | None, height: int, width: int) -> np.ndarray:
    """Return int32 ``(H, W)``: each pixel's track id, 0 for none; where two overlap the surer."""
    labels = np.zeros((height, width), np.int32)
    if masks is None:
        return labels
    for index in np.argsort(masks.scores, kind="stable"):
        labels[np.asarray(masks.masks[index], bool)] = masks.track_ids[index]
    return labels


def is_where_boxed(track: Track, frame: int, mask: np.ndarray) -> bool:
    """Return whether at least half of a mask, bool ``(H, W)``, lies in its track's box.

    False where the track is absent; true after its last keyframe, where the box follows the object
    and is not known here.
    """
    room = _room(track, frame, *mask.shape)
    return room is not None and bool(mask[room].sum() >= _LEAST * mask.sum())


def ids_elsewhere(tracks: BoxTracks, frame: int, labels: np.ndarray) -> list[int]:
    """Return the ids in ``labels``, int ``(H, W)``, whose mask is not where its track is boxed.

    See :func:`is_where_boxed`; ids that no track has are among them. Quick: each pixel is counted
    once, and those in boxes once more.
    """
    each = {track.id: track for track in tracks.tracks}
    ids, counts = _counted(labels)
    found = []
    for track_id, count in zip(ids, counts, strict=True):
        track = each.get(track_id)
        room = None if track is None else _room(track, frame, *labels.shape)
        if room is None or np.count_nonzero(labels[room] == track_id) < _LEAST * count:
            found.append(track_id)
    return found


def _room(track: Track, frame: int, height: int, width: int) -> tuple[slice, slice] | None:
    """Return the pixels where a track may be, None where it is absent."""
    now = box_at(track, frame)
    if now is None:
        return None
    if frame > track.keyframes[-1].frame:
        return slice(None), slice(None)
    return box_pixels(now.xyxy, height, width)


def _counted(labels: np.ndarray) -> tuple[list[int], list[int]]:
    """Return the ids above 0 and how many pixels each has."""
    if labels.size and labels.max() < _FEW:
        counts = np.bincount(labels.ravel())
        ids = np.flatnonzero(counts)
        counts = counts[ids]
    else:
        ids, counts = np.unique(labels, return_counts=True)
    return ids[ids > 0].tolist(), counts[ids > 0].tolist()
