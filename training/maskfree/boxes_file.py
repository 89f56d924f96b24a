"""The boxes file (``boxes.json``): read and written in a stream, a track in memory at a time.

What it may hold is in `boxes_json.py`.
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import os
from typing import TYPE_CHECKING, Any, BinaryIO

from maskfree.boxes_json import (
    boxes_to_json,
    head_from_json,
    put_together,
    track_from_json,
    track_to_json,
)
from maskfree.json_checks import as_list, as_object
from maskfree.json_stream import JsonStream
from maskfree.packed_keyframes import PackedKeyframes
from maskfree.storage import atomic_file, open_bytes, reading

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from maskfree.types import BoxTracks, Track

__all__ = ["read_boxes", "write_boxes"]

_KIND = "boxes file"
_HEAD = frozenset(("version", "video"))
"""What must be known before the tracks are read."""


def read_boxes(
    path: str | os.PathLike[str], *, allow_empty: bool = False, packed: bool = False
) -> BoxTracks:
    """Read a boxes file.

    Parameters
    ----------
    path
        The file.
    allow_empty
        Accept a file without a single box, as a session has before the first is drawn.
    packed
        Hold keyframes as `PackedKeyframes`: an eighth of the memory, slower to look at.

    Raises
    ------
    InputError
        Where the file is missing, unreadable or not JSON, and as `boxes_from_json`.
    """
    name = f"{_KIND} {os.fspath(path)}"
    with open_bytes(path, _KIND) as opened, reading(name):
        file = opened if opened.seekable() else io.BytesIO(opened.read())
        return _read(file, name, os.fspath(path), allow_empty=allow_empty, packed=packed)


def _read(file: BinaryIO, name: str, where: str, *, allow_empty: bool, packed: bool) -> BoxTracks:
    stream = JsonStream(file, name)
    if stream.peek() != "{":
        as_object(stream.value(), where, "a boxes file", "tracks")
    fields: dict[str, Any] = {}
    head: BoxTracks | None = None
    tracks: tuple[Track, ...] = ()
    later: int | None = None
    for field in stream.fields():
        if field != "tracks" or stream.peek() != "[":
            fields[field] = stream.value()
        elif fields.keys() >= _HEAD:
            head = head_from_json(fields, where)
            tracks = _tracks(stream, head, where, packed=packed)
        else:
            later = stream.byte()
    stream.end()
    if head is None:
        head = head_from_json(fields, where)
        if later is None:
            as_list(fields.get("tracks"), where, "tracks")
        else:
            tracks = _tracks(JsonStream(file, name, start=later), head, where, packed=packed)
    return put_together(head, tracks, fields, where=where, allow_empty=allow_empty)


def _tracks(stream: JsonStream, head: BoxTracks, where: str, *, packed: bool) -> tuple[Track, ...]:
    found = (track_from_json(stream.value(), n, head, where) for n in stream.items())
    return tuple(_packed(track) if packed else track for track in found)


def _packed(track: Track) -> Track:
    return dataclasses.replace(track, keyframes=PackedKeyframes(track.keyframes))


def write_boxes(
    path: str | os.PathLike[str], tracks: BoxTracks, announce: Callable[[str], None] | None = None
) -> None:
    """Write a boxes file, one keyframe a line; a failure leaves the previous file as it was.

    ``announce`` is told the SHA-256 of the file, in hexadecimal digits, before it is in place.

    Raises
    ------
    InputError
        Where the tracks would not be readable again (as `boxes_from_json`; a track without boxes
        is fine), and where the file cannot be written.
    """
    checked = _checked(tracks, os.fspath(path))
    digest = hashlib.sha256()
    with atomic_file(path) as temporary:
        with temporary.open("wb") as out:
            for text in _texts(checked):
                content = text.encode("utf-8")
                digest.update(content)
                out.write(content)
        if announce is not None:
            announce(digest.hexdigest())


def _checked(tracks: BoxTracks, where: str) -> BoxTracks:
    fields = boxes_to_json(dataclasses.replace(tracks, tracks=()))
    del fields["tracks"]
    head = head_from_json(fields, where)
    each = (_checked_track(track, n, head, where) for n, track in enumerate(tracks.tracks))
    return put_together(head, tuple(each), fields, where=where, allow_empty=True)


def _checked_track(track: Track, index: int, head: BoxTracks, where: str) -> Track:
    """Return the track as it is read again, packed if it was: else a save needs no other disk."""
    checked = track_from_json(track_to_json(track), index, head, where)
    return _packed(checked) if isinstance(track.keyframes, PackedKeyframes) else checked


def _texts(tracks: BoxTracks) -> Iterator[str]:
    """Yield the file's text, one keyframe a line: easy to read, to diff and to edit by hand."""
    data = boxes_to_json(dataclasses.replace(tracks, tracks=()))
    head = [f"{_dumps(name)}: {_dumps(data[name])}" for name in data if name != "tracks"]
    yield "{" + ",\n ".join([*head, '"tracks": ['])
    for number, track in enumerate(tracks.tracks):
        yield ",\n" if number else "\n"
        yield _track_text(track_to_json(track))
    yield "]}\n"


def _track_text(track: Mapping[str, Any]) -> str:
    head = [f"{_dumps(name)}: {_dumps(track[name])}" for name in track if name != "boxes"]
    boxes = ",\n     ".join(_dumps(box) for box in track["boxes"])
    return f'  {{{", ".join(head)},\n   "boxes": [\n     {boxes}]}}'


def _dumps(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:  # half of a surrogate pair, as "\ud83d" alone in the file
        return json.dumps(value)
    return text
