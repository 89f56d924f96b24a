"""A frame's corrections carried to the frames around it, both ways: found, then taken over."""

from __future__ import annotations

from typing import TYPE_CHECKING

from maskfree.carry import carry, changes_of, with_carried, without_carried
from maskfree.corrections import is_gold
from maskfree.tracks import box_at

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from maskfree.carry import Carried
    from maskfree.config import CarryConfig
    from maskfree.corrections import Correction
    from maskfree.types import BoxTracks, InstanceMasks
    from maskfree.video import Video

    Read = Callable[[int], InstanceMasks | None]
    Found = dict[int, dict[int, Carried]]

__all__ = ["find_carried", "take_carried"]


def find_carried(
    video: Video,
    tracks: BoxTracks,
    predicted: InstanceMasks | None,
    known: Mapping[int, Mapping[int, Correction]],
    frame: int,
    *,
    config: CarryConfig,
) -> Found:
    """Return what goes into which frame, by track id; empty where nobody changed a mask.

    A track is carried no further where it is absent, or where a person said something of it.

    Parameters
    ----------
    predicted
        The frame's masks without corrections.
    known
        All corrections, by frame and track id.
    """
    each = {track.id: track for track in tracks.tracks}
    changes = changes_of(predicted, known.get(frame, {}))
    changes = {i: change for i, change in changes.items() if i in each}

    def barred(track_id: int, there: int) -> bool:
        said = known.get(there, {})
        own = said.get(track_id)
        by_hand = is_gold(said) or (own is not None and own.carried is None)
        return by_hand or box_at(each[track_id], there) is None

    found: Found = {}
    if changes:
        for forward in (False, True):
            way = carry(video, changes, frame, forward=forward, barred=barred, config=config)
            found.update(way)
    return dict(sorted(found.items()))


def take_carried(
    predicted: Read,
    known: Mapping[int, Mapping[int, Correction]],
    frame: int,
    found: Found,
) -> tuple[dict[int, dict[int, Correction]], dict[int, int]]:
    """Return the corrections of the frames that change, and the pixels said by frame carried to.

    What was carried from ``frame`` before goes.

    Parameters
    ----------
    predicted
        Returns a frame's masks without corrections.
    known
        All corrections as they are now, by frame and track id.
    found
        By :func:`find_carried`.
    """
    changes, pixels = without_carried(known, frame), dict[int, int]()
    for there, carried in found.items():
        before = changes.get(there, known.get(there, {}))
        made = with_carried(predicted(there), before, carried, frame)
        if made != before:
            changes[there] = made
            pixels[there] = sum(_said(own) for i, own in made.items() if own != before.get(i))
    return changes, pixels


def _said(own: Correction) -> int:
    return int(own.is_object.sum() + own.is_other.sum())
