"""What `gpu_kernels.py` counts and says; it measures on a GPU only."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
import torch

import gpu_kernels
from gpu_kernels import Measured
from maskfree.config import TemporalKNNConfig
from maskfree.losses.agreement import Pairs

if TYPE_CHECKING:
    from pathlib import Path


def test_bytes_of_matching_by_hand() -> None:
    # two frames of three float32, five matches of a long and a float32
    paper = TemporalKNNConfig.paper()
    assert gpu_kernels.nearest_bytes(1, 1, 1, paper) == 2 * 3 * 4 + 5 * 12
    assert gpu_kernels.nearest_bytes(3, 10, 20, paper) == 600 * 84


def test_bytes_of_the_term_by_hand() -> None:
    place = torch.zeros(7, dtype=torch.long)
    pairs = Pairs(place, place, torch.tensor(1.0), shared=True)
    assert gpu_kernels.agreement_bytes(torch.zeros(2, 3, 4, 5), [pairs, pairs]) == 224 + 960


@pytest.mark.skipif(torch.cuda.is_available(), reason="says what it says without a GPU")
def test_without_a_gpu_nothing_is_claimed(tmp_path: Path) -> None:
    path = tmp_path / "found.json"
    assert gpu_kernels.main(["--json", str(path)]) == 0
    written = json.loads(path.read_text(encoding="utf-8"))
    assert [row["met"] for row in written["rows"]] == [None, None]
    assert all("run this script on one" in row["why"] for row in written["rows"])


def test_a_share_and_what_bounds_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "a card")
    # 8 MB at 1 GB/s take 8 ms: ours take 10 ms once, 80 ms the other time
    good = Measured("term and gradient", "small", [10.0] * 3, [40.0], 8_000_000, 1e9)
    bad = Measured("matching", "small", [80.0] * 3, [800.0], 8_000_000, 1e9, 60.0)
    rows = gpu_kernels.report([good, bad])["rows"]
    assert [(row["measured"], row["met"]) for row in rows] == [("80%", True), ("10%", False)]
    assert rows[0]["why"] == ""
    assert "75% of the arithmetic's bound" in rows[1]["why"]


@pytest.mark.gpu
def test_measured_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("triton", reason="Triton is not here; .ci/kernels.sh brings it")
    monkeypatch.setattr(gpu_kernels, "SIZES", {"small": (40, 64)})
    found = gpu_kernels.measure(2)
    assert [each.kernel for each in found] == ["matching", "term and gradient"]
    assert all(each.share > 0 for each in found)
