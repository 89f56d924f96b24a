"""The content of a boxes file (``boxes.json``): checked, and made of tracks.

Every entry of a track is a keyframe. Boxes are in pixels of the video, half-open, top-left origin.
Fields that we do not know survive a load and save at every level: they are kept in the ``extra`` of
the file, track and keyframe, those of the ``video`` section under ``extra["video"]`` of the file.
"""

from __future__ import annotations

import dataclasses
import itertools
import warnings
from typing import TYPE_CHECKING, Any

from maskfree.errors import InputError, InputWarning
from maskfree.ignore_regions import region_from_json, region_to_json
from maskfree.json_checks import as_flag, as_list, as_number, as_object, as_whole, show
from maskfree.limits import check_length, check_size
from maskfree.types import BoxTracks, Keyframe, Track

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from maskfree.types import Box, IgnoreRegion

__all__ = [
    "VERSION",
    "boxes_from_json",
    "boxes_to_json",
    "checked_keyframe",
    "head_from_json",
    "keyframe_from_json",
    "keyframe_to_json",
    "put_together",
    "track_from_json",
    "track_to_json",
]

VERSION = 1
"""The version of the boxes file that we write, and the only one that we read."""
_CORNERS = ("x0", "y0", "x1", "y1")
_SHOWN_FRAMES = 8


def boxes_to_json(tracks: BoxTracks) -> dict[str, Any]:
    """Return the content of a boxes file as plain dictionaries and lists."""
    video = {
        "frames": tracks.num_frames,
        "height": tracks.height,
        "width": tracks.width,
        "fps": tracks.fps,
    }
    data: dict[str, Any] = {
        "version": VERSION,
        "video": _with_extra(video, tracks.extra.get("video", {})),
        "tracks": [track_to_json(track) for track in tracks.tracks],
    }
    if tracks.ignore:
        data["ignore"] = [region_to_json(region) for region in tracks.ignore]
    return _with_extra(data, tracks.extra)


def track_to_json(track: Track) -> dict[str, Any]:
    """Return a track as the boxes file has it."""
    data: dict[str, Any] = {"id": track.id, "label": track.label}
    if track.parent is not None:
        data["parent"] = track.parent
    data["boxes"] = [keyframe_to_json(keyframe) for keyframe in track.keyframes]
    return _with_extra(data, track.extra)


def keyframe_to_json(keyframe: Keyframe) -> dict[str, Any]:
    """Return a keyframe as the boxes file has it."""
    data: dict[str, Any] = {"frame": keyframe.frame}
    if keyframe.xyxy is not None:
        data["xyxy"] = list(keyframe.xyxy)
    if keyframe.outside:
        data["outside"] = True
    if keyframe.occluded:
        data["occluded"] = True
    return _with_extra(data, keyframe.extra)


def _with_extra(known: dict[str, Any], extra: Mapping[str, Any]) -> dict[str, Any]:
    return known | {name: value for name, value in extra.items() if name not in known}


def boxes_from_json(
    data: object, *, where: str = "boxes file", allow_empty: bool = False
) -> BoxTracks:
    """Check the content of a boxes file and return it; ``where`` begins every message.

    Keyframes may come in any order. A box or ignore region that reaches beyond the frame is
    clipped, with an `InputWarning` that names track and frames, or the region.

    Raises
    ------
    InputError
        For an unknown version, a missing field, a wrong type, a track id below 1 or twice, two
        keyframes on one frame, a frame before 0 or beyond the end, a box that is not finite, has
        ``x1 <= x0`` or ``y1 <= y0`` or lies wholly outside the frame, a ``parent`` that is no
        other track, an ignore region at fault (see `ignore_regions.py`), and (unless
        ``allow_empty``) no box at all; for sizes beyond `maskfree.limits`.
    """
    fields = as_object(data, where, "a boxes file", "tracks")
    head = head_from_json(fields, where)
    items = as_list(fields.pop("tracks", None), where, "tracks")
    tracks = tuple(track_from_json(item, n, head, where) for n, item in enumerate(items))
    return put_together(head, tracks, fields, where=where, allow_empty=allow_empty)


def head_from_json(fields: dict[str, Any], where: str) -> BoxTracks:
    """Take what ``fields`` of a boxes file say of the video; return it, without tracks.

    What is left of them is what else the file holds.

    Raises
    ------
    InputError
        As `boxes_from_json`, but for what is about tracks.
    """
    _check_version(fields.pop("version", None), where)
    video = as_object(fields.pop("video", None), f"{where}: video", "the video's size", "frames")
    num_frames = as_whole(video.pop("frames", None), f"{where}: video", "frames", low=1)
    height = as_whole(video.pop("height", None), f"{where}: video", "height", low=1)
    width = as_whole(video.pop("width", None), f"{where}: video", "width", low=1)
    check_length(num_frames, f"{where}: video")
    check_size(height, width, f"{where}: video")
    fps = _fps(video.pop("fps", None), where)
    if video:
        fields["video"] = video
    return BoxTracks(num_frames, height, width, fps, ())


