from __future__ import annotations

import errno
import json
import os
from typing import TYPE_CHECKING

import numpy as np
import pytest

from maskfree.errors import InputError
from maskfree.mask_store import MaskStore
from maskfree.types import InstanceMasks

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def store(tmp_path: Path) -> MaskStore:
    return MaskStore(tmp_path / "masks")


def example() -> InstanceMasks:
    masks = np.zeros((3, 5, 7), dtype=bool)
    masks[0, 1:4, 2:6] = True
    masks[1, 0:3, 4:7] = True  # overlaps the first; the third is empty
    return InstanceMasks((4, 1, 2), masks, (0.1 + 0.2, 1.0, 0.0))


def assert_same(got: InstanceMasks | None, expected: InstanceMasks) -> None:
    assert got is not None
    assert (got.track_ids, got.scores) == (expected.track_ids, expected.scores)
    assert got.masks.dtype == bool
    np.testing.assert_array_equal(got.masks, expected.masks)


def test_a_round_trip_loses_nothing(store: MaskStore) -> None:
    store.write(3, example())
    assert_same(store.read(3), example())


def test_the_file_by_hand(store: MaskStore) -> None:
    masks = np.zeros((1, 2, 3), dtype=bool)
    masks[0, :, 1] = True  # column by column: 2 off, 2 on, 2 off
    store.write(0, InstanceMasks((1,), masks, (0.9,)))
    assert json.loads((store.path / "00000.json").read_text(encoding="utf-8")) == {
        "size": [2, 3],
        "instances": [{"id": 1, "score": 0.9, "counts": "222"}],
    }


def test_random_masks_and_no_instance(store: MaskStore) -> None:
    rng = np.random.default_rng(0)
    for frame, (n, h, w) in enumerate([(0, 4, 6), (1, 1, 1), (5, 64, 48), (2, 1, 300)]):
        density = rng.choice([0.01, 0.5, 0.99])
        masks = rng.random((n, h, w)) < density
        expected = InstanceMasks(tuple(range(1, n + 1)), masks, tuple(map(float, rng.random(n))))
        store.write(frame, expected)
        assert_same(store.read(frame), expected)


def test_frames_are_listed_in_order_and_cleared_alone(store: MaskStore) -> None:
    assert store.frames() == []
    for frame in (100_000, 2, 99_999):
        store.write(frame, example())
    (store.path / "notes.txt").write_text("mine", encoding="utf-8")
    (store.path / ".tmp-0a.json").write_text("", encoding="utf-8")
    assert store.frames() == [2, 99_999, 100_000]
    assert store.read(3) is None
    store.clear()
    assert store.frames() == []
    assert sorted(os.listdir(store.path)) == [".tmp-0a.json", "notes.txt"]
    MaskStore(store.path / "none").clear()


def test_masks_that_do_not_fit_together(store: MaskStore) -> None:
    masks = np.zeros((2, 3, 4), dtype=bool)
    with pytest.raises(ValueError, match=r"masks must be \(N, H, W\), got \(3, 4\). Pass"):
        store.write(0, InstanceMasks((1,), masks[0], (1.0,)))
    with pytest.raises(ValueError, match=r"must be equally many, got 2, 1 and 2"):
        store.write(0, InstanceMasks((1,), masks, (1.0, 1.0)))
    with pytest.raises(ValueError, match=r"track_ids must differ, got \(1, 1\)"):
        store.write(0, InstanceMasks((1, 1), masks, (1.0, 1.0)))
    with pytest.raises(ValueError, match=r"frame must be 0 or more, got -1"):
        store.write(-1, example())
    assert store.frames() == []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[", "is not JSON"),
        ("[]", "expected a frame's masks as an object"),
        ('{"size": [2, 3, 4], "instances": []}', "size must be [height, width], got [2, 3, 4]"),
        ('{"size": [2, 0], "instances": []}', "size must be a whole number of at least 1, got 0"),
        ('{"size": [2, 3]}', "instances must be a list, got nothing"),
        ('{"size": [2, 3], "instances": [1]}', "instances[0]: expected an instance as an object"),
        ({"id": 0}, "id must be a whole number of at least 1, got 0"),
        ({"score": None}, "score must be a number, got nothing"),
        ({"counts": [2, 2, 2]}, "counts must be a COCO run-length string, got [2, 2, 2]"),
        (
            {"counts": "22ü"},
            "are not a COCO run-length string. Predict this frame again.",
        ),
        ({"counts": ""}, "the counts are not a COCO run-length string."),
        ({"counts": "22o"}, "the counts are not a COCO run-length string."),
        ({"counts": "oooooooo0"}, "the counts are not a COCO run-length string."),
        ({"counts": "22"}, "the run lengths must fill 2 x 3 pixels, but sum to 4."),
        ({"counts": "2222"}, "the run lengths must fill 2 x 3 pixels, but sum to 10."),
        ({"counts": "9M"}, "the run lengths must fill 2 x 3 pixels, but sum to 6."),
    ],
)
def test_a_broken_file(store: MaskStore, content: object, message: str) -> None:
    if isinstance(content, dict):
        item = {"id": 1, "score": 0.5, "counts": "222"} | content
        content = json.dumps({"size": [2, 3], "instances": [item]})
    store.path.mkdir()
    path = store.path / "00007.json"
    path.write_text(str(content), encoding="utf-8")
    with pytest.raises(InputError) as caught:
        store.read(7)
    assert str(path) in str(caught.value)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_full_disk_keeps_the_previous_masks(
    store: MaskStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.write(0, example())

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InputError, match=r"The disk is full"):
        store.write(0, InstanceMasks((), np.zeros((0, 5, 7), dtype=bool), ()))
    assert_same(store.read(0), example())
    assert os.listdir(store.path) == ["00000.json"]


def test_a_stamp_changes_with_its_file(store: MaskStore) -> None:
    assert store.stamp(3) is None
    store.write(3, example())
    before = store.stamp(3)
    assert before is not None
    assert store.stamps() == {3: before}
    store.write(3, InstanceMasks((), np.zeros((0, 5, 7), bool), ()))
    assert store.stamp(3) not in (None, before)
