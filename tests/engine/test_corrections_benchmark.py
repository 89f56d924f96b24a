"""The benchmark of corrections: which frames are corrected, what is compared, what is printed."""

from __future__ import annotations

import re
from types import SimpleNamespace

import numpy as np

import corrections
from maskfree.types import InstanceMasks
from napari_maskfree.sample_data import generated_clip


def test_the_least_sure_frames_are_apart() -> None:
    scores = {0: 0.9, 1: 0.2, 2: 0.1, 3: 0.3, 4: 0.8, 5: 0.5}
    mask = np.zeros((1, 2, 2), bool)
    store = SimpleNamespace(
        frames=lambda: sorted(scores), read=lambda t: InstanceMasks((1,), mask, (scores[t],))
    )
    session = SimpleNamespace(mask_store=lambda: store)
    assert corrections.least_sure(session, 9, 0) == [2, 1, 3, 5, 4, 0]
    assert corrections.least_sure(session, 9, 1) == [2, 5, 0]
    assert corrections.least_sure(session, 2, 1) == [2, 5]


def test_the_table(tmp_path, capsys) -> None:
    generated_clip(6, 48, 64, seed=0).write(tmp_path / "made")
    command = [str(tmp_path / "made"), "--steps", "2", "--corrected", "1", "2", "--device", "cpu"]
    assert corrections.main(command) == 0
    head, rule, *rows = capsys.readouterr().out.splitlines()
    assert head.startswith("| clip | corrected frames | J of the others |")
    assert len(rows) == 2
    assert {line.count("|") for line in (head, rule, *rows)} == {8}
    for row, count in zip(rows, (1, 2), strict=True):
        assert len(row.split("|")[2].split(",")) == count
        values = re.findall(r"[01]\.\d{3}|–", row)
        assert len(values) == 5
        before, everywhere, near, there, trained = values
        assert (near == "–") == (there == "–")
        assert (near == "–") <= (before == everywhere), "nothing was carried, nothing changed"
        assert trained != "–"


def test_what_is_missing_is_one_line(tmp_path, capsys) -> None:
    generated_clip(6, 48, 64, seed=0).write(tmp_path / "made")
    assert corrections.main([str(tmp_path / "made"), "--start", str(tmp_path)]) == 2
    assert "no session of made. Make one: quality.py" in capsys.readouterr().err
