"""Masks as pictures of ids: one number a pixel, 0 is background, the higher score lies on top.

What formats made of such pictures share, whatever file holds them.
"""

from __future__ import annotations

import bisect
from array import array
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from maskfree.config import FormatConfig
from maskfree.errors import InputError
from maskfree.formats.base import DEFAULT_LABEL, keyframes, list_names, loss_of_unpredicted
from maskfree.types import InstanceMasks, Track

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from maskfree.formats.base import Annotations, Survey
    from maskfree.types import Box, BoxTracks

__all__ = [
    "BoxBook",
    "from_ids",
    "has_extras",
    "largest_id",
    "losses_of_pictures",
    "picture_size",
    "to_ids",
    "visible",
]

_NARROW = 2
"""Bytes of the widest ids that are counted in a table of all of them."""


def to_ids(masks: InstanceMasks, dtype: np.dtype, numbers: Sequence[int] = ()) -> np.ndarray:
    """Return the masks as one picture of ids, ``(H, W)``; the higher score lies on top.

    Of equal scores the smaller id does. ``dtype``: unsigned, wide enough for the ids; ``numbers``:
    written instead of the masks' own ids.
    """
    table = np.array((0, *(numbers or masks.track_ids)), dtype)
    return np.take(table, _tops(masks))


def visible(masks: InstanceMasks) -> list[int]:
    """Return the places of the masks of which a pixel is left in :func:`to_ids`, in order."""
    counts = np.bincount(_tops(masks).ravel(), minlength=1)
    return [int(place) for place in np.flatnonzero(counts[1:])]


def _tops(masks: InstanceMasks) -> np.ndarray:
    """Return which mask lies on top of each pixel, counted from 1, 0: none."""
    tops = np.zeros(masks.masks.shape[1:], np.intp)
    order = range(len(masks.track_ids))
    for place in sorted(order, key=lambda n: (masks.scores[n], -masks.track_ids[n])):
        tops[masks.masks[place]] = place + 1
    return tops


def from_ids(ids: np.ndarray, where: str) -> InstanceMasks:
    """Return a picture of ids as masks, in order of id, with score 1.

    ``ids``: unsigned ``(H, W)``; ``where`` begins the message.

    Raises
    ------
    InputError
        For so many ids that their masks would not fit into memory.
    """
    found = _found(ids)
    most = FormatConfig().frame_pixels
    if len(found) * ids.size > most:
        raise InputError(
            f"{where}: {len(found)} ids of {ids.size} pixels each take more than {most} bytes, "
            "which is the most that one frame's masks may take. Check that it is a picture of ids."
        )
    masks = np.zeros((len(found), *ids.shape), bool)
    for index, track_id in enumerate(found):
        np.equal(ids, track_id, out=masks[index])
    return InstanceMasks(tuple(int(each) for each in found), masks, (1.0,) * len(found))


def _found(ids: np.ndarray) -> np.ndarray:
    """Return the ids of a picture in order, without the background."""
    if ids.dtype.itemsize <= _NARROW:
        found = np.flatnonzero(np.bincount(ids.ravel()))
    else:
        found = np.unique(ids)
    return found[found > 0]


