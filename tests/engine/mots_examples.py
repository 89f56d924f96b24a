"""Annotations of a few frames for the tests of MOTS and COCO, and what their masks are as RLE."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from pycocotools import mask as rles

from maskfree.formats import Annotations
from maskfree.types import BoxTracks, InstanceMasks, Track
from plain_annotations import SHAPE, rectangle

H, W = SHAPE
BOTH = [("mots", "out.txt"), ("mots-png", "out")]
OVER = rectangle(3, 4, 9, 12)


def instances(masks: dict[int, np.ndarray], *scores: float) -> InstanceMasks:
    stack = np.stack(list(masks.values())) if masks else np.zeros((0, *SHAPE), bool)
    return InstanceMasks(tuple(masks), stack, scores or (1.0,) * len(masks))


def annotated(frames: list[InstanceMasks | None], *tracks: Track, **fields: Any) -> Annotations:
    names = [f"{n:05d}" for n in range(len(frames))]
    boxes = BoxTracks(len(frames), H, W, 24.0, tracks, **fields)
    return Annotations(boxes, names, frames.__getitem__)


def labelled(**labels: str) -> tuple[Track, ...]:
    return tuple(Track(int(number[1:]), label, ()) for number, label in labels.items())


def masks(annotations: Annotations, frame: int) -> dict[int, list[list[bool]]]:
    found = annotations.read_masks(frame)
    assert found is not None
    assert list(found.track_ids) == sorted(found.track_ids)
    return dict(zip(found.track_ids, found.masks.tolist(), strict=True))


def counts_of(mask: np.ndarray) -> str:
    return rles.encode(np.asfortranarray(mask.astype(np.uint8)))["counts"].decode()


def pixels(counts: str) -> np.ndarray:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # pycocotools 2.0.11 under numpy 2
        return rles.decode({"size": [H, W], "counts": counts.encode()}).astype(bool)
