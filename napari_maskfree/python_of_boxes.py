"""Actions on boxes, tracks, classes and ignore regions as Python. No Qt here."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from napari_maskfree.classes import DIGITS
from napari_maskfree.python_situation import joined, tracks_code

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from maskfree.types import Box
    from napari_maskfree.python_situation import Code, Situation

__all__ = ["BOXES", "keyframe_code"]

_SOME_BOX = (10.0, 10.0, 50.0, 50.0)
"""Stands for a box that is yet to be drawn."""
_CLASSES, _EDITS, _TRACKS = "track_classes", "track_edits", "tracks"


def _edit(module: str, function: str, arguments: object) -> Code:
    return tracks_code(
        (f"from maskfree.{module} import {function}",), f"tracks = {function}(tracks, {arguments})"
    )


def _steady(code: Code) -> Code:
    """Return code after which the classes keep their places, whatever tracks went."""
    imports, body = code
    body = body.replace("tracks = session.boxes", "tracks = before = session.boxes")
    keep = "tracks = steady_classes(before, tracks)\nsession.save_boxes(tracks)"
    return (
        (*imports, f"from maskfree.{_CLASSES} import steady_classes"),
        body.replace("session.save_boxes(tracks)", keep),
    )


def keyframe_code(now: Situation, box: Box | None, **states: bool) -> Code:
    """Return code that makes a keyframe of the track in the shown frame."""
    said = "".join(f", {word}=True" for word, is_so in states.items() if is_so)
    place = "None" if box is None else repr(tuple(round(float(v), 2) for v in box))
    imports = ("from maskfree.tracks import set_keyframe", "from maskfree.types import Keyframe")
    change = f"keyframe = Keyframe({now.frame}, {place}{said})\n"
    return tracks_code(imports, f"{change}tracks = set_keyframe(tracks, {now.track_id}, keyframe)")


def _draw(now: Situation) -> Code:
    return keyframe_code(now, now.box or _SOME_BOX, occluded=now.occluded)


def _without(arguments: str) -> Code:
    """Return code that drops a track's corrections, where the track is no more."""
    return (
        ("from maskfree.corrections import without_track",),
        f"for frame, left in without_track(session.corrections.read_all(), {arguments}).items():\n"
        "    session.corrections.write(frame, left)",
    )


def _renamed(ids: str, frame: int) -> Code:
    """Return code that gives corrections to other tracks from a frame on."""
    return (
        ("from maskfree.corrections import rename_tracks",),
        f"known = session.corrections.read_all()\n"
        f"for frame, own in rename_tracks(known, {ids}, {frame}).items():\n"
        "    session.corrections.write(frame, own)",
    )


def _cleared(now: Situation, frames: tuple[int, int]) -> Code:
    where = f"{now.track_id}, {frames[0]}, {frames[1]}"
    return joined(_edit(_EDITS, "clear_range", where), _without(where))


def _outside(now: Situation) -> Code:
    if now.outside:
        return _edit(_TRACKS, "remove_keyframe", f"{now.track_id}, {now.frame}")
    gone = f"{now.track_id}, {now.frame}, {now.absent_until}"
    return joined(keyframe_code(now, None, outside=True), _without(gone))


def _new_track(now: Situation) -> Code:
    return tracks_code(
        ("from maskfree.tracks import add_track",),
        f"tracks, track_id = add_track(tracks, {now.label!r})",
    )


def _split(now: Situation) -> Code:
    split = tracks_code(
        ("from maskfree.track_edits import split_track",),
        f"tracks, new_id = split_track(tracks, {now.track_id}, {now.frame})",
    )
    return joined(split, _renamed(f"{{{now.track_id}: new_id}}", now.frame))


def _merge(now: Situation) -> Code:
    merged = _edit(_EDITS, "merge_tracks", f"{now.track_id}, {now.other_id}")
    return joined(_steady(merged), _renamed(f"{{{now.other_id}: {now.track_id}}}", 0))


def _swap(now: Situation) -> Code:
    one, other = now.track_id, now.other_id
    swapped = _edit(_EDITS, "swap_tracks", f"{one}, {other}, {now.frame}")
    return joined(swapped, _renamed(f"{{{one}: {other}, {other}: {one}}}", now.frame))


def _delete_track(now: Situation) -> Code:
    removed = _steady(_edit(_TRACKS, "remove_track", now.track_id))
    return joined(removed, _without(str(now.track_id)))


def _propose(now: Situation, *, forward: bool) -> Code:
    imports = ("from maskfree.config import Config", "from maskfree.propagate import propagate_box")
    return (
        imports,
        f"""
tracks = session.boxes
with session.open_video() as video:
    way = propagate_box(
        video,
        tracks,
        {now.track_id},
        {now.frame},
        forward={forward},
        config=Config(),
    )
    boxes = dict(way)  # xyxy by frame
print(boxes)
""",
    )


def _accept(now: Situation, *, upto: int | None = None) -> Code:
    """Propose again, then make keyframes of it."""
    started = dataclasses.replace(now, frame=now.proposed_from)
    imports, body = _propose(started, forward=now.forward)
    within = f"f {'<=' if now.forward else '>='} {upto}"
    part = "" if upto is None else f"boxes = {{f: b for f, b in boxes.items() if {within}}}\n"
    body = body.replace("print(boxes)\n", part)
    return (
        (
            *imports,
            "from maskfree.config import ProposalConfig",
            "from maskfree.propagate import with_proposed",
        ),
        f"""{body}
tracks, frames = with_proposed(
    tracks, {now.track_id}, {now.proposed_from}, boxes, config=ProposalConfig()
)
session.save_boxes(tracks)
print(frames)  # those whose boxes are enough; the others lie between them
""",
    )


