"""Label Studio: one task with video rectangles, in its JSON form (not JSON-MIN).

https://labelstud.io/tags/videorectangle, https://labelstud.io/guide/task_format; the keyframes are
those of its own converter (``label_studio_sdk/_extensions/label_studio_tools``).

Written: a list of one task with one entry in ``annotations``, which Label Studio imports as work
that is done; regions are of type ``videorectangle`` from the control ``box`` to ``video``, as in
the template *Video Object Tracking*. Where nothing was read, ``data.video`` is a placeholder for
the address of the video. Frames count from 1; places are in percent of the frame, whose size stands
beside them (``original_width``), which other files lack: then the video must be given. A keyframe
that is not ``enabled`` is the last frame in which the object is there. Its tools need a ``time``:
where the frames a second are not known, those that Label Studio assumes are taken for it alone.

Read: boxes of one task; where nobody annotated it, of its prediction. A turned rectangle is read as
the smallest upright one around it.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import math
import re
import warnings
from typing import TYPE_CHECKING, Any

from maskfree.config import FormatConfig
from maskfree.errors import InputError, InputWarning
from maskfree.formats.base import DEFAULT_LABEL, Annotations, Compared, Format
from maskfree.formats.box_files import (
    Said,
    close_boxes,
    frame_names,
    losses_of_boxes,
    need_a_box,
    own_fields,
    within,
)
from maskfree.formats.labelstudio_walk import KIND, Sequence, Walk, opened
from maskfree.formats.limits import MOST_ID
from maskfree.json_checks import as_flag, as_list, as_number, as_object, as_whole, show
from maskfree.packed_keyframes import PackedKeyframes
from maskfree.types import Keyframe, Track

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from maskfree.formats.base import VideoFacts
    from maskfree.types import Box, BoxTracks

__all__ = ["FORMAT", "read", "read_of", "write"]

OWN = "labelstudio"
"""The extra field in which fields of Label Studio are kept that we do not know."""
_REGION = "videorectangle"
_CONTROLS = {"from_name": "box", "to_name": "video"}
_DATA = {"video": "video.mp4"}
_ITEM = frozenset(("frame", "enabled", "x", "y", "width", "height", "rotation", "time"))
_FIELDS = frozenset(("id", "type", "value", "original_width", "original_height"))
_PERCENT = 100.0
_DIGITS = 9
"""Decimals of what is computed from percent: the rest is rounding."""
_NUMBERED = re.compile("[1-9][0-9]{0,17}", re.ASCII)


@dataclasses.dataclass(frozen=True)
class _Item:
    """One entry of a sequence: a box, and whether the object stays after it."""

    frame: int
    xyxy: Box
    enabled: bool
    extra: Mapping[str, Any]


def _sequence(track: Track) -> Iterator[_Item]:
    """Yield the entries that hold a track."""
    for this, after in itertools.zip_longest(track.keyframes, track.keyframes[1:]):
        if this.xyxy is None:
            continue
        leaves = after is not None and after.xyxy is None
        held = leaves and after.frame > this.frame + 1
        yield _Item(this.frame, this.xyxy, held or not leaves, own_fields(this.extra, OWN))
        if held:
            yield _Item(after.frame - 1, this.xyxy, False, {})


def write(annotations: Annotations, path: Path) -> None:
    """Write the file ``path``, a track in memory at a time.

    Raises
    ------
    InputError
        When no track has a box, or a field that was read is no JSON.
    """
    need_a_box(annotations, "labelstudio")
    data = own_fields(annotations.boxes.extra, OWN).get("data", _DATA)
    with path.open("w", encoding="utf-8", newline="\n") as out:
        out.write(f'[{{"data":{_text(data)},"annotations":[{{"result":[')
        for number, track in enumerate(filter(_has_box, annotations.boxes.tracks)):
            out.write(",\n" if number else "\n")
            out.write(_text(_region(track, annotations)))
        out.write("\n]}]}]\n")


def _has_box(track: Track) -> bool:
    return any(keyframe.xyxy is not None for keyframe in track.keyframes)


def _text(value: Any) -> str:
    try:
        return json.dumps(value, allow_nan=False)
    except ValueError as error:
        raise InputError(
            f"A field kept for Label Studio is no JSON ({error}). Remove it."
        ) from None


def _region(track: Track, annotations: Annotations) -> dict[str, Any]:
    boxes, num_frames = annotations.boxes, len(annotations.frame_names)
    value: dict[str, Any] = {"framesCount": num_frames, "labels": [track.label]}
    if boxes.fps is not None:
        value["duration"] = num_frames / boxes.fps
    value["sequence"] = [_entry(item, boxes) for item in _sequence(track)]
    return {
        **_CONTROLS,
        **own_fields(track.extra, OWN),
        "id": str(track.id),
        "type": _REGION,
        "original_width": boxes.width,
        "original_height": boxes.height,
        "value": value,
    }


def _entry(item: _Item, boxes: BoxTracks) -> dict[str, Any]:
    x0, y0, x1, y1 = item.xyxy
    entry = {
        "frame": item.frame + 1,
        "enabled": item.enabled,
        "rotation": 0,
        "x": x0 / boxes.width * _PERCENT,
        "y": y0 / boxes.height * _PERCENT,
        "width": (x1 - x0) / boxes.width * _PERCENT,
        "height": (y1 - y0) / boxes.height * _PERCENT,
    }
    entry["time"] = (item.frame + 1) / (boxes.fps or FormatConfig().assumed_fps)
    return {**item.extra, **entry}


def read(path: Path) -> Annotations:
    """Read a file that says the size of its video, as ours do."""
    return read_of(path, None)


def read_of(path: Path, video: VideoFacts | None) -> Annotations:
    """Read the rectangles of one task; no frame has masks.

    Raises
    ------
    InputError
        For a file that is not JSON or has not one task with one annotation, for values at fault,
        and where nothing says the size or the length of the video.
    """
    where = f"{KIND} {path}"
    turned = [0]
    with opened(path) as walk:
        task = _task(walk.outline(), where)
        regions = _regions(task, where)
        facts = _said(regions, where, video).of(where, video)
        tracks = tuple(
            _track(walk, region, track_id, facts, f"{where}: region {track_id}", turned)
            for region, track_id in zip(regions, _ids(regions, where), strict=True)
        )
    if turned[0]:
        _warn(f"{where}: {turned[0]} rectangles are turned; each is read as the upright one around")
    data = task.get("data")
    extra = {OWN: {"data": data}} if isinstance(data, dict) and data != _DATA else {}
    boxes = dataclasses.replace(facts, tracks=tracks, extra=extra)
    return Annotations(boxes, frame_names(facts.num_frames, video), lambda frame: None)


def _warn(text: str) -> None:
    warnings.warn(text, InputWarning, stacklevel=3)


def _task(data: object, where: str) -> dict[str, Any]:
    tasks = data if isinstance(data, list) else [data]
    if len(tasks) != 1:
        raise InputError(
            f"{where}: expected one task, got {len(tasks)}. Export a single one: each video has "
            "its own session."
        )
    return as_object(tasks[0], where, "a task", "annotations")


def _regions(task: dict[str, Any], where: str) -> list[dict[str, Any]]:
    for field in ("annotations", "predictions"):
        entries = [
            as_object(each, where, "an annotation", "result")
            for each in as_list(task.get(field, []), where, field)
        ]
        done = [each for each in entries if not each.get("was_cancelled") and each.get("result")]
        if len(done) > 1:
            raise InputError(
                f"{where}: the task has {len(done)} {field}, expected one. Keep the one you want."
            )
        if done:
            break
    else:
        raise InputError(
            f"{where}: the task has neither annotations nor predictions with a result. Export it "
            "as JSON, not JSON-MIN."
        )
    results = [
        as_object(each, where, "a region", "type")
        for each in as_list(done[0]["result"], where, "result")
    ]
    others = sorted({str(each.get("type")) for each in results} - {_REGION})
    if others:
        _warn(f"{where}: only {_REGION} is read, not {', '.join(others)}.")
    return [each for each in results if each.get("type") == _REGION]


def _value(region: dict[str, Any], where: str) -> dict[str, Any]:
    return as_object(region.get("value"), where, "a region's value", "sequence")


def _said(regions: list[dict[str, Any]], where: str, video: VideoFacts | None) -> Said:
    size: dict[str, int | None] = {"original_height": None, "original_width": None}
    length, fps = None, None
    for region in regions:
        for name in size:
            if region.get(name) is not None:
                size[name] = as_whole(region[name], where, name, low=1)
        value = _value(region, where)
        if value.get("framesCount") is not None:
            length = max(length or 1, as_whole(value["framesCount"], where, "framesCount", low=1))
            seconds = as_number(value.get("duration"))
            if seconds is not None and seconds > 0:
                fps = as_number(round(length / seconds, _DIGITS)) or None
    # A browser counts the frames, and may be off by some: the video itself knows better.
    frames = length if video is None else None
    return Said(frames, size["original_height"], size["original_width"], fps)


def _ids(regions: list[dict[str, Any]], where: str) -> list[int]:
    """Return the ids where they are numbers, as ours are, else 1, 2, … in the file's order."""
    texts = [str(region.get("id", "")) for region in regions]
    if all(_NUMBERED.fullmatch(text) for text in texts) and len(set(texts)) == len(texts):
        return [int(text) for text in texts]
    return list(range(1, len(texts) + 1))


