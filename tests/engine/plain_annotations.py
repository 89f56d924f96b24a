"""Annotations of one object in a rectangle, to write and to read back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from maskfree.formats import Annotations
from maskfree.types import BoxTracks, InstanceMasks, Keyframe, Track

if TYPE_CHECKING:
    from pathlib import Path

SHAPE = (12, 16)


def rectangle(y0: int, x0: int, y1: int, x1: int) -> np.ndarray:
    mask = np.zeros(SHAPE, bool)
    mask[y0:y1, x0:x1] = True
    return mask


A, B = rectangle(0, 0, 6, 8), rectangle(7, 9, 11, 15)


def video(mask: np.ndarray = A, num_frames: int = 2, track_id: int = 1) -> Annotations:
    boxes = BoxTracks(
        num_frames,
        *SHAPE,
        None,
        (Track(track_id, "object", (Keyframe(0, (0.0, 0.0, 8.0, 6.0)),)),),
    )
    masks = InstanceMasks((track_id,), mask[None], (1.0,))
    return Annotations(boxes, [f"{n:05d}" for n in range(num_frames)], lambda _: masks)


def everything(folder: Path) -> dict[str, bytes]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}
