"""The benchmark's harness: its parts are small scripts here; no time is asserted."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import bench
import bench_page
import bench_part
from bench_page import page, verdict
from bench_part import Outcome, Part

if TYPE_CHECKING:
    from collections.abc import Callable

GOOD = """
import json, sys
arguments = sys.argv[1:]
out = arguments[arguments.index("--json") + 1]
row = {"what": "loss | memory", "target": "40×", "measured": "41×", "met": True, "why": ""}
missed = {"what": "step", "target": "1 s", "measured": "2 s", "met": False, "why": "slow disk"}
text = "# Found\\n\\n| a |\\n| --- |\\n\\n```sh\\n# a comment\\n```\\n" + " ".join(arguments[2:])
with open(out, "w") as file:
    json.dump({"title": "Good part", "rows": [row, missed], "text": text}, file)
with open(__file__ + ".ran", "a") as file:
    file.write("x")
print("printed")
"""
FAILS = "raise SystemExit('good: error: ' + __file__ + ' broke')"
LACKS = "import sys; print('lacks: error: no display', file=sys.stderr); sys.exit(2)"
SILENT = ""
SLOW = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
open(__file__ + ".pid", "w").write(str(child.pid))
time.sleep(600)
"""
CUT = GOOD + "import time; time.sleep(600)"
"""Written once, when half is measured."""
ODD = """
import json, sys
json.dump({"title": "x", "rows": [{"what": 1}], "text": ""}, open(sys.argv[2], "w"))
"""


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Return a function that runs the benchmark with scripts in place of its parts."""
    clip = tmp_path / "clips" / "bear"
    for part in ("frames", "masks"):
        (clip / part).mkdir(parents=True)
    monkeypatch.setattr(bench_part, "GRACE", 1.0)
    monkeypatch.setattr(bench_part, "ROOT", tmp_path)  # its digest is of the scripts, then

    def call(scripts: dict[str, str], *arguments: str) -> int:
        folder = tmp_path / "training"
        folder.mkdir(exist_ok=True)
        for name, script in scripts.items():
            (folder / f"{name}.py").write_text(script)
        parts = [Part(name, f"About {name}", 1.0, clips=True, folder=folder) for name in scripts]
        monkeypatch.setattr(bench, "PARTS", parts)
        monkeypatch.setattr(bench, "RESULTS", tmp_path / "RESULTS.md")
        return bench.main(["--clips", str(clip), "--cache", str(tmp_path / "cache"), *arguments])

    return call


def lines_of(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines()


def test_a_failing_part_is_a_line_and_the_others_go_on(
    run: Callable[..., int], tmp_path: Path
) -> None:
    scripts = {"fails": FAILS, "lacks": LACKS, "silent": SILENT, "odd": ODD, "good": GOOD}
    assert run(scripts) == 1
    lines = lines_of(tmp_path / "RESULTS.md")
    assert lines[0] == "# Speed"
    assert "1 of 2 targets met." in lines
    assert "It failed: good: error: training/fails.py broke" in lines or (
        "It failed: training/fails.py broke" in lines
    )
    assert "Not measured: no display" in lines
    assert "It failed: It ended without a result." in lines
    assert "It failed: Its result is not {title, rows, text}." in lines
    assert "| loss \\| memory | 40× | 41× | yes |" in lines
    assert "| step | 1 s | 2 s | **no** |" in lines
    assert "- **step** (`good.py`): slow disk" in lines
    # the part's own text, its heading below the page's, its code as it is
    assert lines[lines.index("## Good part") + 2] == "### Found"
    assert "# a comment" in lines
    assert not any(str(tmp_path) in line for line in lines if "--clips" not in line)


def test_what_lacks_something_is_no_fault(run: Callable[..., int], tmp_path: Path) -> None:
    assert run({"lacks": LACKS, "good": GOOD}) == 0
    assert "Not measured: no display" in lines_of(tmp_path / "RESULTS.md")


def test_clips_go_to_the_parts_that_take_them(run: Callable[..., int], tmp_path: Path) -> None:
    assert run({"good": GOOD}) == 0
    (given,) = [line for line in lines_of(tmp_path / "RESULTS.md") if line.startswith("--clips")]
    assert given == f"--clips {(tmp_path / 'clips' / 'bear').resolve()}"
    assert any("with clips bear; commit" in line for line in lines_of(tmp_path / "RESULTS.md"))


def test_a_clip_is_made_where_none_is_given(
    run: Callable[..., int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run({"good": GOOD})  # its scripts and parts
    monkeypatch.setattr(bench, "CLIP_FRAMES", 2)
    assert bench.main(["--cache", str(tmp_path / "cache")]) == 0
    text = (tmp_path / "RESULTS.md").read_text(encoding="utf-8")
    assert "with a clip that was made for it" in text
    assert "generated" in text


def test_a_clip_without_masks_is_refused(
    run: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run({"good": GOOD}, "--clips", str(tmp_path)) == 2
    assert "frames/ and masks/" in capsys.readouterr().err
    assert not (tmp_path / "RESULTS.md").exists()


def test_finished_parts_are_not_repeated(run: Callable[..., int], tmp_path: Path) -> None:
    ran = tmp_path / "training" / "good.py.ran"
    assert run({"good": GOOD, "fails": FAILS}) == 1
    assert run({"good": GOOD, "fails": FAILS}, "--resume") == 1
    assert ran.read_text() == "x"
    first = lines_of(tmp_path / "RESULTS.md")
    assert "| step | 1 s | 2 s | **no** |" in first
    run({"good": GOOD, "fails": FAILS})
    assert ran.read_text() == "xx"
    # other code: all of it is run again, and so are other clips
    run({"good": GOOD + "\n", "fails": FAILS}, "--resume")
    assert ran.read_text() == "xxx"
    other = tmp_path / "clips" / "dog"
    for part in ("frames", "masks"):
        (other / part).mkdir(parents=True)
    run({"good": GOOD + "\n", "fails": FAILS}, "--resume", "--clips", str(other))
    assert ran.read_text() == "xxxx"


def test_some_parts_are_printed_and_leave_the_page_alone(
    run: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run({"good": GOOD, "fails": FAILS}, "--only", "good") == 0
    assert "| step | 1 s | 2 s | **no** |" in capsys.readouterr().out
    assert not (tmp_path / "RESULTS.md").exists()
    assert run({"good": GOOD, "fails": FAILS}, "--skip", "good", "--out", str(tmp_path / "a.md"))
    assert "About fails" in (tmp_path / "a.md").read_text()
    assert run({"good": GOOD}, "--skip", "good") == 2


def test_what_a_part_had_measured_when_its_time_was_up_is_shown(
    run: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run({"cut": CUT}, "--minutes", "0.05") == 1
    lines = lines_of(tmp_path / "RESULTS.md")
    row = lines.index("| step | 1 s | 2 s | **no** |")
    assert lines[row + 2].startswith("It was stopped after 0.")
    assert "## Good part" in lines
    assert "1 of 2 targets met; cut: It was stopped after" in capsys.readouterr().err
    # it is no finished part
    run({"cut": CUT}, "--minutes", "0.05", "--resume")
    assert (tmp_path / "training" / "cut.py.ran").read_text() == "xx"


def alive(pid: int) -> bool:
    """Whether a process is there and not only waiting for its parent to hear of its end."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_a_part_that_takes_too_long_ends_with_all_it_started(
    run: Callable[..., int], tmp_path: Path
) -> None:
    assert run({"slow": SLOW, "good": GOOD}, "--minutes", "0.1") == 1
    assert any("its share of the time" in line for line in lines_of(tmp_path / "RESULTS.md"))
    assert "| step | 1 s | 2 s | **no** |" in lines_of(tmp_path / "RESULTS.md")
    assert not alive(int((tmp_path / "training" / "slow.py.pid").read_text()))


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc, sends signals")
def test_ctrl_c_keeps_what_is_done_and_says_how_to_go_on(tmp_path: Path) -> None:
    """In a process of its own, which gets the signal as from a terminal."""
    for name, script in {"good": GOOD, "slow": SLOW}.items():
        (tmp_path / f"{name}.py").write_text(script)
    (tmp_path / "clip" / "frames").mkdir(parents=True)
    (tmp_path / "clip" / "masks").mkdir()
    own = (
        "import signal, sys, bench, bench_part\n"
        "from pathlib import Path; from bench_part import Part\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # not in background jobs
        "folder = Path(sys.argv[1]); bench_part.GRACE = 1.0\n"
        "bench.PARTS = [Part(n, n, 9.0, folder=folder) for n in ('good', 'slow')]\n"
        "sys.exit(bench.main(['--clips', str(folder / 'clip'), '--cache', str(folder / 'kept')]))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", own, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )
    child = tmp_path / "slow.py.pid"
    while not (child.exists() and child.read_text()):
        assert process.poll() is None, process.stderr and process.stderr.read()
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate()
    assert process.returncode == 130
    assert "Go on: the same command with --resume" in said
    assert not alive(int(child.read_text()))
    (kept,) = (tmp_path / "kept").rglob("*.json")
    assert json.loads(kept.read_text())["outcome"]["part"] == "good"