def _findings(_now: Situation) -> Code:
    return (
        (
            "from maskfree.box_audit import audit_boxes",
            "from maskfree.boxed_masks import BoxedMasks",
        ),
        """
tracks = session.boxes
for finding in audit_boxes(tracks, BoxedMasks(session, tracks).read):
    print(finding.frame, finding.message)
""",
    )


def _load(_now: Situation) -> Code:
    return (
        ("from maskfree.tracks import read_boxes",),
        'session.save_boxes(read_boxes("boxes.json", allow_empty=True))',
    )


def _save(_now: Situation) -> Code:
    return (
        ("from maskfree.tracks import write_boxes",),
        'write_boxes("boxes.json", session.boxes)',
    )


# ---- classes


def _give(now: Situation, name: str) -> Code:
    return _edit(_CLASSES, "reclass_track", f"{now.track_id}, {name!r}")


def _digit(place: int) -> Callable[[Situation], Code]:
    """Return what makes the code of a digit's key: the class is that of the digit now."""

    def make(now: Situation) -> Code:
        return tracks_code(
            (f"from maskfree.{_CLASSES} import class_names, reclass_track",),
            f"name = class_names(tracks)[{place - 1}]\n"
            f"tracks = reclass_track(tracks, {now.track_id}, name)",
        )

    return make


def _colours(_now: Situation) -> Code:
    return (
        (f"from maskfree.{_CLASSES} import class_colours",),
        "print(class_colours(session.boxes))  # RGB by track id; by track: maskfree.colours",
    )


# ---- ignore regions


def _ignore(now: Situation) -> Code:
    return tracks_code(
        (
            "from maskfree.ignore_regions import add_region, rectangle",
            "from maskfree.types import IgnoreRegion",
        ),
        f"box = {_SOME_BOX}  # xyxy, yours\n"
        f"region = IgnoreRegion(rectangle(box), {now.frame}, until={now.frame})\n"
        "tracks = add_region(tracks, region)",
    )


def _hold(now: Situation, frame: str, until: str) -> Code:
    return tracks_code(
        (
            "import dataclasses",
            "from maskfree.ignore_regions import replace_region",
        ),
        f"region = tracks.ignore[{now.region}]\n"
        f"region = dataclasses.replace(region, frame={frame}, until={until})\n"
        f"tracks = replace_region(tracks, {now.region}, region)",
    )


def _hold_to_here(now: Situation) -> Code:
    until = "region.until" if now.until is None else f"max(region.until, {now.frame})"
    return _hold(now, f"min(region.frame, {now.frame})", until)


BOXES: Mapping[str, Callable[[Situation], Code]] = {
    "load_boxes": _load,
    "save_boxes": _save,
    "draw_boxes": _draw,
    "redraw_box": _draw,
    "new_track": _new_track,
    "copy_last_box": lambda now: keyframe_code(now, now.last_box, occluded=now.last_occluded),
    "keep_box": lambda now: keyframe_code(now, now.box, occluded=now.occluded),
    "delete_keyframe": lambda now: _edit(
        _TRACKS, "remove_keyframe", f"{now.track_id}, {now.frame}"
    ),
    "outside": _outside,
    "occluded": lambda now: keyframe_code(now, now.box, occluded=not now.occluded),
    "not_in_frame": lambda now: _cleared(now, (now.frame, now.frame)),
    "rename_track": lambda now: _edit(_CLASSES, "relabel_track", f"{now.track_id}, {now.name!r}"),
    "split_track": _split,
    "merge_tracks": _merge,
    "swap_tracks": _swap,
    "delete_track": _delete_track,
    "propose_forward": lambda now: _propose(now, forward=True),
    "propose_backward": lambda now: _propose(now, forward=False),
    "accept_proposal": _accept,
    "accept_to_here": lambda now: _accept(now, upto=now.frame),
    "next_finding": _findings,
    "not_in_range": lambda now: _cleared(now, now.range),
    "delete_range": lambda now: _edit(
        _EDITS, "remove_keyframes", f"{now.track_id}, {now.range[0]}, {now.range[1]}"
    ),
    **{f"class_{n}": _digit(n) for n in range(1, DIGITS + 1)},
    "new_class": lambda now: _edit(_CLASSES, "add_class", repr(now.name)),
    "rename_class": lambda now: _edit(_CLASSES, "rename_class", f"{now.old_name!r}, {now.name!r}"),
    "reclass": lambda now: _give(now, now.label),
    "remove_class": lambda now: _edit(_CLASSES, "remove_class", repr(now.label)),
    "colour_by_class": _colours,
    "ignore_region": _ignore,
    "delete_region": lambda now: _edit("ignore_regions", "remove_regions", f"[{now.region}]"),
    "ignore_everywhere": lambda now: _hold(now, "0", "None"),
    "ignore_to_here": _hold_to_here,
    "ignore_here_alone": lambda now: _hold(now, str(now.frame), str(now.frame)),
}
"""By the action's name."""
