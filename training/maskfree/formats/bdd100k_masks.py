"""BDD100K's MOTS bitmasks: a folder with one RGBA PNG a frame.

https://doc.bdd100k.com/format.html#instance-segmentation-tracking: red is the category, green the
attributes (``truncated`` 8, ``occluded`` 4, ``crowd`` 2, ``ignored`` 1), blue * 256 + alpha the
instance. Categories: 1 pedestrian, 2 rider, 3 car, 4 truck, 5 bus, 6 train, 7 motorcycle, 8
bicycle; other labels take the numbers from 9 on, in order of name, and are read as "class 9".

Written: named by the source frame's stem. Where instances overlap the higher score wins, then the
smaller id. A frame that was never predicted gets no file. Ignore regions are ``ignored`` pixels
without an instance.

Read: one folder of such PNGs; which frame a file is, is told as in `davis.py`.
"""

from __future__ import annotations

import dataclasses
import functools
import os
import re
import warnings
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from maskfree.errors import InputError, InputWarning
from maskfree.formats.base import (
    DEFAULT_LABEL,
    Annotations,
    Compared,
    Format,
    known_frames,
    list_names,
    loss_of_overlaps,
    loss_of_unpredicted,
    survey,
)
from maskfree.formats.box_arrays import BoxArrays
from maskfree.formats.box_files import Said, losses_of_boxes
from maskfree.formats.davis import check_names, png_path
from maskfree.formats.frame_order import loss_of_order, place_files
from maskfree.formats.ignored import Ignored
from maskfree.formats.indexed_png import encode_rgba, is_ours, list_pngs, read_rgba
from maskfree.formats.instances import Instance, Shown, difference
from maskfree.formats.label_images import to_ids, visible
from maskfree.formats.limits import check_masks
from maskfree.formats.ytvis_walk import CROWD as COCO_CROWD
from maskfree.json_checks import show
from maskfree.types import InstanceMasks, Track

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from maskfree.formats.base import VideoFacts

__all__ = ["FORMAT", "read", "reopen", "write"]

_LABELS = dict(
    enumerate(
        ("pedestrian", "rider", "car", "truck", "bus", "train", "motorcycle", "bicycle"), start=1
    )
)
_NUMBERED = re.compile(r"class ([1-9][0-9]{0,2})")
_MOST_CATEGORY, _MOST_ID = 255, 2**16 - 1
_OCCLUDED, _CROWD, _IGNORED = 4, 2, 1
_KEPT = frozenset(("crowd", "occluded"))


def _label_of(category: int) -> str:
    return _LABELS.get(category, f"class {category}")


def _categories(labels: Iterable[str]) -> dict[str, int]:
    """Return the category of each label, and of the one that masks without a track have."""
    found = {label: number for number, label in _LABELS.items()}
    given = {*labels, DEFAULT_LABEL}
    for label in given:
        match = _NUMBERED.fullmatch(label)
        if match and len(_LABELS) < int(match[1]) <= _MOST_CATEGORY:
            found[label] = int(match[1])
    free = [n for n in range(len(_LABELS) + 1, _MOST_CATEGORY + 1) if n not in found.values()]
    others = sorted(given - found.keys())
    if len(others) > len(free):
        raise InputError(
            f"bdd100k-masks holds up to {_MOST_CATEGORY} labels, but there are {len(given)}. Take "
            "the format bdd100k, which holds any number."
        )
    return {**found, **dict(zip(others, free, strict=False))}


class _Plan:
    """What is written of annotations: categories, attributes, ignored parts."""

    def __init__(self, annotations: Annotations) -> None:
        video = annotations.boxes
        self._annotations, self._shown = annotations, Shown(annotations)
        self.categories = _categories(track.label for track in video.tracks)
        self._ignored = None
        if video.ignore:
            # OpenCV comes with it.
            from maskfree.ignore_masks import IgnoreMasks

            self._ignored = IgnoreMasks(video)

    def visible(self, frame: int) -> tuple[InstanceMasks, dict[int, Instance]] | None:
        """Return a frame's masks and those instances that are seen; None: never predicted."""
        masks = self._annotations.read_masks(frame)
        if masks is None:
            return None
        here = self._shown.at(frame)
        seen = [masks.track_ids[place] for place in visible(masks)]
        if max(seen, default=0) > _MOST_ID:
            raise InputError(
                f"bdd100k-masks holds ids up to {_MOST_ID}, but there is a track {max(seen)}. "
                "Take the format bdd100k, which holds any id."
            )
        return masks, {track_id: here[track_id] for track_id in seen}

    def picture(self, frame: int) -> np.ndarray | None:
        """Return a frame as uint8 ``(H, W, 4)``; None: never predicted."""
        found = self.visible(frame)
        if found is None:
            return None
        masks, seen = found
        colours = np.zeros((len(masks.track_ids) + 1, 4), np.uint8)
        for place, track_id in enumerate(masks.track_ids, start=1):
            if (each := seen.get(track_id)) is not None:
                green = _OCCLUDED * each.occluded + _CROWD * each.crowd
                red = self.categories[each.label]
                colours[place] = (red, green, track_id >> 8, track_id & 255)
        places = to_ids(masks, np.dtype(np.intp), range(1, len(masks.track_ids) + 1))
        picture: np.ndarray = colours[places]
        ignored = None if self._ignored is None else self._ignored.at(frame)
        if ignored is not None:
            picture[ignored & (places == 0)] = (0, _IGNORED, 0, 0)
        return picture


