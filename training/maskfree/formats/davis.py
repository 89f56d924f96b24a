"""DAVIS: a folder with one indexed PNG a frame, pixel = track id.

Written: 8-bit indexed PNGs with the DAVIS palette, named by the source frame's stem. Where
instances overlap the higher score wins, then the smaller id. A frame that was never predicted gets
no file: a file without ids says "nothing is here", no file says "nobody looked".

Read: one folder of indexed or grey PNGs. Names that are all numbers and begin with 0 number the
frames, and a number without file is a frame that nobody annotated; otherwise the files are the
frames, in natural order. 255 is read as an id like any other, because here it may be one; DAVIS
2017 uses it in places for "void" (remove it first) and DAVIS 2016 for its single object.
"""

from __future__ import annotations

import dataclasses
import os
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from maskfree.errors import InputError
from maskfree.formats.base import (
    DEFAULT_LABEL,
    Annotations,
    Compared,
    Format,
    keyframes,
    known_frames,
    list_names,
    loss_of_overlaps,
    loss_of_unpredicted,
    survey,
)
from maskfree.formats.box_files import Said
from maskfree.formats.compare import compare_masks
from maskfree.formats.frame_order import loss_of_order, place_files
from maskfree.formats.indexed_png import MAX_ID, encode_ids, is_ours, list_pngs, read_ids
from maskfree.types import InstanceMasks, Track

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from maskfree.formats.base import VideoFacts
    from maskfree.types import Box

__all__ = [
    "FORMAT",
    "check_names",
    "flatten",
    "from_ids",
    "png_path",
    "read",
    "reopen",
    "to_ids",
    "write",
]


def write(annotations: Annotations, path: Path) -> None:
    """Write one PNG for each frame that has masks into the new folder ``path``.

    Raises
    ------
    InputError
        When no frame has masks, they are not all of one size, an id is beyond 255, or a frame's
        name cannot name a file.
    """
    check_names(annotations.frame_names)
    path.mkdir()
    size: tuple[int, ...] = ()
    for frame, name in enumerate(annotations.frame_names):
        masks = annotations.read_masks(frame)
        if masks is None:
            continue
        ids = to_ids(masks)
        size = size or ids.shape
        if ids.shape != size:
            raise InputError(
                f"The masks of frame {name} are {ids.shape[1]}x{ids.shape[0]} pixels, those before "
                f"it {size[1]}x{size[0]}. All masks of a video have one size; predict this one "
                "again."
            )
        with open(png_path(path, name), "wb") as file:
            file.write(encode_ids(ids))
    if not size:
        raise InputError(
            "davis holds masks, but no frame has any. Run `maskfree predict` first, or take the "
            "format ytvis or boxes, which hold boxes."
        )


def png_path(folder: Path, name: str) -> str:
    """Return the path of a frame's PNG."""
    # Not a Path: those keep a table of names, which grows over a long video.
    return os.path.join(folder, f"{name}.png")


def to_ids(masks: InstanceMasks) -> np.ndarray:
    """Return the masks as one picture of ids, uint8 ``(H, W)``; the higher score lies on top.

    Raises
    ------
    InputError
        For an id beyond 255.
    """
    largest = max(masks.track_ids, default=0)
    if largest > MAX_ID:
        raise InputError(
            f"davis holds ids up to {MAX_ID} (8-bit PNG), but there is a track {largest}. "
            "Take the format ytvis, which holds any id."
        )
    ids = np.zeros(masks.masks.shape[1:], np.uint8)
    instances = zip(masks.scores, masks.track_ids, masks.masks, strict=True)
    for _, track_id, mask in sorted(instances, key=lambda each: (each[0], -each[1])):
        ids[mask] = track_id
    return ids


def from_ids(ids: np.ndarray) -> InstanceMasks:
    """Return a picture of ids as masks, in order of id, with score 1."""
    track_ids = [int(track_id) for track_id in np.flatnonzero(np.bincount(ids.ravel())) if track_id]
    masks = np.zeros((len(track_ids), *ids.shape), bool)
    for index, track_id in enumerate(track_ids):
        np.equal(ids, track_id, out=masks[index])
    return InstanceMasks(tuple(track_ids), masks, (1.0,) * len(track_ids))


def flatten(masks: InstanceMasks) -> InstanceMasks:
    """Return the masks without overlaps: what is left of them in a DAVIS file."""
    return from_ids(to_ids(masks))


def read(path: Path) -> Annotations:
    """Read a folder of PNGs; see :func:`read_of`."""
    return read_of(path, None)


