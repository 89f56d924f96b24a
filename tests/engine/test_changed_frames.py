"""Which frames changed by what was carried, and from one run to another."""

from __future__ import annotations

import numpy as np
import pytest

from maskfree.changed_frames import FrameChange, carried_changes, mask_change, run_changes
from maskfree.corrections import Correction
from maskfree.errors import InputError
from maskfree.types import InstanceMasks

H, W = 4, 10


def row(*columns: int) -> np.ndarray:
    made = np.zeros((H, W), bool)
    made[0, list(columns)] = True
    return made


def masks(*columns: int, track_id: int = 1) -> InstanceMasks:
    return InstanceMasks((track_id,), row(*columns)[None], (0.5,))


def test_a_share_is_of_the_larger_mask():
    assert mask_change(3, row(0, 1, 2, 3), row(2, 3, 4)) == FrameChange(3, 3, 0.75)
    assert mask_change(3, None, row(1)) == FrameChange(3, 1, 1.0)
    assert mask_change(3, row(1), None) == FrameChange(3, 1, 1.0)
    assert mask_change(3, None, None) == FrameChange(3, 0, 0.0)
    assert mask_change(3, row(0), row(5)).share == 1.0  # never more than all


def test_what_was_carried_from_one_frame():
    book = {
        5: {1: Correction.make(row(4), row(0), carried=3), 2: Correction.make(row(9), row())},
        2: {1: Correction.make(row(4), row(), carried=3)},
        6: {1: Correction.make(row(4), row(), carried=4)},
        7: {1: Correction.make(row(1), row(), carried=3)},
    }
    found = carried_changes(lambda _: masks(0, 1, 2, 3), book, 3)
    assert found == {1: (FrameChange(2, 1, 0.2), FrameChange(5, 2, 0.5))}


def test_two_runs():
    one = {0: masks(0, 1, 2, 3), 1: masks(0, 1, 2, 3), 2: masks(7, track_id=2)}
    other = {0: masks(0, 1, 2), 1: masks(0, 1, 2, 3), 2: None}
    found = run_changes(one.get, other.get, [0, 1, 2], least=0.2)
    assert found == {1: (FrameChange(0, 1, 0.25),), 2: (FrameChange(2, 1, 1.0),)}
    assert run_changes(one.get, other.get, [0, 1], least=0.3) == {}


def test_a_broken_file_is_no_mask_and_the_watch_ends_it():
    def broken(_: int) -> InstanceMasks:
        raise InputError("broken")

    found = run_changes(broken, lambda _: masks(1), [0], least=0.1)
    assert found == {1: (FrameChange(0, 1, 1.0),)}

    def stop() -> None:
        raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        run_changes(broken, broken, [0], least=0.1, watch=stop)