def write(annotations: Annotations, path: Path) -> None:
    """Write one PNG for each frame that has masks into the new folder ``path``.

    Raises
    ------
    InputError
        When no frame has masks, they are not of the video's size, there are too many labels, an id
        has more than 16 bits, or a frame's name cannot name a file.
    """
    check_names(annotations.frame_names)
    path.mkdir()
    plan, known = _Plan(annotations), False
    for frame, name in enumerate(annotations.frame_names):
        picture = plan.picture(frame)
        if picture is None:
            continue
        known = True
        with open(png_path(path, name), "wb") as file:
            file.write(encode_rgba(picture))
    if not known:
        raise InputError(
            "bdd100k-masks holds masks, but no frame has any. Run `maskfree predict` first, or "
            "take the format bdd100k or boxes, which hold boxes."
        )


def _instances(
    path: str | os.PathLike[str], ignored: Callable[[np.ndarray], None] | None = None
) -> tuple[dict[int, Instance], tuple[int, int]]:
    """Return the instances of one PNG by id, and its height and width.

    ``ignored`` is handed what is ignored, bool ``(H, W)``, where there is any.
    """
    picture = read_rgba(path)
    size = picture.shape[0], picture.shape[1]
    red, green, blue, alpha = (picture[..., n] for n in range(4))
    ids = blue.astype(np.uint16) << 8 | alpha
    lost = (green & _IGNORED > 0) | ((red > 0) & (ids == 0))
    if ignored is not None and lost.any():
        ignored(lost)
    ids[lost | (red == 0)] = 0
    numbers = np.flatnonzero(np.bincount(ids.ravel()))
    numbers = numbers[numbers > 0]
    check_masks(len(numbers), *size, str(path))
    places = np.zeros(int(numbers[-1]) + 1 if len(numbers) else 1, np.uint16)
    places[numbers] = np.arange(1, len(numbers) + 1)
    found = {}
    for number, (y, x) in zip(numbers.tolist(), ndimage.find_objects(places[ids]), strict=True):
        mask = ids == number
        first = np.argmax(mask)
        category, flags = int(red.flat[first]), int(green.flat[first])
        if (red[mask] != category).any():
            raise InputError(
                f"{path}: instance {number} has several categories (red). Each instance has one; "
                "write the file again."
            )
        box = (float(x.start), float(y.start), float(x.stop), float(y.stop))
        occluded, crowd = bool(flags & _OCCLUDED), bool(flags & _CROWD)
        found[number] = Instance(_label_of(category), box, mask, occluded, crowd=crowd)
    return found, size


def read(path: Path) -> Annotations:
    """Read a folder of PNGs; see :func:`read_of`."""
    return read_of(path, None)


def read_of(path: Path, video: VideoFacts | None) -> Annotations:
    """Read a folder of PNGs; boxes are the masks' own, a keyframe on every annotated frame.

    ``video``: whose frames they are; None: the files are all that is known of it.

    Raises
    ------
    InputError
        For a folder without PNGs, a file that is no RGBA PNG, files of different sizes, those that
        are not of the ``video``, and an instance with several categories.
    """
    files = list_pngs(path)
    names, stems = place_files(list(files), video, path)
    by_frame = {frame: files[stem] for frame, stem in stems.items()}
    size, ignored = (0, 0), Ignored()
    boxes: dict[int, BoxArrays] = {}
    labels: dict[int, str] = {}
    crowds, several = set[int](), set[int]()
    for frame, file in by_frame.items():
        here, shape = _instances(path / file, functools.partial(ignored.mask, frame))
        size = size if any(size) else shape
        if shape != size:
            raise InputError(
                f"{path / file} is {shape[1]}x{shape[0]}, the masks before it are "
                f"{size[1]}x{size[0]}. All masks of a video have one size."
            )
        for number, each in here.items():
            boxes.setdefault(number, BoxArrays()).put(frame, each.xyxy, each.occluded)
            if labels.setdefault(number, each.label) != each.label:
                several.add(number)
            if each.crowd:
                crowds.add(number)
    if several:
        warnings.warn(
            f"{path}: a track has one label, but these have several categories: "
            f"{show(sorted(several))}. Each keeps its first.",
            InputWarning,
            stacklevel=2,
        )
    known = np.fromiter(by_frame, np.int64, len(by_frame))
    tracks = tuple(
        Track(
            number,
            labels[number],
            boxes[number].keyframes(known, f"{path}: track {number}"),
            extra={COCO_CROWD: 1} if number in crowds else {},
        )
        for number in sorted(boxes)
    )

    def read_masks(frame: int) -> InstanceMasks | None:
        if frame not in by_frame:
            return None
        here, shape = _instances(path / by_frame[frame])
        masks = np.zeros((len(here), *shape), bool)
        for index, each in enumerate(here.values()):
            masks[index] = each.mask
        return InstanceMasks(tuple(here), masks, (1.0,) * len(here))

    facts = dataclasses.replace(Said(len(names), *size).of(str(path), video), tracks=tracks)
    ignore = ignored.regions(facts, str(path))
    return Annotations(dataclasses.replace(facts, ignore=ignore), names, read_masks)


