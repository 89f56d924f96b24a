"""Names made when they are asked for, as a list of them would be."""

from __future__ import annotations

import pytest

from maskfree.numbered_names import NumberedNames


def test_they_are_as_a_list() -> None:
    names, plain = NumberedNames(12), [f"{n:05d}" for n in range(12)]
    assert len(names) == 12
    assert list(names) == plain
    assert [names[0], names[11], names[-1]] == ["00000", "00011", "00011"]
    assert names[3:8] == plain[3:8]
    assert names[::-5] == plain[::-5]
    assert "00007" in names
    assert "7" not in names
    assert NumberedNames(100001)[100000] == "100000"
    with pytest.raises(IndexError):
        names[12]


def test_they_equal_what_holds_the_same_names() -> None:
    names = NumberedNames(2)
    assert names == ["00000", "00001"]
    assert ("00000", "00001") == names
    assert names == NumberedNames(2)
    assert names != NumberedNames(3)
    assert names != ["00000", "00002"]
    assert names != "ab"
