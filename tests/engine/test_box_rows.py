"""Rows of boxes: the same in memory and on the disk, found by frame, and gone afterwards."""

from __future__ import annotations

import bisect
import errno
import gc
import tracemalloc
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maskfree import box_rows, part_file
from maskfree.box_rows import BoxRows
from maskfree.boxes_file import read_boxes, write_boxes
from maskfree.errors import InputError
from maskfree.packed_keyframes import PackedKeyframes, place_of
from maskfree.types import BoxTracks, Keyframe, Track

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(params=[1, 3, 1024])
def rows_a_part(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(box_rows, "_PART", request.param)
    return int(request.param)


def row(n: int) -> tuple[int, tuple[float, float, float, float], int]:
    return 3 * n, (n + 0.1, -n, 5e-324, 1 / 3), n % 256


@pytest.mark.parametrize("count", [0, 1, 3, 4, 10])
def test_rows_are_what_was_added(rows_a_part: int, count: int) -> None:
    rows = BoxRows()
    for n in range(count):
        rows.append(*row(n))
    found = [(each.frame, each.box, each.marks) for each in rows]
    assert found == [row(n) for n in range(count)]
    assert [rows[n] for n in range(count)] == list(rows)
    assert len(rows) == count
    frames = rows.frames()
    assert frames.dtype == np.int64
    assert frames.tolist() == [3 * n for n in range(count)]


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.lists(st.integers(0, 40), unique=True), st.integers(-2, 42), st.sampled_from([1, 2, 5]))
def test_places_are_those_of_bisect(frames: list[int], frame: int, part: int) -> None:
    plain = [Keyframe(each, None, outside=True) for each in sorted(frames)]
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(box_rows, "_PART", part)
        packed = PackedKeyframes(plain)
        left = bisect.bisect_left(sorted(frames), frame)
        right = bisect.bisect_right(sorted(frames), frame)
        for keyframes in (plain, packed):
            assert place_of(keyframes, frame, after=False) == left
            assert place_of(keyframes, frame, after=True) == right


def test_tables_share_one_file_which_goes_with_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(box_rows, "_PART", 2)
    monkeypatch.setattr(part_file, "_PARTS_KEPT", 1)
    one, two = BoxRows(), BoxRows()
    for n in range(7):
        one.append(*row(n))
        two.append(*row(n + 100))
    assert one._file is two._file is not None
    assert [each.frame for each in two] == [3 * (n + 100) for n in range(7)]
    assert one[0].box == row(0)[1]
    file = one._file._file
    close = one._file._close
    del one
    gc.collect()
    assert close.alive
    assert two[1].frame == 303
    del two
    gc.collect()
    assert not close.alive
    assert file.closed


def test_no_room_for_the_file_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(box_rows, "_PART", 2)
    monkeypatch.setattr(part_file, "_one", [])
    monkeypatch.setattr(part_file.tempfile, "TemporaryFile", full)
    rows = BoxRows()
    rows.append(*row(0))
    with pytest.raises(InputError, match="full"):
        rows.append(*row(1))


def test_a_session_is_saved_without_room_for_the_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def full() -> None:
        raise InputError("The disk is full.")

    monkeypatch.setattr(box_rows, "_PART", 2)
    monkeypatch.setattr(box_rows, "shared_file", full)
    drawn = tuple(Keyframe(n, (1.0, 1.0, 4.0, 4.0)) for n in range(5))
    tracks = BoxTracks(5, 9, 8, None, (Track(1, "car", drawn),))
    write_boxes(tmp_path / "boxes.json", tracks)
    assert read_boxes(tmp_path / "boxes.json") == tracks


def test_memory_does_not_grow_with_the_frames() -> None:
    def peak(count: int) -> int:
        tracemalloc.start()
        try:
            rows = BoxRows()
            for n in range(count):
                rows.append(*row(n))
            assert sum(each.marks >= 0 for each in rows) == count
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    kept = part_file._PARTS_KEPT * 1024 * 41
    assert peak(20_000) < 1_500_000
    assert peak(400_000) < kept + 1_500_000
