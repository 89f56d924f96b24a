"""Box tracks: the box of every track in every frame, from keyframes, and how tracks are edited.

All functions are pure: they return new `BoxTracks` and change nothing. Reading and writing the
boxes file is in `boxes_file.py`, what it may hold in `boxes_json.py`; their names are importable
from here as well.
"""

from __future__ import annotations

import dataclasses
import warnings
from typing import TYPE_CHECKING

import numpy as np

from maskfree.boxes_file import read_boxes, write_boxes
from maskfree.boxes_json import boxes_from_json, boxes_to_json, checked_keyframe
from maskfree.errors import InputError, InputWarning
from maskfree.packed_keyframes import place_of
from maskfree.types import BoxTracks, Keyframe, Track

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from maskfree.types import Box

__all__ = [
    "BoxState",
    "add_track",
    "box_at",
    "boxes_at",
    "boxes_from_json",
    "boxes_to_json",
    "check_against_video",
    "empty_tracks",
    "find_track",
    "keyframe_at",
    "next_track_id",
    "read_boxes",
    "remove_keyframe",
    "remove_track",
    "rename_track",
    "set_keyframe",
    "travel",
    "travel_at",
    "tube",
    "write_boxes",
]


@dataclasses.dataclass(frozen=True)
class BoxState:
    """A track's box in one frame, and how sure it is.

    ``xyxy``: pixels, half-open. ``keyframe``: a person drew it. ``occluded``: something hides the
    object, in part or whole. ``gap``: frames to the nearest keyframe that the box comes from, 0 on
    a keyframe; the larger, the less the box can be trusted.
    """

    xyxy: Box
    keyframe: bool
    occluded: bool
    gap: int


def keyframe_at(track: Track, frame: int) -> Keyframe | None:
    """Return the keyframe of ``track`` in ``frame``, None where there is none."""
    place = place_of(track.keyframes, frame, after=False)
    found = track.keyframes[place] if place < len(track.keyframes) else None
    return found if found is not None and found.frame == frame else None


def box_at(track: Track, frame: int) -> BoxState | None:
    """Return the box of ``track`` in ``frame``, None where the object is absent.

    Between two boxes it is interpolated linearly, each side on its own:
    ``a + (b - a) * (frame - frame_a) / (frame_b - frame_a)``. Before its first keyframe and from an
    `outside` to the next keyframe the object is absent. From a box to an `outside`, and after the
    last keyframe, the box stays as it is. ``occluded`` holds until the next keyframe.
    """
    after = place_of(track.keyframes, frame, after=True)
    if after == 0:
        return None
    start = track.keyframes[after - 1]
    if start.xyxy is None:
        return None
    since = frame - start.frame
    end = track.keyframes[after] if after < len(track.keyframes) else None
    if since == 0 or end is None or end.xyxy is None:
        return BoxState(start.xyxy, since == 0, start.occluded, since)
    part = since / (end.frame - start.frame)
    x0, y0, x1, y1 = (a + (b - a) * part for a, b in zip(start.xyxy, end.xyxy, strict=True))
    return BoxState((x0, y0, x1, y1), False, start.occluded, min(since, end.frame - frame))


def travel_at(track: Track, frame: int) -> float:
    """Return how far the box travels between the two boxes that ``frame``'s is interpolated from.

    The largest move of a side, as a part of the box's own size along that axis; 0 on a keyframe and
    where the box is held. What moves a lot seldom moves evenly, so its box is worth less.
    """
    after = place_of(track.keyframes, frame, after=True)
    if after in (0, len(track.keyframes)) or track.keyframes[after - 1].frame == frame:
        return 0.0
    start, end = track.keyframes[after - 1].xyxy, track.keyframes[after].xyxy
    return 0.0 if start is None or end is None else travel(start, end)


def travel(start: Box, end: Box) -> float:
    """Return the largest move of a side, as a part of the smaller box's size along that axis."""
    return max(
        max(abs(end[low] - start[low]), abs(end[low + 2] - start[low + 2]))
        / min(start[low + 2] - start[low], end[low + 2] - end[low])
        for low in (0, 1)
    )


def boxes_at(tracks: BoxTracks, frame: int) -> dict[int, BoxState]:
    """Return the boxes in ``frame`` by track id; absent tracks are left out."""
    states = ((track.id, box_at(track, frame)) for track in tracks.tracks)
    return {track_id: state for track_id, state in states if state is not None}


def tube(tracks: BoxTracks, frames: Sequence[int]) -> np.ndarray:
    """Return ``boxes_xyxy`` of every track over ``frames``: float64 ``(N, T, 4)``, pixels.

    N in the order of ``tracks.tracks``; NaN where a track is absent.
    """
    boxes = np.full((len(tracks.tracks), len(frames), 4), np.nan)
    for n, track in enumerate(tracks.tracks):
        for t, frame in enumerate(frames):
            state = box_at(track, frame)
            if state is not None:
                boxes[n, t] = state.xyxy
    return boxes


