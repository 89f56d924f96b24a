"""Reading npz files; how they are laid out is told in `npz.py`.

Arrays are read one by one, checked before anything is allocated, and never unpickled. The file is
open only while something is read from it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import zipfile
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from maskfree.boxes_json import boxes_from_json, checked_keyframe
from maskfree.config import FormatConfig
from maskfree.errors import InputError
from maskfree.formats.base import Annotations
from maskfree.json_checks import as_list, as_object, as_whole, show
from maskfree.json_faults import unique_fields
from maskfree.packed_keyframes import PackedKeyframes
from maskfree.storage import open_bytes
from maskfree.types import InstanceMasks, Keyframe
from maskfree.video_source import reading

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from maskfree.types import BoxTracks

__all__ = ["NAME", "VERSION", "read"]

NAME = "napari-maskfree"
VERSION = 1
_KIND = "npz file"
_REMEDY = "Export the file again."
_COMPRESSIONS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


def read(path: Path) -> Annotations:
    """Read an npz file of ours; masks are read when a frame is asked for.

    Raises
    ------
    InputError
        For a file that is no such archive, of another version, damaged, or whose arrays do not fit
        each other.
    """
    arrays = _Arrays(path)
    with arrays.open() as file:
        header = _header(arrays, file)
        boxes = _boxes(header, arrays, file)
        names = _names(header, "frame_names", arrays.where)
        files = _names(header, "file_names", arrays.where)
        known = arrays.get(file, "known", np.bool_, len(names))
        first = arrays.get(file, "chunk_frame", np.int64)
    if len(names) < boxes.num_frames or len(files) not in (0, len(names)):
        raise arrays.fault(
            f"{boxes.num_frames} frames have {len(names)} names and {len(files)} file names"
        )
    if (np.diff(first) <= 0).any() or (len(first) and not 0 <= first[0] <= first[-1] < len(names)):
        raise arrays.fault("the chunks are not in order of frame")
    sides = as_list(header.get("mask_size"), arrays.where, "mask_size")
    if len(sides) != 2:
        raise arrays.fault(f"mask_size is {show(sides)} instead of [height, width]")
    height, width = (as_whole(side, arrays.where, "mask_size", low=1) for side in sides)
    masks = _Masks(arrays, (height, width), known, first)
    return Annotations(boxes, names, masks.read, files)


class _Arrays:
    """The arrays of a file by name, each checked before it is read."""

    def __init__(self, path: Path) -> None:
        self._path, self._most = path, FormatConfig().array_bytes
        self.where = f"{path}: header"

    @contextlib.contextmanager
    def open(self) -> Iterator[zipfile.ZipFile]:
        """Open the archive; whatever is wrong with it inside is one of our errors."""
        with (
            open_bytes(self._path, _KIND) as stream,
            reading(str(self._path), _REMEDY),
            zipfile.ZipFile(stream) as file,
        ):
            yield file

    def fault(self, what: str) -> InputError:
        """Return the error for what does not fit."""
        return InputError(f"{self._path} is a damaged npz file: {what}. {_REMEDY}")

    def get(
        self,
        file: zipfile.ZipFile,
        name: str,
        dtype: type,
        length: int | None = None,
        row: tuple[int, ...] = (),
    ) -> np.ndarray:
        """Return an array ``(length, *row)``; ``length`` None: any."""
        try:
            entry = file.getinfo(f"{name}.npy")
        except KeyError:
            raise self.fault(f'the array "{name}" is missing') from None
        if entry.compress_type not in _COMPRESSIONS:
            raise self.fault(f'"{name}" is compressed in a way that npz files are not')
        with file.open(entry) as stream:
            shape, found = self._shape(stream, name)
            if found != np.dtype(dtype) or len(shape) != 1 + len(row) or shape[1:] != row:
                raise self.fault(f'"{name}" is {found} of the shape {shape}')
            if shape[0] != (shape[0] if length is None else length):
                raise self.fault(f'"{name}" has {shape[0]} values instead of {length}')
            count = int(np.prod(shape, dtype=object)) * found.itemsize
            if not 0 <= count <= self._most:
                raise self.fault(f'"{name}" claims {count} bytes, at most {self._most} are read')
            # One byte more: the end is reached, where the archive checks its sum.
            raw = stream.read(count + 1)
        if len(raw) != count:
            raise self.fault(f'"{name}" is cut off or too long')
        return np.frombuffer(raw, found).reshape(shape)

    def _shape(self, stream: Any, name: str) -> tuple[tuple[int, ...], np.dtype]:
        header = _HEADERS.get(np.lib.format.read_magic(stream))
        if header is None:
            raise self.fault(f'"{name}" is of an unknown version of the npy format')
        shape, by_column, dtype = header(stream)
        if by_column and len(shape) > 1:
            raise self.fault(f'"{name}" is stored by column')
        return shape, dtype


def _header(arrays: _Arrays, file: zipfile.ZipFile) -> dict[str, Any]:
    text = arrays.get(file, "header", np.uint8).tobytes()
    try:
        data = json.loads(text.decode("utf-8"), object_pairs_hook=unique_fields)
    except (ValueError, RecursionError) as error:
        raise arrays.fault(f"its header is not JSON ({error})") from None
    header = as_object(data, arrays.where, "what the file holds", "version")
    version = header.get("version")
    if header.get("format") != NAME or version != VERSION or isinstance(version, bool):
        raise InputError(
            f'{arrays.where}: expected format "{NAME}" and version {VERSION}, got '
            f"{show(header.get('format'))} and {show(version)}. Update napari-maskfree, or export "
            "the file in that version."
        )
    return header


def _names(header: dict[str, Any], field: str, where: str) -> list[str]:
    names = as_list(header.get(field), where, field)
    if not all(isinstance(name, str) for name in names):
        raise InputError(f"{where}: {field} must be a list of text. {_REMEDY}")
    return names


def _boxes(header: dict[str, Any], arrays: _Arrays, file: zipfile.ZipFile) -> BoxTracks:
    """Return the boxes: those of the header, with the keyframes of the arrays."""
    boxes = boxes_from_json(header.get("boxes"), where=arrays.where, allow_empty=True)
    owners = arrays.get(file, "keyframe_track", np.int64)
    frames = arrays.get(file, "keyframe_frame", np.int64, len(owners))
    corners = arrays.get(file, "keyframe_xyxy", np.float64, len(owners), (4,))
    outside = arrays.get(file, "keyframe_outside", np.bool_, len(owners))
    occluded = arrays.get(file, "keyframe_occluded", np.bool_, len(owners))
    extras = _extras(header, len(owners), arrays)
    found: dict[int, list[Keyframe]] = {track.id: [] for track in boxes.tracks}
    if any(track.keyframes for track in boxes.tracks) or not set(owners.tolist()) <= set(found):
        raise arrays.fault("its keyframes are not those of its tracks")
    for place, owner in enumerate(owners.tolist()):
        row = found[owner]
        absent, frame = bool(outside[place]), int(frames[place])
        x0, y0, x1, y1 = corners[place].tolist()
        keyframe = Keyframe(
            frame,
            None if absent else (x0, y0, x1, y1),
            absent,
            bool(occluded[place]),
            extras.get(place, {}),
        )
        if row and row[-1].frame >= frame:
            raise arrays.fault(f"the keyframes of track {owner} are not in order of frame")
        row.append(checked_keyframe(keyframe, boxes, f"{arrays.where}: track {owner}"))
    tracks = (
        dataclasses.replace(track, keyframes=PackedKeyframes(found.pop(track.id)))
        for track in boxes.tracks
    )
    return dataclasses.replace(boxes, tracks=tuple(tracks))


def _extras(header: dict[str, Any], count: int, arrays: _Arrays) -> dict[int, dict[str, Any]]:
    found: dict[int, dict[str, Any]] = {}
    for item in as_list(header.get("keyframe_extra"), arrays.where, "keyframe_extra"):
        pair = item if isinstance(item, list) and len(item) == 2 else [None, None]
        place, fields = pair
        if not isinstance(place, int) or not 0 <= place < count or not isinstance(fields, dict):
            raise arrays.fault(f"keyframe_extra has {show(item)}")
        found[place] = fields
    return found


class _Chunk(NamedTuple):
    """The masks of some frames: a value each, where each one's runs end, and the runs."""

    frames: np.ndarray
    tracks: np.ndarray
    scores: np.ndarray
    ends: np.ndarray
    runs: np.ndarray


