"""TIFF: one stack of label pictures, a page a frame, pixel = track id.

Written: 8, 16 or 32 bit unsigned, as small as holds the ids, Deflate, a page in memory at a time
(BigTIFF where it may grow beyond 4 GB). Where instances overlap the higher score wins, then the
smaller id. A frame that was never predicted is a page without ids.

Read: stacks of label pictures as tifffile, ImageJ and OME tools write them, one channel, a page a
frame; a stack without time is taken for one over time. Whole floats are ids too: ImageJ knows no
32-bit whole numbers. Every page counts as looked at. A video that is given names the frames.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

import numpy as np

from maskfree.errors import InputError
from maskfree.formats.base import Annotations, Format, VideoFacts, survey
from maskfree.formats.compare import compare_masks
from maskfree.formats.label_images import (
    BoxBook,
    from_ids,
    largest_id,
    losses_of_pictures,
    picture_size,
    to_ids,
)
from maskfree.formats.label_tiff import LabelTiff, write_stack
from maskfree.numbered_names import NumberedNames
from maskfree.types import BoxTracks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from maskfree.formats.base import Compared
    from maskfree.types import InstanceMasks

__all__ = ["FORMAT", "read", "write"]

_MAX_ID = 2**32 - 1
_OME_SIZES = re.compile(r'\bSize([CZT])="(\d{1,9})"')
_IMAGEJ_SIZES = re.compile(r"^(channels|slices|frames|images)=(\d{1,9})\s*$", re.MULTILINE)


def write(annotations: Annotations, path: Path) -> None:
    """Write the masks as one stack, a frame in memory at a time.

    Raises
    ------
    InputError
        When no frame has masks, they are not all of one size, or an id has more than 32 bits.
    """
    size, largest = picture_size(annotations, "tiff"), largest_id(annotations)
    if largest > _MAX_ID:
        raise InputError(
            f"tiff holds ids up to {_MAX_ID} (32 bit), but there is a track {largest}. Take the "
            "format npz, which holds any id."
        )
    dtype = np.min_scalar_type(largest)

    def pages() -> Iterator[np.ndarray]:
        for frame in range(len(annotations.frame_names)):
            masks = annotations.read_masks(frame)
            yield np.zeros(size, dtype) if masks is None else to_ids(masks, dtype)

    write_stack(path, pages(), (len(annotations.frame_names), *size), dtype)


def read(path: Path) -> Annotations:
    """Read a stack; as :func:`read_of` without a video."""
    return read_of(path, None)


def read_of(path: Path, video: VideoFacts | None) -> Annotations:
    """Read a stack; boxes are the masks' own, a keyframe on every frame.

    Raises
    ------
    InputError
        For a file that is no TIFF, is damaged, holds no ids, more than one channel, or depth and
        time; for a ``video`` of another size or length.
    """
    stack = LabelTiff(path)
    _check_one_axis(stack, path)
    book = BoxBook()
    for frame in range(stack.length):
        book.add(frame, stack.ids(frame))
    tracks = tuple(book.track(number, range(stack.length)) for number in book.ids())
    fps = None
    if video is not None:
        _check_video(stack, path, video)
        fps = video.fps
    names = NumberedNames(stack.length) if video is None else video.frame_names
    boxes = BoxTracks(stack.length, *stack.size, fps, tracks)
    return Annotations(boxes, names, _reader(stack, path))


def reopen(path: Path, written: Annotations) -> Annotations:
    """Read the stack that :func:`write` made of ``written``, without its boxes."""
    stack = LabelTiff(path)
    if stack.length != len(written.frame_names):
        raise InputError(f"{path} has {stack.length} pages. Check the disk, and export again.")
    boxes = BoxTracks(stack.length, *stack.size, None, ())
    return Annotations(boxes, written.frame_names, _reader(stack, path))


def _reader(stack: LabelTiff, path: Path) -> Callable[[int], InstanceMasks]:
    return lambda frame: from_ids(stack.ids(frame), f"{path}, page {frame}")


def _check_one_axis(stack: LabelTiff, path: Path) -> None:
    """Refuse stacks whose pages are not one a frame, as far as the file tells."""
    sizes = [int(number) for _, number in _OME_SIZES.findall(stack.description)]
    if stack.description.startswith("ImageJ="):
        found = dict(_IMAGEJ_SIZES.findall(stack.description))
        images = int(found.pop("images", stack.length))
        sizes = [int(number) for number in found.values()] or [images]
        sizes = sizes if math.prod(sizes) == images else [images, 0]
    if not sizes:
        return
    if sum(size != 1 for size in sizes) > 1 or math.prod(sizes) != stack.length:
        raise InputError(
            f"{path} is said to hold {' x '.join(map(str, sizes))} pictures over channels, depth "
            f"and time, and has {stack.length} pages. Save one channel of one plane, a page a "
            "frame."
        )


def _check_video(stack: LabelTiff, path: Path, video: VideoFacts) -> None:
    if (stack.length, *stack.size) != (video.num_frames, video.height, video.width):
        raise InputError(
            f"{path} holds {stack.length} pages of {stack.size[1]}x{stack.size[0]} pixels, the "
            f"video {video.num_frames} frames of {video.width}x{video.height}. Give the video that "
            "the masks were made for."
        )


def losses(annotations: Annotations) -> list[str]:
    """Name what a stack of ids does not keep."""
    names = NumberedNames(len(annotations.frame_names))
    unpredicted = "become pages without ids, as if nothing were there"
    named = losses_of_pictures(annotations, survey(annotations), names, unpredicted)
    if any(track.parent is not None for track in annotations.boxes.tracks):
        named.append("parents (divisions) are not kept")
    return named


def compare(annotations: Annotations, back: Annotations) -> Compared:
    """Compare the flattened masks with the ones read back."""

    def kept(masks: InstanceMasks) -> InstanceMasks:
        return from_ids(to_ids(masks, np.dtype(np.uint32)), "masks")

    return compare_masks(annotations, back, kept=kept)


FORMAT = Format(
    name="tiff",
    title="TIFF: one stack of labels",
    write=write,
    read=read,
    losses=losses,
    compare=compare,
    reopen=reopen,
    read_of=read_of,
    holds_classes=False,
)
