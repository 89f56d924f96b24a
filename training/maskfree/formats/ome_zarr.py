"""OME-Zarr labels: a folder with an array of ids, a chunk a frame.

https://ngff.openmicroscopy.org/0.4 and …/0.5 (labels). zarr itself reads and writes it: the
metadata are a few lines of JSON, and the library ome-zarr would bring dask and a web client.

Written: version 0.4, which more tools read: ``labels/masks`` in a group, axes t, y, x, 8, 16 or 32
bit unsigned. ``image-label`` holds each track's colour and, as the property ``class``, its label;
the time axis has the frame rate as its scale; frames that were never predicted are listed under
``napari_maskfree``. Where instances overlap the higher score wins, then the smaller id.

Read: the folder of a picture with labels (there must be one label image, or one called ``masks``),
of its ``labels``, of one label image, or a bare array, of both versions. Boxes are the masks' own.
"""

from __future__ import annotations

import dataclasses
import json
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from maskfree.colours import track_colour
from maskfree.config import FormatConfig
from maskfree.errors import InputError
from maskfree.formats.base import DEFAULT_LABEL, Annotations, Compared, Format, survey
from maskfree.formats.compare import compare_masks
from maskfree.formats.label_images import (
    BoxBook,
    from_ids,
    largest_id,
    losses_of_pictures,
    picture_size,
    to_ids,
)
from maskfree.formats.zarr_labels import METADATA, LabelArray
from maskfree.interrupts import Interrupts
from maskfree.json_checks import as_list, as_number, as_object, as_whole, show
from maskfree.numbered_names import NumberedNames
from maskfree.storage import open_bytes, reading
from maskfree.types import BoxTracks, Track

if TYPE_CHECKING:
    from pathlib import Path

    from maskfree.formats.base import VideoFacts
    from maskfree.types import InstanceMasks

__all__ = ["FORMAT", "read", "read_of", "reopen", "write"]

_VERSION = "0.4"
_LABELS, _NAME, _ARRAY = "labels", "masks", "0"
_OWN, _MAX_ID = "napari_maskfree", 2**32 - 1
_ATTRIBUTES, _LONGEST_NAME = ("zarr.json", ".zattrs"), 255  # bytes: no folder has a longer one
_NAMES = {"time": "t", "channel": "c"}
_RATE_TOLERANCE = 1e-9
_KEYS, _PACKED = {"name": "v2", "separator": "/"}, {"id": "zlib", "level": 1}
_STORED = dict[str, Any](fill_value=0, zarr_format=2, chunk_key_encoding=_KEYS, compressors=_PACKED)


def write(annotations: Annotations, path: Path) -> None:
    """Write the new folder ``path``, a frame in memory at a time.

    Raises
    ------
    InputError
        When no frame has masks, they are not all of one size, or an id has more than 32 bits.
    """
    import zarr

    size, largest = picture_size(annotations, "ome-zarr"), largest_id(annotations)
    if largest > _MAX_ID:
        raise InputError(
            f"ome-zarr holds ids up to {_MAX_ID} (32 bit), but there is a track {largest}. Take "
            "the format npz, which holds any id."
        )
    dtype, length = np.min_scalar_type(largest), len(annotations.frame_names)
    image = path / _LABELS / _NAME
    image.mkdir(parents=True)
    unknown: list[list[int]] = []
    with Interrupts() as stop:
        # zarr writes in threads of its own, which go on where it is cut short: a frame is finished.
        stop.armed = True
        array = zarr.create_array(
            str(image / _ARRAY), shape=(length, *size), chunks=(1, *size), dtype=dtype, **_STORED
        )
        for frame in range(length):
            masks = annotations.read_masks(frame)
            if masks is not None:
                array[frame] = to_ids(masks, dtype)
            elif unknown and unknown[-1][1] == frame:
                unknown[-1][1] = frame + 1
            else:
                unknown.append([frame, frame + 1])
            stop.check()
    _write_group(path, {_OWN: {"version": 1}})
    _write_group(path / _LABELS, {"labels": [_NAME]})
    _write_group(image, _attributes(annotations, unknown))


