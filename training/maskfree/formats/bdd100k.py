"""BDD100K's box tracks: one JSON file in Scalabel's format, a frame after the other.

https://doc.bdd100k.com/format.html (labels), https://doc.scalabel.ai/format.html. A ``box2d`` holds
its last pixel: ``x2`` is our x1 - 1, as Scalabel's own conversion to COCO has it.

Written: a list of frames with ``name`` (the picture's file), ``frameIndex`` and ``size``; a label
for each instance: in a frame that has masks its mask as ``rle`` (COCO's) and the mask's own box, in
a frame that was never predicted its box. ``id`` is the track's, ``attributes`` hold ``occluded``
and ``crowd``; ``score`` where it is not 1.

Read: `bdd100k_reader.py`.
"""

from __future__ import annotations

import dataclasses
import itertools
from typing import TYPE_CHECKING, Any

from maskfree import rle
from maskfree.errors import InputError
from maskfree.formats.base import (
    Annotations,
    Compared,
    Format,
    loss_of_unpredicted,
    losses_of_giving_way,
    survey,
)
from maskfree.formats.bdd100k_reader import CROWD, OCCLUDED, open_frames, read_of
from maskfree.formats.box_files import (
    OCCLUDED_WHERE_SHOWN,
    interpolated_loss,
    losses_of_boxes,
)
from maskfree.formats.instances import Instance, Shown, difference
from maskfree.formats.json_text import compact, file_names, utf8
from maskfree.formats.limits import MOST_ID
from maskfree.formats.ytvis_walk import CROWD as COCO_CROWD

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["FORMAT", "read", "read_of", "reopen", "write"]

_VIDEO = "video"
_KEPT = frozenset(("crowd", "occluded", "score"))


def write(annotations: Annotations, path: Path) -> None:
    """Write the file ``path``, a frame in memory at a time.

    Raises
    ------
    InputError
        When there is neither a box nor a mask, masks are not of the video's size, or a name or
        label is no text.
    """
    shown, video, any_label = Shown(annotations), annotations.boxes, False
    size = {"width": video.width, "height": video.height}
    with path.open("wb") as out:
        for frame, name in enumerate(file_names(annotations)):
            here = shown.at(frame)
            any_label = any_label or bool(here)
            content = {"name": name, "videoName": _VIDEO, "frameIndex": frame, "size": size}
            labels = [_label(track_id, each) for track_id, each in here.items()]
            text = compact({**content, "labels": labels})
            out.write(b",\n" if frame else b"[")
            out.write(utf8(text))
        out.write(b"]\n")
    if not any_label:
        raise InputError(
            "There is neither a box nor a mask to export. Draw a box, or run `maskfree predict`."
        )


def _label(track_id: int, each: Instance) -> dict[str, Any]:
    x0, y0, x1, y1 = each.xyxy
    label: dict[str, Any] = {
        "id": str(track_id),
        "category": each.label,
        "attributes": {OCCLUDED: each.occluded, CROWD: each.crowd},
        "box2d": {"x1": x0, "y1": y0, "x2": x1 - 1, "y2": y1 - 1},
    }
    if each.score != 1:
        label["score"] = each.score
    if each.mask is not None:
        counts = rle.encode(each.mask[None])[0]
        label["rle"] = {"counts": counts, "size": list(each.mask.shape)}
    return label


def read(path: Path) -> Annotations:
    """Read a file that says the size of its frames."""
    return read_of(path, None)


@dataclasses.dataclass(frozen=True)
class _Reopened(Annotations):
    """What an export wrote, looked up a frame at a time."""

    read_shown: Callable[[int], dict[int, Instance]] = lambda frame: {}


def reopen(path: Path, written: Annotations) -> Annotations:
    """Read the file that an export made of ``written``: only where its frames begin is kept.

    Raises
    ------
    InputError
        As :func:`read_of`.
    """
    frames = open_frames(path, None)
    names = written.frame_names
    return _Reopened(
        frames.video, names, lambda frame: None, frames.file_names, read_shown=frames.instances
    )


def losses(annotations: Annotations) -> list[str]:
    """Name what a Scalabel file does not keep."""
    found = survey(annotations, tracks=True)
    named = loss_of_unpredicted(annotations, found, "get boxes only, or none")
    if found.masked and found.empty:
        named.append("no mask has a pixel: the file holds boxes only, and no frame known as empty")
    named += losses_of_giving_way(annotations, found)
    if found.hidden:
        named.append(OCCLUDED_WHERE_SHOWN)
    named += losses_of_boxes(annotations, own=COCO_CROWD, masks=True, names=True, absent=False)
    if any(track.extra.get(COCO_CROWD, 0) not in (0, 1) for track in annotations.boxes.tracks):
        named.append(f"of '{COCO_CROWD}' only whether it is 0 is kept")
    return [*named, *interpolated_loss(annotations)]


def compare(annotations: Annotations, back: Annotations) -> Compared:
    """Compare names, size, and all labels of every frame."""
    pairs = itertools.zip_longest(back.file_names, file_names(annotations))
    if any(got != wanted for got, wanted in pairs):
        return Compared("the frames' names differ")
    one, other = annotations.boxes, back.boxes
    if (one.height, one.width) != (other.height, other.width):
        return Compared("the video's size differs")
    shown = Shown(annotations)
    read = back.read_shown if isinstance(back, _Reopened) else Shown(back).at
    frames, tracks = 0, set[int]()
    for frame, name in enumerate(annotations.frame_names):
        found = read(frame)
        if said := difference(shown.at(frame), found, _KEPT):
            return Compared(f"frame {name}: {said}")
        frames += bool(found)
        tracks.update(found)
    return Compared("", frames, len(tracks))


FORMAT = Format(
    name="bdd100k",
    title="BDD100K: box tracks, one JSON file (Scalabel)",
    write=write,
    read=read,
    losses=losses,
    compare=compare,
    reopen=reopen,
    read_of=read_of,
    needs_masks=False,
    most_id=MOST_ID,
)
