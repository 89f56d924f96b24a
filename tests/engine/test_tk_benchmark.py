"""What `tk_loss.py` measures against is the same mathematics, and what it says of its figures."""

from __future__ import annotations

import dataclasses
import json
import mmap
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

import tk_loss
from maskfree.config import TemporalKNNConfig
from maskfree.correspondence import match_clip
from maskfree.losses import temporal_knn_loss
from tk_memory import peak_rise
from tk_reference import matches_kept, tk_reference

if TYPE_CHECKING:
    from pathlib import Path

PAPER = TemporalKNNConfig.paper()
RELEASED = TemporalKNNConfig.released()


@pytest.mark.parametrize(
    "config",
    [
        PAPER,
        dataclasses.replace(PAPER, window="square"),
        dataclasses.replace(PAPER, normaliser="matches", tube="dense", patch_size=5),
        dataclasses.replace(PAPER, outside_counts=True, normaliser="matches", max_distance=300.0),
        RELEASED,
        dataclasses.replace(RELEASED, num_neighbors=3, normaliser="grid", weight=0.3),
    ],
)
@pytest.mark.parametrize("with_boxes", [True, False])
def test_reference_is_the_same_mathematics(config: TemporalKNNConfig, with_boxes: bool) -> None:
    logits, lab, boxes = tk_loss.scene(3, 3, 24, 40)
    given = boxes if with_boxes else None
    logits = logits.double().requires_grad_()
    ours = temporal_knn_loss(logits, lab, given, config=config)
    theirs = tk_reference(logits, lab, given, config=config)
    assert ours.item() == pytest.approx(theirs.item(), rel=1e-9)
    gradients = [torch.autograd.grad(loss, logits)[0] for loss in (ours, theirs)]
    torch.testing.assert_close(*gradients, rtol=1e-7, atol=1e-12)
    assert gradients[0].abs().sum() > 0


@pytest.mark.parametrize("config", [PAPER, RELEASED])
def test_the_scene_has_matches_and_their_share_is_that_of_match_clip(
    config: TemporalKNNConfig,
) -> None:
    _, lab, _ = tk_loss.scene(1, 3, 40, 60)
    share = matches_kept(lab, config=config)
    valid = [m.valid.float().mean().item() for _, m in match_clip(lab, config=config)]
    assert share == pytest.approx(np.mean(valid))
    assert 0.1 < share < 0.9


def test_peak_rise_is_that_of_the_call() -> None:
    size = 2**25

    def call() -> None:
        with mmap.mmap(-1, size) as fresh:  # never memory that was freed before
            np.frombuffer(fresh, np.uint8).copy()

    assert 0.9 * size <= peak_rise(call) <= 4 * size


def made(faster: float, less: float, exponent: float) -> dict[str, Any]:
    against = {
        "kept": 0.4,
        "difference": 1e-7,
        "seconds": ([0.1, 0.1], [0.1 * faster]),
        "bytes": (2**20, int(less * 2**20)),
    }
    axis = {"sizes": [1, 2, 4, 8], "seconds": [[1.0]] * 4, "exponent": exponent}
    return {**dict.fromkeys(tk_loss.PARTS[:3], against), "growth": {"T": axis}}


def test_rows_say_what_was_met_and_why_not() -> None:
    good = tk_loss.report(made(41, 21, 1.0))["rows"]
    assert [row["met"] for row in good] == [True] * 5
    assert [row["why"] for row in good] == [""] * 5
    bad = tk_loss.report(made(2, 3, 1.5))["rows"]
    assert [row["met"] for row in bad] == [False] * 5
    assert all(row["why"] for row in bad)
    assert bad[0]["target"] == "≥ 40× faster"
    assert bad[0]["measured"] == "2×"


def test_exponent_of_a_power() -> None:
    assert tk_loss._exponent([1, 2, 4, 8], [3.0, 12.0, 48.0, 192.0]) == pytest.approx(2.0)


def test_a_loss_that_differs_is_not_timed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tk_loss, "INSTANCES", 2)
    monkeypatch.setattr(tk_loss, "HEIGHT", 20)
    monkeypatch.setattr(tk_loss, "WIDTH", 30)
    monkeypatch.setattr(tk_loss, "_memory", lambda name, which: 2**20)
    path = tmp_path / "found.json"
    assert tk_loss.main(["--runs", "1", "--only", "9 candidates", "--json", str(path)]) == 0
    assert len(json.loads(path.read_text(encoding="utf-8"))["rows"]) == 2
    monkeypatch.setattr(tk_loss, "tk_reference", lambda *a, **k: 1.01 * tk_reference(*a, **k))
    with pytest.raises(RuntimeError, match="ours and the reference differ by"):
        tk_loss.main(["--runs", "1", "--only", "9 candidates"])