def _write_group(folder: Path, attributes: dict[str, Any]) -> None:
    (folder / ".zgroup").write_text('{"zarr_format": 2}', encoding="utf-8")
    # ASCII: a label may hold half of a surrogate pair.
    (folder / ".zattrs").write_text(json.dumps(attributes, indent=1), encoding="utf-8")


def _attributes(annotations: Annotations, unknown: list[list[int]]) -> dict[str, Any]:
    boxes = annotations.boxes
    time: dict[str, Any] = {"name": "t", "type": "time"}
    step = 1.0
    if boxes.fps is not None:
        time["unit"], step = "second", 1 / boxes.fps
    axes = [time, *({"name": name, "type": "space"} for name in "yx")]
    scale = [{"type": "scale", "scale": [step, 1.0, 1.0]}]
    dataset = {"path": _ARRAY, "coordinateTransformations": scale}
    ids = [track.id for track in boxes.tracks]
    return {
        "multiscales": [
            {"version": _VERSION, "name": _NAME, "axes": axes, "datasets": [dataset]},
        ],
        "image-label": {
            "version": _VERSION,
            "colors": [{"label-value": i, "rgba": [*track_colour(i), 255]} for i in ids],
            "properties": [
                {"label-value": track.id, "class": track.label} for track in boxes.tracks
            ],
        },
        _OWN: {"unknown": unknown},
    }


def is_ours(path: Path) -> bool:
    """Return whether an export wrote this file or folder, and no other label image lies there."""
    try:
        if _OWN not in _read_attributes(path.parent):
            return False
        if path.name != _LABELS:
            return path.name in (".zgroup", ".zattrs")
        return {each.name for each in path.iterdir() if each.is_dir()} == {_NAME}
    except (OSError, InputError):
        return False


def read(path: Path) -> Annotations:
    """Read label images; as :func:`read_of` without a video."""
    return read_of(path, None)


def read_of(path: Path, video: VideoFacts | None) -> Annotations:
    """Read label images; boxes are the masks' own, a keyframe on every frame.

    Raises
    ------
    InputError
        For a folder that is none, holds several label images, is damaged, has more than one channel
        or depth; for a ``video`` of another size or length.
    """
    image = _Image(path)
    stack, length = image.stack, image.stack.length
    if video is not None and (length, *stack.size) != (video.num_frames, video.height, video.width):
        raise InputError(
            f"{path} holds {length} frames of {stack.size[1]}x{stack.size[0]} pixels, the video "
            f"{video.num_frames} frames of {video.width}x{video.height}. Give the video that the "
            "masks were made for."
        )
    known, book = image.known(), BoxBook()
    for frame in known:
        book.add(frame, stack.ids(frame))
    tracks = tuple(
        book.track(number, known, image.classes.get(number, DEFAULT_LABEL)) for number in book.ids()
    )
    fps = image.fps if video is None else video.fps or image.fps
    names = NumberedNames(length) if video is None else video.frame_names
    return Annotations(BoxTracks(length, *stack.size, fps, tracks), names, image.read_masks)


def reopen(path: Path, written: Annotations) -> Annotations:
    """Read the folder that :func:`write` made of ``written``, without its boxes."""
    image = _Image(path)
    if image.stack.length != len(written.frame_names):
        raise InputError(f"{path} has {image.stack.length} frames. Check the disk.")
    tracks = tuple(Track(number, label, ()) for number, label in image.classes.items())
    boxes = BoxTracks(image.stack.length, *image.stack.size, image.fps, tracks)
    return Annotations(boxes, written.frame_names, image.read_masks)


