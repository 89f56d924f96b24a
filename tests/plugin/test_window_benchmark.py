"""The window's benchmark measures and writes its page; no time is asserted."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from window_report import page, printed, targets

SCRIPT = Path(__file__).parents[2] / "training" / "benchmarks" / "window.py"


def times(median: float) -> dict[str, float]:
    return {"median": median, "p95": 2 * median, "main thread": median / 2}


def gaps(worst: float) -> dict[str, float]:
    return {
        "beats": 2000,
        "median": 5.1,
        "p99.9": worst,
        "longest": 2 * worst,
        "main thread p99.9": worst / 2,
        "paintings": 12,
        "painting median": 30.0,
        "painting longest": 60.0,
    }


FOUND = {
    "load": [0.5, 1.25, 0.75],
    "opening": {"seconds": 0.8, "slowest": 0.9, "torch": False},
    "timeline": {
        "tracks": 200,
        "frames": 20000,
        "keyframes": 50000,
        "boxes in the frame": 172,
        "renderer": "llvmpipe",
        "ms": {"painted, zoom 1": times(3), "a step in time": times(20)},
    },
    "loop": {"idle": gaps(6), "training": gaps(20), "prediction": gaps(30)},
    "inspector": {
        "size": "1920x1080",
        "grid": [67, 120],
        "load": 1.0,
        "ms": {"arithmetic": times(4), "click to drawn": times(30)},
    },
}


def test_what_is_promised_stands_beside_what_was_measured():
    header, rows = targets(FOUND)
    assert header == ["what", "promised", "measured"]
    assert rows == [
        [
            "the widget opens",
            "under 2 s, without torch",
            "0.80 s (slowest 0.90), torch not imported",
        ],
        ["gaps in training, p99.9", "under 50 ms", "20.0 ms (longest 40.0)"],
        ["gaps in prediction, p99.9", "under 50 ms", "30.0 ms (longest 60.0)"],
        ["click to drawn answer at 1920×1080", "under 50 ms", "30.0 ms (p95 60.0)"],
    ]


def test_the_page_holds_every_figure_and_how_it_was_made():
    text = page(FOUND, ["--report", "training/benchmarks/WINDOW.md"])
    lines = text.splitlines()
    assert lines[0] == "# The window"
    command = "training/benchmarks/window.py --report training/benchmarks/WINDOW.md"
    assert f"python .ci/window.py python {command}" in lines
    assert "200 tracks × 20,000 frames, 50,000 keyframes; 172 boxes in the frame." in text
    assert "| ms | median | p95 | main thread |" in lines
    assert "| a step in time | 20.0 | 40.0 | 10.0 |" in lines
    assert "| prediction | 2000 | 5.1 | 30.0 | 60.0 | 15.0 | 12 | 30.0 | 60.0 |" in lines
    assert "| click to drawn | 30.0 | 60.0 | 15.0 |" in lines
    assert "compared on 120×67 cells" in text
    assert "canvas by llvmpipe" in text
    assert "napari " in text
    assert "Commit " in text
    assert lines[-1].endswith("included: 0.5 to 1.2.")


def test_parts_that_were_not_run_are_left_out():
    text = page({"load": [1.0], "opening": FOUND["opening"]}, [])
    assert "Gaps" not in text
    assert "Timeline" not in text
    assert "inspector" not in text
    shown = printed({name: FOUND[name] for name in ("load", "loop")})
    assert "gaps in training, p99.9" in shown
    assert "a step in time" not in shown


def test_it_measures_steps_in_time_and_writes_the_page(tmp_path):
    target = tmp_path / "WINDOW.md"
    done = subprocess.run(
        [
            *(sys.executable, str(SCRIPT), "--only", "timeline", "--tracks", "3"),
            *("--frames", "20", "--repeats", "2", "--json", "--report", str(target)),
        ],
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    rows = found["timeline"]["ms"]
    assert {"painted, zoom 1", "zoomed", "scrolled along", "scrolled down"} <= set(rows)
    for name in ("a step in time", "a step in time, drawn"):
        assert set(rows[name]) == {"median", "p95", "main thread"}
        assert rows[name]["median"] > 0
    assert found["timeline"]["renderer"]
    assert "| a step in time |" in target.read_text(encoding="utf-8")
