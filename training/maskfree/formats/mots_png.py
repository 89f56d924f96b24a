"""MOTS: a folder with one 16-bit PNG a frame, pixel = class * 1000 + instance.

The format: https://www.vision.rwth-aachen.de/page/mots; numbers as in `mots_objects.py`, 0 is
background and 10000 ignored.

Written: 16-bit grey PNGs, named by the source frame's stem. Where instances overlap the higher
score wins, then the smaller id. A frame that was never predicted gets no file.

Read: one folder of such PNGs; which frame a file is, is told as in `davis.py`.
"""

from __future__ import annotations

import dataclasses
import functools
import os
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from maskfree.errors import InputError
from maskfree.formats.base import Annotations, Format, keyframes
from maskfree.formats.box_files import Said
from maskfree.formats.davis import check_names, from_ids, png_path
from maskfree.formats.frame_order import place_files
from maskfree.formats.ignored import Ignored
from maskfree.formats.indexed_png import encode_grey, is_ours, list_pngs, read_ids
from maskfree.formats.limits import check_masks
from maskfree.formats.mots_objects import (
    IGNORED,
    PER_CLASS,
    Plan,
    class_of,
    compare_objects,
    label_of,
    losses_of_objects,
    nothing_to_write,
    track_ids,
)
from maskfree.types import InstanceMasks, Track

if TYPE_CHECKING:
    from pathlib import Path

    from maskfree.formats.base import VideoFacts
    from maskfree.types import Box

__all__ = ["FORMAT", "read", "reopen", "write"]


def write(annotations: Annotations, path: Path) -> None:
    """Write one PNG for each frame that has masks into the new folder ``path``.

    Raises
    ------
    InputError
        When no frame has masks, they are not of the video's size, a frame's name cannot name a
        file, or as :class:`Plan`.
    """
    check_names(annotations.frame_names)
    path.mkdir()
    plan, known = Plan(annotations), False
    for frame, name in enumerate(annotations.frame_names):
        masks = annotations.read_masks(frame)
        if masks is None:
            continue
        known = True
        with open(png_path(path, name), "wb") as file:
            file.write(encode_grey(plan.picture(masks, frame)))
    if not known:
        raise nothing_to_write("mots-png")


def read(path: Path) -> Annotations:
    """Read a folder of PNGs; see :func:`read_of`."""
    return read_of(path, None)


def read_of(path: Path, video: VideoFacts | None) -> Annotations:
    """Read a folder of PNGs; boxes are the masks' own, a keyframe on every annotated frame.

    ``video``: whose frames they are; None: the files are all that is known of it.

    Raises
    ------
    InputError
        For a folder without PNGs, a file that is no mask, files of different sizes, those that are
        not of the ``video``, and pixels that are no object numbers.
    """
    files = list_pngs(path)
    names, stems = place_files(list(files), video, path)
    by_frame = {frame: files[stem] for frame, stem in stems.items()}
    scan = _Scan()
    for frame, file in by_frame.items():
        scan.add(frame, path / file)
    ids = track_ids({number: class_of(number) for number in scan.boxes})
    tracks = [
        Track(track_id, label_of(class_of(number)), keyframes(scan.boxes[number], by_frame))
        for number, track_id in sorted(ids.items(), key=lambda pair: pair[1])
    ]
    height, width = scan.shape
    facts = Said(len(names), height, width).of(str(path), video)
    facts = dataclasses.replace(facts, tracks=tuple(tracks))
    ignore = scan.ignored.regions(facts, str(path))

    def read_masks(frame: int) -> InstanceMasks | None:
        if frame not in by_frame:
            return None
        objects = _objects(path / by_frame[frame])
        objects[objects == IGNORED] = 0
        masks = from_ids(objects)
        found = [ids[number] for number in masks.track_ids]
        order = np.argsort(found, kind="stable").tolist()
        sorted_ids = tuple(found[n] for n in order)
        return dataclasses.replace(masks, track_ids=sorted_ids, masks=masks.masks[order])

    return Annotations(dataclasses.replace(facts, ignore=ignore), names, read_masks)


def _objects(path: str | os.PathLike[str]) -> np.ndarray:
    """Return the object numbers of one PNG, uint16 ``(H, W)``."""
    objects = read_ids(path)
    numbers = np.flatnonzero(np.bincount(objects.ravel()))
    wrong = numbers[(numbers > 0) & (numbers < PER_CLASS)]
    if len(wrong):
        raise InputError(
            f"{path} has pixels of {wrong[0]}, expected class * {PER_CLASS} + instance. If they "
            "are instances without a class, read the folder as davis."
        )
    height, width = objects.shape
    check_masks(len(numbers), height, width, str(path))
    return objects.astype(np.uint16)


class _Scan:
    """One walk over the files: their size, each object's boxes, what is ignored."""

    def __init__(self) -> None:
        self.shape: tuple[int, ...] = ()
        self.boxes: dict[int, dict[int, Box]] = {}
        self.ignored = Ignored()

    def add(self, frame: int, path: Path) -> None:
        """Look at the file of ``frame``."""
        objects = _objects(path)
        self.shape = self.shape or objects.shape
        if objects.shape != self.shape:
            raise InputError(
                f"{path} is {objects.shape[1]}x{objects.shape[0]}, the masks before it are "
                f"{self.shape[1]}x{self.shape[0]}. All masks of a video have one size."
            )
        numbers = np.flatnonzero(np.bincount(objects.ravel()))
        # By place among the numbers that are there: few of many.
        places = np.zeros(numbers[-1] + 1, np.uint16)
        numbers = numbers[numbers > 0]
        places[numbers] = np.arange(1, len(numbers) + 1)
        parts = ndimage.find_objects(places[objects])
        for number, (y, x) in zip(numbers.tolist(), parts, strict=True):
            if number == IGNORED:
                self.ignored.mask(frame, objects == IGNORED)
            else:
                box = (float(x.start), float(y.start), float(x.stop), float(y.stop))
                self.boxes.setdefault(number, {})[frame] = box


def reopen(path: Path, written: Annotations) -> Annotations:
    """Read the folder that :func:`write` made of ``written``: masks by object number, no tracks."""

    def read_masks(frame: int) -> InstanceMasks | None:
        file = png_path(path, written.frame_names[frame])
        return from_ids(_objects(file)) if os.path.isfile(file) else None

    video = dataclasses.replace(written.boxes, tracks=(), ignore=())
    return Annotations(video, written.frame_names, read_masks)


def losses(annotations: Annotations) -> list[str]:
    """Name what a folder of object numbers does not keep."""
    return losses_of_objects(annotations, "get no PNG", files=True)


FORMAT = Format(
    name="mots-png",
    title="MOTS: one 16-bit PNG a frame",
    write=write,
    read=read,
    losses=losses,
    compare=compare_objects,
    folder=True,
    is_ours=functools.partial(is_ours, mode="I;16"),
    reopen=reopen,
    read_of=read_of,
)