class _Image:
    """One label image: its largest array and what its metadata say.

    ``classes``: labels by id; ``fps``: frames a second, None where nothing says it.
    """

    def __init__(self, path: Path) -> None:
        self._path = _label_image(path)
        attributes = _read_attributes(self._path)
        where = str(self._path)
        folder, axes, self.fps = self._path, None, None
        if images := attributes.get("multiscales"):
            first = as_object(as_list(images, where, "multiscales")[0], where, "an image", "axes")
            axes = _axes(first.get("axes"), where)
            folder, self.fps = self._dataset(first, axes, where)
        self.stack = LabelArray(folder, axes)
        self.classes = _classes(attributes.get("image-label"))
        own = attributes.get(_OWN)
        self._unknown = np.zeros(self.stack.length, bool)
        for start, end in _stretches(own.get("unknown") if isinstance(own, dict) else None, where):
            self._unknown[start:end] = True

    def _dataset(self, image: dict[str, Any], axes: str, where: str) -> tuple[Path, float | None]:
        """Return the folder of the largest array, and the frame rate."""
        datasets = as_list(image.get("datasets"), where, "datasets")
        if not datasets:
            raise InputError(f"{where} has no datasets. Copy the whole folder again.")
        dataset = as_object(datasets[0], where, "a dataset", "path")
        folder = _inside(self._path, dataset.get("path"), where)
        units = [each.get("unit") for each in image["axes"] if isinstance(each, dict)]
        steps = [
            each.get("scale")
            for each in dataset.get("coordinateTransformations") or ()
            if isinstance(each, dict) and each.get("type") == "scale"
        ]
        time = axes.find("t")
        if time < 0 or len(units) <= time or units[time] != "second" or not steps:
            return folder, None
        scale = steps[0] if isinstance(steps[0], list) else []
        step = as_number(scale[time]) if len(scale) > time else None
        rate = 1 / step if step and step > 0 else None
        return folder, rate if rate and math.isfinite(rate) else None

    def known(self) -> list[int]:
        """Return the frames that somebody looked at."""
        found: list[int] = np.flatnonzero(~self._unknown).tolist()
        return found

    def read_masks(self, frame: int) -> InstanceMasks | None:
        """Return the masks of a frame, None where none are known."""
        if self._unknown[frame]:
            return None
        return from_ids(self.stack.ids(frame), f"{self._path}, frame {frame}")


def _label_image(path: Path) -> Path:
    """Return the folder of the label image that is meant by a folder."""
    if not path.is_dir():
        there = "is a file" if path.exists() else "does not exist"
        raise InputError(f"{path} {there}. Give the folder of an OME-Zarr with labels.")
    if (path / ".zarray").is_file():
        return path
    attributes = _read_attributes(path)
    if "image-label" in attributes:
        return path
    if (path / _LABELS).is_dir():
        return _label_image(path / _LABELS)
    if "multiscales" in attributes:
        raise InputError(
            f"{path} is a picture without labels. Give one that has labels, or a label image."
        )
    if "labels" not in attributes:
        if _is_array(path):
            return path
        raise InputError(f"{path} is no OME-Zarr with labels. Give the folder that holds labels.")
    names = as_list(attributes["labels"], str(path), "labels")
    chosen = names if len(names) == 1 else [name for name in names if name == _NAME]
    if len(chosen) != 1:
        raise InputError(
            f"{path} holds {len(names)} label images: {show(names)}. Give the folder of one of "
            "them."
        )
    return _inside(path, chosen[0], str(path))


def _is_array(folder: Path) -> bool:
    path = folder / METADATA[0]
    return path.is_file() and _read_json(path).get("node_type") == "array"


def _inside(folder: Path, name: object, where: str) -> Path:
    """Return a folder within ``folder`` that its metadata name."""
    text = name if isinstance(name, str) and "\0" not in name else ""
    fits = 0 < len(text.encode("utf-8", "replace")) <= _LONGEST_NAME
    if fits and folder.resolve() in (folder / text).resolve().parents:
        return folder / text
    raise InputError(
        f"{where} names {show(name)}, which is no folder within it. Copy the whole folder again, "
        "or correct the name."
    )


def _read_attributes(folder: Path) -> dict[str, Any]:
    """Return the attributes of a group or array, those of OME where there are any; else empty."""
    for name in _ATTRIBUTES:
        path = folder / name
        if path.is_file():
            content = _read_json(path)
            if name == _ATTRIBUTES[0]:
                found = content.get("attributes")
                content = found if isinstance(found, dict) else {}
            ome = content.get("ome")
            return {**content, **ome} if isinstance(ome, dict) else content
    return {}


