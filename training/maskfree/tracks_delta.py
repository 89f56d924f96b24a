"""What changed between two states of the boxes, as a few lines of JSON: for the journal.

::

    {"head": [was, now],                          the video and unknown fields, as a boxes file
     "tracks": [{"id": 3, "head": [was, now],     the track without its boxes; null: there is none
                 "boxes": {"at": 7, "was": […], "now": […]}}],
     "order": {"at": 0, "was": [3, 4], "now": [4, 3]},
     "ignore": {"at": 0, "was": [], "now": […]}}

What did not change is left out. Lists change in one place: from place ``at`` on, ``was`` gives way
to ``now``; their items are those of a boxes file. So the difference of one edit among many boxes is
as small as the edit.
"""

from __future__ import annotations

import dataclasses
import itertools
from typing import TYPE_CHECKING, Any, TypeVar

from maskfree.boxes_json import (
    boxes_from_json,
    boxes_to_json,
    keyframe_from_json,
    keyframe_to_json,
    track_from_json,
    track_to_json,
)
from maskfree.errors import InputError
from maskfree.ignore_regions import region_from_json, region_to_json
from maskfree.json_checks import as_list, as_object, as_whole

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from maskfree.types import BoxTracks, Keyframe, Track

__all__ = ["changed", "difference"]

T = TypeVar("T")
_REMEDY = "It belongs to another state of the boxes."


def difference(before: BoxTracks, after: BoxTracks) -> dict[str, Any]:
    """Return what leads from ``before`` to ``after``, for :func:`changed`; nothing where equal."""
    found: dict[str, Any] = {}
    heads = [_head(tracks) for tracks in (before, after)]
    if heads[0] != heads[1]:
        found["head"] = heads
    known, new = ({t.id: t for t in tracks.tracks} for tracks in (before, after))
    each = [
        {"id": i, **own}
        for i in dict.fromkeys((*known, *new))
        if (own := _of_track(known.get(i), new.get(i)))
    ]
    if each:
        found["tracks"] = each
    if order := _splice(list(known), list(new), int):
        found["order"] = order
    if ignore := _splice(before.ignore, after.ignore, region_to_json):
        found["ignore"] = ignore
    return found


def _of_track(was: Track | None, now: Track | None) -> dict[str, Any]:
    if was is now:
        return {}
    found: dict[str, Any] = {}
    heads = [None if track is None else _track_head(track) for track in (was, now)]
    if heads[0] != heads[1]:
        found["head"] = heads
    frames = [() if track is None else track.keyframes for track in (was, now)]
    if boxes := _splice(frames[0], frames[1], keyframe_to_json):
        found["boxes"] = boxes
    return found


def _splice(was: Sequence[T], now: Sequence[T], plain: Callable[[T], Any]) -> dict[str, Any]:
    """Return the one place in which two lists differ, without their common ends."""
    if was is now:
        return {}
    most = min(len(was), len(now))
    first = _common(was, now, most)
    last = _common(was[::-1], now[::-1], most - first)
    gone, new = was[first : len(was) - last], now[first : len(now) - last]
    if not gone and not new:
        return {}
    return {"at": first, "was": [plain(item) for item in gone], "now": [plain(x) for x in new]}


def _common(was: Sequence[T], now: Sequence[T], most: int) -> int:
    """Return how many items two lists begin with alike, up to ``most``.

    By halves: slices are compared far faster than one item after the other.
    """
    low, high = 0, most
    while low < high:
        middle = (low + high + 1) // 2
        if was[low:middle] == now[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def _head(tracks: BoxTracks) -> dict[str, Any]:
    return boxes_to_json(dataclasses.replace(tracks, tracks=(), ignore=()))


def _track_head(track: Track) -> dict[str, Any]:
    return track_to_json(dataclasses.replace(track, keyframes=()))


# ---- and back into boxes


def changed(tracks: BoxTracks, delta: Mapping[str, Any], *, where: str) -> BoxTracks:
    """Return ``tracks`` with a :func:`difference`, which shares all that stays as it is.

    Raises
    ------
    InputError
        Where it is no such difference, or begins with another state; ``where`` begins the message.
    """
    head = delta.get("head")
    if head is not None:
        was, now = _pair(head, where)
        _check(_head(tracks) == was, where)
        made = boxes_from_json(now, where=where, allow_empty=True)
        tracks = dataclasses.replace(made, tracks=tracks.tracks, ignore=tracks.ignore)
    known = {track.id: track for track in tracks.tracks}
    for n, item in enumerate(as_list(delta.get("tracks", []), where, "tracks")):
        one = as_object(item, f"{where}: tracks[{n}]", "a changed track", "id")
        track_id = as_whole(one.get("id"), where, "id", low=1)
        track = _changed_track(known.get(track_id), track_id, one, tracks, where)
        if track is None:
            known.pop(track_id, None)
        else:
            known[track_id] = track
    ids = _spliced(tuple(t.id for t in tracks.tracks), delta.get("order"), _whole, where)
    _check(len(ids) == len(known) and set(ids) == known.keys(), where)

    def region(item: Any, n: int) -> Any:
        return region_from_json(item, n, tracks, where)[0]

    ignore = _spliced(tracks.ignore, delta.get("ignore"), region, where)
    return dataclasses.replace(tracks, tracks=tuple(known[i] for i in ids), ignore=tuple(ignore))


def _changed_track(
    track: Track | None, track_id: int, delta: Mapping[str, Any], video: BoxTracks, where: str
) -> Track | None:
    here, old = f"{where}: track {track_id}", track
    if delta.get("head") is not None:
        was, now = _pair(delta["head"], here)
        _check((None if track is None else _track_head(track)) == was, here)
        track = None if now is None else track_from_json(now, 0, video, here)
        _check(track is None or (track.id == track_id and not track.keyframes), here)

    def keyframe(item: Any, n: int) -> Keyframe:
        return keyframe_from_json(item, n, video, here)

    old_frames = () if old is None else old.keyframes
    frames = _spliced(old_frames, delta.get("boxes"), keyframe, here)
    if track is None:
        _check(not frames, here)
        return None
    if frames is not old_frames:
        at, count = int(delta["boxes"]["at"]), len(delta["boxes"]["now"])
        near = frames[max(at - 1, 0) : at + count + 1]
        _check(all(a.frame < b.frame for a, b in itertools.pairwise(near)), here)
    return dataclasses.replace(track, keyframes=frames)


def _spliced(
    items: Sequence[T], splice: Any, read: Callable[[Any, int], T], where: str
) -> Sequence[T]:
    if splice is None:
        return items
    fields = as_object(splice, where, "a change of a list", "at")
    at = as_whole(fields.get("at"), where, "at", low=0)
    gone = as_list(fields.get("was"), where, "was")
    new = as_list(fields.get("now"), where, "now")
    end = at + len(gone)
    _check(tuple(items[at:end]) == tuple(read(item, n) for n, item in enumerate(gone)), where)
    _check(at <= len(items), where)
    return (*items[:at], *(read(item, n) for n, item in enumerate(new)), *items[end:])


def _whole(item: Any, _: int) -> int:
    return as_whole(item, "order", "id", low=1)


def _pair(value: Any, where: str) -> tuple[Any, Any]:
    both = as_list(value, where, "head")
    _check(len(both) == 2, where)
    return both[0], both[1]


def _check(fits: bool, where: str) -> None:
    if not fits:
        raise InputError(f"{where}: the change does not fit what was there before it. {_REMEDY}")
