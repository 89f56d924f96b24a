"""From press to masks: how long a person waits, now and before it was made fast.

For each clip with true masks and each seed, the engine of now and the one of the baseline commit
train with their default settings, one after the other, each in a process of its own whose clock
starts with it. Of masks that the weights on the way would have given, J is taken; the time to 95 %
of the final J is that of the first of these moments from which on J is no lower. Then, with this
engine alone and through its commands, the least sure frame is corrected to the truth and the
network trained again, and once more from fresh weights.

usage: python training/benchmarks/press.py --clips CLIP… [--seeds 0] [--retrain 1] [--json FILE]
       [--out FILE]
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import baseline
from clips import boxes_from_masks, true_ids
from corrections import correct, least_sure, scores
from maskfree.boxes_file import write_boxes
from maskfree.errors import InputError
from maskfree.session import Session
from report import machine, markdown

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["Press", "Retrain", "main", "reached"]

SHARE = 0.95
"""Part of the final J that counts as nearly there."""
HALF, QUARTER = 0.5, 0.25
"""What was promised: of the baseline's time, and of the first run's."""
NOISE = 0.01
"""J differs by so much between seeds; a lower mean of fewer seeds than three shows nothing."""
RUN = Path(__file__).with_name("press_run.py")
EVERY = 5
"""A box on every so many annotated frames."""


@dataclasses.dataclass(frozen=True)
class Press:
    """A run: seconds to 95 % of the final J and to the masks of all frames; ``peak`` in bytes."""

    near: float
    masks: float
    j: float
    prepare: float
    steps: int
    peak: int
    points: tuple[tuple[float, float], ...]

    @classmethod
    def of(cls, found: dict[str, Any]) -> Press:
        """Make it of what `press_run.py` wrote."""
        points = tuple((p["clock"], p["j"]) for p in found["points"])
        last = found["points"][-1]
        return cls(
            near=reached(points, SHARE),
            masks=found["trained"] + last["predict"],
            j=last["j"],
            prepare=found["prepare"],
            steps=found["steps"],
            peak=found["peak_kb"] * 1024,
            points=points,
        )


@dataclasses.dataclass(frozen=True)
class Retrain:
    """A correction of one frame: J of the others, and the seconds that were waited for it.

    ``first``, ``then``: of training and of the masks of every frame, each in a process of its own,
    before and after the correction.
    """

    frame: int
    first: tuple[float, float]
    then: tuple[float, float]
    before: float
    again: float
    fresh: float


def reached(points: Sequence[tuple[float, float]], share: float) -> float:
    """Return the first moment of (seconds, J) from which on J is ``share`` of the last or more."""
    wanted = share * points[-1][1]
    low = [n for n, (_, j) in enumerate(points) if j < wanted]
    return points[low[-1] + 1 if low else 0][0]


def _pressed(clip: Path, seed: int, root: Path | None) -> Press:
    with tempfile.TemporaryDirectory(prefix="maskfree-") as folder:
        found = Path(folder) / "found.json"
        command = [sys.executable, str(RUN), str(clip), "--seed", str(seed), "--json", str(found)]
        subprocess.run(
            [*command, "--every", str(EVERY)], env=baseline.environment(root), check=True
        )
        return Press.of(json.loads(found.read_text(encoding="utf-8")))


def retrained(clip: Path, seed: int) -> Retrain:
    """Train, correct the least sure frame, train again: on from there, and from fresh weights."""
    with tempfile.TemporaryDirectory(prefix="maskfree-") as folder:
        place = Path(folder) / "session"
        boxes = Path(folder) / "boxes.json"
        write_boxes(boxes, boxes_from_masks(clip, EVERY))

        def trained(*more: str) -> tuple[float, float]:
            given = ["--session", str(place), "--seed", str(seed), "--device", "cpu", *more]
            clock = [time.perf_counter()]
            for command in (["finetune", *given], ["predict", str(place), "--device", "cpu"]):
                engine = [sys.executable, "-m", "maskfree", *command]
                subprocess.run(
                    engine,
                    env=baseline.environment(),
                    check=True,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                )
                clock.append(time.perf_counter())
            return clock[1] - clock[0], clock[2] - clock[1]

        first = trained(str(clip / "frames"), "--boxes", str(boxes))
        session = Session.open(place)
        with session.open_video() as video:
            truth = true_ids(clip, video.names)
        frame = next(t for t in least_sure(session, len(truth), 0) if t in truth)

        def j() -> float:
            return float(np.mean([*scores(session, truth, [frame]).values()]))

        before = j()
        correct(session, truth, [frame])
        again = trained()
        after = j()
        assert session.runs()[-1].start is not None
        trained("--start", "fresh")
        return Retrain(frame, first, again, before, after, j())


def _rows(
    now: dict[str, list[Press]], old: dict[str, list[Press]], again: dict[str, list[Retrain]]
) -> list[dict[str, Any]]:
    rows = []
    for clip, runs in now.items():
        before = old.get(clip, [])
        if before:
            rows += [
                _ratio(f"{clip}: to 95 % of the final J", HALF, runs, before, lambda r: r.near),
                _ratio(f"{clip}: from press to all masks", HALF, runs, before, lambda r: r.masks),
                _quality(clip, runs, before),
            ]
        for each in again.get(clip, [])[:1]:
            part, whole = each.then[0] / each.first[0], sum(each.then) / sum(each.first)
            gain = f"J {each.before:.3f} to {each.again:.3f} (from fresh weights {each.fresh:.3f})"
            rows.append(
                {
                    "what": f"{clip}: again after one correction",
                    "target": f"at most {QUARTER:g} of the first run's time",
                    "measured": f"{part:.2f}: {each.then[0]:.0f} of {each.first[0]:.0f} s to the "
                    f"weights, {whole:.2f} to all masks; {gain}",
                    "met": part <= QUARTER and each.again >= each.fresh - NOISE,
                    "why": "" if part <= QUARTER else _why_again(each),
                }
            )
    return rows


def _why_again(each: Retrain) -> str:
    (first, masks), (then, again) = each.first, each.then
    return (
        "imports and the look at the video are the same for both: the first run took "
        f"{first:.0f} s and its masks {masks:.0f}, the second {then:.0f} and {again:.0f}"
    )


def _ratio(
    what: str,
    target: float,
    now: Sequence[Press],
    old: Sequence[Press],
    of: Callable[[Press], float],
) -> dict[str, Any]:
    ratios = [of(a) / of(b) for a, b in zip(now, old, strict=True)]
    middle = statistics.median(ratios)
    spread = f" ({min(ratios):.2f} to {max(ratios):.2f})" if len(ratios) > 1 else ""
    seconds = [statistics.median(map(of, runs)) for runs in (now, old)]
    return {
        "what": what,
        "target": f"at most {target:g} of the state before",
        "measured": f"{middle:.2f}{spread}: {seconds[0]:.1f} s, before {seconds[1]:.1f} s",
        "met": middle <= target,
        "why": "" if middle <= target else _why(now, old),
    }


def _why(now: Sequence[Press], old: Sequence[Press]) -> str:
    look = [statistics.median(r.prepare for r in runs) for runs in (now, old)]
    imports = statistics.median(r.points[0][0] - r.prepare for r in now)
    return (
        f"importing torch and transformers and reading boxes takes {imports:.1f} s now as before; "
        f"the look at the video {look[0]:.1f} s, before {look[1]:.1f} s"
    )


def _quality(clip: str, now: Sequence[Press], old: Sequence[Press]) -> dict[str, Any]:
    here, there = (statistics.mean(r.j for r in runs) for runs in (now, old))
    each = "" if len(now) == 1 else f", mean of {len(now)} seeds"
    lower = here < there - (NOISE if len(now) < 3 else 0)
    return {
        "what": f"{clip}: final J",
        "target": "not lower",
        "measured": f"{here:.3f}, before {there:.3f}{each}",
        "met": not lower,
        "why": f"seeds differ by about {NOISE:g}" if lower else "",
    }


def _text(now: dict[str, list[Press]], old: dict[str, list[Press]], seeds: Sequence[int]) -> str:
    lines = []
    for clip, runs in now.items():
        for n, seed in enumerate(seeds):
            for name, one in (("now", runs[n]), ("before", old[clip][n] if clip in old else None)):
                if one is None:
                    continue
                course = ", ".join(f"{j:.3f} at {t:.0f} s" for t, j in one.points)
                peak = f"{one.peak / 2**20:.0f}"
                cells = [f"{one.prepare:.1f}", str(one.steps), course, f"{one.masks:.0f}", peak]
                lines.append([clip, str(seed), name, *cells])
    head = ["clip", "seed", "engine", "look s", "steps", "J on the way", "masks s", "peak MiB"]
    return "\n\n".join(
        [
            "Seconds since the process was started. *Look*: what the video shows without the "
            "network; *masks*: until all frames have theirs.",
            markdown(head, lines, words=3),
        ]
    )


def main(arguments: list[str] | None = None) -> int:
    """Print the results; return the exit code, 2 where there is no clip."""
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n\n")[0])
    add = parser.add_argument
    add("--clips", type=Path, nargs="+", default=[], metavar="CLIP", help="frames/ and masks/")
    add("--seeds", type=int, nargs="+", default=[0])
    add("--retrain", type=int, default=1, metavar="N", help="train again on the first N clips")
    add("--json", type=Path, metavar="FILE")
    add("--out", type=Path, metavar="FILE", help="write the tables there as well")
    options = parser.parse_args(arguments)
    if not options.clips:
        print('press: needs clips with true masks: make bench CLIPS="A B"', file=sys.stderr)
        return 2
    now: dict[str, list[Press]] = {}
    old: dict[str, list[Press]] = {}
    again: dict[str, list[Retrain]] = {}
    try:
        with baseline.worktree() as root:
            for clip in options.clips:
                for seed in options.seeds:
                    if root is not None:
                        old.setdefault(clip.name, []).append(_pressed(clip, seed, root))
                    now.setdefault(clip.name, []).append(_pressed(clip, seed, None))
                if len(again) < options.retrain:
                    again[clip.name] = [retrained(clip, options.seeds[0])]
    except InputError as error:
        print(f"press: error: {error}", file=sys.stderr)
        return 2
    rows, text = _rows(now, old, again), _text(now, old, options.seeds)
    if not old:
        text += f"\n\n{baseline.MISSING}"
    if options.json is not None:
        content = {"title": "From press to masks", "rows": rows, "text": text}
        options.json.write_text(json.dumps(content), encoding="utf-8")
    table = [[row["what"], row["target"], row["measured"]] for row in rows]
    page = markdown(["what", "promised", "measured"], table, words=3)
    page = f"# From press to masks\n\n{page}\n\n{text}\n\n{machine()}.\n"
    print(page)
    if options.out is not None:
        options.out.write_text(page, encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