def put_together(
    head: BoxTracks,
    tracks: tuple[Track, ...],
    fields: dict[str, Any],
    *,
    where: str,
    allow_empty: bool,
) -> BoxTracks:
    """Return the tracks of a boxes file in its video; ``fields``: what else it holds.

    Raises
    ------
    InputError
        As `boxes_from_json`, for what is about several tracks and for ignore regions.
    """
    items = fields.pop("ignore", None)
    ignore = () if items is None else _ignore(as_list(items, where, "ignore"), head, where)
    _check_ids(tracks, where)
    if not allow_empty:
        _check_any_box(tracks, where)
    return dataclasses.replace(head, tracks=tracks, ignore=ignore, extra=fields)


def _ignore(items: list[Any], video: BoxTracks, where: str) -> tuple[IgnoreRegion, ...]:
    regions = []
    for n, item in enumerate(items):
        region, changed = region_from_json(item, n, video, where)
        regions.append(region)
        if changed:
            _warn_clipped([region.frame], video, f"{where}: ignore[{n}]", what="the region")
    return tuple(regions)


def _check_version(version: object, where: str) -> None:
    if isinstance(version, bool) or version != VERSION:
        remedy = (
            "Update napari-maskfree, or save the file in that version."
            if isinstance(version, int) and version > VERSION
            else f'Add "version": {VERSION} if it is a boxes file.'
        )
        raise InputError(f"{where}: version must be {VERSION}, got {show(version)}. {remedy}")


def _fps(value: object, where: str) -> float | None:
    if value is None:
        return None
    fps = as_number(value)
    if fps is None or fps <= 0:
        raise InputError(
            f"{where}: video: fps must be a number above 0 or null, got {show(value)}. "
            "Write null if it is not known."
        )
    return fps


def track_from_json(item: object, index: int, video: BoxTracks, where: str) -> Track:
    """Return the track number ``index`` of a boxes file for ``video``.

    Raises
    ------
    InputError
        As `boxes_from_json`, but for what is about several tracks.
    """
    fields = as_object(item, f"{where}: tracks[{index}]", "a track", "id")
    track_id = as_whole(fields.pop("id", None), f"{where}: tracks[{index}]", "id", low=1)
    here = f"{where}: track {track_id}"
    label = fields.pop("label", None)
    if not isinstance(label, str):
        raise InputError(
            f'{here}: label must be text, got {show(label)}. Name the kind of object, like "car".'
        )
    parent = fields.pop("parent", None)
    if parent is not None:
        parent = as_whole(parent, here, "parent", low=1)
    boxes = as_list(fields.pop("boxes", None), here, "boxes")
    clipped: list[int] = []
    keyframes = [_keyframe(box, n, video, here, clipped) for n, box in enumerate(boxes)]
    keyframes.sort(key=lambda keyframe: keyframe.frame)
    for first, second in itertools.pairwise(keyframes):
        if first.frame == second.frame:
            raise InputError(
                f"{here}: frame {first.frame} has two keyframes, expected one. Remove one of them."
            )
    _warn_clipped(sorted(clipped), video, here)
    return Track(track_id, label, tuple(keyframes), parent, fields)


def _keyframe(
    item: object, index: int, video: BoxTracks, here: str, clipped: list[int]
) -> Keyframe:
    fields = as_object(item, f"{here}: boxes[{index}]", "a keyframe", "frame")
    frame = _frame(fields.pop("frame", None), video, f"{here}: boxes[{index}]")
    at = f"{here}, frame {frame}"
    outside = as_flag(fields.pop("outside", False), at, "outside")
    occluded = as_flag(fields.pop("occluded", False), at, "occluded")
    if outside:
        # Some tools write the last box along; it says nothing, and survives among the extras.
        return Keyframe(frame, None, True, occluded, fields)
    xyxy, changed = _clipped_box(fields.pop("xyxy", None), video, at)
    if changed:
        clipped.append(frame)
    return Keyframe(frame, xyxy, False, occluded, fields)