class _Masks:
    """The masks of a file; one chunk of them is kept in memory."""

    def __init__(
        self, arrays: _Arrays, size: tuple[int, int], known: np.ndarray, first: np.ndarray
    ) -> None:
        self._arrays, self._size, self._known, self._first = arrays, size, known, first
        self._held: tuple[int, _Chunk] | None = None

    def read(self, frame: int) -> InstanceMasks | None:
        """Return the masks of a frame, None where they are not known."""
        if not self._known[frame]:
            return None
        chunk = self._chunk(int(np.searchsorted(self._first, frame, side="right")) - 1)
        low = high = 0
        if chunk is not None:
            low, high = np.searchsorted(chunk.frames, [frame, frame + 1]).tolist()
        height, width = self._size
        if max(1, high - low) * height * width > FormatConfig().frame_pixels:
            raise self._arrays.fault(f"frame {frame} has {high - low} masks of {width}x{height}")
        masks = np.zeros((high - low, height, width), bool)
        if chunk is None:
            return InstanceMasks((), masks, ())
        for place in range(low, high):
            runs = chunk.runs[chunk.ends[place - 1] if place else 0 : chunk.ends[place]]
            if runs.sum(dtype=np.uint64) != height * width:
                raise self._arrays.fault(f"runs of frame {frame} do not fill {width}x{height}")
            on = np.arange(len(runs)) % 2 == 1
            masks[place - low] = np.repeat(on, runs).reshape(height, width)
        numbers = tuple(chunk.tracks[low:high].tolist())
        return InstanceMasks(numbers, masks, tuple(chunk.scores[low:high].tolist()))

    def _chunk(self, number: int) -> _Chunk | None:
        if number < 0:
            return None
        if self._held is None or self._held[0] != number:
            self._held = None  # gone before the next one comes
            self._held = number, self._read_chunk(number)
        return self._held[1]

    def _read_chunk(self, number: int) -> _Chunk:
        get = self._arrays.get
        with self._arrays.open() as file:
            frames = get(file, f"mask_frame_{number}", np.int64)
            tracks = get(file, f"mask_track_{number}", np.int64, len(frames))
            scores = get(file, f"mask_score_{number}", np.float64, len(frames))
            lengths = get(file, f"mask_length_{number}", np.int64, len(frames))
            runs = get(file, f"mask_runs_{number}", np.uint32)
        after = self._first[number + 1] if number + 1 < len(self._first) else len(self._known)
        inside = len(frames) and self._first[number] <= frames[0] and frames[-1] < after
        if not inside or (np.diff(frames) < 0).any() or not self._known[frames].all():
            raise self._arrays.fault(f"mask_frame_{number} is not in order of frame")
        if (tracks < 1).any():
            raise self._arrays.fault(f"mask_track_{number} has ids below 1")
        if (lengths < 1).any() or (lengths > len(runs)).any() or lengths.sum() != len(runs):
            raise self._arrays.fault(f"mask_length_{number} does not add up to mask_runs_{number}")
        return _Chunk(frames, tracks, scores, np.cumsum(lengths), runs)
