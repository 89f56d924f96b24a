"""Reading labelme: a folder with a JSON file a frame, beside its pictures or without them.

Frames: those of the video where it is given, else the pictures and files of the folder, in natural
order; without pictures, names that are numbers from 0 on number the frames. A frame without a file
is one that nobody looked at. An instance is the shapes of one ``group_id`` and label; those without
a group are told apart by their label and, within a frame, their order: the second "car" of each
frame is one instance. Several shapes of an instance in a frame are united. A file without a shape
says that nothing is there, unless it is flagged as one for boxes only.
"""

from __future__ import annotations

import bisect
import dataclasses
import os
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from maskfree.errors import InputError, InputWarning
from maskfree.formats.base import Annotations, tight_box
from maskfree.formats.box_files import Said
from maskfree.formats.frame_order import names_of_frames
from maskfree.formats.labelme_shapes import FILLED, RECTANGLE, box_of, mask_of
from maskfree.formats.limits import check_masks
from maskfree.json_checks import as_list, as_object, as_whole, show
from maskfree.storage import read_json, reading
from maskfree.types import BoxTracks, InstanceMasks, Keyframe, Track
from maskfree.video_folder import SUFFIXES, natural_key

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from maskfree.formats.base import VideoFacts
    from maskfree.types import Box

__all__ = ["BOXES_ONLY", "OCCLUDED", "SUFFIX", "Instance", "read_of", "read_shapes"]

KIND = "labelme file"
SUFFIX = ".json"
OCCLUDED = "occluded"
"""The flag of a shape that is hidden in part."""
BOXES_ONLY = "boxes only"
"""The flag of a file whose frame has no known masks."""

Key = tuple[int | None, str, int]
"""What tells an instance: group, label, and the how manieth of the label where it has no group."""


@dataclasses.dataclass(frozen=True)
class Instance:
    """An instance in one frame; ``mask``: bool ``(H, W)``, None where there is only a box."""

    label: str
    xyxy: Box
    mask: np.ndarray | None
    occluded: bool


def read_of(path: Path, video: VideoFacts | None) -> Annotations:
    """Read a folder; masks are read a frame at a time.

    Raises
    ------
    InputError
        For a folder without such files, files of different sizes or at fault, and one that is no
        frame of the ``video``.
    """
    files, pictures = _listed(path)
    names = _names(path, files, pictures, video)
    places = {name: frame for frame, name in enumerate(names)}
    by_frame = {places[stem]: file for stem, file in files.items()}
    facts = _facts(path, by_frame, len(names), video)
    found: dict[Key, dict[int, Keyframe]] = {}
    unread: set[str] = set()
    known = sorted(by_frame)
    for frame in known:
        for key, each in _instances(path / by_frame[frame], facts, unread)[0].items():
            keyframe = Keyframe(frame, each.xyxy, occluded=each.occluded)
            found.setdefault(key, {})[frame] = keyframe
    if unread:
        kinds = ", ".join((RECTANGLE, *sorted(FILLED)))
        _warn(f"{path}: only {kinds} are read, not {', '.join(sorted(unread))}.")
    ids = _ids(found, path)
    tracks = tuple(
        Track(track_id, key[1], _keyframes(found[key], known))
        for key, track_id in sorted(ids.items(), key=lambda pair: pair[1])
    )

    def read_masks(frame: int) -> InstanceMasks | None:
        if frame not in by_frame:
            return None
        here, boxes_only = _instances(path / by_frame[frame], facts, set())
        # A shape that came since has no track.
        known_here = {ids[key]: each for key, each in here.items() if key in ids}
        return _masks_of(known_here, facts, boxes_only)

    boxes = dataclasses.replace(facts, tracks=tracks)
    return Annotations(boxes, names, read_masks, _file_names(names, pictures))


def _masks_of(
    found: Mapping[int, Instance], video: BoxTracks, boxes_only: bool
) -> InstanceMasks | None:
    """Return the masks of a frame; None where there are boxes alone."""
    masked = {i: each.mask for i, each in sorted(found.items()) if each.mask is not None}
    if not masked and (found or boxes_only):
        return None
    masks = np.zeros((len(masked), video.height, video.width), bool)
    for index, mask in enumerate(masked.values()):
        masks[index] = mask
    return InstanceMasks(tuple(masked), masks, (1.0,) * len(masked))


def read_shapes(path: Path, video: BoxTracks) -> tuple[dict[int, Instance], bool]:
    """Return the instances of a file that we wrote, by track id, and whether it is for boxes only.

    Raises
    ------
    InputError
        Where the file is at fault, or a shape has no group.
    """
    found: dict[int, Instance] = {}
    shapes, boxes_only = _instances(path, video, set())
    for (group, _, _), instance in shapes.items():
        if group is None or group in found:
            raise InputError(f"{path}: every instance must have a group of its own. Export again.")
        found[group] = instance
    return found, boxes_only


def _warn(text: str) -> None:
    warnings.warn(text, InputWarning, stacklevel=3)


def _listed(folder: Path) -> tuple[dict[str, str], dict[str, str]]:
    """Return stem to file name of the annotations and of the pictures, in natural order."""
    if not folder.is_dir():
        raise InputError(f"There is no folder {folder}. Give the one with a JSON file a frame.")
    with reading(f"folder {folder}"), os.scandir(folder) as entries:
        names = [each.name for each in entries if each.is_file() and not each.name.startswith(".")]
    files: dict[str, str] = {}
    pictures: dict[str, str] = {}
    for name in sorted(names, key=lambda name: natural_key(os.path.splitext(name)[0])):
        stem, suffix = os.path.splitext(name)
        if suffix.lower() == SUFFIX:
            files[stem] = name
        elif suffix.lower() in SUFFIXES:
            pictures[stem] = name
    if not files:
        raise InputError(f"{folder} holds no JSON file. Give the folder with one a frame.")
    return files, pictures