def _read_json(path: Path) -> dict[str, Any]:
    where, most = f"{path.name} {path}", FormatConfig().line_bytes
    with open_bytes(path, path.name) as file, reading(where):
        raw = file.read(most + 1)
    try:
        found = json.loads(raw) if len(raw) <= most else None
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise InputError(f"{path} is no JSON object. Copy the whole folder again.")
    return found


def _axes(value: object, where: str) -> str:
    names = [
        each.get("name") if isinstance(each, dict) else each
        for each in as_list(value, where, "axes")
    ]
    letters = [_NAMES.get(str(name), str(name)) for name in names]
    if any(len(letter) != 1 for letter in letters):
        raise InputError(f"{where} has the axes {show(names)}. Save it as t, y, x.")
    return "".join(letters)


def _classes(value: object) -> dict[int, str]:
    properties = value.get("properties") if isinstance(value, dict) else None
    found: dict[int, str] = {}
    for each in properties if isinstance(properties, list) else ():
        if not isinstance(each, dict):
            continue
        number, label = each.get("label-value"), each.get("class")
        if isinstance(number, int) and isinstance(label, str):
            found[number] = label
    return found


def _stretches(value: object, where: str) -> list[tuple[int, int]]:
    found = []
    for each in [] if value is None else as_list(value, where, "unknown"):
        ends = [as_whole(end, where, "unknown", low=0) for end in as_list(each, where, "unknown")]
        if len(ends) != 2:
            raise InputError(f"{where}: unknown must hold pairs of frames, got {show(each)}.")
        found.append((ends[0], ends[1]))
    return found


def losses(annotations: Annotations) -> list[str]:
    """Name what label images do not keep."""
    boxes, found = annotations.boxes, survey(annotations)
    # Labels, the frame rate and which frames are known are kept.
    tracks = tuple(dataclasses.replace(track, label=DEFAULT_LABEL) for track in boxes.tracks)
    plain = dataclasses.replace(boxes, fps=None, tracks=tracks)
    names = NumberedNames(len(annotations.frame_names))
    known = dataclasses.replace(found, unpredicted=())
    named = losses_of_pictures(dataclasses.replace(annotations, boxes=plain), known, names, "")
    if any(track.parent is not None for track in boxes.tracks):
        named.append("parents (divisions) are not kept")
    return named


def compare(annotations: Annotations, back: Annotations) -> Compared:
    """Compare frame rate, labels, which frames are known, and the flattened masks."""
    one, other = annotations.boxes.fps, back.boxes.fps
    same = one == other or (
        one is not None and other is not None and math.isclose(one, other, rel_tol=_RATE_TOLERANCE)
    )
    if not same:
        return Compared(f"the frame rate is {other} instead of {one}")
    labels = {track.id: track.label for track in annotations.boxes.tracks}
    found = {track.id: track.label for track in back.boxes.tracks}

    def kept(masks: InstanceMasks) -> InstanceMasks:
        return from_ids(to_ids(masks, np.dtype(np.uint32)), "masks")

    for frame, name in enumerate(annotations.frame_names):
        masks = annotations.read_masks(frame)
        if (masks is None) != (back.read_masks(frame) is None):
            return Compared(f"frame {name}: it must tell whether masks are known")
        for track_id in () if masks is None else kept(masks).track_ids:
            label = labels.get(track_id, DEFAULT_LABEL)
            if found.get(track_id, DEFAULT_LABEL) != label:
                return Compared(f'track {track_id} is not labelled "{label}"')
    return compare_masks(annotations, back, kept=kept)


FORMAT = Format(
    name="ome-zarr",
    title="OME-Zarr: labels, a chunk a frame",
    write=write,
    read=read,
    losses=losses,
    compare=compare,
    folder=True,
    is_ours=is_ours,
    reopen=reopen,
    read_of=read_of,
)
