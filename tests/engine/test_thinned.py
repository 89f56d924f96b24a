from __future__ import annotations

import numpy as np
import pytest

from maskfree.thinned import Thinned


def parts(seed: int, count: int = 60, longest: int = 40) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.normal(size=n).astype(np.float32) for n in rng.integers(0, longest, count)]


def test_up_to_its_size_it_keeps_all() -> None:
    given = parts(0)
    whole = np.concatenate(given)
    kept = Thinned(len(whole))
    for part in given:
        kept.add(part)
    np.testing.assert_array_equal(kept.values, whole)
    assert kept.values.dtype == np.float32


@pytest.mark.parametrize("most", [1, 2, 3, 10, 64, 101])
@pytest.mark.parametrize("seed", range(3))
def test_beyond_it_keeps_every_2nd_4th_or_8th(seed: int, most: int) -> None:
    kept, given = Thinned(most), parts(seed)
    for i, part in enumerate(given, 1):
        kept.add(part)
        whole = np.concatenate(given[:i])
        step = 1
        while -(-len(whole) // step) > most:
            step *= 2
        np.testing.assert_array_equal(kept.values, whole[::step])
        assert len(kept.values) >= min(len(whole), most / 2)


def test_one_part_may_be_many_times_too_large() -> None:
    kept = Thinned(10)
    kept.add(np.arange(3.0))
    kept.add(np.arange(3.0, 1000))
    np.testing.assert_array_equal(kept.values, np.arange(0, 1000, 128))


def test_nothing_was_added() -> None:
    assert Thinned(10).values.size == 0