def keyframe_from_json(item: object, index: int, video: BoxTracks, where: str) -> Keyframe:
    """Return the keyframe number ``index`` of a track in a boxes file; its box is clipped silently.

    Raises
    ------
    InputError
        As `boxes_from_json`.
    """
    return _keyframe(item, index, video, where, [])


def checked_keyframe(keyframe: Keyframe, video: BoxTracks, where: str) -> Keyframe:
    """Return ``keyframe`` with plain numbers and its box clipped to the frame, silently.

    Raises
    ------
    InputError
        As `boxes_from_json` for a frame or box at fault; ``where`` begins the message.
    """
    frame = _frame(keyframe.frame, video, where)
    xyxy = None
    if not keyframe.outside:
        xyxy, _ = _clipped_box(keyframe.xyxy, video, f"{where}, frame {frame}")
    return Keyframe(frame, xyxy, keyframe.outside, keyframe.occluded, keyframe.extra)


def _frame(value: object, video: BoxTracks, where: str) -> int:
    frame = as_whole(value, where, "frame")
    if not 0 <= frame < video.num_frames:
        raise InputError(
            f"{where}: frame must lie in 0 to {video.num_frames - 1} (the video has "
            f"{video.num_frames} frames), got {frame}. Frames count from 0; correct the number."
        )
    return frame


def _clipped_box(value: object, video: BoxTracks, at: str) -> tuple[Box, bool]:
    items = list(value) if isinstance(value, list | tuple) else []
    corners = [number for item in items if (number := as_number(item)) is not None]
    if len(items) != len(_CORNERS) or len(corners) != len(_CORNERS):
        raise InputError(
            f"{at}: xyxy must be four finite numbers [x0, y0, x1, y1], got {show(value)}. "
            'Correct it, or write "outside": true where the object is absent.'
        )
    x0, y0, x1, y1 = corners
    if x1 <= x0 or y1 <= y0:
        raise InputError(
            f"{at}: xyxy must be [x0, y0, x1, y1] with x0 < x1 and y0 < y1, got {show(corners)}. "
            "Swap the corners, or turn width and height into x1 and y1."
        )
    box = (max(x0, 0.0), max(y0, 0.0), min(x1, float(video.width)), min(y1, float(video.height)))
    if box[0] >= box[2] or box[1] >= box[3]:
        raise InputError(
            f"{at}: the box must overlap the frame of {video.width} x {video.height} pixels, got "
            f'{show(corners)}, wholly outside. Correct it, or write "outside": true instead.'
        )
    return box, box != (x0, y0, x1, y1)


def _warn_clipped(frames: list[int], video: BoxTracks, here: str, *, what: str = "the box") -> None:
    if not frames:
        return
    shown = ", ".join(str(frame) for frame in frames[:_SHOWN_FRAMES])
    more = f" and {len(frames) - _SHOWN_FRAMES} more" if len(frames) > _SHOWN_FRAMES else ""
    noun = "frame" if len(frames) == 1 else "frames"
    warnings.warn(
        f"{here}, {noun} {shown}{more}: {what} reached beyond the frame of {video.width} x "
        f"{video.height} pixels and was clipped to it.",
        InputWarning,
        stacklevel=2,
    )


def _check_ids(tracks: Iterable[Track], where: str) -> None:
    parents: dict[int, int | None] = {}
    for track in tracks:
        if track.id in parents:
            raise InputError(
                f"{where}: track id {track.id} comes twice, expected every id once. Give one of "
                f"the two another id, like {max(track.id for track in tracks) + 1}."
            )
        parents[track.id] = track.parent
    for track_id, parent in parents.items():
        if parent is not None and parent not in parents:
            raise InputError(
                f"{where}: track {track_id}: parent must be the id of another track, got {parent}. "
                "Correct it or leave it out."
            )
    _check_no_cycle(parents, where)


def _check_no_cycle(parents: Mapping[int, int | None], where: str) -> None:
    settled: set[int] = set()
    for start in parents:
        line: dict[int, None] = {}
        at: int | None = start
        while at is not None and at not in settled:
            if at in line:
                raise InputError(
                    f"{where}: track {at}: parent must be an earlier track, but the track is its "
                    "own ancestor. Correct it or leave it out."
                )
            line[at] = None
            at = parents[at]
        settled.update(line)


def _check_any_box(tracks: tuple[Track, ...], where: str) -> None:
    if not tracks:
        raise InputError(
            f"{where}: expected at least one track, got none. Draw a box around an object first."
        )
    if not any(k.xyxy is not None for track in tracks for k in track.keyframes):
        raise InputError(
            f"{where}: expected at least one box, got {len(tracks)} tracks without any. Draw a box "
            "around an object first."
        )
