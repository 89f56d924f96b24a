"""Edge-aware smoothing: the guided filter with a colour guide.

Source: He, Sun, Tang: *Guided Image Filtering*, TPAMI 2013, equations 14 to 16.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["GuidedFilter"]

_PAIRS = tuple(itertools.combinations_with_replacement(range(3), 2))


class GuidedFilter:
    """Smooths maps of one picture so that they keep to its edges.

    What depends on the picture alone is worked out once. Planes lie apart for sums and products and
    together, as the channels of one image, for means: both are the quickest so.

    Parameters
    ----------
    guide
        float ``(H, W, 3)``, the picture's colours.
    radius
        Half the window's side, in pixels.
    strength
        Variance of colour (in the guide's units, squared) below which the guide is flat.
    within
        Rows and columns of the picture beyond which all maps are 0 and are not asked for; None:
        the whole picture.
    """

    def __init__(
        self,
        guide: np.ndarray,
        radius: int,
        strength: float,
        *,
        within: tuple[slice, slice] | None = None,
    ) -> None:
        size = guide.shape[:2]
        inner = within or (slice(0, size[0]), slice(0, size[1]))
        middle, outer = (_grown(inner, by * radius, size) for by in (1, 2))
        self._window = (2 * radius + 1, 2 * radius + 1)
        self._inner, kept = _part(inner, middle), _part(middle, outer)
        middle_of_all = np.array(cv2.mean(guide)[:3], np.float32)
        self._guide = _apart((guide[inner] - middle_of_all).astype(np.float32, copy=False))
        colours = _apart((guide[outer] - middle_of_all).astype(np.float32, copy=False))
        products = np.stack([colours[i] * colours[j] for i, j in _PAIRS])
        usual = self._means(colours, kept)
        self._minus = -usual
        blurred = (*self._means(products[:3], kept), *self._means(products[3:], kept))
        xx, xy, xz, yy, yz, zz = (
            mean - usual[i] * usual[j] for mean, (i, j) in zip(blurred, _PAIRS, strict=True)
        )
        xx, yy, zz = xx + strength, yy + strength, zz + strength
        cofactors = (
            yy * zz - yz * yz,
            xz * yz - xy * zz,
            xy * yz - xz * yy,
            xx * zz - xz * xz,
            xy * xz - xx * yz,
            xx * yy - xy * xy,
        )
        determinant = xx * cofactors[0] + xy * cofactors[1] + xz * cofactors[2]
        determinant = np.maximum(determinant, 1e-12)
        xx, xy, xz, yy, yz, zz = (c / determinant for c in cofactors)
        self._inverse = ((xx, xy, xz), (xy, yy, yz), (xz, yz, zz))

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """Return float32 ``(h, w)``: ``values (h, w)`` of the part that is asked for, smoothed."""
        planes = np.empty((4, *values.shape), np.float32)
        np.multiply(self._guide, values, out=planes[:3])
        planes[3] = values
        wide = np.zeros((*self._minus.shape[1:], 4), np.float32)
        wide[self._inner] = _together(planes)
        planes = _apart(self._blurred(wide))
        cross, mean = planes[:3], planes[3]
        for plane, minus in zip(cross, self._minus, strict=True):
            cv2.accumulateProduct(minus, mean, plane)  # in one pass
        lines = np.empty_like(planes)  # each window's slopes and offset
        for row, slope in zip(self._inverse, lines[:3], strict=True):
            np.multiply(row[0], cross[0], out=slope)
            _add_products(row[1:], cross[1:], slope)
        lines[3] = mean
        _add_products(lines[:3], self._minus, lines[3])
        lines = self._means(lines, self._inner)
        _add_products(lines[:3], self._guide, lines[3])
        return np.asarray(lines[3])

    def _means(self, planes: np.ndarray, part: tuple[slice, slice]) -> np.ndarray:
        """Return a part of each plane's means over the window."""
        return _apart(self._blurred(_together(planes))[part])

    def _blurred(self, values: np.ndarray) -> np.ndarray:
        return np.asarray(cv2.blur(values, self._window, borderType=cv2.BORDER_REFLECT))


def _apart(image: np.ndarray) -> np.ndarray:
    """Return ``(C, h, w)`` of ``(h, w, C)``."""
    height, width, channels = image.shape
    flat = np.ascontiguousarray(image).reshape(-1, channels)
    return np.asarray(cv2.transpose(flat)).reshape(channels, height, width)


def _together(planes: np.ndarray) -> np.ndarray:
    """Return ``(h, w, C)`` of ``(C, h, w)``."""
    return np.asarray(cv2.transpose(planes.reshape(len(planes), -1))).reshape(*planes.shape[1:], -1)


def _add_products(
    first: Sequence[np.ndarray] | np.ndarray, second: np.ndarray, to: np.ndarray
) -> None:
    """Add the planes' products to another plane, which is written over."""
    for here, there in zip(first, second, strict=True):
        cv2.accumulateProduct(here, there, to)


def _grown(part: tuple[slice, slice], by: int, size: Sequence[int]) -> tuple[slice, slice]:
    """Return a part of a picture of ``size``, grown by some pixels on each side."""
    rows, columns = (
        slice(max(0, s.start - by), min(n, s.stop + by)) for s, n in zip(part, size, strict=True)
    )
    return rows, columns


def _part(inner: tuple[slice, slice], outer: tuple[slice, slice]) -> tuple[slice, slice]:
    """Return where one part of a picture lies in another that holds it."""
    rows, columns = (
        slice(i.start - o.start, i.stop - o.start) for i, o in zip(inner, outer, strict=True)
    )
    return rows, columns
