from __future__ import annotations

import numpy as np
import pytest

from maskfree.belief import SURE, Belief


def some() -> np.ndarray:
    return np.random.default_rng(0).integers(-SURE, SURE + 1, (4, 6, 5)).astype(np.int8)


def test_what_was_put_there() -> None:
    values = some()
    belief = Belief.of(values)
    assert (belief.shape, len(belief), belief.frames) == ((4, 6, 5), 4, [0, 1, 2, 3])
    np.testing.assert_array_equal(belief, values)
    assert belief[2].dtype == np.int8
    np.testing.assert_array_equal(belief[2], values[2])


def test_a_frame_is_the_callers_own() -> None:
    belief = Belief.of(some())
    part = belief[1]
    part[:] = 7
    np.testing.assert_array_equal(belief[1], some()[1])
    belief[1] = part
    assert (belief[1] == 7).all()


def test_the_rest_is_certain_background() -> None:
    belief = Belief((9, 2, 3))
    belief[4] = np.zeros((2, 3), np.int8)
    assert belief.frames == [4]
    assert (belief[3] == -SURE).all()
    assert not np.asarray(belief, float)[4].any()
    assert (np.asarray(belief) == -SURE).sum() == 8 * 6


def test_other_frames_and_sizes() -> None:
    belief = Belief((2, 2, 3))
    for frame in (-1, 2):
        with pytest.raises(IndexError, match=f"frame {frame} of the beliefs about 2 frames"):
            belief[frame]
        with pytest.raises(ValueError, match="expected one of 2 frames"):
            belief[frame] = np.zeros((2, 3), np.int8)
    with pytest.raises(ValueError, match=r"of \(2, 3\) cells"):
        belief[0] = np.zeros((3, 2), np.int8)
