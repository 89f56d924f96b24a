"""What `press.py` and `predict_speed.py` run in processes of their own, on this engine."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

import predict_run
import press_run
from maskfree.presets import preset
from maskfree.settings import override
from square_clip import make_square_clip

if TYPE_CHECKING:
    from pathlib import Path

    from maskfree.config import Config


@pytest.fixture
def clip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Five frames with one bright square, its true masks, and a run of two steps."""

    def short(name: str) -> Config:
        return override(preset(name), {"optimiser.steps": "2"})

    for module in (press_run, predict_run):
        monkeypatch.setattr(module, "preset", short)
    return make_square_clip(tmp_path / "square", 5)


def test_a_run_is_scored_on_its_way(clip: Path, tmp_path: Path) -> None:
    out = tmp_path / "found.json"
    assert press_run.main([str(clip), "--json", str(out)]) == 0
    found = json.loads(out.read_text())
    assert [point["step"] for point in found["points"]] == [0, 2]
    assert all(0 < point["j"] <= 1 for point in found["points"])
    assert found["points"][0]["clock"] < found["points"][1]["clock"] < found["trained"]


def test_predictions_are_timed_beside_the_forward_pass_alone(clip: Path, tmp_path: Path) -> None:
    out = tmp_path / "found.json"
    assert predict_run.main([str(clip), "--repeats", "1", "--json", str(out)]) == 0
    found = json.loads(out.read_text())
    assert found["frames"] == 5
    assert (len(found["limit"]), len(found["seconds"])) == (1, 1)
    assert min(*found["limit"], *found["seconds"]) > 0
