"""The records of a journal: what a person did, so that it can be done again.

==========  =======================================================================================
``open``    a program begins to write: ``program``
``base``    the boxes that the journal begins with: ``version``, ``boxes``, ``selected``, ``video``
``edit``    a change: ``name``, ``delta`` (`tracks_delta.py`), ``corrections`` of the changed frames
            before and after, ``selected`` before and after
``loaded``  the same, for other boxes in place of all: nothing before it can be undone
``forget``  nothing before it can be undone
``undo``    the last change was taken back; ``selected`` before
``redo``    what was taken back last was done again; ``selected`` before
``saving``  ``boxes.json`` is about to be written: its SHA-256 ``digest``, the number ``at`` of the
            record whose boxes it holds
``saved``   the same, and it is written
``wrote``   the corrections of these ``frames`` are in their files as they are here
``kept``    nothing up to here waits to be saved, in no session either
==========  =======================================================================================

A kind that is not known changes nothing, and is passed over.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import maskfree
from maskfree.boxes_json import boxes_from_json, boxes_to_json
from maskfree.correction_store import frame_from_json, frame_to_json
from maskfree.errors import InputError
from maskfree.json_checks import as_list, as_object, as_whole
from maskfree.tracks_delta import changed, difference

if TYPE_CHECKING:
    from collections.abc import Mapping

    from maskfree.corrections import Correction
    from maskfree.types import BoxTracks

    Frames = Mapping[int, Mapping[int, Correction]]
    Ends = tuple[int | None, int | None]

__all__ = [
    "VERSION",
    "Edit",
    "base_record",
    "edit_record",
    "open_record",
    "read_base",
    "read_edit",
    "read_id",
]

VERSION = 1
"""The version of the journal that we write, and the newest that we read."""
_DIGITS = 9
"""Most of a frame's number."""


@dataclasses.dataclass(frozen=True)
class Edit:
    """A change: the boxes after it; the selected track and the corrections before and after it.

    ``before`` and ``after`` hold the corrections by frame and track id, of the changed frames.
    """

    name: str
    tracks: BoxTracks
    selected: Ends
    before: Frames
    after: Frames


def open_record() -> dict[str, Any]:
    """Say which program writes."""
    return {"kind": "open", "program": f"napari-maskfree {maskfree.__version__}"}


def base_record(
    tracks: BoxTracks, selected: int | None, video: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Say what the boxes are before the first change; ``video``: whose, where no session says so.

    Tracks without a box are among them.
    """
    record = {"kind": "base", "version": VERSION, "boxes": boxes_to_json(tracks)}
    record["selected"] = _id(selected)
    return record if video is None else {**record, "video": dict(video)}


def edit_record(
    kind: str,
    name: str,
    tracks: tuple[BoxTracks, BoxTracks],
    selected: Ends,
    corrections: tuple[Frames, Frames],
) -> dict[str, Any]:
    """Say what a change does; each pair is before and after it."""
    record: dict[str, Any] = {"kind": kind, "name": name}
    if delta := difference(*tracks):
        record["delta"] = delta
    before, after = corrections
    if before:
        record["corrections"] = {
            str(frame): [_frame(before[frame]), _frame(after[frame])] for frame in sorted(before)
        }
    return {**record, "selected": [_id(i) for i in selected]}


def _frame(corrections: Mapping[int, Correction]) -> dict[str, Any] | None:
    return frame_to_json(corrections) if corrections else None


def _id(selected: int | None) -> int | None:
    return None if selected is None else int(selected)


# ---- read again


def read_base(record: Mapping[str, Any], where: str) -> tuple[BoxTracks, int | None]:
    """Return the boxes that a journal begins with, and the track that was selected.

    Raises
    ------
    InputError
        Where the record says something else, or is of a newer version.
    """
    here = f"{where}: record {record['n']}"
    if record.get("kind") != "base":
        raise InputError(f"{here}: expected the boxes that it begins with. It is left aside.")
    version = as_whole(record.get("version"), here, "version", low=1)
    if version > VERSION:
        raise InputError(
            f"{where}: expected a journal of version {VERSION}, got {version}: it was made by a "
            "newer napari-maskfree. Update with: pip install --upgrade napari-maskfree"
        )
    tracks = boxes_from_json(record.get("boxes"), where=here, allow_empty=True)
    return tracks, read_id(record.get("selected"), here)


def read_edit(record: Mapping[str, Any], tracks: BoxTracks, where: str) -> Edit:
    """Return the change of an ``edit`` or ``loaded`` record; ``tracks``: the boxes before it.

    Raises
    ------
    InputError
        Where the record is no change of these boxes.
    """
    here = f"{where}: record {record['n']}"
    delta = as_object(record.get("delta", {}), here, "a difference", "tracks")
    after = changed(tracks, delta, where=here) if delta else tracks
    ends = as_list(record.get("selected"), here, "selected")
    if len(ends) != 2:
        raise InputError(f"{here}: selected must be two tracks. It is left aside.")
    frames: tuple[dict[int, Any], dict[int, Any]] = ({}, {})
    fields = as_object(record.get("corrections", {}), here, "corrections by frame", "0")
    for text, both in fields.items():
        pair = as_list(both, here, "corrections")
        if not text.isdecimal() or len(text) > _DIGITS or len(pair) != 2:
            raise InputError(f"{here}: corrections must be two of a frame. It is left aside.")
        for own, side in zip(frames, pair, strict=True):
            own[int(text)] = {} if side is None else frame_from_json(side, here, int(text))
    selected = read_id(ends[0], here), read_id(ends[1], here)
    return Edit(str(record.get("name", "")), after, selected, *frames)


def read_id(value: object, where: str) -> int | None:
    """Return a track's id, None where none is selected.

    Raises
    ------
    InputError
        For anything else.
    """
    return None if value is None else as_whole(value, where, "selected", low=1)
