"""The inspector's benchmark runs and measures each part; no time is asserted."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "training" / "benchmarks" / "inspector.py"


def test_it_measures_from_the_click_to_the_drawn_answer():
    done = subprocess.run(
        [
            *(sys.executable, str(SCRIPT), "--picks", "2", "--size", "192x128", "--frames", "3"),
            *("--rejected", "--tube", "--json"),
        ],
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["size"] == "192x128"
    assert set(found["ms"]) == {
        "arithmetic",
        "layers",
        "panel and mouse",
        "painting",
        "click to drawn",
        "nothing changed",
    }
    whole = found["ms"]["click to drawn"]
    assert whole["p95"] >= whole["median"] > found["ms"]["arithmetic"]["median"] > 0
