"""NPZ: one file that numpy alone reads, and that loses nothing.

Version 1; every array is read by ``numpy.load(path, allow_pickle=False)``:

- ``header``: UTF-8 JSON text as uint8: ``format`` ("napari-maskfree"), ``version``, ``mask_size``
  ([height, width] of the masks, pixels), ``frame_names``, ``file_names`` (may be empty), ``boxes``:
  the boxes file without its keyframes, ``keyframe_extra``: fields of keyframes that we do not know,
  as pairs [place, fields];
- the keyframes, K in all, track by track: ``keyframe_track`` (int64, ids), ``keyframe_frame``
  (int64), ``keyframe_xyxy`` (float64 ``(K, 4)``, pixels, half-open, NaN where outside),
  ``keyframe_outside`` and ``keyframe_occluded`` (bool);
- ``known`` (bool ``(T,)``): the frames whose masks are known, though there may be none;
- ``chunk_frame`` (int64 ``(C,)``): the first frame of each chunk of frames. Chunk c has
  ``mask_frame_c``, ``mask_track_c`` (int64), ``mask_score_c`` (float64) and ``mask_length_c``
  (int64), a value a mask, in order of frame, and ``mask_runs_c`` (uint32): the run lengths of these
  masks one behind another, ``mask_length_c`` of each: row by row over the whole frame, off and on
  in turn, off first.

The masks of a frame, with numpy alone::

    file = numpy.load(path, allow_pickle=False)
    height, width = json.loads(file["header"].tobytes())["mask_size"]
    c = numpy.searchsorted(file["chunk_frame"], frame, side="right") - 1
    ends = numpy.cumsum(file[f"mask_length_{c}"])
    for n in numpy.flatnonzero(file[f"mask_frame_{c}"] == frame):
        runs = numpy.split(file[f"mask_runs_{c}"], ends)[n]
        on = numpy.arange(len(runs)) % 2 == 1
        mask = numpy.repeat(on, runs).reshape(height, width)

What is read is in `npz_reader.py`. A frame is in memory at a time, and a chunk of run lengths.
"""

from __future__ import annotations

import dataclasses
import json
import zipfile
from array import array
from typing import TYPE_CHECKING, Any

import numpy as np

from maskfree.boxes_json import boxes_to_json
from maskfree.config import FormatConfig
from maskfree.errors import InputError
from maskfree.formats.base import Annotations, Compared, Format
from maskfree.formats.npz_reader import NAME, VERSION, read

if TYPE_CHECKING:
    from pathlib import Path

    from maskfree.types import BoxTracks, InstanceMasks, Track

__all__ = ["FORMAT", "read", "write"]

_MOST_ID = 2**63 - 1


def write(annotations: Annotations, path: Path) -> None:
    """Write everything to the file ``path``, a frame in memory at a time.

    Raises
    ------
    InputError
        For masks of several sizes, and an id beyond 64 bit.
    """
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, allowZip64=True) as file:
        _put_keyframes(file, annotations.boxes)
        chunks = _Chunks(file)
        known = np.zeros(len(annotations.frame_names), bool)
        for frame, name in enumerate(annotations.frame_names):
            masks = annotations.read_masks(frame)
            if masks is not None:
                known[frame] = True
                chunks.add(frame, name, masks)
        chunks.end()
        _put(file, "known", known)
        _put(file, "chunk_frame", np.array(chunks.first, np.int64))
        _put_text(file, "header", _header(annotations, chunks.size))


def _header(annotations: Annotations, size: tuple[int, int] | None) -> dict[str, Any]:
    boxes = annotations.boxes
    bare = tuple(dataclasses.replace(track, keyframes=()) for track in boxes.tracks)
    every = (keyframe for track in boxes.tracks for keyframe in track.keyframes)
    return {
        "format": NAME,
        "version": VERSION,
        "mask_size": size or (boxes.height, boxes.width),
        "frame_names": list(annotations.frame_names),
        "file_names": list(annotations.file_names),
        "boxes": boxes_to_json(dataclasses.replace(boxes, tracks=bare)),
        "keyframe_extra": [[n, each.extra] for n, each in enumerate(every) if each.extra],
    }


def _put_keyframes(file: zipfile.ZipFile, boxes: BoxTracks) -> None:
    # Packed, and gone before the masks come: a video may have a keyframe on every frame.
    tracks, frames, corners = array("q"), array("q"), array("d")
    outside, occluded = array("b"), array("b")
    for track in boxes.tracks:
        if track.id > _MOST_ID:
            raise _too_large(track.id)
        for keyframe in track.keyframes:
            tracks.append(track.id)
            frames.append(keyframe.frame)
            corners.extend(keyframe.xyxy or (np.nan,) * 4)
            outside.append(keyframe.outside)
            occluded.append(keyframe.occluded)
    _put(file, "keyframe_track", np.array(tracks, np.int64))
    _put(file, "keyframe_frame", np.array(frames, np.int64))
    _put(file, "keyframe_xyxy", np.array(corners, np.float64).reshape(-1, 4))
    _put(file, "keyframe_outside", np.array(outside, bool))
    _put(file, "keyframe_occluded", np.array(occluded, bool))


