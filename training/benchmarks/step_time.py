"""Where a training step's time goes, in this checkout and in the state before it was made fast.

Both take the same steps of a run with default settings on the same clip, in turns, each in a
process of its own (`step_clock.py`). Writes a flame graph of both. Without the older commit the
table has this checkout alone.

usage: python training/benchmarks/step_time.py [--clips CLIP …] [--rounds 6] [--steps 2]
       [--frames 12] [--flame FILE] [--json FILE]
"""

from __future__ import annotations

import argparse
import contextlib
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import baseline
from flame import Graph, flame_svg
from step_clock import BACKWARD, NETWORK, REST, STAGES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["main", "report"]

SCRIPT = Path(__file__).with_name("step_clock.py")
FLAME = Path(__file__).with_name("step_flame.svg")
SAMPLED = 6
"""Steps that the flame graph is made of."""
ORDER = (
    *(name for name, *_ in STAGES[:4]),
    *(name for name, _ in NETWORK),
    *(name for name, *_ in STAGES[4:]),
    "optimiser",
    REST,
)
"""Rows of the table, as a step goes."""
CLOCK, CPU = 0, 1
NOTHING = "–"

Step = dict[str, list[float]]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n\n")[0])
    add = parser.add_argument
    add("--clips", nargs="+", type=Path, default=[], metavar="CLIP", help="the first is taken")
    add("--rounds", type=int, default=6, help="turns of each state (default: 6)")
    add("--steps", type=int, default=2, help="of a turn (default: 2)")
    add("--frames", type=int, default=12, help="of the clip that are taken (default: 12)")
    add("--flame", type=Path, default=FLAME, metavar="FILE", help="the flame graph")
    add("--json", type=Path, metavar="FILE", help="write the results for machines")
    return parser


class _Process:
    """A state of the engine that takes steps when it is asked to."""

    def __init__(self, root: Path | None, clip: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(SCRIPT), str(clip)],
            env=baseline.environment(root),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            encoding="utf-8",
        )
        self.ask("")

    def ask(self, line: str) -> Any:
        """Send a line and return the answer."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        if line:
            print(line, file=self._process.stdin, flush=True)
        answer = self._process.stdout.readline()
        if not answer:
            raise SystemExit(f"step_time: error: {SCRIPT.name} ended; its message is above")
        return json.loads(answer)

    def __enter__(self) -> _Process:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()


@contextlib.contextmanager
def _clip(given: Sequence[Path], frames: int) -> Iterator[tuple[Path, str]]:
    """Yield a folder with so many frames of the first clip or of one that is made; its name."""
    with tempfile.TemporaryDirectory(prefix="maskfree-") as folder:
        target = Path(folder) / "clip"
        if not given:
            from napari_maskfree.sample_data import generated_clip

            generated_clip(frames).write(target)
            yield target, "the generated clip"
            return
        for part in ("frames", "masks"):
            (target / part).mkdir(parents=True)
            files = sorted(p for p in (given[0] / part).iterdir() if p.is_file())
            if not files:
                raise SystemExit(f"step_time: error: there is no file in {given[0].name}/{part}")
            for path in files[:frames]:
                shutil.copy(path, target / part)
        yield target, given[0].name


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Take the steps in turns; return each state's steps and what its stack looked like."""
    with (
        _clip(options.clips, options.frames) as (clip, name),
        baseline.worktree() as old,
        contextlib.ExitStack() as stack,
    ):
        states = {"now": None} if old is None else {"before": old, "now": None}
        processes = {k: stack.enter_context(_Process(r, clip)) for k, r in states.items()}
        steps: dict[str, list[list[Step]]] = {key: [] for key in processes}
        for _ in range(options.rounds):
            for key, process in processes.items():
                steps[key].append(process.ask(str(options.steps)))
        seen = {k: process.ask(f"{SAMPLED} sampled")[1] for k, process in processes.items()}
    return {"clip": name, "frames": options.frames, "steps": steps, "seen": seen}


def _sum(step: Step, which: int) -> float:
    return sum(each[which] for each in step.values())


def _middle(rounds: list[list[Step]], which: int) -> float:
    """Return the median milliseconds of a step."""
    return statistics.median(_sum(step, which) for turn in rounds for step in turn)


def _stage(rounds: list[list[Step]], name: str) -> float:
    """Return the median computing milliseconds of a stage; 0 where it never came."""
    return statistics.median(step.get(name, [0, 0])[CPU] for turn in rounds for step in turn)


