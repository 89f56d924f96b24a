"""Objects as MOTS files number them: ``class * 1000 + instance``, 10000 for what is ignored.

The numbers: https://www.vision.rwth-aachen.de/page/mots (Voigtlaender et al., MOTS: Multi-Object
Tracking and Segmentation, CVPR 2019). Classes are 1 car, 2 pedestrian, 10 ignored; other labels
take the numbers from 3 on, in order of name, and are read as "class 3".

An instance's number is the track's id. Read, it is the track's id again where no two classes share
a number and none is 0; otherwise the whole object number is.
"""

from __future__ import annotations

import dataclasses
import re
from typing import TYPE_CHECKING

import numpy as np

from maskfree.errors import InputError
from maskfree.formats.base import (
    DEFAULT_LABEL,
    Annotations,
    Compared,
    known_frames,
    list_names,
    loss_of_overlaps,
    loss_of_unpredicted,
    survey,
)
from maskfree.formats.compare import compare_frame
from maskfree.formats.davis import from_ids
from maskfree.formats.frame_order import loss_of_order

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from maskfree.types import InstanceMasks

__all__ = [
    "IGNORED",
    "IGNORED_CLASS",
    "PER_CLASS",
    "Plan",
    "class_of",
    "compare_objects",
    "label_of",
    "losses_of_objects",
    "nothing_to_write",
    "track_ids",
]

PER_CLASS = 1000
IGNORED_CLASS = 10
IGNORED = IGNORED_CLASS * PER_CLASS
"""The object number of what is ignored."""

_CLASSES = {"car": 1, "pedestrian": 2}
_LABELS = {number: label for label, number in _CLASSES.items()}
_NUMBERED = re.compile(r"class ([1-9][0-9]?)")
_MOST_CLASS = 64
"""The largest class whose 1000 objects a 16-bit PNG holds."""


def class_of(number: int) -> int:
    """Return the class that an object number names."""
    return number // PER_CLASS


def label_of(class_number: int) -> str:
    """Return the label of a class."""
    return _LABELS.get(class_number, f"class {class_number}")


def _class_numbers(labels: Iterable[str]) -> dict[str, int]:
    """Return the class of each label, and of the one that masks without a track have."""
    numbers, given = dict(_CLASSES), set(labels)
    for label in given:
        match = _NUMBERED.fullmatch(label)
        number = int(match[1]) if match else 0
        if number > len(_CLASSES) and number != IGNORED_CLASS and number <= _MOST_CLASS:
            numbers[label] = number
    taken = {*numbers.values(), IGNORED_CLASS}
    free = [n for n in range(len(_CLASSES) + 1, _MOST_CLASS + 1) if n not in taken]
    others = [*sorted(given - numbers.keys() - {DEFAULT_LABEL}), DEFAULT_LABEL]
    if len(others) > len(free):
        raise InputError(
            f"MOTS holds up to {len(free) - 1} labels beside car and pedestrian, but there are "
            f"{len(others) - 1}. Take the format coco or ytvis, which hold any number."
        )
    return {**numbers, **dict(zip(others, free, strict=False))}