class BoxBook:
    """Collects the tight boxes of pictures of ids, and makes tracks of them."""

    def __init__(self) -> None:
        # Packed: objects for every frame and track would take a multiple.
        self._places: dict[int, array[int]] = {}

    def add(self, frame: int, ids: np.ndarray) -> None:
        """Take the boxes of one frame; frames come in order."""
        numbers: Iterable[int] = range(1, np.iinfo(ids.dtype).max + 1)
        if ids.dtype.itemsize > _NARROW:
            found = _found(ids)
            numbers = found.tolist()
            ids = np.where(ids > 0, np.searchsorted(found, ids) + 1, 0)
        for number, place in zip(numbers, ndimage.find_objects(ids), strict=False):
            if place is not None:
                y, x = place
                book = self._places.setdefault(number, array("q"))
                book.extend((frame, x.start, y.start, x.stop, y.stop))

    def track(
        self, number: int, known: Sequence[int], label: str = DEFAULT_LABEL, parent: int = 0
    ) -> Track:
        """Return the track of an id: a keyframe on every frame; ``known``: frames looked at."""
        book = self._places.get(number, array("q"))
        if book:  # nothing is to be said before its first frame, one thing after its last
            first = bisect.bisect_left(known, book[0])
            known = known[first : bisect.bisect_right(known, book[-5]) + 1]
        boxes: dict[int, Box] = {
            book[n]: (
                float(book[n + 1]),
                float(book[n + 2]),
                float(book[n + 3]),
                float(book[n + 4]),
            )
            for n in range(0, len(book), 5)
        }
        return Track(number, label, keyframes(boxes, known), parent or None)

    def ids(self) -> list[int]:
        """Return the ids in order."""
        return sorted(self._places)


def largest_id(annotations: Annotations) -> int:
    """Return the largest id of all masks, 0 where there is none; walks over them."""
    read, frames = annotations.read_masks, range(len(annotations.frame_names))
    every = (masks for frame in frames if (masks := read(frame)) is not None)
    return max((number for masks in every for number in masks.track_ids), default=0)


def picture_size(annotations: Annotations, name: str) -> tuple[int, int]:
    """Return height and width of the masks, in pixels.

    Raises
    ------
    InputError
        Where no frame has masks (``name``: the format's), or they are of several sizes.
    """
    size: tuple[int, ...] = ()
    for frame, frame_name in enumerate(annotations.frame_names):
        masks = annotations.read_masks(frame)
        if masks is None:
            continue
        shape = masks.masks.shape[1:]
        size = size or shape
        if shape != size:
            raise InputError(
                f"The masks of frame {frame_name} are {shape[1]}x{shape[0]} pixels, those before "
                f"it {size[1]}x{size[0]}. All masks of a video have one size; predict this one "
                "again."
            )
    if not size:
        raise InputError(
            f"{name} holds masks, but no frame has any. Run `maskfree predict` first, or take a "
            "format that holds boxes, as boxes or npz."
        )
    return size[0], size[1]


def losses_of_pictures(
    annotations: Annotations, found: Survey, names: Iterable[str], unpredicted: str
) -> list[str]:
    """Name what pictures of ids do not keep; divisions are the format's own affair.

    ``names``: what the frames are called when they are read again; ``unpredicted``: what becomes of
    frames that were never predicted.
    """
    boxes = annotations.boxes
    named = loss_of_unpredicted(annotations, found, unpredicted)
    if found.overlapping:
        frames = list_names([annotations.frame_names[frame] for frame in found.overlapping])
        named.append(
            "a pixel has one id: where instances overlap, the higher score, then the smaller id "
            f"wins (frames {frames})"
        )
    if labels := sorted({track.label for track in boxes.tracks} - {DEFAULT_LABEL}):
        named.append(f"labels are not kept: {list_names(labels)}")
    if boxes.tracks or annotations.read_boxes is not None:
        named.append("boxes are not kept, only masks")
    if boxes.ignore:
        named.append("'ignore' regions are not kept")
    if found.scored:
        named.append("scores are not kept")
    for frame, (had, has) in enumerate(zip(annotations.frame_names, names, strict=True)):
        if had != has:
            named.append(f'names of frames are not kept: frame {frame} is "{had}"')
            break
    if boxes.fps is not None:
        named.append("the frame rate is not kept")
    if has_extras(boxes):
        named.append("fields of the boxes file that we do not know are not kept")
    return named


def has_extras(boxes: BoxTracks) -> bool:
    """Return whether any field came along that we do not know."""
    return bool(
        boxes.extra
        or any(region.extra for region in boxes.ignore)
        or any(track.extra for track in boxes.tracks)
        or any(keyframe.extra for track in boxes.tracks for keyframe in track.keyframes)
    )
