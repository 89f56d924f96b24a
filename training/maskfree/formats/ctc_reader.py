"""Reading folders of the Cell Tracking Challenge: results, tracking markers, segmentations.

- ``01_RES``: ``maskNNN.tif`` and ``res_track.txt``;
- ``01_GT/TRA``: ``man_trackNNN.tif`` and ``man_track.txt``: markers, not whole cells, in most sets;
- ``01_GT/SEG``: ``man_segNNN.tif``, whole cells in some frames, numbered anew in each: a cell takes
  the id of the marker in ``TRA`` beside it of which it covers more than half.

NNN numbers the frames from 0. A number without a file is a frame that nobody looked at. Two
dimensions. A video that is given names the frames; else they are called t000, t001, … as there.
"""

from __future__ import annotations

import os
import re
import warnings
from typing import TYPE_CHECKING

import numpy as np

from maskfree.config import FormatConfig
from maskfree.errors import InputError, InputWarning
from maskfree.formats.base import Annotations, VideoFacts, list_names
from maskfree.formats.ctc_tracks import MAX_LABEL, TrackLine, read_track_file
from maskfree.formats.label_images import BoxBook, from_ids
from maskfree.formats.label_tiff import LabelTiff
from maskfree.types import BoxTracks

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from maskfree.types import InstanceMasks

__all__ = ["label_picture", "read", "read_of"]

_RESULT, _MARKERS, _SEGMENTED = "mask", "man_track", "man_seg"
_TRACK_FILES = {_RESULT: "res_track.txt", _MARKERS: "man_track.txt"}
_PAIR = MAX_LABEL + 1
_PICTURE = re.compile(r"(mask|man_track|man_seg)(\d{1,9})\.tiff?", re.IGNORECASE)


def read(path: Path) -> Annotations:
    """Read a folder; as :func:`read_of` without a video."""
    return read_of(path, None)


def read_of(path: Path, video: VideoFacts | None) -> Annotations:
    """Read a folder; boxes are the masks' own, a keyframe on every frame that has a file.

    Raises
    ------
    InputError
        For a folder without such files, a track file at fault, a picture that is damaged or holds a
        label which the track file does not have there, and a ``video`` of another size or length.
    """
    kind, files = _list(path)
    names = _frame_names(path, files, video)
    folder = _Segmented(path, files) if kind == _SEGMENTED else _Labelled(path, files, kind)
    known, book, size = sorted(files), BoxBook(), (0, 0)
    for frame in known:
        ids = folder.ids(frame)
        size = size if any(size) else (ids.shape[0], ids.shape[1])
        if ids.shape != size:
            raise InputError(
                f"{path / files[frame]} is {ids.shape[1]}x{ids.shape[0]}, the masks before it "
                f"{size[1]}x{size[0]}. All masks of a video have one size."
            )
        book.add(frame, ids)
    if video is not None and size != (video.height, video.width):
        raise InputError(
            f"The masks in {path} are {size[1]}x{size[0]} pixels, the video "
            f"{video.width}x{video.height}. Give the video that they were made for."
        )
    folder.warn()
    lines = folder.lines.values()
    tracks = tuple(book.track(line.label, known, parent=line.parent) for line in lines)
    fps = None if video is None else video.fps

    def read_masks(frame: int) -> InstanceMasks | None:
        if frame not in files:
            return None
        return from_ids(folder.ids(frame), str(path / files[frame]))

    return Annotations(BoxTracks(len(names), *size, fps, tracks), names, read_masks)


class _Labelled:
    """Pictures of labels that are tracks' own, with their track file."""

    def __init__(self, path: Path, files: dict[int, str], kind: str) -> None:
        self._path, self._files = path, files
        self.lines = read_track_file(path / _TRACK_FILES[kind])

    def ids(self, frame: int) -> np.ndarray:
        """Return the labels of a frame; each must be a track that is there."""
        path = self._path / self._files[frame]
        ids = label_picture(path)
        for label in np.flatnonzero(np.bincount(ids.ravel())).tolist():
            line = self.lines.get(label)
            if label and (line is None or not line.begin <= frame <= line.end):
                seen = "no track" if line is None else f"frames {line.begin} to {line.end} for it"
                raise InputError(
                    f"{path} holds label {label} in frame {frame}, the track file {seen}. Correct "
                    "the track file."
                )
        return ids

    def warn(self) -> None:
        """Say what was left out: nothing."""


