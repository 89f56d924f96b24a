"""Ignore regions as files give them, frame by frame: polygons, or masks that become boxes."""

from __future__ import annotations

import itertools
import warnings
from array import array
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from maskfree.errors import InputWarning
from maskfree.ignore_regions import checked_region, rectangle
from maskfree.types import IgnoreRegion

if TYPE_CHECKING:
    from maskfree.ignore_regions import Polygon
    from maskfree.types import BoxTracks

__all__ = ["Ignored"]


class Ignored:
    """Collects regions; the same one in neighbouring frames becomes one that lasts."""

    def __init__(self) -> None:
        self._frames: dict[Polygon, array[int]] = {}
        self._rough = 0

    def polygon(self, frame: int, polygon: Polygon) -> None:
        """Add a region of ``frame`` by its corners (x, y)."""
        frames = self._frames.setdefault(polygon, array("q"))
        if not frames or frames[-1] != frame:
            frames.append(frame)

    def mask(self, frame: int, mask: np.ndarray) -> None:
        """Add a bool ``(H, W)`` mask of ``frame``: each connected part becomes its box."""
        parts, count = ndimage.label(mask)
        boxed = 0
        for rows, columns in ndimage.find_objects(parts, count):
            xyxy = columns.start, rows.start, columns.stop, rows.stop
            self.polygon(frame, rectangle(xyxy))
            boxed += (columns.stop - columns.start) * (rows.stop - rows.start)
        self._rough += boxed != np.count_nonzero(mask)

    def regions(self, video: BoxTracks, where: str, *, first: int = 0) -> tuple[IgnoreRegion, ...]:
        """Return the regions; ``first``: what the file counts frames from.

        Warns where masks that are no rectangles became boxes.

        Raises
        ------
        InputError
            For a region wholly outside of ``video``'s frames, or whose corners lie on one line.
        """
        if self._rough:
            warnings.warn(
                f"{where}: ignored parts of the picture are kept as polygons, and {self._rough} "
                "masks of them are no rectangles: each connected part became its box.",
                InputWarning,
                stacklevel=2,
            )
        found = []
        for polygon, frames in self._frames.items():
            for start, end in _stretches(sorted(set(frames))):
                region = IgnoreRegion(polygon, start - first, end - first)
                found.append(checked_region(region, video, f"{where}: an ignored part"))
        return tuple(sorted(found, key=lambda region: region.frame))


def _stretches(frames: list[int]) -> list[tuple[int, int]]:
    """Return first and last of each run of neighbouring numbers, ascending."""
    breaks = [n for n, (a, b) in enumerate(itertools.pairwise(frames), start=1) if b != a + 1]
    edges = zip([0, *breaks], [*breaks, len(frames)], strict=True)
    return [(frames[start], frames[end - 1]) for start, end in edges]
