"""`maskfree evaluate --tracking` against TrackEval's own command line, on the same files."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from maskfree.cli import main

FILES = Path(__file__).parent / "files/trackeval"
CLASSES = ("car", "pedestrian")
pytest.importorskip("trackeval")


def evaluated(capsys: pytest.CaptureFixture[str], *given: str) -> dict[str, Any]:
    """Return what the command prints as JSON, under ``"tracking"``."""
    paths = [str(FILES / each) if (FILES / each).is_file() else each for each in given]
    assert main(["evaluate", *paths, "--tracking", "--json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)["tracking"]
    return found


def summary(name: str) -> dict[str, float]:
    """Return what a summary of TrackEval says, as parts of 1."""
    names, values = (FILES / name).read_text(encoding="utf-8").splitlines()
    pairs = zip(names.split(), values.split(), strict=True)
    return {name: float(value) / 100 for name, value in pairs}


def details(name: str) -> dict[str, float]:
    """Return the row of all sequences."""
    with open(FILES / name, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    (row,) = (row for row in rows if row.pop("seq") == "COMBINED")
    return {name: float(value) for name, value in row.items()}


def test_mots_files(capsys: pytest.CaptureFixture[str]) -> None:
    ours = evaluated(
        capsys, "found.txt", "--from", "mots", "--truth", "true.txt", "--truth-from", "mots"
    )
    assert set(ours) == {"all", *CLASSES}
    for name in CLASSES:
        theirs = summary(f"kitti_mots-{name}.txt")
        for metric in ("HOTA", "DetA", "AssA", "IDF1"):
            assert ours[name][metric] == pytest.approx(theirs[metric], abs=1e-5)
        assert ours[name]["MOTSA"] == pytest.approx(theirs["MOTA"], abs=1e-5)
        assert 0.5 < ours[name]["HOTA"] < 0.9


def test_youtube_vis_files(capsys: pytest.CaptureFixture[str]) -> None:
    ours = evaluated(
        capsys, "found.json", "--from", "coco", "--truth", "true.json", "--truth-from", "ytvis"
    )
    for name in CLASSES:
        theirs, own = details(f"youtube_vis-{name}.csv"), ours[name]
        for metric in ("HOTA", "DetA", "AssA"):
            assert own[metric] == pytest.approx(theirs[f"{metric}___AUC"])
        assert own["IDF1"] == pytest.approx(theirs["IDF1"])
        assert own["MOTSA"] == pytest.approx(theirs["MOTA"])
        assert own["AP"] == pytest.approx(theirs["AP_all___AUC"])
        assert own["AP50"] == pytest.approx(theirs["AP_all___50"])
        assert own["AP75"] == pytest.approx(theirs["AP_all___75"])
        assert own["AR10"] == pytest.approx(theirs["AR_all___AUC"])  # there are fewer than ten
    mean = summary("youtube_vis-mean.txt")
    assert ours["all"]["AP"] == pytest.approx(mean["AP_all"], abs=1e-5)
    assert ours["all"]["AR10"] == pytest.approx(mean["AR_all"], abs=1e-5)
    assert 0.1 < ours["all"]["AP"] < 0.9