def report(found: dict[str, Any]) -> dict[str, Any]:
    """Return the rows and the text of what was measured."""
    from report import markdown

    steps, both = found["steps"], "before" in found["steps"]
    states = list(steps)
    whole = {key: _middle(steps[key], CPU) for key in states}
    header = ["stage"]
    for key in states:
        header += [f"{key}: forward", "backward", "share"]
    rows, rest = [], {key: [0.0, 0.0] for key in states}
    names = [*ORDER, *sorted({n.removeprefix(BACKWARD) for n in _names(steps)} - set(ORDER))]
    for name in names:
        row = [name]
        for key in states:
            forward, back = (_stage(steps[key], n) for n in (name, BACKWARD + name))
            rest[key][0] += forward
            rest[key][1] += back
            share = (forward + back) / whole[key]
            row += [_number(forward), _number(back), f"{share:.0%}" if share else NOTHING]
        rows.append(row)
    total = ["**all**"]
    for key in states:
        total += [f"**{_number(rest[key][0])}**", f"**{_number(rest[key][1])}**", ""]
    rows.append(total)
    text = [
        f"Milliseconds of computing (all threads) of one step, medians; preset `tiny`, "
        f"{found['frames']} frames of {found['clip']}. A stage is without the stages inside it. "
        "Backward: see `step_clock.py`.",
        markdown(header, rows),
        _whole(steps),
        "![flame graph of a step](step_flame.svg)",
    ]
    if not both:
        text.append(baseline.MISSING)
    return {
        "title": "Where a training step's time goes",
        "rows": [_row(steps)],
        "text": "\n\n".join(text),
    }


def _names(steps: dict[str, list[list[Step]]]) -> set[str]:
    return {name for rounds in steps.values() for turn in rounds for step in turn for name in step}


def _number(value: float) -> str:
    return f"{value:.1f}" if value else NOTHING


def _ratios(steps: dict[str, list[list[Step]]], which: int) -> list[float]:
    """Return before by now of each pair of turns, sorted."""
    pairs = zip(steps["before"], steps["now"], strict=True)
    return sorted(_middle([b], which) / _middle([n], which) for b, n in pairs)


def _row(steps: dict[str, list[list[Step]]]) -> dict[str, Any]:
    """Return the summary: the issue asks for a table and a flame graph of both states."""
    row = {
        "what": "a training step (default settings)",
        "target": "table, flame graph: before, now",
    }
    now = f"{_middle(steps['now'], CPU):.0f} ms of computing"
    if "before" not in steps:
        return {**row, "measured": now, "met": None, "why": baseline.MISSING}
    ratios = _ratios(steps, CPU)
    said = f"{now}, before {_middle(steps['before'], CPU):.0f} ms: {statistics.median(ratios):.2f}×"
    return {**row, "measured": said, "met": True, "why": ""}


def _whole(steps: dict[str, list[list[Step]]]) -> str:
    """Return the whole step on the clock and of the processor, and the ratios with their spread."""
    lines = []
    for which, name in ((CPU, "Computing"), (CLOCK, "On the clock")):
        parts = [f"{key} {_middle(rounds, which):.0f} ms" for key, rounds in steps.items()]
        line = f"- {name}: {', '.join(parts)}"
        if "before" in steps:
            ratios = _ratios(steps, which)
            middle, low, high = statistics.median(ratios), ratios[0], ratios[-1]
            line += (
                f"; before / now {middle:.2f}× ({low:.2f} to {high:.2f} over {len(ratios)} turns)"
            )
        lines.append(line)
    return "\n".join(lines)


def _flame(found: dict[str, Any]) -> str:
    graphs = []
    for key, seen in found["seen"].items():
        whole = _middle(found["steps"][key], CPU)
        name = f"{key} (commit {baseline.BASELINE})" if key == "before" else key
        graphs.append(Graph(f"{name}: {whole:.0f} ms of computing a step", whole, seen))
    return flame_svg(graphs)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; return the exit code."""
    options = _parser().parse_args(arguments)
    found = measure(options)
    result = report(found)
    options.flame.write_text(_flame(found), encoding="utf-8")
    if options.json is not None:
        options.json.write_text(json.dumps(result), encoding="utf-8")
    print(f"# {result['title']}\n\n{result['text']}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
