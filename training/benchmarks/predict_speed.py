"""Frames a second of prediction, beside the baseline commit and beside the forward pass alone.

The engine of now and the one of before take turns, each time in a process of its own.

usage: python training/benchmarks/predict_speed.py --clips CLIP… [--rounds 1] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import baseline
from report import machine, markdown
from result_file import write_result

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main"]

TIMES, LIMIT = 3.0, 0.6
"""What was promised: times the baseline's frames a second, or that share of the forward pass's."""
REPEATS = 2
"""Predictions of this engine that count, in each round; one of the engine before."""
RUN = Path(__file__).with_name("predict_run.py")
HEAD = ["clip", "engine", "frames/s", "spread", "network", "forward pass alone", "of that", "MiB"]


def _measured(clip: Path, root: Path | None) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="maskfree-") as folder:
        found = Path(folder) / "found.json"
        repeats = REPEATS if root is None else 1  # the one before is slow
        command = [sys.executable, str(RUN), str(clip), "--repeats", str(repeats)]
        command += ["--json", str(found)]
        subprocess.run(command, env=baseline.environment(root), check=True)
        content: dict[str, Any] = json.loads(found.read_text(encoding="utf-8"))
        return content


def _rates(runs: Sequence[dict[str, Any]], key: str) -> list[float]:
    return [run["frames"] / seconds for run in runs for seconds in run[key]]


def _row(clip: str, now: list[dict[str, Any]], old: list[dict[str, Any]]) -> dict[str, Any]:
    rate, limit = (statistics.median(_rates(now, key)) for key in ("seconds", "limit"))
    words = f"{rate:.1f} frames/s, {rate / limit:.0%} of the forward pass's {limit:.1f}"
    met, times = rate / limit >= LIMIT, None
    if old:
        times = rate / statistics.median(_rates(old, "seconds"))
        words = f"{times:.1f} times; {words}"
        met = met or times >= TIMES
    return {
        "what": f"{clip}: prediction",
        "target": f"{TIMES:g} times the state before, or {LIMIT:.0%} of the forward pass's limit",
        "measured": words,
        "met": met,
        "why": "" if met else _why(now, old),
    }


def _why(now: list[dict[str, Any]], old: list[dict[str, Any]]) -> str:
    """Return where the time goes, now and before."""
    sentences = []
    for name, runs in (("now", now), ("before", old)):
        if runs:
            whole, looked, limit = (
                1000 / statistics.median(_rates(runs, key))
                for key in ("seconds", "looked", "limit")
            )
            sentences.append(
                f"{name} a frame takes {whole:.0f} ms; the network's part alone, with reading and "
                f"frames that two clips share, {looked:.0f} ms, the forward pass {limit:.0f} ms"
            )
    return f"{'; '.join(sentences)}. The rest is the masks' refinement, now beside the network."


def _line(clip: str, engine: str, runs: list[dict[str, Any]]) -> list[str]:
    rates = _rates(runs, "seconds")
    rate = statistics.median(rates)
    looked, limit = (statistics.median(_rates(runs, key)) for key in ("looked", "limit"))
    peak = max(run["peak_kb"] for run in runs) / 1024
    spread = f"{min(rates):.1f} to {max(rates):.1f}"
    words = [f"{rate:.1f}", spread, f"{looked:.1f}", f"{limit:.1f}", f"{rate / limit:.0%}"]
    return [clip, engine, *words, f"{peak:.0f}"]


def _text(lines: Sequence[list[str]], *, missing: bool) -> str:
    said = (
        "Boxes given, masks refined, in memory; the first of each process is not counted. "
        "*Network*, its part alone: frames a second of reading and looking, in clips that overlap, "
        "without the masks' refinement, which now runs beside it. *Forward pass alone*: every "
        "frame once, without its mirror image."
    )
    parts = [said, markdown(HEAD, lines, words=2), *([baseline.MISSING] if missing else [])]
    return "\n\n".join(parts)


def main(arguments: list[str] | None = None) -> int:
    """Print the results; return the exit code, 2 where there is no clip."""
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n\n")[0])
    add = parser.add_argument
    add("--clips", type=Path, nargs="+", default=[], metavar="CLIP", help="frames/ and masks/")
    add("--rounds", type=int, default=1, help="turns of each engine (default: 1)")
    add("--json", type=Path, metavar="FILE")
    options = parser.parse_args(arguments)
    if not options.clips:
        print('predict_speed: needs clips with masks: make bench CLIPS="A B"', file=sys.stderr)
        return 2
    rows, lines = [], []
    with baseline.worktree() as root:
        for clip in options.clips:
            now, old = [], []
            for _ in range(options.rounds):
                if root is not None:
                    old.append(_measured(clip, root))
                now.append(_measured(clip, None))
            rows.append(_row(clip.name, now, old))
            lines.append(_line(clip.name, "now", now))
            if old:
                lines.append(_line(clip.name, "before", old))
            text = _text(lines, missing=root is None)
            write_result(options.json, "Prediction", rows, text)
    table = [[row["what"], row["target"], row["measured"]] for row in rows]
    print(markdown(["what", "promised", "measured"], table, words=3))
    print(f"\n{text}\n\n{machine()}.")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
