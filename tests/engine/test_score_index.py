"""Scores by track and frame, read again where a file has changed."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np
import pytest

from maskfree.mask_store import MaskStore
from maskfree.score_index import ScoreIndex
from maskfree.types import InstanceMasks

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def store(tmp_path: Path) -> MaskStore:
    return MaskStore(tmp_path / "masks")


def write(store: MaskStore, frame: int, **scores: float) -> None:
    ids = tuple(int(name[1:]) for name in scores)
    store.write(frame, InstanceMasks(ids, np.ones((len(ids), 4, 5), bool), tuple(scores.values())))


def test_scores_by_track_and_frame_nan_where_there_is_no_mask(store: MaskStore) -> None:
    write(store, 0, t2=0.5)
    write(store, 3, t2=0.25, t7=1.0)
    found = ScoreIndex(store, 5).refresh()
    assert set(found) == {2, 7}
    np.testing.assert_array_equal(found[2], np.float32([0.5, np.nan, np.nan, 0.25, np.nan]))
    np.testing.assert_array_equal(found[7], np.float32([np.nan] * 3 + [1, np.nan]))
    assert found[2].dtype == np.float32


def test_only_what_has_changed_is_read_again(
    store: MaskStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    for frame in range(4):
        write(store, frame, t1=0.5)
    index = ScoreIndex(store, 4)
    first = index.refresh()
    read: list[int] = []
    own = store.read_scores
    monkeypatch.setattr(store, "read_scores", lambda f: (read.append(f), own(f))[1])
    index.refresh()
    assert read == []
    write(store, 2, t3=0.75)
    path = store.path / "00002.json"
    os.utime(path, ns=(1, 1))  # a clock that counts coarsely
    store.path.joinpath("00000.json").unlink()
    again = index.refresh()
    assert read == [2]
    np.testing.assert_array_equal(again[1], np.float32([np.nan, 0.5, np.nan, 0.5]))
    np.testing.assert_array_equal(again[3], np.float32([np.nan, np.nan, 0.75, np.nan]))
    np.testing.assert_array_equal(first[1], np.float32([0.5] * 4))  # handed over, not shared


def test_a_track_without_a_mask_left_and_a_broken_file_have_no_scores(store: MaskStore) -> None:
    write(store, 0, t1=0.5)
    write(store, 1, t2=0.5)
    index = ScoreIndex(store, 2)
    assert set(index.refresh()) == {1, 2}
    (store.path / "00000.json").write_text("{")
    assert set(index.refresh()) == {2}


def test_masks_past_the_end_of_the_video_are_passed_over(store: MaskStore) -> None:
    write(store, 9, t1=0.5)
    assert ScoreIndex(store, 4).refresh() == {}
    assert ScoreIndex(MaskStore(store.path / "nowhere"), 4).refresh() == {}


def test_it_can_be_given_up_and_goes_on_from_there(
    store: MaskStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    for frame in range(6):
        write(store, frame, t1=0.5)
    index, asked = ScoreIndex(store, 6), []

    def watch() -> None:
        asked.append(1)
        if len(asked) == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        index.refresh(watch)
    asked = [1] * 9
    index.refresh(watch)
    assert len(asked) == 9 + 3


def test_scores_are_read_without_decoding(
    store: MaskStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(store, 0, t1=0.5)
    monkeypatch.setattr("maskfree.rle.decode", lambda *_: pytest.fail("decoded"))
    assert store.read_scores(0) == {1: 0.5}
    assert store.read_scores(1) == {}