class _Chunks:
    """Collects the masks of some frames, and writes them once they are many.

    ``first``: the first frame of each chunk; ``size``: the masks' height and width.
    """

    def __init__(self, file: zipfile.ZipFile) -> None:
        self._file, self._most = file, FormatConfig().chunk_runs
        self.first = array("q")
        self.size: tuple[int, int] | None = None
        self._clear()

    def _clear(self) -> None:
        self._frames, self._tracks, self._lengths = array("q"), array("q"), array("q")
        self._scores = array("d")
        self._runs = array("I")

    def add(self, frame: int, name: str, masks: InstanceMasks) -> None:
        """Take the masks of a frame; frames come in order."""
        shape = (masks.masks.shape[1], masks.masks.shape[2])
        self.size = self.size or shape
        if shape != self.size:
            raise InputError(
                f"The masks of frame {name} are {shape[1]}x{shape[0]} pixels, those before it "
                f"{self.size[1]}x{self.size[0]}. All masks of a video have one size; predict this "
                "one again."
            )
        if not self._frames and masks.track_ids:
            self.first.append(frame)
        for track_id, mask, score in zip(masks.track_ids, masks.masks, masks.scores, strict=True):
            if track_id > _MOST_ID:
                raise _too_large(track_id)
            runs = run_lengths(mask)
            self._frames.append(frame)
            self._tracks.append(track_id)
            self._scores.append(score)
            self._lengths.append(len(runs))
            self._runs.frombytes(runs.tobytes())
        if len(self._runs) >= self._most:
            self.end()

    def end(self) -> None:
        """Write what is held."""
        if not self._frames:
            return
        chunk = len(self.first) - 1
        _put(self._file, f"mask_frame_{chunk}", np.array(self._frames, np.int64))
        _put(self._file, f"mask_track_{chunk}", np.array(self._tracks, np.int64))
        _put(self._file, f"mask_score_{chunk}", np.array(self._scores, np.float64))
        _put(self._file, f"mask_length_{chunk}", np.array(self._lengths, np.int64))
        _put(self._file, f"mask_runs_{chunk}", np.array(self._runs, np.uint32))
        self._clear()


def run_lengths(mask: np.ndarray) -> np.ndarray:
    """Return the runs of a bool ``(H, W)`` mask row by row, off first: uint32."""
    flat = mask.ravel()
    edges = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    starts = [0, 0] if flat[0] else [0]
    return np.diff(np.concatenate([starts, edges, [flat.size]])).astype(np.uint32)


def _too_large(track_id: int) -> InputError:
    return InputError(
        f"npz holds ids up to {_MOST_ID} (64 bit), but there is a track {track_id}. Give it "
        "another id."
    )


def _put(file: zipfile.ZipFile, name: str, values: np.ndarray) -> None:
    with file.open(f"{name}.npy", "w", force_zip64=True) as out:
        np.lib.format.write_array(out, values, allow_pickle=False)


def _put_text(file: zipfile.ZipFile, name: str, data: dict[str, Any]) -> None:
    # ASCII alone: half of a surrogate pair, which UTF-8 cannot hold, is kept as it is.
    _put(file, name, np.frombuffer(json.dumps(data).encode("ascii"), np.uint8))


def losses(annotations: Annotations) -> list[str]:
    """Name what an npz file does not keep: nothing that is drawn, told or predicted."""
    if annotations.read_boxes is not None:
        return ["boxes that are no keyframes are not kept"]
    return []


def compare(annotations: Annotations, back: Annotations) -> Compared:
    """Compare names, boxes, masks in their order, and scores."""
    if not _same(annotations.frame_names, back.frame_names):
        return Compared("the frames' names differ")
    if not _same(annotations.file_names, back.file_names):
        return Compared("the frames' file names differ")
    if not _same_boxes(annotations.boxes, back.boxes):
        return Compared("the boxes differ")
    frames, tracks = 0, {track.id for track in back.boxes.tracks}
    for frame, name in enumerate(annotations.frame_names):
        masks, found = annotations.read_masks(frame), back.read_masks(frame)
        if not _same_masks(masks, found):
            return Compared(f"frame {name}: the masks differ")
        if found is not None:
            frames += 1
            tracks.update(found.track_ids)
    if not frames:
        every = (each for track in back.boxes.tracks for each in track.keyframes)
        frames = len({each.frame for each in every if each.xyxy is not None})
    return Compared("", frames, len(tracks))


def _same(first: Any, second: Any) -> bool:
    return len(first) == len(second) and all(a == b for a, b in zip(first, second, strict=True))


def _same_boxes(first: BoxTracks, second: BoxTracks) -> bool:
    """Compare a track at a time: text of all would take much memory."""
    return _text(first) == _text(second) and all(
        _text(first, a) == _text(second, b)
        for a, b in zip(first.tracks, second.tracks, strict=True)
    )


def _text(boxes: BoxTracks, track: Track | None = None) -> str:
    # As text: a NaN in an unknown field is the same NaN.
    bare = (dataclasses.replace(each, keyframes=()) for each in boxes.tracks)
    chosen = tuple(bare) if track is None else (track,)
    return json.dumps(boxes_to_json(dataclasses.replace(boxes, tracks=chosen)))


def _same_masks(first: InstanceMasks | None, second: InstanceMasks | None) -> bool:
    if first is None or second is None:
        return first is second
    return (
        tuple(first.track_ids) == tuple(second.track_ids)
        and np.array_equal(first.scores, second.scores, equal_nan=True)
        and np.array_equal(first.masks, second.masks)
    )


FORMAT = Format(
    name="npz",
    title="NumPy: one npz file with everything",
    write=write,
    read=read,
    losses=losses,
    compare=compare,
    needs_masks=False,
)
