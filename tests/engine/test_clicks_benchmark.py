"""The benchmark of clicks: where a person would click, and what is printed."""

from __future__ import annotations

import re

import numpy as np
import pytest

import clicks
from maskfree.clicks import Click
from napari_maskfree.sample_data import generated_clip


def test_the_next_click_is_in_the_middle_of_the_largest_fault():
    truth = np.zeros((20, 30), bool)
    truth[5:15, 5:20] = True
    mask = truth.copy()
    mask[5:8, 5:8] = False
    assert clicks.next_click(mask, truth, (0, 0, 30, 20)) == Click(6, 6, True)
    mask[7:14, 22:29] = True
    assert clicks.next_click(mask, truth, (0, 0, 30, 20)) == Click(10, 25, False)
    assert clicks.next_click(mask, truth, (0, 0, 21, 20)) == Click(6, 6, True)
    assert clicks.next_click(truth, truth, (0, 0, 30, 20)) is None


def test_degraded_truth_has_lost_and_gained():
    truth = np.zeros((40, 40), bool)
    truth[10:30, 10:30] = True
    mask = clicks.degraded(truth, np.random.default_rng(0))
    assert (truth & ~mask).any()
    assert (mask & ~truth).any()


@pytest.mark.parametrize("start", ["degraded", "empty"])
def test_the_table(tmp_path, capsys, start):
    generated_clip(4, 64, 96, seed=0).write(tmp_path / "made")
    assert clicks.main([str(tmp_path / "made"), "--frames", "1", "--start", start]) == 0
    row = next(line for line in capsys.readouterr().out.splitlines() if "made" in line)
    values = [float(v) for v in re.findall(r"[01]\.\d{3}", row)]
    assert len(values) == len(clicks.AFTER)
    assert values[-1] > values[0]


def test_what_is_missing_is_one_line(tmp_path, capsys):
    generated_clip(4, 64, 96, seed=0).write(tmp_path / "made")
    assert clicks.main([str(tmp_path / "made"), "--start", str(tmp_path)]) == 2
    assert "no session of made. Make one: quality.py" in capsys.readouterr().err
