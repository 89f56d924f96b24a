"""COCO run-length encoding of masks: lossless and compressed.

A mask is read column by column; ``counts`` are the lengths of the runs, off and on in turn, off
first, each written as a difference to the one before the previous in base 32 with ASCII letters.
"""

from __future__ import annotations

import numpy as np
from pycocotools import mask as coco

__all__ = ["check_runs", "decode", "encode", "run_lengths"]

_FIRST_LETTER = 48
_LETTERS = 64
_BITS = 5
_MORE, _SIGN = 0x20, 0x10
_LONGEST = 7
"""Letters of one number: pycocotools' numbers have 32 bits."""


def encode(masks: np.ndarray) -> list[str]:
    """Return the counts of each of the bool ``(N, H, W)`` masks."""
    if not len(masks):
        return []
    columns_first = np.asfortranarray(masks.astype(bool).transpose(1, 2, 0), dtype=np.uint8)
    return [encoded["counts"].decode("ascii") for encoded in coco.encode(columns_first)]


def decode(counts: str, height: int, width: int) -> np.ndarray:
    """Return the bool ``(H, W)`` mask that ``counts`` describe.

    pycocotools reads them as well, but leaves memory unset where the runs end early, and warns
    under numpy 2.

    Raises
    ------
    ValueError
        Where the counts are broken, or their sum is not ``height * width``.
    """
    runs = run_lengths(counts)
    check_runs(runs, height, width)
    columns = np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(width, height)
    return np.ascontiguousarray(columns.T)


def check_runs(runs: np.ndarray, height: int, width: int) -> None:
    """Check that runs, int64 ``(N,)``, fill a mask of that size.

    Raises
    ------
    ValueError
        Where they do not.
    """
    pixels = height * width
    # Each on its own first: a sum of runs beyond any frame would wrap round to the right one.
    if (runs < 0).any() or (runs > pixels).any() or runs.sum() != pixels:
        raise ValueError(
            f"the run lengths must fill {height} x {width} pixels, but sum to {sum(runs.tolist())}"
        )


def run_lengths(counts: str) -> np.ndarray:
    """Return the lengths of the runs, off first: int64 ``(number of runs,)``, unchecked.

    Raises
    ------
    ValueError
        Where ``counts`` is not such a string.
    """
    letters = np.frombuffer(counts.encode("utf-8"), dtype=np.uint8).astype(np.int64) - _FIRST_LETTER
    last = (letters & _MORE) == 0
    if not len(letters) or letters.min() < 0 or letters.max() >= _LETTERS or not last[-1]:
        raise ValueError("the counts are not a COCO run-length string")
    ends = np.flatnonzero(last)
    starts = np.concatenate([[0], ends[:-1] + 1])
    lengths = ends + 1 - starts
    if lengths.max() > _LONGEST:
        raise ValueError("the counts are not a COCO run-length string")
    place = np.arange(len(letters)) - np.repeat(starts, lengths)
    numbers = np.add.reduceat((letters & (_MORE - 1)) << (_BITS * place), starts)
    numbers -= ((letters[ends] & _SIGN) != 0).astype(np.int64) << (_BITS * lengths)
    # From the fourth on a number is the difference to the run before the previous one.
    numbers[1::2] = np.cumsum(numbers[1::2])
    numbers[2::2] = np.cumsum(numbers[2::2])
    return numbers
