"""Parts of a data set: of its videos, and of the frames of each. A larger part holds the smaller.

Both depend on the data set alone, not on a seed, so that runs on parts can be compared.
"""

from __future__ import annotations

import hashlib
import math
from typing import TYPE_CHECKING, TypeVar

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["frame_part", "video_part"]

T = TypeVar("T")


def video_part(items: Sequence[T], names: Sequence[str], share: float) -> list[T]:
    """Return the part ``share`` (0 to 1) of ``items``, in their order; one at the least.

    Which ones: those whose names have the smallest SHA-256, which is as good as chance.
    """
    digests = [hashlib.sha256(name.encode("utf-8", "replace")).digest() for name in names]
    order = sorted(range(len(items)), key=lambda place: (digests[place], place))
    kept = sorted(order[: _count(len(items), share)])
    return [items[place] for place in kept]


def frame_part(length: int, share: float) -> np.ndarray:
    """Return the part ``share`` (0 to 1) of the frames 0 to ``length`` - 1, int64, rising.

    They are spread evenly: frames come in the order of van der Corput's sequence (Verteilungs-
    funktionen, 1935), in which each next one falls into a widest gap.
    """
    wanted = _count(length, share)
    if wanted == length:
        return np.arange(length)
    found: dict[int, None] = {}
    step = 0
    while len(found) < wanted:
        found[int(_radical_inverse(step) * length)] = None
        step += 1
    return np.array(sorted(found), np.int64)


def _count(total: int, share: float) -> int:
    # What rounding makes of a share such as 0.1 * 30 is no further item.
    return min(total, max(1, math.ceil(total * share - 1e-9)))


def _radical_inverse(number: int) -> float:
    """Return the number's binary digits mirrored behind the point: 1, 2, 3 → 1/2, 1/4, 3/4."""
    value, place = 0.0, 0.5
    while number:
        value += place * (number & 1)
        number >>= 1
        place /= 2
    return value