def read_of(path: Path, video: VideoFacts | None) -> Annotations:
    """Read a folder of PNGs; boxes are the masks' own, a keyframe on every annotated frame.

    ``video``: whose frames they are; None: the files are all that is known of it.

    Raises
    ------
    InputError
        For a folder without PNGs, a file that is no mask, files of different sizes, and those that
        are not of the ``video``.
    """
    files = list_pngs(path)
    names, stems = place_files(list(files), video, path)
    by_frame = {frame: files[stem] for frame, stem in stems.items()}
    height, width, boxes = _scan(path, by_frame)
    tracks = tuple(
        Track(track_id, DEFAULT_LABEL, keyframes(boxes[track_id], by_frame))
        for track_id in sorted(boxes)
    )

    def read_masks(frame: int) -> InstanceMasks | None:
        return from_ids(read_ids(path / by_frame[frame])) if frame in by_frame else None

    facts = Said(len(names), height, width).of(str(path), video)
    return Annotations(dataclasses.replace(facts, tracks=tracks), names, read_masks)


def reopen(path: Path, written: Annotations) -> Annotations:
    """Read the folder that :func:`write` made of ``written``, without its boxes.

    The frames' names are known, so the folder need not be listed: nothing is read before a frame's
    masks are asked for.
    """

    def read_masks(frame: int) -> InstanceMasks | None:
        file = png_path(path, written.frame_names[frame])
        return from_ids(read_ids(file)) if os.path.isfile(file) else None

    video = dataclasses.replace(written.boxes, tracks=())
    return Annotations(video, written.frame_names, read_masks)


def _scan(folder: Path, files: dict[int, str]) -> tuple[int, int, dict[int, dict[int, Box]]]:
    """Return height, width and, for each id, frame to tight box."""
    shape: tuple[int, ...] = ()
    boxes: dict[int, dict[int, Box]] = {}
    for frame, name in files.items():
        path = folder / name
        ids = read_ids(path)
        shape = shape or ids.shape
        if ids.shape != shape:
            raise InputError(
                f"{path} is {ids.shape[1]}x{ids.shape[0]}, the masks before it are "
                f"{shape[1]}x{shape[0]}. All masks of a video have one size."
            )
        for index, place in enumerate(ndimage.find_objects(ids)):
            if place is not None:
                y, x = place
                box = (float(x.start), float(y.start), float(x.stop), float(y.stop))
                boxes.setdefault(index + 1, {})[frame] = box
    return shape[0], shape[1], boxes


def check_names(names: Sequence[str]) -> None:
    """Check that each frame's name can name a file of its own.

    Raises
    ------
    InputError
        Where one cannot, or two would be one file where capitals do not count.
    """
    for name in names:
        if not name or any(character in name for character in "/\\\0"):
            raise InputError(
                f'A frame is named "{name}", which cannot name a file. Rename the source\'s frames.'
            )
    # Hashes tell that all differ in a fraction of the memory that the names in a table take.
    hashes = np.fromiter((hash(name.casefold()) for name in names), np.int64, len(names))
    if len(np.unique(hashes)) == len(names):
        return
    seen: dict[str, str] = {}
    for name in names:
        if name.casefold() in seen:
            raise InputError(
                f'Two frames are named "{seen[name.casefold()]}" and "{name}", which would be one '
                "file. Rename the source's frames."
            )
        seen[name.casefold()] = name


def losses(annotations: Annotations) -> list[str]:
    """Name what a folder of ids does not keep."""
    found = survey(annotations)
    named = loss_of_unpredicted(annotations, found, "get no PNG")
    named += loss_of_overlaps(annotations, found)
    if labels := _labels(annotations.boxes.tracks):
        named.append(f"labels are not kept: {list_names(labels)}")
    if annotations.boxes.tracks:
        named.append("boxes are not kept, only masks")
    if annotations.boxes.ignore:
        named.append("'ignore' regions are not kept")
    if found.scored:
        named.append("scores are not kept")
    if annotations.boxes.fps is not None:
        named.append("frames a second are not kept")
    if any(track.parent is not None for track in annotations.boxes.tracks):
        named.append("parents (divisions) are not kept")
    return named + loss_of_order(annotations.frame_names, known_frames(annotations, found))


def _labels(tracks: Sequence[Track]) -> list[str]:
    return sorted({track.label for track in tracks} - {DEFAULT_LABEL})


def compare(annotations: Annotations, back: Annotations) -> Compared:
    """Compare the flattened masks with the ones read back."""
    return compare_masks(annotations, back, kept=flatten)


FORMAT = Format(
    name="davis",
    title="DAVIS: one indexed PNG a frame",
    write=write,
    read=read,
    losses=losses,
    compare=compare,
    folder=True,
    is_ours=is_ours,
    reopen=reopen,
    read_of=read_of,
    holds_classes=False,
)
