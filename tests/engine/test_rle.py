from __future__ import annotations

import warnings

import numpy as np
import pytest
from pycocotools import mask as coco

from maskfree import rle


def coco_decode(counts: str, height: int, width: int) -> np.ndarray:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # pycocotools 2.0.11 under numpy 2
        return coco.decode({"size": [height, width], "counts": counts.encode("ascii")})


def test_by_hand() -> None:
    mask = np.zeros((2, 3), dtype=bool)
    mask[:, 1] = True  # column by column: 2 off, 2 on, 2 off
    assert rle.encode(mask[None]) == ["222"]
    np.testing.assert_array_equal(rle.decode("222", 2, 3), mask)
    np.testing.assert_array_equal(rle.decode("6", 2, 3), np.zeros((2, 3), dtype=bool))
    np.testing.assert_array_equal(rle.decode("06", 2, 3), np.ones((2, 3), dtype=bool))


@pytest.mark.parametrize("density", [0.0, 0.0001, 0.01, 0.5, 0.999, 1.0])
@pytest.mark.parametrize("size", [(1, 1), (1, 400), (300, 1), (270, 480), (1080, 1920)])
def test_against_pycocotools(density: float, size: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    mask = rng.random(size) < density
    mask[: size[0] // 2, : size[1] // 3] = True  # a long run beside short ones
    (counts,) = rle.encode(mask[None])
    decoded = rle.decode(counts, *size)
    assert decoded.dtype == bool
    assert decoded.flags.c_contiguous
    np.testing.assert_array_equal(decoded, mask)
    np.testing.assert_array_equal(decoded, coco_decode(counts, *size))


def test_no_mask() -> None:
    assert rle.encode(np.zeros((0, 4, 5), dtype=bool)) == []


@pytest.mark.parametrize("counts", ["", "22o", "2\x002", "22~", "22ü", "oooooooo0"])
def test_counts_that_are_none(counts: str) -> None:
    with pytest.raises(ValueError, match=r"^the counts are not a COCO run-length string$"):
        rle.decode(counts, 2, 3)


@pytest.mark.parametrize("counts", ["22", "2222", "9M", "ooooo0"])
def test_runs_that_do_not_fill_the_mask(counts: str) -> None:
    with pytest.raises(ValueError, match=r"^the run lengths must fill 2 x 3 pixels, but sum to"):
        rle.decode(counts, 2, 3)
