"""Segmentations as COCO and YouTube-VIS files hold them: RLE in two forms, and polygons."""

from __future__ import annotations

import itertools
from typing import Any

from pycocotools import mask as coco

from maskfree import rle
from maskfree.config import FormatConfig
from maskfree.errors import InputError
from maskfree.json_checks import as_number, as_whole, show

__all__ = ["parse"]

_LEAST_COORDINATES = 6


def parse(value: object, height: int, width: int, where: str) -> str | None:
    """Check a segmentation of a file; return its compressed counts, None where it has no pixel.

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
        counts = _compressed(coco.merge(coco.frPyObjects(polygons, height, width)))
    elif isinstance(value, dict):
        counts = _from_runs(value, height, width, where)
    else:
        raise InputError(
            f"{where}: a segmentation must be RLE, a list of polygons or null, got {show(value)}. "
            "Export the file again."
        )
    return counts if rle.run_lengths(counts)[1::2].any() else None


def _compressed(encoded: dict[str, Any]) -> str:
    text: str = encoded["counts"].decode("ascii")
    return text


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
    points = list(zip(numbers[::2], numbers[1::2], strict=True))
    length = sum(max(abs(a - c), abs(b - d)) for (a, b), (c, d) in itertools.pairwise(points))
    most = FormatConfig().polygon_length
    if length > most:
        raise InputError(
            f"{where}: the sides of a polygon may be {most} pixels long together, got {length:g}. "
            "Simplify it, or export the masks as RLE."
        )
    return numbers


def _from_runs(value: dict[str, Any], height: int, width: int, where: str) -> str:
    if value.get("size") != [height, width]:
        raise InputError(
            f"{where}: the size of the RLE must be [height, width] = [{height}, {width}], got "
            f"{show(value.get('size'))}. Correct the video's size or the RLE's."
        )
    counts = value.get("counts")
    runs = _runs(counts, where)
    # pycocotools itself decodes runs that end early into memory that was never written.
    if not runs or min(runs) < 0 or sum(runs) != height * width:
        raise InputError(
            f"{where}: the runs of the RLE must add up to {height} x {width} = {height * width} "
            f"pixels, got counts {show(counts)}. The file is damaged; export it again."
        )
    if isinstance(counts, str):
        return counts
    size = [height, width]
    return _compressed(coco.frPyObjects({"size": size, "counts": runs}, height, width))


def _runs(counts: object, where: str) -> list[int]:
    """Return the run lengths of either form, empty where it is none."""
    if isinstance(counts, list):
        return [as_whole(run, where, "a run of the RLE", low=0) for run in counts]
    try:
        return rle.run_lengths(counts).tolist() if isinstance(counts, str) else []
    except ValueError:
        return []
