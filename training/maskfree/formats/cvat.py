"""CVAT for video 1.1: one XML file, a track with its boxes after the other.

https://docs.cvat.ai/docs/dataset_management/formats/format-cvat/ (and the source of CVAT's own
writer and reader, ``cvat/apps/dataset_manager/formats/cvat.py``).

Written: keyframes with ``keyframe="1"``, what lies between and after them with ``keyframe="0"``, an
object that leaves with ``outside="1"`` and the box it had, nothing while it is absent. Coordinates
have all their digits, not two. Attributes that were read and that we do not know are written back;
``start_frame`` and ``frame_filter`` of the task as well. CVAT reads it into a task that has the
labels.

Read: `cvat_reader.py`. Ids of CVAT begin at 0: where a file has that one, all are raised by 1.
"""

from __future__ import annotations

import dataclasses
import itertools
import re
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape, quoteattr

from maskfree.errors import InputError
from maskfree.formats.base import Annotations, Compared, Format
from maskfree.formats.box_files import losses_of_boxes, need_a_box, own_fields
from maskfree.formats.cvat_reader import FILTER, OWN, START, read_of
from maskfree.formats.cvat_shapes import ANSWERS, kept_of
from maskfree.formats.cvat_walk import Grid, step_of
from maskfree.formats.limits import MOST_ID
from maskfree.json_checks import as_number
from maskfree.tracks import box_at

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from maskfree.types import Box, BoxTracks, Keyframe, Track

__all__ = ["FORMAT", "read", "read_of", "write"]

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def write(annotations: Annotations, path: Path) -> None:
    """Write the file ``path``, a shape in memory at a time.

    Raises
    ------
    InputError
        When no track has a box, or a text has a character that XML cannot hold.
    """
    need_a_box(annotations, "cvat")
    with path.open("w", encoding="utf-8", newline="\n") as out:
        for text in _lines(annotations):
            out.write(f"{text}\n")


def _lines(annotations: Annotations) -> Iterator[str]:
    boxes, num_frames = annotations.boxes, len(annotations.frame_names)
    grid = _grid(boxes)
    yield '<?xml version="1.0" encoding="utf-8"?>'
    yield "<annotations>"
    yield "  <version>1.1</version>"
    yield from _meta(boxes, num_frames, grid)
    for track in boxes.tracks:
        if _has_box(track):
            yield from _track(track, num_frames, grid)
    yield "</annotations>"


def _grid(boxes: BoxTracks) -> Grid:
    """Return the frames of the task that the boxes came from, all where they came from none."""
    kept = own_fields(boxes.extra, OWN)
    start = as_number(kept.get(START))
    whole = start is not None and start.is_integer() and 0 <= start < boxes.num_frames
    return Grid(int(start) if whole and start else 0, step_of(str(kept.get(FILTER, ""))))


def _meta(boxes: BoxTracks, num_frames: int, grid: Grid) -> Iterator[str]:
    yield "  <meta><task>"
    yield f"    <size>{grid.frames(num_frames)}</size>"
    yield "    <mode>interpolation</mode>"
    yield "    <overlap>0</overlap>"
    yield f"    <start_frame>{grid.start}</start_frame>"
    yield f"    <stop_frame>{num_frames - 1}</stop_frame>"
    step = "" if grid.step == 1 else f"step={grid.step}"
    yield f"    <frame_filter>{step}</frame_filter>"
    yield "    <labels>"
    for label in dict.fromkeys(track.label for track in boxes.tracks):
        text = escape(_held(label), {"\r": "&#13;"})
        yield f"      <label><name>{text}</name><attributes></attributes></label>"
    yield "    </labels>"
    size = f"<width>{boxes.width}</width><height>{boxes.height}</height>"
    yield f"    <original_size>{size}</original_size>"
    yield "  </task></meta>"


