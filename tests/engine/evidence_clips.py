"""Clips of a square over a still ground, to look for evidence in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from maskfree.config import EvidenceConfig
from maskfree.evidence import collect_evidence
from maskfree.tracks import tube

if TYPE_CHECKING:
    from maskfree.types import BoxTracks

CELL = 2
CONFIG = EvidenceConfig(
    max_sources=32,
    background_distance=4.0,
    object_distance=15.0,
    noise_quantile=0.98,
    background_noise=2.0,
    object_noise=6.0,
    object_least_noise=1.0,
    least_noise=0.5,
    least_shown=0.3,
    split_margin=1.25,
    cell=CELL,
    surroundings=0.75,
    world_share=0.8,
    box_margin=0.0,
)
HEIGHT, WIDTH = 64, 96


def cells(x0: int, y0: int, x1: int, y1: int) -> tuple[slice, slice]:
    """The cells of a rectangle of pixels that lies on their grid."""
    return slice(y0 // CELL, y1 // CELL), slice(x0 // CELL, x1 // CELL)


def boxes_of(tracks: BoxTracks) -> np.ndarray:
    return tube(tracks, range(tracks.num_frames))


def textured(seed: int = 0, width: int = WIDTH) -> np.ndarray:
    rng = np.random.default_rng(seed)
    small = (rng.uniform(0, 255, (16, width // 4, 3)) * [1, 0.5, 1]).astype(np.uint8)  # no green
    return cv2.resize(small, (width, HEIGHT), interpolation=cv2.INTER_CUBIC)


GREEN = np.array([0, 255, 0], np.uint8)


def box_clip(places: list[int | None], size: int = 16) -> tuple[np.ndarray, np.ndarray]:
    """A green square at x = place (y 24) over a still ground; its box in each frame."""
    frames = np.repeat(textured()[None], len(places), 0)
    boxes = np.full((1, len(places), 4), np.nan)
    for t, x in enumerate(places):
        if x is not None:
            frames[t, 24 : 24 + size, x : x + size] = GREEN
            boxes[0, t] = (x, 24, x + size, 24 + size)
    return frames, boxes


def wide(boxes: np.ndarray, by: float) -> np.ndarray:
    return boxes + np.array([-by, -by, by, by])


def collected(*arguments: Any, **options: Any) -> np.ndarray:
    """The evidence as one array, int8 ``(T, h, w)``."""
    return np.asarray(collect_evidence(*arguments, **options))
