"""A person's word for a frame's masks as they are: accepted, gold, or gold no longer."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from maskfree.corrections import Correction, is_gold
from maskfree.mask_place import is_where_boxed
from maskfree.tracks import boxes_at

if TYPE_CHECKING:
    from collections.abc import Mapping

    from maskfree.types import BoxTracks, InstanceMasks


__all__ = ["accepted", "belongs", "gold_of", "is_by_hand", "is_marked", "without_gold"]


def belongs(
    tracks: BoxTracks, track_id: int, frame: int, mask: np.ndarray, known: Mapping[int, Correction]
) -> bool:
    """Whether a mask, bool ``(H, W)``, is its track's: where that is boxed, followed, or painted.

    That of a track that was split, merged, swapped or moved since it was predicted is not.
    ``known``: the frame's corrections by track id.
    """
    if is_by_hand(known.get(track_id)):
        return True
    track = next((each for each in tracks.tracks if each.id == track_id), None)
    return track is not None and is_where_boxed(track, frame, mask)


def is_by_hand(own: Correction | None) -> bool:
    """Whether a person said of pixels that they are the track's."""
    return own is not None and own.has_object and own.carried is None


def accepted(
    tracks: BoxTracks, frame: int, masks: InstanceMasks, known: Mapping[int, Correction]
) -> tuple[dict[int, Correction], list[int]]:
    """Vouch for the masks of a frame, those left out that lie elsewhere than their tracks.

    What is gold stays so, and in a gold frame all that is accepted is.

    Parameters
    ----------
    masks
        As they are shown, corrections included.
    known
        The frame's corrections so far, by track id.

    Returns
    -------
    tuple
        The frame's corrections by track id, and the ids of the tracks that were left out.
    """
    gold = is_gold(known)
    each = dict(zip(masks.track_ids, masks.masks, strict=True))
    whole = {
        i: Correction.whole(mask, gold=gold)
        for i, mask in each.items()
        if belongs(tracks, i, frame, mask, known)
    }
    return {**known, **whole}, [i for i in each if i not in whole]


def gold_of(
    tracks: BoxTracks, frame: int, masks: InstanceMasks, known: Mapping[int, Correction]
) -> tuple[dict[int, Correction], list[int], list[int]]:
    """Vouch for the masks of a frame as its truth, of all tracks that are boxed there.

    Parameters
    ----------
    masks, known
        As for :func:`accepted`.

    Returns
    -------
    tuple
        The frame's corrections by track id; the ids of the tracks that are not in the frame, which
        is said too; and those whose mask lies elsewhere, which should be mended first.
    """
    shown = dict(zip(masks.track_ids, masks.masks, strict=True))
    strays = [i for i, mask in shown.items() if not belongs(tracks, i, frame, mask, known)]
    empty = sorted((boxes_at(tracks, frame).keys() | known.keys()) - shown.keys())
    nothing = np.zeros(masks.masks.shape[1:], bool)
    truth = {**shown, **dict.fromkeys(empty, nothing)}
    return {i: Correction.whole(m, gold=True) for i, m in truth.items()}, empty, strays


def without_gold(known: Mapping[int, Correction]) -> dict[int, Correction]:
    """Return a frame's corrections as such that teach again, as those of an accepted frame."""
    return {i: dataclasses.replace(own, gold=False) for i, own in known.items()}


def is_marked(tracks: BoxTracks | None, frame: int, known: Mapping[int, Correction]) -> bool:
    """Whether all tracks that are boxed in a frame are gold there: later ones may not be."""
    gold = {i for i, own in known.items() if own.gold}
    boxed = boxes_at(tracks, frame).keys() if tracks is not None else set()
    return bool(gold) and boxed <= gold
