"""Background seen elsewhere: what other frames say about the pixels in a box, without any label.

A pixel in a box is often visible, as certain background, in another frame in which it lies outside
every box. Other frames are warped onto frame t by the camera's motion; the smallest Lab distance
(mean over 3x3 cells) to what was seen there is delta. Small delta: background. Seen, and delta
large: object. "Large" is calibrated on the clip itself, by how far *certain* background lies from
its own sightings (moving water and noise raise it).
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

import cv2
import numpy as np

from maskfree.camera_motion import CameraMotion, estimate_motion

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from maskfree.config import EvidenceConfig

__all__ = ["Evidence", "collect_evidence"]

_CELL = 4
_WHOLE = 0.999
"""A cell is wholly certain above this share: 1, but for rounding."""


class Evidence(enum.IntEnum):
    """What is known about a grid cell of a frame."""

    UNKNOWN = 0
    BACKGROUND = 1
    OBJECT = 2


def collect_evidence(
    frames: Sequence[np.ndarray],
    boxes: np.ndarray,
    *,
    config: EvidenceConfig,
) -> np.ndarray:
    """Say for every cell of every frame what other frames show about it.

    Parameters
    ----------
    frames
        T frames, uint8 RGB ``(H, W, 3)``, read one at a time.
    boxes
        float ``(N, T, 4)``, xyxy in pixels of these frames, NaN where absent.
    config
        Thresholds and the number of other frames that are looked at.

    Returns
    -------
    numpy.ndarray
        uint8 ``(T, H // 4, W // 4)`` of :class:`Evidence`; the cells divide the frame evenly.
    """
    height, width = frames[0].shape[:2]
    labs: list[np.ndarray] = []
    certain: list[np.ndarray] = []

    def grey_and_background() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for t in range(len(frames)):
            frame = np.ascontiguousarray(frames[t])
            outside = _outside(boxes[:, t], height, width, config.box_margin)
            labs.append(_grid_lab(frame))
            certain.append(_grid_all(outside))
            yield cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), outside

    motion = estimate_motion(grey_and_background(), config=config)
    to_pixels = _cells_to_pixels(height, width)
    deltas = [_delta(t, labs, certain, motion, to_pixels, config) for t in range(len(frames))]
    near, far = _thresholds(deltas, certain, config)
    out = np.zeros((len(frames), *certain[0].shape), np.uint8)
    for t, delta in enumerate(deltas):
        seen = np.isfinite(delta)
        out[t][seen & (delta >= far)] = Evidence.OBJECT
        out[t][seen & (delta <= near)] = Evidence.BACKGROUND
        out[t][certain[t]] = Evidence.BACKGROUND
    return out


def _thresholds(
    deltas: list[np.ndarray], certain: list[np.ndarray], config: EvidenceConfig
) -> tuple[float, float]:
    """Return the delta up to which a cell is background, and from which it is object.

    Both follow the clip's own noise: how far certain background lies from its sightings.
    """
    own = np.concatenate([d[c & np.isfinite(d)] for d, c in zip(deltas, certain, strict=True)])
    if not own.size:
        return config.background_distance, config.object_distance
    noise = max(config.least_noise, float(np.quantile(own, config.noise_quantile)))
    near = min(config.background_distance, config.background_noise * noise)
    enough = min(config.object_distance, config.object_noise * noise)
    far = max(enough, config.object_least_noise * noise)
    return near, max(near, far)


def _delta(
    t: int,
    labs: list[np.ndarray],
    certain: list[np.ndarray],
    motion: CameraMotion,
    to_pixels: np.ndarray,
    config: EvidenceConfig,
) -> np.ndarray:
    """Smallest Lab distance of frame t's cells to background seen elsewhere; inf where unseen."""
    height, width = certain[t].shape
    best = np.full((height, width), np.inf, np.float32)
    for s in _sources(t, len(labs), config.max_sources):
        matrix = motion.between(t, s)
        if matrix is None:
            continue
        cells = np.linalg.inv(to_pixels) @ matrix @ to_pixels
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        warped = cv2.warpPerspective(labs[s], cells, (width, height), flags=flags)
        weight = cv2.warpPerspective(
            certain[s].astype(np.float32), cells, (width, height), flags=flags
        )
        distance = np.linalg.norm(labs[t] - warped, axis=2)
        seen = cv2.erode((weight > _WHOLE).astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
        distance = cv2.blur(distance, (3, 3))
        best = np.where(seen, np.minimum(best, distance), best)
    return best


def _sources(t: int, num_frames: int, count: int) -> list[int]:
    """Other frames, spread over the whole video."""
    others = [s for s in range(num_frames) if s != t]
    if len(others) <= count:
        return others
    return [others[i] for i in np.linspace(0, len(others) - 1, count).round().astype(int)]


def _outside(boxes: np.ndarray, height: int, width: int, margin: float) -> np.ndarray:
    """Pixels that lie outside every box grown by ``margin`` of its size."""
    out = np.ones((height, width), bool)
    for x0, y0, x1, y1 in boxes[np.isfinite(boxes).all(1)]:
        dx, dy = margin * (x1 - x0) + _CELL, margin * (y1 - y0) + _CELL
        rows = slice(max(0, int(y0 - dy)), max(0, int(np.ceil(y1 + dy))))
        columns = slice(max(0, int(x0 - dx)), max(0, int(np.ceil(x1 + dx))))
        out[rows, columns] = False
    return out


def _grid(height: int, width: int) -> tuple[int, int]:
    """Cells of about 4 pixels that divide a frame evenly: rows and columns."""
    return height // _CELL, width // _CELL


def _cells_to_pixels(height: int, width: int) -> np.ndarray:
    """Map ``(3, 3)`` from the centres of cells to those of pixels."""
    rows, columns = _grid(height, width)
    y, x = height / rows, width / columns
    return np.array([[x, 0, (x - 1) / 2], [0, y, (y - 1) / 2], [0, 0, 1]])


def _grid_lab(frame: np.ndarray) -> np.ndarray:
    rows, columns = _grid(*frame.shape[:2])
    small = cv2.resize(frame, (columns, rows), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.cvtColor(small.astype(np.float32) / 255, cv2.COLOR_RGB2LAB))


def _grid_all(mask: np.ndarray) -> np.ndarray:
    """Cells of which every pixel is True."""
    rows, columns = _grid(*mask.shape)
    share = cv2.resize(mask.astype(np.float32), (columns, rows), interpolation=cv2.INTER_AREA)
    return np.asarray(share > _WHOLE)