class _Segmented:
    """Pictures of cells numbered anew in each frame, named by the markers beside them."""

    def __init__(self, path: Path, files: dict[int, str]) -> None:
        self._path, self._files, markers = path, files, path.parent / "TRA"
        if not (markers / _TRACK_FILES[_MARKERS]).is_file():
            raise InputError(
                f"{path} holds segmentations, whose numbers are no tracks: those are told by the "
                f"markers in {markers}, which is missing. Put TRA beside it, or take format tiff."
            )
        kind, found = _list(markers)
        missing = sorted(set(files) - set(found))
        if kind != _MARKERS or missing:
            raise InputError(
                f"{markers} must hold a marker picture for each of {path}, but has none for "
                f"{list_names([files[frame] for frame in missing]) or 'any'}. Copy it again."
            )
        self._markers = _Labelled(markers, found, kind)
        self.lines: dict[int, TrackLine] = self._markers.lines
        self._unnamed: dict[int, int] = {}

    def ids(self, frame: int) -> np.ndarray:
        """Return the cells of a frame as track ids; one without a marker is left out."""
        path = self._path / self._files[frame]
        cells, markers = label_picture(path), self._markers.ids(frame)
        if cells.shape != markers.shape:
            raise InputError(f"{path} is not of the size of its markers. Copy both again.")
        names = np.zeros(int(cells.max()) + 1, np.uint16)
        sizes = np.bincount(markers.ravel())
        pairs, shared = np.unique(cells * np.int64(_PAIR) + markers, return_counts=True)
        for pair, count in zip(pairs.tolist(), shared.tolist(), strict=True):
            cell, marker = divmod(pair, _PAIR)
            if cell and marker and 2 * count > sizes[marker]:
                names[cell] = marker
        unnamed = np.setdiff1d(cells, np.append(np.flatnonzero(names), 0))
        self._unnamed[frame] = len(unnamed)
        return np.take(names, cells)

    def warn(self) -> None:
        """Say how many cells have no marker."""
        count = sum(self._unnamed.values())
        if count:
            frames = [self._files[frame] for frame, each in self._unnamed.items() if each]
            warnings.warn(
                f"{self._path}: {count} cells cover no marker by more than half and are left out "
                f"({list_names(frames)}).",
                InputWarning,
                stacklevel=3,
            )


def label_picture(path: Path) -> np.ndarray:
    """Return one picture of labels, uint16 ``(H, W)``.

    Raises
    ------
    InputError
        For a file that is no such TIFF, has several pages, or a label beyond 16 bit.
    """
    tiff = LabelTiff(path)
    if tiff.length != 1:
        raise InputError(
            f"{path} has {tiff.length} pages: pictures in three dimensions are not read. Give "
            "those of two dimensions, or take the format tiff for one stack."
        )
    ids = tiff.ids(0)
    if ids.max() > MAX_LABEL:
        raise InputError(f"{path} holds label {ids.max()}, beyond 16 bit. Number the labels anew.")
    return ids.astype(np.uint16)


def _list(folder: Path) -> tuple[str, dict[int, str]]:
    """Return what kind of folder it is, and frame to the name of its picture."""
    if not folder.is_dir():
        there = "is a file" if folder.exists() else "does not exist"
        raise InputError(f"{folder} {there}. Give the folder, like 01_RES or 01_GT/TRA.")
    try:
        with os.scandir(folder) as entries:
            names = sorted(entry.name for entry in entries if entry.is_file())
    except OSError as error:
        raise InputError(f"{folder} cannot be read: {error.strerror or error}.") from None
    found: dict[str, dict[int, str]] = {}
    for name in names:
        if match := _PICTURE.fullmatch(name):
            files = found.setdefault(match[1].lower(), {})
            if int(match[2]) in files:
                raise InputError(
                    f"{folder} holds {files[int(match[2])]} and {name}, two pictures of one frame. "
                    "Remove one."
                )
            files[int(match[2])] = name
    for kind in (_RESULT, _MARKERS, _SEGMENTED):
        if kind in found and (kind == _SEGMENTED or _TRACK_FILES[kind] in names):
            return kind, found[kind]
    raise InputError(
        f"{folder} is no folder of the Cell Tracking Challenge: expected mask000.tif, … with "
        "res_track.txt, man_track000.tif, … with man_track.txt, or man_seg000.tif, …. Give the "
        "folder 01_RES, 01_GT/TRA or 01_GT/SEG."
    )


def _frame_names(folder: Path, files: dict[int, str], video: VideoFacts | None) -> Sequence[str]:
    last, most = max(files), len(files) * FormatConfig().frames_per_file
    if video is not None:
        if last >= video.num_frames:
            raise InputError(
                f"{folder} holds {files[last]}, the video has only {video.num_frames} frames. Give "
                "the video that the masks were made for."
            )
        return video.frame_names
    if last >= most:
        raise InputError(
            f"{folder} holds {files[last]} and only {len(files)} pictures. Frames count from 0; "
            "correct the number."
        )
    digits = max(3, len(str(last)))
    return [f"t{number:0{digits}d}" for number in range(last + 1)]