@dataclasses.dataclass(frozen=True)
class _Reopened(Annotations):
    """What an export wrote, looked up a frame at a time."""

    read_shown: Callable[[int], dict[int, Instance] | None] = lambda frame: None


def reopen(path: Path, written: Annotations) -> Annotations:
    """Read the folder that :func:`write` made of ``written``, a frame when it is asked for."""

    def read_shown(frame: int) -> dict[int, Instance] | None:
        file = png_path(path, written.frame_names[frame])
        return _instances(file)[0] if os.path.isfile(file) else None

    video = dataclasses.replace(written.boxes, tracks=(), ignore=())
    return _Reopened(video, written.frame_names, lambda frame: None, read_shown=read_shown)


def losses(annotations: Annotations) -> list[str]:
    """Name what a folder of bitmasks does not keep."""
    found, boxes = survey(annotations), annotations.boxes
    named = loss_of_unpredicted(annotations, found, "get no PNG")
    named += loss_of_overlaps(annotations, found)
    categories = _categories(track.label for track in boxes.tracks)
    labels = {track.label for track in boxes.tracks}
    if others := sorted(label for label in labels if _label_of(categories[label]) != label):
        shown = list_names([f'{categories[label]} = "{label}"' for label in others])
        named.append(f"labels are kept as category numbers ({shown}); BDD100K has 1 to 8")
    if boxes.tracks or annotations.read_boxes is not None:
        named.append("boxes are not kept, only masks")
    if any(keyframe.occluded for track in boxes.tracks for keyframe in track.keyframes):
        named.append("'occluded' is kept only in frames where the object has a mask")
    if boxes.ignore:
        named.append(
            "'ignore' regions become pixels of the predicted frames, without those that an "
            "instance covers"
        )
    plain = dataclasses.replace(annotations, boxes=dataclasses.replace(boxes, ignore=()))
    named += losses_of_boxes(plain, own=COCO_CROWD, masks=True, names=True)
    if found.scored:
        named.append("scores are not kept")
    return named + loss_of_order(annotations.frame_names, known_frames(annotations, found))


def compare(annotations: Annotations, back: Annotations) -> Compared:
    """Compare what is seen of the masks with what was read back, its label and attributes."""
    plan, frames, tracks = _Plan(annotations), 0, set[int]()
    for frame, name in enumerate(annotations.frame_names):
        wanted = plan.visible(frame)
        found = back.read_shown(frame) if isinstance(back, _Reopened) else _shown(back, frame)
        if (found is None) != (wanted is None):
            return Compared(f"frame {name}: its file is missing, or there should be none")
        if wanted is None or found is None:
            continue
        masks, seen = wanted
        ids = to_ids(masks, np.dtype(np.intp))
        expected = {
            i: dataclasses.replace(
                each,
                mask=ids == i,
                label=_label_of(plan.categories[each.label]),
                xyxy=found[i].xyxy if i in found else each.xyxy,
            )
            for i, each in seen.items()
        }
        if said := difference(expected, found, _KEPT):
            return Compared(f"frame {name}: {said}")
        frames += 1
        tracks.update(found)
    return Compared("", frames, len(tracks))


def _shown(back: Annotations, frame: int) -> dict[int, Instance] | None:
    return None if back.read_masks(frame) is None else Shown(back).at(frame)


FORMAT = Format(
    name="bdd100k-masks",
    title="BDD100K: MOTS bitmasks, one RGBA PNG a frame",
    write=write,
    read=read,
    losses=losses,
    compare=compare,
    folder=True,
    is_ours=functools.partial(is_ours, mode="RGBA"),
    reopen=reopen,
    read_of=read_of,
)