def _track(
    walk: Walk,
    region: dict[str, Any],
    track_id: int,
    video: BoxTracks,
    where: str,
    turned: list[int],
) -> Track:
    value = _value(region, where)
    labels = as_list(value.get("labels", []), where, "labels")
    if not all(isinstance(label, str) for label in labels):
        raise InputError(f"{where}: labels must be texts, got {show(labels)}. Correct them.")
    if len(labels) > 1:
        _warn(f"{where} has several labels, {show(labels)}; the first is taken.")
    drawn: dict[int, tuple[bool, Keyframe]] = {}
    sequence = value.get("sequence")
    entries: Iterable[Any] = (
        walk.entries(sequence)
        if isinstance(sequence, Sequence)
        else as_list(sequence, where, "sequence")
    )
    for entry in entries:
        item = as_object(entry, where, "an entry of the sequence", "frame")
        frame = as_whole(item.get("frame"), where, "frame", low=1) - 1
        here = f"{where}, frame {frame + 1}"
        if frame >= video.num_frames or frame in drawn:
            raise InputError(
                f"{here}: expected one entry a frame, up to {video.num_frames}, the last of the "
                "video. Correct it, or give the video that it was made on."
            )
        xyxy = _box(item, video, here, turned)
        extra = {name: item[name] for name in item if name not in _ITEM}
        kept = {OWN: extra} if extra else {}
        enabled = as_flag(item.get("enabled", True), here, "enabled")
        drawn[frame] = enabled, Keyframe(frame, xyxy, xyxy is None, extra=kept)
    usual = _CONTROLS.items()
    extra = {
        name: value
        for name, value in region.items()
        if name not in _FIELDS and (name, value) not in usual
    }
    keyframes = _keyframes([drawn[frame] for frame in sorted(drawn)], video.num_frames)
    label = labels[0] if labels else DEFAULT_LABEL
    return Track(track_id, label, keyframes, extra={OWN: extra} if extra else {})


