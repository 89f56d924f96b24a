"""Fields of keyframes: the same in memory and on the disk."""

from __future__ import annotations

import tracemalloc
from typing import Any

import pytest

from maskfree import field_rows
from maskfree.field_rows import FieldRows
from maskfree.formats.box_arrays import BoxArrays
from maskfree.packed_keyframes import PackedKeyframes
from maskfree.types import Keyframe


def told(number: int) -> dict[str, Any]:
    """Fields of every third row."""
    if number % 3:
        return {}
    return {"score": 1 / (number + 3), "cvat": {"attributes": {"Ä\ud800\n": f"{number}"}, "n": [1]}}


@pytest.mark.parametrize("part", [1, 2, 64])
@pytest.mark.parametrize("count", [0, 1, 4, 40])
def test_fields_are_what_was_put(part: int, count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(field_rows, "_PART", part)
    rows = FieldRows()
    for number in range(2, count):
        rows.put(number, told(number))
    for numbers in (range(count + 2), range(count + 2, -1, -1)):
        for number in numbers:
            assert rows.get(number) == (told(number) if 2 <= number < count else {})


def test_keyframes_and_boxes_keep_theirs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(field_rows, "_PART", 2)
    box = (0.0, 1.0, 2.0, 3.0)
    keyframes = tuple(Keyframe(n, box, extra=told(n)) for n in range(20))
    packed = PackedKeyframes(keyframes)
    assert packed == keyframes
    assert packed[12] == keyframes[12]
    assert packed[3:17:5] == keyframes[3:17:5]
    boxes = BoxArrays()
    for each in reversed(keyframes):
        boxes.put(each.frame, box, extra=each.extra)
    assert boxes.keyframes(boxes.frames()[::-1], "here") == keyframes


def test_memory_does_not_grow_with_the_rows() -> None:
    def peak(count: int) -> int:
        tracemalloc.start()
        rows = FieldRows()
        for number in range(count):
            rows.put(number, told(3 * number))
        assert rows.get(0) == told(0)
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    peak(200)
    assert peak(20_000) < peak(200) + 100_000