class Plan:
    """How tracks are numbered when they are written, and what else lies in the pictures.

    Raises
    ------
    InputError
        For more labels than there are class numbers.
    """

    def __init__(self, annotations: Annotations) -> None:
        self._video = annotations.boxes
        self._labels = {track.id: track.label for track in self._video.tracks}
        self._classes = _class_numbers(self._labels.values())
        # Ids that are object numbers already, as those of a file whose classes share instances.
        self._whole = any(track_id >= PER_CLASS for track_id in self._labels)
        self._ignored = None
        if self._video.ignore:
            # OpenCV comes with it.
            from maskfree.ignore_masks import IgnoreMasks

            self._ignored = IgnoreMasks(self._video)

    def label(self, track_id: int) -> str:
        """Return the label of a track."""
        return self._labels.get(track_id, DEFAULT_LABEL)

    def number(self, track_id: int) -> int:
        """Return the object number of a track.

        Raises
        ------
        InputError
            For an id that is neither an instance's number nor an object number of its class.
        """
        label = self.label(track_id)
        own = self._classes[label]
        if self._whole and class_of(track_id) == own:
            return track_id
        if self._whole or track_id >= PER_CLASS:
            raise InputError(
                f"MOTS holds the instances 1 to {PER_CLASS - 1} of a class, but there is a track "
                f'{track_id} ("{label}", class {own}). Take the format coco or ytvis, which hold '
                "any id, or give the tracks smaller ids."
            )
        return own * PER_CLASS + track_id

    def picture(self, masks: InstanceMasks, frame: int) -> np.ndarray:
        """Return a frame's object numbers, uint16 ``(H, W)``; the higher score lies on top.

        Raises
        ------
        InputError
            As :meth:`number`, and for masks of another size than the video's.
        """
        size = self._video.height, self._video.width
        if masks.masks.shape[1:] != size:
            height, width = masks.masks.shape[1:]
            raise InputError(
                f"The masks of frame {frame} are {width} x {height} pixels, the video is {size[1]} "
                f"x {size[0]} (width x height). Predict the frame again."
            )
        objects = np.zeros(size, np.uint16)
        ignored = None if self._ignored is None else self._ignored.at(frame)
        if ignored is not None:
            objects[ignored] = IGNORED
        instances = zip(masks.scores, masks.track_ids, masks.masks, strict=True)
        for _, track_id, mask in sorted(instances, key=lambda each: (each[0], -each[1])):
            objects[mask] = self.number(track_id)
        return objects

    def losses(self, ids: set[int]) -> list[str]:
        """Name what becomes of the labels and ids of the tracks that have masks."""
        named = []
        labels = {self.label(track_id) for track_id in ids}
        others = sorted(label for label in labels if label_of(self._classes[label]) != label)
        if others:
            shown = list_names([f'{self._classes[label]} = "{label}"' for label in others])
            named.append(
                f"labels are kept as class numbers ({shown}); other tools know 1 car, 2 pedestrian"
            )
        if self._whole:
            numbers = [self.number(track_id) for track_id in sorted(ids)]
            back = track_ids({number: class_of(number) for number in numbers})
            changed = [f"{number} → {new}" for number, new in back.items() if number != new]
            if changed:
                named.append(f"ids are kept within their class alone: {list_names(changed)}")
        return named


def track_ids(classes: Mapping[int, int]) -> dict[int, int]:
    """Return the track id of each object, from object number to class; see the module."""
    instances = {number: number % PER_CLASS for number in classes}
    fit = all(class_of(number) == own for number, own in classes.items())
    if fit and all(instances.values()) and len(set(instances.values())) == len(instances):
        return instances
    return {number: number for number in classes}


def nothing_to_write(format_name: str) -> InputError:
    """Return the error for annotations without any mask."""
    return InputError(
        f"{format_name} holds masks, but no frame has any. Run `maskfree predict` first, or take "
        "the format coco, ytvis or boxes, which hold boxes."
    )


def losses_of_objects(
    annotations: Annotations, unpredicted: str, *, files: bool = False
) -> list[str]:
    """Name what pictures of object numbers do not keep.

    ``unpredicted``: what such frames get; ``files``: each frame is a file of its name.
    """
    ids = set[int]()

    def read_masks(frame: int) -> InstanceMasks | None:
        masks = annotations.read_masks(frame)
        if masks is not None:
            ids.update(i for i, m in zip(masks.track_ids, masks.masks, strict=True) if m.any())
        return masks

    found = survey(dataclasses.replace(annotations, read_masks=read_masks))
    tracks = annotations.boxes.tracks
    named = loss_of_unpredicted(annotations, found, unpredicted)
    named += loss_of_overlaps(annotations, found)
    named += Plan(annotations).losses(ids)
    if tracks:
        named.append("boxes are not kept, only masks")
    if absent := [f"{track.id}" for track in tracks if track.id not in ids]:
        named.append(f"tracks without a mask in any frame are not kept: {list_names(absent)}")
    if any(track.parent is not None for track in tracks):
        named.append("parents (divisions) are not kept")
    if annotations.boxes.ignore:
        named.append(
            "'ignore' regions become pixels of the predicted frames, without those that an "
            "instance covers"
        )
    if found.scored:
        named.append("scores are not kept")
    if annotations.boxes.fps is not None:
        named.append("frames a second are not kept")
    if files:
        named += loss_of_order(annotations.frame_names, known_frames(annotations, found))
    return named


def compare_objects(annotations: Annotations, back: Annotations) -> Compared:
    """Compare pictures of object numbers with masks that were read back by object number."""
    plan = Plan(annotations)
    frames, objects = 0, set[int]()
    for frame, name in enumerate(annotations.frame_names):
        masks, found = annotations.read_masks(frame), back.read_masks(frame)
        expected = None if masks is None else from_ids(plan.picture(masks, frame))
        if difference := compare_frame(expected, found):
            return Compared(f"frame {name}: {difference}")
        if expected is not None and found is not None:
            frames += 1
            objects.update(found.track_ids)
    return Compared("", frames, len(objects - {IGNORED}))