def _keyframes(drawn: list[tuple[bool, Keyframe]], num_frames: int) -> PackedKeyframes:
    found = []
    for (enabled, this), after in itertools.zip_longest(drawn, drawn[1:]):
        found.append(this)
        end = num_frames if after is None else after[1].frame
        if not enabled and not this.outside and this.frame + 1 < end:
            found.append(Keyframe(this.frame + 1, None, outside=True))
    return PackedKeyframes(found)


def _box(item: dict[str, Any], video: BoxTracks, where: str, turned: list[int]) -> Box | None:
    """Return the box in pixels; it is turned about its first corner."""
    values = [as_number(item.get(name)) for name in ("x", "y", "width", "height")]
    angle = as_number(item.get("rotation", 0))
    x, y, width, height = (math.nan if value is None else value for value in values)
    if angle is None or not math.isfinite(x + y + width + height):
        raise InputError(
            f"{where}: x, y, width, height and rotation must be numbers, got {show(item)}. Correct "
            "them."
        )
    across, down = video.width / _PERCENT, video.height / _PERCENT
    x, y, width, height = x * across, y * down, width * across, height * down
    angle = math.radians(angle % 360)
    turned[0] += bool(angle)
    right = (width * math.cos(angle), -height * math.sin(angle))
    below = (width * math.sin(angle), height * math.cos(angle))
    box = (
        x + min(0, *right, sum(right)),
        y + min(0, *below, sum(below)),
        x + max(0, *right, sum(right)),
        y + max(0, *below, sum(below)),
    )
    x0, y0, x1, y1 = (round(value, _DIGITS) for value in box)
    return within((x0, y0, x1, y1), video)


