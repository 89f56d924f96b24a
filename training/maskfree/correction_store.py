"""Corrections on disk: one JSON file a frame, beside the predicted masks and never among them."""

from __future__ import annotations

import contextlib
import json
import os
from typing import TYPE_CHECKING, Any

from maskfree.corrections import Correction
from maskfree.errors import InputError
from maskfree.frame_files import FrameFiles
from maskfree.json_checks import as_flag, as_list, as_object, as_whole, show
from maskfree.limits import check_masks, check_size
from maskfree.storage import atomic_write, make_folder, read_json, writing

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["CorrectionStore", "frame_from_json", "frame_to_json"]

_PIXELS = ("object", "other")
_OF_FRAME = ("size", "tracks")
_OF_TRACK = ("id", *_PIXELS, "gold", "carried")
_REMEDY = "Correct the file, or remove it and correct the mask again."


class CorrectionStore(FrameFiles):
    """The corrections of one video under the folder ``path``, frame by frame.

    A frame's file (``00000.json``) holds ``{"size": [H, W], "tracks": [{"id": 1, "object": "…",
    "other": "…"}]}``, both as COCO run lengths; a track that is gold has ``"gold": true`` as well,
    and one whose pixels came from frame 5, at which nobody looked yet, ``"carried": 5``. Fields
    that we do not know stay as long as their frame and track have corrections.
    """

    def write(self, frame: int, corrections: Mapping[int, Correction]) -> None:
        """Write a frame's corrections by track id, in place of what was there; none: no file.

        Raises
        ------
        InputError
            Where the disk is full or the folder may not be written.
        """
        if not corrections:
            with writing(self._file(frame)), contextlib.suppress(FileNotFoundError):
                os.unlink(self._file(frame))
            return
        make_folder(self.path)
        content, (extra, of_track) = frame_to_json(corrections), self._unknown(frame)
        content["tracks"] = [of_track.get(each["id"], {}) | each for each in content["tracks"]]
        atomic_write(self._file(frame), json.dumps(extra | content) + "\n")

    def _unknown(self, frame: int) -> tuple[dict[str, Any], dict[int, dict[str, Any]]]:
        """Return the fields of a frame's file that we do not know, and those of its tracks."""
        try:
            data = read_json(self._file(frame), "corrections file")
        except InputError:  # there is none, or it is broken
            return {}, {}
        listed = data.get("tracks") if isinstance(data, dict) else None
        if not isinstance(listed, list):
            return {}, {}
        of_track = {
            one["id"]: {name: one[name] for name in one if name not in _OF_TRACK}
            for one in listed
            if isinstance(one, dict) and isinstance(one.get("id"), int)
        }
        return {name: data[name] for name in data if name not in _OF_FRAME}, of_track

    def read(self, frame: int) -> dict[int, Correction]:
        """Return a frame's corrections by track id.

        Raises
        ------
        InputError
            Where the file is broken.
        """
        path = self._file(frame)
        if not os.path.isfile(path):
            return {}
        return frame_from_json(read_json(path, "corrections file"), path, frame)

    def read_all(self) -> dict[int, dict[int, Correction]]:
        """Return the corrections by frame and track id.

        Raises
        ------
        InputError
            Where a file is broken.
        """
        return {frame: self.read(frame) for frame in self.frames()}


def frame_to_json(corrections: Mapping[int, Correction]) -> dict[str, Any]:
    """Return the content of a frame's file; there is at least one correction."""
    height, width = next(iter(corrections.values())).size
    tracks = [
        {"id": i, "object": c.object_counts, "other": c.other_counts}
        | ({"gold": True} if c.gold else {})
        | ({} if c.carried is None else {"carried": c.carried})
        for i, c in sorted(corrections.items())
    ]
    return {"size": [height, width], "tracks": tracks}


def frame_from_json(data: object, where: str, frame: int) -> dict[int, Correction]:
    """Return the corrections by track id of the file of ``frame``; ``where`` begins messages.

    Raises
    ------
    InputError
        Where it is no such content.
    """
    fields = as_object(data, where, "a frame's corrections", "tracks")
    sides = as_list(fields.get("size"), where, "size")
    if len(sides) != 2:
        raise InputError(f"{where}: size must be [height, width], got {show(sides)}. {_REMEDY}")
    height, width = (as_whole(side, where, "size", low=1) for side in sides)
    check_size(height, width, where)
    listed = as_list(fields.get("tracks"), where, "tracks")
    check_masks(len(listed), height, width, where)
    found = {}
    for n, item in enumerate(listed):
        one = as_object(item, f"{where}: tracks[{n}]", "a track", "id")
        track_id = as_whole(one.get("id"), where, "id", low=1)
        counts = [one.get(key) for key in _PIXELS]
        if not all(isinstance(text, str) for text in counts):
            raise InputError(
                f"{where}: track {track_id}: object and other must be COCO run-length strings, got "
                f"{show(counts)}. {_REMEDY}"
            )
        place = f"{where}: track {track_id}"
        gold, source = as_flag(one.get("gold", False), place, "gold"), one.get("carried")
        if source is True or source is False:  # as it was before the frame was noted
            source = frame if source else None
        carried = None if source is None else as_whole(source, place, "carried", low=0)
        known, other = map(str, counts)
        try:
            found[track_id] = Correction.from_counts(
                (height, width), known, other, gold=gold, carried=carried
            )
        except ValueError as error:
            raise InputError(f"{where}: track {track_id}: {error} {_REMEDY}") from None
    return found