def check_against_video(tracks: BoxTracks, *, num_frames: int, height: int, width: int) -> None:
    """Check that the boxes were made for a video of this many frames and this size in pixels.

    A video longer than the boxes say is accepted with an `InputWarning`: there the boxes go on
    from their last keyframes.

    Raises
    ------
    InputError
        For a video of another size, or with fewer frames.
    """
    if (height, width) != (tracks.height, tracks.width):
        raise InputError(
            f"The boxes are for a video of {tracks.width} x {tracks.height} pixels (width x "
            f"height), this video has {width} x {height}. Give the video that they were drawn on, "
            "or draw them on this one."
        )
    if num_frames < tracks.num_frames:
        raise InputError(
            f"The boxes are for a video of {tracks.num_frames} frames, this video has only "
            f"{num_frames}. Give the video that they were drawn on (perhaps it was cut or not "
            "copied to its end), or draw them on this one."
        )
    if num_frames > tracks.num_frames:
        warnings.warn(
            f"The boxes are for a video of {tracks.num_frames} frames, this video has "
            f"{num_frames}. Check that it is the same; in frames {tracks.num_frames} to "
            f"{num_frames - 1} the boxes go on from their last keyframes.",
            InputWarning,
            stacklevel=2,
        )


def empty_tracks(num_frames: int, height: int, width: int, fps: float | None) -> BoxTracks:
    """Return the boxes of a video on which nothing was drawn; sizes in pixels."""
    return BoxTracks(num_frames, height, width, fps, ())


def find_track(tracks: BoxTracks, track_id: int) -> Track:
    """Return the track of that id.

    Raises
    ------
    InputError
        For an id that no track has.
    """
    return tracks.tracks[_index(tracks, track_id)]


def next_track_id(tracks: BoxTracks) -> int:
    """Return an id that no track has had: one above the largest, 1 for the first."""
    return max((track.id for track in tracks.tracks), default=0) + 1


def add_track(
    tracks: BoxTracks, label: str = "object", track_id: int | None = None
) -> tuple[BoxTracks, int]:
    """Return the tracks with a new one without boxes at the end, and its id.

    Raises
    ------
    InputError
        For a ``track_id`` below 1 or one that is taken.
    """
    new_id = next_track_id(tracks) if track_id is None else track_id
    if new_id < 1:
        raise InputError(
            f"A track id must be 1 or more, got {new_id}. Use {next_track_id(tracks)}."
        )
    if any(track.id == new_id for track in tracks.tracks):
        raise InputError(f"There is a track {new_id} already. Use {next_track_id(tracks)}.")
    new = Track(new_id, label, ())
    return dataclasses.replace(tracks, tracks=(*tracks.tracks, new)), new_id


def remove_track(tracks: BoxTracks, track_id: int) -> BoxTracks:
    """Return the tracks without ``track_id``; its children in a division lose their parent.

    Raises
    ------
    InputError
        For an id that no track has.
    """
    _index(tracks, track_id)
    kept = (track for track in tracks.tracks if track.id != track_id)
    orphaned = (
        dataclasses.replace(track, parent=None) if track.parent == track_id else track
        for track in kept
    )
    return dataclasses.replace(tracks, tracks=tuple(orphaned))


def rename_track(tracks: BoxTracks, track_id: int, label: str) -> BoxTracks:
    """Return the tracks with the label of ``track_id`` changed.

    Raises
    ------
    InputError
        For an id that no track has.
    """
    return _change(tracks, track_id, lambda track: dataclasses.replace(track, label=label))


def set_keyframe(tracks: BoxTracks, track_id: int, keyframe: Keyframe) -> BoxTracks:
    """Return the tracks with ``keyframe`` put into a track, in place of that frame's own if any.

    A box that reaches beyond the frame is clipped to it.

    Raises
    ------
    InputError
        For an id that no track has, a frame beyond the video, a box that is not finite, is empty
        or lies wholly outside the frame.
    """
    new = checked_keyframe(keyframe, tracks, f"track {track_id}")

    def put(track: Track) -> Track:
        others = [k for k in track.keyframes if k.frame != new.frame]
        keyframes = sorted([*others, new], key=lambda k: k.frame)
        return dataclasses.replace(track, keyframes=tuple(keyframes))

    return _change(tracks, track_id, put)


def remove_keyframe(tracks: BoxTracks, track_id: int, frame: int) -> BoxTracks:
    """Return the tracks without the keyframe of ``track_id`` in ``frame``.

    Raises
    ------
    InputError
        For an id that no track has, or a frame that is no keyframe of it.
    """

    def drop(track: Track) -> Track:
        keyframes = tuple(k for k in track.keyframes if k.frame != frame)
        if len(keyframes) == len(track.keyframes):
            raise InputError(
                f"Track {track_id} has no keyframe in frame {frame}. Pick one of its keyframes: "
                f"{', '.join(str(k.frame) for k in keyframes) or 'it has none'}."
            )
        return dataclasses.replace(track, keyframes=keyframes)

    return _change(tracks, track_id, drop)


def _index(tracks: BoxTracks, track_id: int) -> int:
    ids = [track.id for track in tracks.tracks]
    if track_id not in ids:
        known = ", ".join(str(i) for i in ids) or "none"
        raise InputError(f"There is no track {track_id}. The tracks are: {known}.")
    return ids.index(track_id)


def _change(tracks: BoxTracks, track_id: int, change: Callable[[Track], Track]) -> BoxTracks:
    index = _index(tracks, track_id)
    changed = list(tracks.tracks)
    changed[index] = change(changed[index])
    return dataclasses.replace(tracks, tracks=tuple(changed))