def losses(annotations: Annotations) -> list[str]:
    """Name what Label Studio does not keep."""
    named = losses_of_boxes(annotations, own=OWN, fps=True, occluded=False)
    tracks = annotations.boxes.tracks
    if any(len(list(_sequence(track))) > len(_boxed(track)) for track in tracks):
        named.append("an object that leaves gets one more keyframe, in the last frame it is in")
    each = (track.keyframes for track in tracks)
    pairs = (pair for drawn in each for pair in itertools.pairwise((None, *drawn)))
    if any(b is not None and b.outside and (a is None or a.outside) for a, b in pairs):
        named.append("'outside' is not kept where the object was absent already")
    return named


def _boxed(track: Track) -> list[Keyframe]:
    return [keyframe for keyframe in track.keyframes if keyframe.xyxy is not None]


def compare(annotations: Annotations, back: Annotations) -> Compared:
    """Compare length, size, frames a second, then every track and the entries that hold it."""
    boxes, found = annotations.boxes, back.boxes
    wanted = (len(annotations.frame_names), boxes.height, boxes.width)
    if (found.num_frames, found.height, found.width) != wanted:
        return Compared("the video's length or size differs")
    if abs((boxes.fps or 0) - (found.fps or 0)) > 10**-_DIGITS:
        return Compared("the frames a second differ")
    for track, here in itertools.zip_longest(filter(_has_box, boxes.tracks), found.tracks):
        if track is None or here is None:
            return Compared("the number of tracks differs")
        if not _same(track, here):
            return Compared(f"track {track.id} differs")
    drawn = {each.frame for track in found.tracks for each in _boxed(track)}
    return Compared("", len(drawn), len(found.tracks))


def _same(track: Track, other: Track) -> bool:
    one, two = list(_sequence(track)), list(_sequence(other))
    return (
        (track.id, track.label, len(one)) == (other.id, other.label, len(two))
        and own_fields(track.extra, OWN) == own_fields(other.extra, OWN)
        and all(
            dataclasses.replace(a, xyxy=b.xyxy) == b and close_boxes(a.xyxy, b.xyxy)
            for a, b in zip(one, two, strict=True)
        )
    )


FORMAT = Format(
    name="labelstudio",
    title="Label Studio: rectangles of a video, one JSON file",
    write=write,
    read=read,
    losses=losses,
    compare=compare,
    read_of=read_of,
    holds_masks=False,
    needs_masks=False,
    most_id=MOST_ID,
)
