"""Ignore regions: parts of the picture that are neither object nor background.

A region is drawn on a frame and holds there alone, unless it says until which frame it holds, or
that it holds to the end: from frame 0 to the end is everywhere, as a time stamp needs it. In the
boxes file, under ``ignore``::

    {"frame": 12, "xyxy": [600.0, 20.0, 840.0, 60.0]}
    {"frame": 12, "until": 30, "polygon": [[10.0, 10.0], [90.0, 12.0], [40.0, 80.0]]}
    {"frame": 0, "until": "end", "xyxy": [0.0, 440.0, 200.0, 480.0]}

Here they are read, checked and edited; their pixels are in `ignore_masks.py`. All functions are
pure.
"""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Any

from maskfree.errors import InputError
from maskfree.json_checks import as_list, as_number, as_object, as_whole, show
from maskfree.types import IgnoreRegion

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from maskfree.types import Box, BoxTracks

__all__ = [
    "add_region",
    "box_of_region",
    "checked_region",
    "holds_at",
    "rectangle",
    "region_from_json",
    "region_to_json",
    "regions_at",
    "remove_regions",
    "replace_region",
]

Polygon = tuple[tuple[float, float], ...]

_FEWEST = 3
_END = "end"
_FLAT = 1e-9
"""Square pixels: corners that span less lie on one line."""


def holds_at(region: IgnoreRegion, frame: int) -> bool:
    """Say whether a region holds in a frame."""
    return region.frame <= frame and (region.until is None or frame <= region.until)


def regions_at(tracks: BoxTracks, frame: int) -> dict[int, IgnoreRegion]:
    """Return the regions that hold in a frame, by their place in ``tracks.ignore``."""
    return {n: region for n, region in enumerate(tracks.ignore) if holds_at(region, frame)}


def rectangle(xyxy: Box) -> Polygon:
    """Return the corners of a box, as a region has them."""
    x0, y0, x1, y1 = (float(v) for v in xyxy)
    return ((x0, y0), (x1, y0), (x1, y1), (x0, y1))


def box_of_region(region: IgnoreRegion) -> Box | None:
    """Return the box ``xyxy`` that a region is; None where it is no upright rectangle."""
    bounds = _bounds(region.polygon)
    return bounds if region.polygon == rectangle(bounds) else None


# ---- editing


def add_region(tracks: BoxTracks, region: IgnoreRegion) -> BoxTracks:
    """Return the tracks with one region more, cut to the frame.

    Raises
    ------
    InputError
        As `checked_region`.
    """
    new = checked_region(region, tracks, "an ignore region")
    return dataclasses.replace(tracks, ignore=(*tracks.ignore, new))


def replace_region(tracks: BoxTracks, place: int, region: IgnoreRegion) -> BoxTracks:
    """Return the tracks with another region in the place of ``tracks.ignore[place]``.

    Raises
    ------
    InputError
        As `checked_region`, and where there is none in that place.
    """
    _check_places(tracks, [place])
    new = checked_region(region, tracks, "an ignore region")
    kept = [new if n == place else old for n, old in enumerate(tracks.ignore)]
    return dataclasses.replace(tracks, ignore=tuple(kept))


def remove_regions(tracks: BoxTracks, places: Iterable[int]) -> BoxTracks:
    """Return the tracks without the regions in these places of ``tracks.ignore``.

    Raises
    ------
    InputError
        Where there is none in a place.
    """
    gone = set(places)
    _check_places(tracks, gone)
    kept = tuple(region for n, region in enumerate(tracks.ignore) if n not in gone)
    return dataclasses.replace(tracks, ignore=kept)


def _check_places(tracks: BoxTracks, places: Iterable[int]) -> None:
    for place in places:
        if not 0 <= place < len(tracks.ignore):
            raise InputError(
                f"There is no ignore region number {place + 1}, only {len(tracks.ignore)}. "
                "Choose one of the list."
            )


def checked_region(region: IgnoreRegion, video: BoxTracks, where: str) -> IgnoreRegion:
    """Return a region with plain numbers, cut to the frame, silently.

    Raises
    ------
    InputError
        For frames that the video does not have, fewer than three corners, corners on one line or
        that are not finite, and a region wholly outside the frame; ``where`` begins the message.
    """
    frame, until = _frames(region.frame, region.until, video, where)
    polygon = _clipped(_corners([list(c) for c in region.polygon], where), video, where)
    return IgnoreRegion(polygon, frame, until, region.extra)


# ---- the boxes file


def region_to_json(region: IgnoreRegion) -> dict[str, Any]:
    """Return a region as the boxes file has it; what is an upright rectangle as ``xyxy``."""
    data: dict[str, Any] = {"frame": region.frame}
    if region.until != region.frame:
        data["until"] = _END if region.until is None else region.until
    box = box_of_region(region)
    if box is not None:
        data["xyxy"] = list(box)
    else:
        data["polygon"] = [list(corner) for corner in region.polygon]
    return data | {name: value for name, value in region.extra.items() if name not in data}


