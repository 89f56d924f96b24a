"""Some of many, evenly spread: first and last are among them, none twice."""

from __future__ import annotations

import pytest

from maskfree.evenly import evenly


def test_by_hand() -> None:
    assert evenly([3, 5, 8, 9, 20], 3) == [3, 8, 20]
    assert evenly(range(8), 4) == [0, 2, 5, 7]
    assert evenly("abcd", 2) == ["a", "d"]
    assert evenly("abc", 3) == evenly("abc", 9) == ["a", "b", "c"]
    assert evenly(range(5), 1) == [0]
    assert evenly([], 4) == []


@pytest.mark.parametrize("count", [2, 17, 100, 1001])
def test_as_many_as_asked_for(count: int) -> None:
    for most in range(2, count):
        found = evenly(range(count), most)
        assert len(set(found)) == most
        assert found == sorted(found)
        assert (found[0], found[-1]) == (0, count - 1)