def _names(
    folder: Path, files: Iterable[str], pictures: Mapping[str, str], video: VideoFacts | None
) -> list[str]:
    """Return the names of all frames."""
    if video is None:
        stems = sorted({*files, *pictures}, key=natural_key)
        return stems if pictures else list(names_of_frames(stems))
    names = list(video.frame_names)
    if strange := next(iter(set(files).difference(names)), None):
        raise InputError(
            f"{folder / strange}{SUFFIX} is no frame of the video, whose first is named "
            f'"{names[0]}". Give the video that the files were made on, or rename them.'
        )
    return names


def _file_names(names: list[str], pictures: Mapping[str, str]) -> list[str]:
    return [pictures[name] for name in names] if all(name in pictures for name in names) else []


def _content(file: Path) -> dict[str, Any]:
    return as_object(read_json(file, KIND), f"{KIND} {file}", f"a {KIND}", "shapes")


def _facts(
    folder: Path, by_frame: Mapping[int, str], num_frames: int, video: VideoFacts | None
) -> BoxTracks:
    """Return the video without tracks: all files must be of one size."""
    facts: BoxTracks | None = None
    for name in by_frame.values():
        where = f"{KIND} {folder / name}"
        content = _content(folder / name)
        height, width = (
            None if content.get(field) is None else as_whole(content[field], where, field, low=1)
            for field in ("imageHeight", "imageWidth")
        )
        said = Said(num_frames, height, width)
        here = said.of(where, video) if facts is None else facts
        if (height or here.height, width or here.width) != (here.height, here.width):
            raise InputError(
                f"{where} is {width} x {height} pixels, those before it {here.width} x "
                f"{here.height}. All frames of a video have one size."
            )
        facts = here
    assert facts is not None
    return facts


def _instances(file: Path, video: BoxTracks, unread: set[str]) -> tuple[dict[Key, Instance], bool]:
    """Return what a file holds, and whether it is for boxes only.

    Kinds of shapes that are not read are added to ``unread``.
    """
    where = f"{KIND} {file}"
    content = _content(file)
    found: dict[Key, Instance] = {}
    nth: dict[str, int] = {}
    masked = 0
    for number, item in enumerate(as_list(content.get("shapes"), where, "shapes")):
        here = f"{where}: shapes[{number}]"
        shape = as_object(item, here, "a shape", "label")
        kind = shape.get("shape_type", "polygon")
        if not isinstance(kind, str) or (kind != RECTANGLE and kind not in FILLED):
            unread.add(show(kind))
            continue
        key = _key(shape, here, nth)
        masked += kind != RECTANGLE
        check_masks(masked, video.height, video.width, where)
        mask = None if kind == RECTANGLE else mask_of(shape, video, here)
        if mask is not None and not mask.any():
            continue
        xyxy = box_of(shape, video, here) if mask is None else tight_box(mask)
        if xyxy is None:
            continue
        occluded = _flagged(shape, OCCLUDED)
        new = Instance(key[1], xyxy, mask, occluded)
        found[key] = _united(found[key], new) if key in found else new
    return found, _flagged(content, BOXES_ONLY)


def _flagged(thing: Mapping[str, Any], name: str) -> bool:
    flags = thing.get("flags")
    return isinstance(flags, dict) and flags.get(name) is True


def _key(shape: dict[str, Any], where: str, nth: dict[str, int]) -> Key:
    label = shape.get("label")
    if not isinstance(label, str):
        raise InputError(f"{where}: label must be text, got {show(label)}. Correct it.")
    group = shape.get("group_id")
    if group is None:
        nth[label] = nth.get(label, 0) + 1
        return None, label, nth[label]
    return as_whole(group, where, "group_id", low=0), label, 0


def _united(one: Instance, other: Instance) -> Instance:
    """Return two parts of an instance as one; where one has a mask, boxes say nothing more."""
    occluded = one.occluded or other.occluded
    if one.mask is not None and other.mask is not None:
        mask = one.mask | other.mask
        return Instance(one.label, tight_box(mask), mask, occluded)
    if one.mask is not None or other.mask is not None:
        filled = one if one.mask is not None else other
        return dataclasses.replace(filled, occluded=occluded)
    (ax0, ay0, ax1, ay1), (bx0, by0, bx1, by1) = one.xyxy, other.xyxy
    hull = min(ax0, bx0), min(ay0, by0), max(ax1, bx1), max(ay1, by1)
    return Instance(one.label, hull, None, occluded)


def _ids(keys: Iterable[Key], folder: Path) -> dict[Key, int]:
    """Return a track id for each instance: its group where every group has one label."""
    keys = list(keys)
    groups = [group for group, _, _ in keys if group is not None]
    if len(set(groups)) < len(groups) or 0 in groups:
        _warn(
            f"{folder}: a group is 0 or has several labels: the instances are numbered 1 to "
            f"{len(keys)}."
        )
        return {key: number for number, key in enumerate(keys, start=1)}
    after = max(groups, default=0) + 1
    loose = [key for key in keys if key[0] is None]
    ids = {key: after + number for number, key in enumerate(loose)}
    return {key: ids[key] if key[0] is None else key[0] for key in keys}


def _keyframes(found: Mapping[int, Keyframe], known: list[int]) -> tuple[Keyframe, ...]:
    """Return the keyframes, and ``outside`` in the next known frame in which there is none."""
    kept = []
    for frame, keyframe in found.items():
        kept.append(keyframe)
        after = bisect.bisect_right(known, frame)
        if after < len(known) and known[after] not in found:
            kept.append(Keyframe(known[after], None, outside=True))
    return tuple(kept)