def region_from_json(
    item: object, index: int, video: BoxTracks, where: str
) -> tuple[IgnoreRegion, bool]:
    """Return a region of the boxes file, and whether it had to be cut to the frame.

    Raises
    ------
    InputError
        As `checked_region`, and for a region that is no object with ``frame`` and either ``xyxy``
        or ``polygon``.
    """
    here = f"{where}: ignore[{index}]"
    fields = as_object(item, here, "an ignore region", "frame")
    frame = as_whole(fields.pop("frame", None), here, "frame")
    until = fields.pop("until", frame)
    until = None if until == _END else _until(until, here)
    frame, until = _frames(frame, until, video, here)
    drawn = [fields.pop(name, None) for name in ("xyxy", "polygon")]
    if (drawn[0] is None) == (drawn[1] is None):
        raise InputError(
            f"{here}: expected either xyxy [x0, y0, x1, y1] or polygon [[x, y], …], got "
            f"{'neither' if drawn[0] is None else 'both'}. Write one of them."
        )
    polygon = _of_box(drawn[0], here) if drawn[0] is not None else _corners(drawn[1], here)
    cut = _clipped(polygon, video, here)
    return IgnoreRegion(cut, frame, until, fields), cut != polygon


def _until(value: object, where: str) -> int:
    if isinstance(value, str):
        raise InputError(
            f'{where}: until must be the last frame in which it holds, or "{_END}", got '
            f"{show(value)}. Correct it."
        )
    return as_whole(value, where, "until")


def _frames(frame: int, until: int | None, video: BoxTracks, where: str) -> tuple[int, int | None]:
    last = video.num_frames - 1
    if not 0 <= frame <= last:
        raise InputError(
            f"{where}: frame must lie in 0 to {last} (the video has {video.num_frames} frames), "
            f"got {frame}. Frames count from 0; correct the number."
        )
    if until is not None and not frame <= until <= last:
        raise InputError(
            f"{where}: until must lie in {frame} to {last}, from its frame to the video's last, "
            f'got {until}. Correct it, or write "{_END}".'
        )
    return int(frame), None if until is None else int(until)


def _of_box(value: object, where: str) -> Polygon:
    items = value if isinstance(value, list | tuple) else []
    sides = [number for item in items if (number := as_number(item)) is not None]
    if len(items) != 4 or len(sides) != 4 or sides[0] >= sides[2] or sides[1] >= sides[3]:
        raise InputError(
            f"{where}: xyxy must be four finite numbers [x0, y0, x1, y1] with x0 < x1 and y0 < y1, "
            f"got {show(value)}. Correct it."
        )
    return rectangle((sides[0], sides[1], sides[2], sides[3]))


def _corners(value: object, where: str) -> Polygon:
    items = as_list(value, where, "polygon")
    corners = []
    for item in items:
        pair = [as_number(v) for v in item] if isinstance(item, list | tuple) else []
        if len(pair) != 2 or pair[0] is None or pair[1] is None:
            raise InputError(
                f"{where}: each corner of a polygon must be two finite numbers [x, y], got "
                f"{show(item)}. Correct it."
            )
        corners.append((pair[0], pair[1]))
    if len(corners) < _FEWEST or _is_flat(corners):
        raise InputError(
            f"{where}: a polygon must have {_FEWEST} corners or more that are not on one line, got "
            f"{show([list(corner) for corner in corners])}. Draw it anew."
        )
    return tuple(corners)


def _is_flat(corners: Sequence[tuple[float, float]]) -> bool:
    """Whether all corners lie on one line: measured from the one farthest from the first."""
    x0, y0 = corners[0]
    x1, y1 = max(corners, key=lambda c: math.hypot(c[0] - x0, c[1] - y0))
    return max(abs((x1 - x0) * (y - y0) - (y1 - y0) * (x - x0)) for x, y in corners) <= _FLAT


def _bounds(polygon: Sequence[tuple[float, float]]) -> Box:
    x, y = zip(*polygon, strict=True)
    return min(x), min(y), max(x), max(y)


def _clipped(polygon: Polygon, video: BoxTracks, where: str) -> Polygon:
    """Cut to the frame, side by side (Sutherland and Hodgman, 1974)."""
    width, height = float(video.width), float(video.height)
    x0, y0, x1, y1 = bounds = _bounds(polygon)
    if x0 >= 0 and y0 >= 0 and x1 <= width and y1 <= height:
        return polygon
    if polygon == rectangle(bounds):
        box = (max(x0, 0.0), max(y0, 0.0), min(x1, width), min(y1, height))
        cut = list(rectangle(box)) if box[0] < box[2] and box[1] < box[3] else []
    else:
        cut = list(polygon)
        for axis, limit, sign in ((0, 0.0, 1), (0, width, -1), (1, 0.0, 1), (1, height, -1)):
            cut = _beyond(cut, axis, limit, sign)
    if len(cut) < _FEWEST or _is_flat(cut):
        shown = [round(v, 1) for v in bounds]
        raise InputError(
            f"{where}: it must overlap the frame of {video.width} x {video.height} pixels, got one "
            f"from {shown[:2]} to {shown[2:]}, wholly outside. Draw it inside the picture."
        )
    return tuple(cut)


def _beyond(
    corners: list[tuple[float, float]], axis: int, limit: float, sign: int
) -> list[tuple[float, float]]:
    """Keep what lies on one side of a line parallel to an axis."""
    out: list[tuple[float, float]] = []
    for before, here in zip([*corners[-1:], *corners[:-1]], corners, strict=True):
        if (sign * (before[axis] - limit) >= 0) != (sign * (here[axis] - limit) >= 0):
            part = (limit - before[axis]) / (here[axis] - before[axis])
            other = before[1 - axis] + part * (here[1 - axis] - before[1 - axis])
            out.append((limit, other) if axis == 0 else (other, limit))
        if sign * (here[axis] - limit) >= 0:
            out.append(here)
    return out
