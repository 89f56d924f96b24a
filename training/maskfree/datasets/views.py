"""Where the frames of a clip go: resized, cut out, mirrored, turned; all in one affine map a frame.

Maps work on edges: a pixel i covers [i, i + 1), as half-open boxes have it. The order and the
numbers are those of MaskFreeVIS' released code (`DataConfig` has them): a part is cut out of some
clips, then the shorter side gets its length, then the clip is mirrored, then turned. In a
pseudo-video the part that is cut out moves along a line and the angle grows or falls, so that its
frames follow each other as those of a video do.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import cv2
import numpy as np

from maskfree.errors import InputError

if TYPE_CHECKING:
    from maskfree.config import DataConfig

__all__ = ["View", "check_view", "draw_view", "map_boxes", "resized", "warp"]


@dataclasses.dataclass(frozen=True)
class View:
    """``matrices``: float ``(T, 2, 3)``, from a frame's (x, y) to the clip's; ``size``: (h, w)."""

    matrices: np.ndarray
    size: tuple[int, int]


def check_view(data: DataConfig) -> None:
    """Check what the ranges of the settings do not say.

    Raises
    ------
    InputError
        Where a list of sides is empty, or ``crop_sides`` or the factors are not in order.
    """
    for name in ("short_sides", "crop_short_sides"):
        if not getattr(data, name):
            raise InputError(f"{name} must hold a number of pixels, got none. Give one or more.")
    if data.scale_low > data.scale_high:
        raise InputError(
            f"scale_low must be no larger than scale_high, got {data.scale_low} and "
            f"{data.scale_high}. Correct one of them."
        )
    sides = data.crop_sides
    if len(sides) != 2 or sides[0] > sides[1]:
        raise InputError(
            f"crop_sides must be the smallest and the largest side, got {list(sides)}. Give two "
            "numbers, the smaller one first."
        )


def draw_view(
    height: int,
    width: int,
    length: int,
    data: DataConfig,
    rng: np.random.Generator,
    *,
    moving: bool,
    crop: bool = True,
) -> View:
    """Draw where frames of ``height`` x ``width`` pixels go.

    Parameters
    ----------
    length
        T, how many frames.
    moving
        Whether each frame has its own place and angle (a pseudo-video), or all the same.
    crop
        False: nothing is cut out, whatever ``data`` says.
    """
    maps = np.repeat(np.eye(3)[None], length, axis=0)
    if data.scale_side:
        maps, last = _draw_scale((height, width), maps, data, rng, crop=crop)
    else:
        maps, last = _draw_size((height, width), maps, data, rng, moving=moving, crop=crop)
    if data.flip and rng.random() < 0.5:
        maps = np.array([[-1.0, 0, last[1]], [0, 1, 0], [0, 0, 1]]) @ maps
    if data.rotation:
        maps = _draw_turns(last, length, data, rng, moving=moving) @ maps
    return View(maps[:, :2], last)


def _draw_size(
    size: tuple[int, int],
    maps: np.ndarray,
    data: DataConfig,
    rng: np.random.Generator,
    *,
    moving: bool,
    crop: bool,
) -> tuple[np.ndarray, tuple[int, int]]:
    """Draw what is cut out and the length of the shorter side: the maps, and the (h, w)."""
    if data.crop and crop and rng.random() < data.crop_share:
        first = resized(size, int(rng.choice(data.crop_short_sides)), data.crop_long_side)
        shifts, cut = _draw_crop(first, len(maps), data.crop_sides, rng, moving=moving)
        maps = _shift(-shifts) @ _scale(size, first) @ maps
        size = cut
    last = resized(size, int(rng.choice(data.short_sides)), data.long_side)
    return _scale(size, last) @ maps, last


def _draw_scale(
    size: tuple[int, int],
    maps: np.ndarray,
    data: DataConfig,
    rng: np.random.Generator,
    *,
    crop: bool,
) -> tuple[np.ndarray, tuple[int, int]]:
    """Draw a factor and what is cut off beyond the square (Ghiasi et al., CVPR 2021; Mask2Former).

    Without ``crop`` the factor is 1 at most: then nothing is beyond it.
    """
    factor = rng.uniform(data.scale_low, data.scale_high)
    fitted = data.scale_side * (factor if crop else min(1.0, factor)) / max(size)
    whole = max(1, round(size[0] * fitted)), max(1, round(size[1] * fitted))
    kept = min(whole[0], data.scale_side), min(whole[1], data.scale_side)
    at = np.rint(np.array([whole[1] - kept[1], whole[0] - kept[0]]) * rng.random())
    return _shift(-at[None].repeat(len(maps), 0)) @ _scale(size, whole) @ maps, kept


def resized(size: tuple[int, int], short: int, longest: int | None) -> tuple[int, int]:
    """Return the (h, w) whose shorter side is ``short``, or less where the longer is too long."""
    scale = short / min(size)
    if longest is not None and scale * max(size) > longest:
        scale = longest / max(size)
    height, width = (max(1, int(side * scale + 0.5)) for side in size)
    return height, width


def _scale(size: tuple[int, int], to: tuple[int, int]) -> np.ndarray:
    return np.diag([to[1] / size[1], to[0] / size[0], 1.0])


def _shift(by: np.ndarray) -> np.ndarray:
    """Return maps ``(T, 3, 3)`` that move by (x, y), ``(T, 2)``."""
    maps = np.repeat(np.eye(3)[None], len(by), axis=0)
    maps[:, :2, 2] = by
    return maps


def _draw_crop(
    size: tuple[int, int],
    length: int,
    sides: tuple[int, ...],
    rng: np.random.Generator,
    *,
    moving: bool,
) -> tuple[np.ndarray, tuple[int, int]]:
    """Draw the upper left corners (x, y), ``(T, 2)``, of what is cut out, and its (h, w)."""
    low, high = sides
    cut = [int(rng.integers(min(side, low), min(side, high) + 1)) for side in size]
    room = np.array([size[1] - cut[1], size[0] - cut[0]])
    start = rng.integers(0, room + 1)
    if not moving:
        return np.repeat(start[None].astype(float), length, axis=0), (cut[0], cut[1])
    end = rng.integers(start, room + 1)
    way = _in_turn(rng.random(length), rng)[:, None]
    return np.rint(start + way * (end - start)), (cut[0], cut[1])


def _draw_turns(
    size: tuple[int, int],
    length: int,
    data: DataConfig,
    rng: np.random.Generator,
    *,
    moving: bool,
) -> np.ndarray:
    """Draw maps ``(T, 3, 3)`` that turn around one point near the middle."""
    count = length if moving else 1
    angles = np.deg2rad(_in_turn(rng.uniform(-data.rotation, data.rotation, count), rng))
    centre = np.array([size[1], size[0]]) * (
        0.5 + rng.uniform(-data.rotation_centre, data.rotation_centre, 2)
    )
    turns = np.repeat(np.eye(3)[None], count, axis=0)
    turns[:, 0, 0] = turns[:, 1, 1] = np.cos(angles)
    turns[:, 0, 1], turns[:, 1, 0] = np.sin(angles), -np.sin(angles)
    around = np.repeat(centre[None], count, axis=0)
    turns = _shift(around) @ turns @ _shift(-around)
    return turns if moving else np.repeat(turns, length, axis=0)


def _in_turn(values: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the values rising, or falling, one as often as the other."""
    ordered = np.sort(values)
    return ordered if rng.random() < 0.5 else ordered[::-1]