def _track(track: Track, num_frames: int, grid: Grid) -> Iterator[str]:
    head = {"id": str(track.id), "label": track.label, "source": "manual"}
    yield f"  <track{_attributes(head | _texts(track))}>"
    last = next(each.xyxy for each in track.keyframes if each.xyxy is not None)
    for this, after in itertools.zip_longest(track.keyframes, track.keyframes[1:]):
        last = last if this.xyxy is None else this.xyxy
        yield from _shape(this, last, drawn=True)
        end = num_frames if after is None else after.frame
        if this.outside:
            continue
        for frame in range(this.frame + 1, end):
            state = box_at(track, frame) if grid.holds(frame) else None
            if state is not None:
                found = dataclasses.replace(this, frame=frame, xyxy=state.xyxy)
                yield from _shape(found, state.xyxy, drawn=False)
    yield "  </track>"


def _shape(keyframe: Keyframe, box: Box, *, drawn: bool) -> Iterator[str]:
    x0, y0, x1, y1 = (repr(float(value)) for value in box)
    head = {
        "frame": str(keyframe.frame),
        "keyframe": str(int(drawn)),
        "outside": str(int(keyframe.outside)),
        "occluded": str(int(keyframe.occluded)),
        "xtl": x0,
        "ytl": y0,
        "xbr": x1,
        "ybr": y1,
        "z_order": "0",
    }
    yield f"    <box{_attributes(head | _texts(keyframe))}>"
    for name, value in _kept(keyframe).get(ANSWERS, {}).items():
        text = escape(_held(value), {"\r": "&#13;"})
        yield f"      <attribute{_attributes({'name': name})}>{text}</attribute>"
    yield "    </box>"


def _attributes(values: Mapping[str, str]) -> str:
    return "".join(f" {name}={quoteattr(_held(value))}" for name, value in values.items())


def _held(text: str) -> str:
    if found := _NOT_XML.search(text):
        raise InputError(
            f"cvat is XML, which cannot hold the character {found[0]!a} in {text!a}. Rename it."
        )
    return text


def _kept(thing: Track | Keyframe) -> dict[str, Any]:
    """Return what is kept of CVAT's own attributes."""
    return kept_of(own_fields(thing.extra, OWN))


def _texts(thing: Track | Keyframe) -> dict[str, str]:
    return {name: value for name, value in _kept(thing).items() if name != ANSWERS}


def read(path: Path) -> Annotations:
    """Read a file that says all of its video."""
    return read_of(path, None)


def losses(annotations: Annotations) -> list[str]:
    """Name what a CVAT file does not keep."""
    named = losses_of_boxes(annotations, own=OWN)
    tracks = annotations.boxes.tracks
    things: Iterable[Track | Keyframe] = itertools.chain(
        tracks, (each for track in tracks for each in track.keyframes)
    )
    if any(own_fields(each.extra, OWN) != _kept(each) for each in things):
        named.append(f'not all that "{OWN}" holds can be an attribute: the others are not kept')
    return named


def compare(annotations: Annotations, back: Annotations) -> Compared:
    """Compare length, size and frames of the task, then every track and keyframe."""
    boxes, found = annotations.boxes, back.boxes
    wanted = (len(annotations.frame_names), boxes.height, boxes.width)
    if (found.num_frames, found.height, found.width) != wanted:
        return Compared("the video's length or size differs")
    one, other = _grid(boxes), _grid(found)
    if (one.start, one.step) != (other.start, other.step):
        return Compared("the frames of the task differ")
    pairs = itertools.zip_longest(filter(_has_box, boxes.tracks), found.tracks)
    for track, here in pairs:
        if track is None or here is None:
            return Compared("the number of tracks differs")
        if _plain(track) != _plain(here):
            return Compared(f"track {track.id} differs")
    drawn = {each.frame for track in found.tracks for each in track.keyframes if not each.outside}
    return Compared("", len(drawn), len(found.tracks))


def _has_box(track: Track) -> bool:
    return any(keyframe.xyxy is not None for keyframe in track.keyframes)


def _plain(track: Track) -> tuple[Any, ...]:
    """Return all that a CVAT file holds of a track."""
    keyframes = [
        (each.frame, each.xyxy, each.outside, each.occluded, _kept(each))
        for each in track.keyframes
    ]
    return track.id, track.label, _kept(track), keyframes


FORMAT = Format(
    name="cvat",
    title="CVAT for video 1.1: one XML file",
    write=write,
    read=read,
    losses=losses,
    compare=compare,
    read_of=read_of,
    holds_masks=False,
    needs_masks=False,
    most_id=MOST_ID,
)