def test_every_part_has_a_share_of_half_an_hour() -> None:
    assert sum(part.minutes for part in bench.PARTS) == 30
    names = [part.name for part in bench.PARTS]
    assert len(set(names)) == len(names) == 8


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ("", "abc1234"),
        (" M training/benchmarks/RESULTS.md\n M training/benchmarks/growth.png", "abc1234"),
        (" M training/benchmarks/growth.png\n M training/maskfree/cli.py", "abc1234 with changes"),
    ],
)
def test_the_page_names_the_commit_and_counts_no_picture_of_its_own_as_a_change(
    changed: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def git(what: str, *_: str) -> str:
        return changed if what == "status" else "abc1234"

    monkeypatch.setattr(bench_page, "_git", git)
    assert bench_page.commit() == said


def test_the_page_says_what_was_not_measured_and_why() -> None:
    row = {"what": "GPU", "target": "10 s", "measured": "–", "met": None, "why": "There is none."}
    found = Outcome("good", {"title": "T", "rows": [row], "text": "Text."}, 1.25, (0.5, 1.5))
    gone = Outcome("bad", None, 0.5, (1.0, 2.0), "no git", failed=True)
    parts = [Part("good", "Good", 1.0), Part("bad", "Bad", 1.0)]
    lines = page(parts, [found, gone], []).splitlines()
    assert "| GPU | 10 s | – | – |" in lines
    assert "- **GPU** (`good.py`): There is none." in lines
    assert "| `good` | 1.2 | 0.5 to 1.5 |" in lines
    assert "| **all** | **1.8** |  |" in lines
    assert verdict([found, gone]) == "0 of 0 targets met, 1 not measured here; bad: no git"
