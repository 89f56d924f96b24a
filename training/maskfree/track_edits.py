"""Tracks cut and put together from a frame on.

What a person drew stays. Where a cut falls between two boxes, the interpolated ones on either side
of it become keyframes, so that both parts are where the whole was; they count as drawn from then
on, so look at them. After a track's last box nothing is drawn that could be cut off: there the
engine follows the object, and a cut would pin it to where it was last. All functions are pure, as
those of `tracks.py`.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from typing import TYPE_CHECKING

from maskfree.errors import InputError
from maskfree.tracks import add_track, box_at, find_track, remove_track
from maskfree.types import BoxTracks, Keyframe, Track

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["clear_range", "merge_tracks", "remove_keyframes", "split_track", "swap_tracks"]


def split_track(tracks: BoxTracks, track_id: int, frame: int) -> tuple[BoxTracks, int]:
    """Give what a track is from ``frame`` on to a new track of the same label; return its id.

    Raises
    ------
    InputError
        For an id that no track has, or a frame before which, or from which on, no box was drawn.
    """
    track = find_track(tracks, track_id)
    head, tail = _cut(track, _checked(tracks, frame))
    if not _boxed(head) or not _boxed(tail):
        side = f"before frame {frame}" if not _boxed(head) else f"from frame {frame} on"
        raise InputError(
            f"Track {track_id} has no box {side}, so there is nothing to split. Choose a frame "
            "that has boxes on both sides, or draw one."
        )
    changed = _with(tracks, dataclasses.replace(track, keyframes=head))
    changed, new_id = add_track(changed, track.label)
    changed = _with(changed, dataclasses.replace(find_track(changed, new_id), keyframes=tail))
    return _handed_over(changed, frame, {track_id: new_id}), new_id


def merge_tracks(tracks: BoxTracks, track_id: int, other_id: int) -> BoxTracks:
    """Put ``other_id``'s boxes into track ``track_id`` and remove the other track.

    Where one of them merely stays after its last box it gives way to the other's next one: between
    the two the box is interpolated.

    Raises
    ------
    InputError
        For an id that no track has, twice the same one, or two tracks that are both boxed over the
        same frames: one object is in one place.
    """
    if track_id == other_id:
        raise InputError(f"Track {track_id} cannot be merged with itself. Choose another track.")
    track, other = find_track(tracks, track_id), find_track(tracks, other_id)
    spans = sorted(
        [*_spans(track, tracks.num_frames), *_spans(other, tracks.num_frames)],
        key=lambda span: span.first,
    )
    for one, two in itertools.pairwise(spans):
        if two.first <= one.keyframes[-1].frame:
            raise InputError(
                f"The tracks {track_id} and {other_id} both have a box in frame {two.first}, and "
                "one object is in one place. Delete the boxes of one of them there, then merge."
            )
    keyframes: list[Keyframe] = []
    following = [*(span.first for span in spans[1:]), tracks.num_frames]
    for span, then in zip(spans, following, strict=False):
        keyframes += span.keyframes
        if span.end < then:
            keyframes.append(Keyframe(span.end, None, outside=True))
        elif span.end == then < tracks.num_frames and span.keyframes[-1].frame < span.end - 1:
            keyframes.append(dataclasses.replace(span.keyframes[-1], frame=span.end - 1))
    begins = min((track, other), key=lambda part: (_first(part), part is other))
    merged = dataclasses.replace(track, keyframes=tuple(keyframes), parent=begins.parent)
    changed = _handed_over(tracks, -1, {other_id: track_id})
    return _descent_mended(remove_track(_with(changed, merged), other_id))


def swap_tracks(tracks: BoxTracks, track_id: int, other_id: int, frame: int) -> BoxTracks:
    """Exchange what two tracks are from ``frame`` on.

    Raises
    ------
    InputError
        For an id that no track has, twice the same one, or where one of them has no box drawn from
        that frame on but stays or is followed there.
    """
    if track_id == other_id:
        raise InputError(f"Track {track_id} cannot be swapped with itself. Choose another track.")
    track, other = find_track(tracks, track_id), find_track(tracks, other_id)
    for each in (track, other):
        _check_drawn(each, _checked(tracks, frame))
    head, tail = _cut(track, frame)
    other_head, other_tail = _cut(other, frame)
    changed = _with(tracks, dataclasses.replace(track, keyframes=_joined(head, other_tail)))
    changed = _with(changed, dataclasses.replace(other, keyframes=_joined(other_head, tail)))
    changed = _handed_over(changed, frame, {track_id: other_id, other_id: track_id})
    return _descent_mended(changed)


def clear_range(tracks: BoxTracks, track_id: int, first: int, last: int) -> BoxTracks:
    """Say that a track is in none of the frames ``first`` to ``last`` (both included).

    Raises
    ------
    InputError
        For an id that no track has, a range that is empty or leaves the video, or one after which
        the track stays or is followed without a box that was drawn.
    """
    _check_range(tracks, first, last)
    track = find_track(tracks, track_id)
    head, _ = _cut(track, first)
    tail: tuple[Keyframe, ...] = ()
    if last + 1 < tracks.num_frames:
        _check_drawn(track, last + 1)
        _, tail = _cut(track, last + 1)
    return _with(tracks, dataclasses.replace(track, keyframes=_joined(head, tail)))


def remove_keyframes(tracks: BoxTracks, track_id: int, first: int, last: int) -> BoxTracks:
    """Remove a track's keyframes in the frames ``first`` to ``last`` (both included).

    Between those that are left its boxes are interpolated.

    Raises
    ------
    InputError
        For an id that no track has, a range that is empty or leaves the video, or one without a
        keyframe.
    """
    _check_range(tracks, first, last)
    track = find_track(tracks, track_id)
    kept = tuple(k for k in track.keyframes if not first <= k.frame <= last)
    if len(kept) == len(track.keyframes):
        raise InputError(
            f"Track {track_id} has no keyframe in the frames {first} to {last}. Choose others."
        )
    return _with(tracks, dataclasses.replace(track, keyframes=kept))


def _check_range(tracks: BoxTracks, first: int, last: int) -> None:
    if last < first:
        raise InputError(f"The range must not be empty, got frames {first} to {last}.")
    _checked(tracks, first)
    _checked(tracks, last)


@dataclasses.dataclass(frozen=True)
class _Span:
    """Frames ``first`` to ``end`` (not included) in which a track has a box, and its keyframes."""

    first: int
    end: int
    keyframes: tuple[Keyframe, ...]


def _spans(track: Track, num_frames: int) -> list[_Span]:
    found: list[_Span] = []
    begun: list[Keyframe] = []
    for keyframe in track.keyframes:
        if not keyframe.outside:
            begun.append(keyframe)
        elif begun:
            found.append(_Span(begun[0].frame, keyframe.frame, tuple(begun)))
            begun = []
    if begun:
        found.append(_Span(begun[0].frame, num_frames, tuple(begun)))
    return found


def _cut(track: Track, frame: int) -> tuple[tuple[Keyframe, ...], tuple[Keyframe, ...]]:
    """Return the keyframes of the track up to ``frame`` and from there on.

    The first part ends with an `outside` in ``frame`` where the track is there just before; the
    second begins with a box in ``frame`` where it is there then and something comes after.
    """
    head = [k for k in track.keyframes if k.frame < frame]
    tail = [k for k in track.keyframes if k.frame >= frame]
    before, here = _frozen(track, frame - 1), _frozen(track, frame)
    if before is not None:
        if head[-1].frame != before.frame and tail and tail[0].xyxy is not None:
            head.append(before)  # interpolated; else it stays as it is up to the outside
        head.append(Keyframe(frame, None, outside=True))
    if here is not None and tail and tail[0].frame != frame:
        tail.insert(0, here)
    while tail and tail[0].outside:
        tail.pop(0)
    return tuple(head), tuple(tail)


def _frozen(track: Track, frame: int) -> Keyframe | None:
    """Return a keyframe of what the track is in a frame; None where it is absent."""
    state = box_at(track, frame)
    return None if state is None else Keyframe(frame, state.xyxy, occluded=state.occluded)


def _joined(head: Sequence[Keyframe], tail: Sequence[Keyframe]) -> tuple[Keyframe, ...]:
    """Put two parts together; where one goes on at once no `outside` lies between them."""
    if head and tail and head[-1].frame == tail[0].frame:
        end, head = head[-1].frame, head[:-1]
        if head[-1].frame < end - 1:  # it stayed as it was: no way leads from there to the tail
            head = (*head, dataclasses.replace(head[-1], frame=end - 1))
    return (*head, *tail)


def _check_drawn(track: Track, frame: int) -> None:
    """Refuse a cut behind which a track would be there without a box that was drawn."""
    drawn = any(k.frame >= frame for k in track.keyframes)
    if not drawn and box_at(track, frame) is not None:
        raise InputError(
            f"Track {track.id} has no box from frame {frame} on: there it is followed. Draw one "
            "there first, or press Outside where it leaves for good."
        )


def _handed_over(tracks: BoxTracks, frame: int, heirs: Mapping[int, int]) -> BoxTracks:
    """Give the children of divisions after ``frame`` to their parents' heirs.

    A child that begins in ``frame`` comes from what its parent was just before.
    """
    every = []
    for track in tracks.tracks:
        heir = heirs.get(track.parent) if track.parent is not None else None
        given = heir is not None and heir != track.id and _first(track) > frame
        every.append(dataclasses.replace(track, parent=heir) if given else track)
    return dataclasses.replace(tracks, tracks=tuple(every))


def _descent_mended(tracks: BoxTracks) -> BoxTracks:
    """Take away a parent that is the track itself or descends from it."""
    for track in tracks.tracks:
        parents = {t.id: t.parent for t in tracks.tracks}
        above, seen = track.parent, set[int]()
        while above is not None and above not in seen and above != track.id:
            seen.add(above)
            above = parents.get(above)
        if above == track.id:
            tracks = _with(tracks, dataclasses.replace(track, parent=None))
    return tracks


def _first(track: Track) -> float:
    """Frame of a track's first box; after everything where it has none."""
    return min((k.frame for k in track.keyframes if k.xyxy is not None), default=math.inf)


def _boxed(keyframes: Sequence[Keyframe]) -> bool:
    return any(not keyframe.outside for keyframe in keyframes)


def _checked(tracks: BoxTracks, frame: int) -> int:
    if not 0 <= frame < tracks.num_frames:
        raise InputError(
            f"frame must be from 0 to {tracks.num_frames - 1}, the last of the video, got {frame}."
        )
    return frame


def _with(tracks: BoxTracks, changed: Track) -> BoxTracks:
    """Return the tracks with the one of the same id put in its place."""
    every = tuple(changed if track.id == changed.id else track for track in tracks.tracks)
    return dataclasses.replace(tracks, tracks=every)
