"""Run-length encoded masks as COCO and YouTube-VIS files hold them, by pycocotools.

The runs of a file are checked here before pycocotools decodes them: for runs that do not cover the
picture its decoder returns memory that was never written.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from pycocotools import mask as coco

from maskfree.errors import InputError
from maskfree.json_checks import as_number, as_whole, show

__all__ = ["decode", "encode", "parse"]

_PAYLOAD, _MORE, _SIGN, _BITS, _ZERO = 0x1F, 0x20, 0x10, 5, 48
_LEAST_COORDINATES = 6


def encode(mask: np.ndarray) -> dict[str, Any]:
    """Return a bool ``(H, W)`` mask as ``{"size": [H, W], "counts": text}``."""
    rle = coco.encode(np.asfortranarray(mask, dtype=np.uint8))
    height, width = mask.shape
    return {"size": [height, width], "counts": rle["counts"].decode("ascii")}


def decode(rle: dict[str, Any]) -> np.ndarray:
    """Return the bool ``(H, W)`` mask of what :func:`encode` or :func:`parse` returned."""
    mask: np.ndarray = coco.decode(rle).astype(bool)
    return mask


def parse(value: object, height: int, width: int, where: str) -> dict[str, Any] | None:
    """Check a segmentation of a file and return it as compressed RLE, None where it is empty.

    ``value`` may be null, compressed RLE (``counts`` is text), uncompressed RLE (``counts`` is a
    list of run lengths, column by column, background first), or a list of polygons
    ``[x0, y0, x1, y1, …]`` in pixels, which are filled and united. ``where`` begins every message.

    Raises
    ------
    InputError
        For anything else, a size that is not ``height`` x ``width``, and runs that do not add up.
    """
    if value is None or value == []:
        return None
    if isinstance(value, list):
        polygons = [_polygon(polygon, max(height, width), where) for polygon in value]
        rle = coco.merge(coco.frPyObjects(polygons, height, width))
    elif isinstance(value, dict):
        rle = _from_runs(value, height, width, where)
    else:
        raise InputError(
            f"{where}: a segmentation must be RLE, a list of polygons or null, got {show(value)}. "
            "Export the file again."
        )
    counts = rle["counts"]
    text = counts.decode("ascii") if isinstance(counts, bytes) else counts
    return {"size": [height, width], "counts": text}


def _polygon(value: object, side: int, where: str) -> list[float]:
    items = value if isinstance(value, list) else []
    numbers = [number for item in items if (number := as_number(item)) is not None]
    if len(numbers) != len(items) or len(items) < _LEAST_COORDINATES or len(items) % 2:
        raise InputError(
            f"{where}: a polygon must be a list [x0, y0, x1, y1, x2, y2, …] of three points or "
            f"more, got {show(value)}. Export the file again."
        )
    # Edges may run out of the frame; far outside, pycocotools' integers overflow.
    if min(numbers) < -side or max(numbers) > 2 * side:
        raise InputError(
            f"{where}: a polygon must lie in the frame, got {show(value)}, far outside. Polygons "
            "are in pixels of the video; export the file again."
        )
    return numbers


def _from_runs(value: dict[str, Any], height: int, width: int, where: str) -> dict[str, Any]:
    if value.get("size") != [height, width]:
        raise InputError(
            f"{where}: the size of the RLE must be [height, width] = [{height}, {width}], got "
            f"{show(value.get('size'))}. Correct the video's size or the RLE's."
        )
    counts = value.get("counts")
    if isinstance(counts, str):
        runs = _runs(counts)
    elif isinstance(counts, list):
        runs = [as_whole(run, where, "a run of the RLE", low=0) for run in counts]
    else:
        runs = []
    if not runs or min(runs) < 0 or sum(runs) != height * width:
        raise InputError(
            f"{where}: the runs of the RLE must add up to {height} x {width} = {height * width} "
            f"pixels, got counts {show(counts)}. The file is damaged; export it again."
        )
    if isinstance(counts, str):
        return {"counts": counts}
    rle: dict[str, Any] = coco.frPyObjects({"size": [height, width], "counts": runs}, height, width)
    return rle


def _runs(text: str) -> list[int]:
    """Return the run lengths of compressed counts, empty where the text is none.

    COCO's code: five bits a character from ``0`` on, lowest first, a sixth bit says that more
    follow; from the fourth run on the difference to the run before last is stored.
    """
    runs: list[int] = []
    number, shift = 0, 0
    for character in text:
        code = ord(character) - _ZERO
        if not 0 <= code <= _PAYLOAD | _MORE:
            return []
        number |= (code & _PAYLOAD) << shift
        shift += _BITS
        if code & _MORE:
            continue
        if code & _SIGN:
            number -= 1 << shift
        runs.append(number + (runs[-2] if len(runs) > 2 else 0))
        number, shift = 0, 0
    return [] if shift else runs