def map_boxes(boxes: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Return the boxes ``(N, 4)`` around where boxes' corners go; NaN stays NaN."""
    x, y = boxes[:, [0, 2, 0, 2]], boxes[:, [1, 1, 3, 3]]
    to_x = matrix[0, 0] * x + matrix[0, 1] * y + matrix[0, 2]
    to_y = matrix[1, 0] * x + matrix[1, 1] * y + matrix[1, 2]
    return np.stack([to_x.min(1), to_y.min(1), to_x.max(1), to_y.max(1)], axis=1)


def warp(image: np.ndarray, matrix: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return what a picture shows through a map, ``(h, w, …)``; beyond the picture it is 0.

    ``image``: ``(H, W)`` or ``(H, W, 3)``, uint8 or float32. Where the map shrinks, pixels are
    averaged first: none is passed over.
    """
    height, width = image.shape[:2]
    turned = bool(abs(matrix[0, 1]) > 1e-9)
    shrink = np.linalg.norm(matrix[:, :2], axis=0)
    if (shrink < 1).any():
        small = [
            max(1, round(side * min(1.0, by)))
            for side, by in zip((width, height), shrink, strict=True)
        ]
        image = cv2.resize(image, (small[0], small[1]), interpolation=cv2.INTER_AREA)
        matrix = matrix @ np.diag([width / small[0], height / small[1], 1.0])
        height, width = image.shape[:2]
    centres = matrix.copy()
    centres[:, 2] += matrix[:, :2] @ [0.5, 0.5] - 0.5
    out = cv2.warpAffine(
        image,
        centres,
        (size[1], size[0]),
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    if turned:
        out[~_inside(matrix, (height, width), size)] = 0
    return np.asarray(out)


def _inside(matrix: np.ndarray, of: tuple[int, int], size: tuple[int, int]) -> np.ndarray:
    """Return which pixels ``(h, w)`` of a view have their middles within the picture."""
    y, x = np.indices(size) + 0.5
    offset = np.stack([x - matrix[0, 2], y - matrix[1, 2]])
    back_x, back_y = np.tensordot(np.linalg.inv(matrix[:, :2]), offset, axes=1)
    inside = (back_x >= 0) & (back_x < of[1]) & (back_y >= 0) & (back_y < of[0])
    return np.asarray(inside)
