"""What a data set is: videos of many instances each, by their boxes; masks only where asked for."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import numpy as np

__all__ = ["DataInstance", "DataVideo", "Skipped", "VideoDataset"]


@dataclasses.dataclass(frozen=True, eq=False, slots=True)
class DataInstance:
    """One object of one video.

    ``id``: the annotation's own, of the file; ``class_index``: its place in
    ``VideoDataset.classes``; ``boxes``: float32 ``(T, 4)``, half-open ``xyxy`` in pixels of the
    video, within the frame, NaN where the object is absent; ``crowd``: it covers a group, or
    something that is neither object nor background; ``segments``: compressed run lengths
    (:mod:`maskfree.rle`) of its mask by frame, None where the data set was opened without masks.
    """

    id: int
    class_index: int
    boxes: np.ndarray
    crowd: bool = False
    segments: Mapping[int, str] | None = None


@dataclasses.dataclass(frozen=True, eq=False, slots=True)
class DataVideo:
    """One video: ``files`` are its T pictures in order, relative to ``VideoDataset.root``.

    ``id`` is the file's own; ``name`` is unique in the data set; ``height`` and ``width`` are in
    pixels. A picture of a data set of images is a video of one frame.
    """

    id: int
    name: str
    height: int
    width: int
    files: tuple[str, ...]
    instances: tuple[DataInstance, ...]


@dataclasses.dataclass(frozen=True)
class Skipped:
    """Something of a data set that is not used: ``what`` it is, and ``why``."""

    what: str
    why: str


@dataclasses.dataclass(frozen=True, eq=False)
class VideoDataset:
    """A data set: ``videos`` in the order of its file, each with a box at least.

    ``root``: the folder of the pictures; ``class_ids``: the category ids of ``classes`` as they
    were published, which results for an evaluation server carry; ``skipped``: what of the file is
    left out.
    """

    name: str
    root: Path
    classes: tuple[str, ...]
    class_ids: tuple[int, ...]
    videos: Sequence[DataVideo]
    skipped: tuple[Skipped, ...] = ()
