"""The notebook in docs/ runs from its first cell to its last."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

NOTEBOOK = Path(__file__).parents[2] / "docs" / "loop.ipynb"


def cells() -> list[str]:
    content = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    return ["".join(c["source"]) for c in content["cells"] if c["cell_type"] == "code"]


def test_its_cells_are_python_and_hold_no_output() -> None:
    content = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    assert content["nbformat"] == 4
    for number, cell in enumerate(cells()):
        compile(cell, f"cell {number}", "exec")
    assert not any(c.get("outputs") for c in content["cells"])


@pytest.mark.slow
def test_it_does_the_whole_loop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    text = "\n".join(cells())
    for given, short in (
        ("STEPS = 180", "STEPS = 3"),
        ('"optimiser.steps": STEPS}', '"optimiser.steps": STEPS, "sampling.frame_area": 16384}'),
    ):
        assert text.count(given) == 1
        text = text.replace(given, short)
    space: dict[str, object] = {}
    exec(compile(text, "notebook", "exec"), space)
    assert len([*(tmp_path / "rabbit-masks").rglob("*.png")]) == 60
    assert [run.name for run in space["session"].runs()] == ["0001", "0002"]  # type: ignore[attr-defined]
    assert space["worst"] in space["session"].corrections.frames()  # type: ignore[attr-defined]
