"""One shape of a labelme file: rectangle, polygon, circle or mask, as a box or a mask."""

from __future__ import annotations

import base64
import io
import math
import struct
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from maskfree import rle
from maskfree.errors import InputError
from maskfree.formats.base import tight_box
from maskfree.formats.box_files import within
from maskfree.formats.segmentation import parse
from maskfree.json_checks import as_list, as_number, show
from maskfree.png_damage import PNG_DAMAGE

if TYPE_CHECKING:
    from maskfree.types import Box, BoxTracks

__all__ = ["FILLED", "RECTANGLE", "box_of", "mask_of", "mask_shape", "rectangle"]

RECTANGLE = "rectangle"
FILLED = frozenset(("polygon", "circle", "mask"))
"""Shapes that are masks; a file from before there were kinds has polygons."""
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_SIZE = struct.Struct(">16xII")
_ROWS = 64
"""Rows of a disc that are computed at once."""


def rectangle(box: Box) -> dict[str, Any]:
    """Return the fields of a box; corners may lie within a pixel."""
    x0, y0, x1, y1 = box
    return {"points": [[x0, y0], [x1, y1]], "shape_type": RECTANGLE, "mask": None}


def mask_shape(mask: np.ndarray) -> dict[str, Any]:
    """Return the fields of a bool ``(H, W)`` mask that has a pixel: a PNG of the part it is in.

    The points are the first and the last pixel of that part.
    """
    x0, y0, x1, y1 = (int(value) for value in tight_box(mask))
    buffer = io.BytesIO()
    Image.fromarray(mask[y0:y1, x0:x1].astype(np.uint8)).save(buffer, format="PNG")
    points = [[float(x0), float(y0)], [float(x1 - 1), float(y1 - 1)]]
    png = base64.b64encode(buffer.getvalue()).decode("ascii")
    return {"points": points, "shape_type": "mask", "mask": png}


def box_of(shape: dict[str, Any], video: BoxTracks, where: str) -> Box | None:
    """Return the box around a rectangle's points, within the frame; None: nothing of it is.

    Raises
    ------
    InputError
        Where the points are none; ``where`` begins the message.
    """
    points = _points(shape, where, 2)
    xs, ys = [x for x, _ in points], [y for _, y in points]
    return within((min(xs), min(ys), max(xs), max(ys)), video)


def mask_of(shape: dict[str, Any], video: BoxTracks, where: str) -> np.ndarray:
    """Return the mask of a filled shape, bool ``(H, W)``.

    A polygon is filled as COCO does; a circle, of a middle and a point on its edge, holds the
    pixels whose middle it holds.

    Raises
    ------
    InputError
        Where points or picture are at fault; ``where`` begins the message.
    """
    size = video.height, video.width
    kind = shape.get("shape_type")
    if kind == "mask":
        return _mask(shape, video, where)
    if kind == "circle":
        (x, y), (edge_x, edge_y) = _points(shape, where, 2)[:2]
        return _disc((x, y), math.hypot(edge_x - x, edge_y - y), size)
    flat = [value for point in _points(shape, where, 3) for value in point]
    counts = parse([flat], *size, where)
    return np.zeros(size, bool) if counts is None else rle.decode(counts, *size)


def _disc(middle: tuple[float, float], radius: float, size: tuple[int, int]) -> np.ndarray:
    """Return the pixels of a disc, bool ``(H, W)``, made some rows at a time."""
    mask = np.zeros(size, bool)
    columns = (np.arange(size[1]) + 0.5 - middle[0]) ** 2
    for row in range(0, size[0], _ROWS):
        part = mask[row : row + _ROWS]
        rows = (np.arange(row, row + len(part))[:, None] + 0.5 - middle[1]) ** 2
        np.less_equal(columns + rows, radius**2, out=part)
    return mask


def _points(shape: dict[str, Any], where: str, least: int) -> list[tuple[float, float]]:
    found = []
    for point in as_list(shape.get("points"), where, "points"):
        numbers = [as_number(value) for value in point] if isinstance(point, list) else []
        if len(numbers) == 2 and numbers[0] is not None and numbers[1] is not None:
            found.append((numbers[0], numbers[1]))
    limit = float(1 << 30)
    if len(found) < least or any(max(abs(x), abs(y)) > limit for x, y in found):
        raise InputError(
            f"{where}: points must be {least} or more pairs [x, y] in pixels, got "
            f"{show(shape.get('points'))}. Correct them."
        )
    return found


def _mask(shape: dict[str, Any], video: BoxTracks, where: str) -> np.ndarray:
    (x0, y0), (x1, y1) = ((round(x), round(y)) for x, y in _points(shape, where, 2)[:2])
    if not (0 <= x0 <= x1 < video.width and 0 <= y0 <= y1 < video.height):
        raise InputError(
            f"{where}: a mask must lie within the frame of {video.width} x {video.height} pixels, "
            f"got {x0}, {y0} to {x1}, {y1}. Correct it."
        )
    width, height = x1 - x0 + 1, y1 - y0 + 1
    try:
        raw = base64.b64decode(str(shape.get("mask")), validate=True)
        # The size is looked at before anything of that size is made.
        size = _SIZE.unpack_from(raw) if raw.startswith(_SIGNATURE) else (0, 0)
        if size != (width, height):
            raise ValueError(f"the picture has {size[0]} x {size[1]} pixels")
        with Image.open(io.BytesIO(raw), formats=["PNG"]) as image:
            if image.size != size:
                raise ValueError("it has two sizes")
            part = np.asarray(image)
    except PNG_DAMAGE as error:
        raise InputError(
            f"{where}: a mask must be a PNG of {width} x {height} pixels as base64 ({error}). Save "
            "it again."
        ) from None
    mask = np.zeros((video.height, video.width), bool)
    mask[y0 : y1 + 1, x0 : x1 + 1] = (part if part.ndim == 2 else part[..., 0]) != 0
    return mask
