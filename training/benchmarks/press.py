"""From press to masks: how long a person waits, now and before it was made fast.

For each clip with true masks and each seed, this engine is run through its commands, and what it
writes is looked at from outside: the masks that it shows before it trains, and the last ones. The
engine of the baseline commit trains in a process of its own whose clock starts with it; of masks
that its weights on the way would have given, J is taken. The time to 95 % of the final J is, for
this engine, until such masks are in the session; for the one before, until there are weights that
would give such masks: what it takes to make them is not counted. Then, on the first clips, the
least sure frame is corrected to the truth and the network trained again, and once more from fresh
weights.

Where masks as good are there before the first step, in both, that beginning is repeated in turns.
The one before is timed with the first seed. J of its other seeds is that of `press_before.json`
(the same commit, boxes and seed), and seeds that are not there are left out; with `--keep` they are
measured and written there.

usage: python training/benchmarks/press.py --clips CLIP… [--seeds 0 1 2] [--retrain 1] [--keep]
       [--json FILE] [--out FILE]
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import baseline
from maskfree.errors import InputError
from press_before import keep, kept
from press_command import Begun, Press, Retrain, begun, commanded
from report import machine, markdown
from result_file import write_result

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["main"]

SHARE = 0.95
"""Part of the final J that counts as nearly there."""
HALF, QUARTER = 0.5, 0.25
"""What was promised: of the baseline's time, and of the first run's."""
NOISE = 0.01
"""J differs by so much between seeds; a lower mean of fewer seeds than three shows nothing."""
RUN = Path(__file__).with_name("press_run.py")
EVERY = 5
"""A box on every so many annotated frames."""
REPEATS = 3
"""How often both are begun once more, in turns: the whole runs before have warmed them up."""


def _press_of(found: dict[str, Any]) -> Press:
    """Make it of what `press_run.py` wrote."""
    points, last = tuple((p["clock"], p["j"]) for p in found["points"]), found["points"][-1]
    return Press(points, found["trained"] + last["predict"], last["j"])


def _run_before(clip: Path, seed: int, root: Path, *more: str) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="maskfree-") as folder:
        found = Path(folder) / "found.json"
        command = [sys.executable, str(RUN), str(clip), "--seed", str(seed), "--json", str(found)]
        subprocess.run(
            [*command, "--every", str(EVERY), *more], env=baseline.environment(root), check=True
        )
        return dict(json.loads(found.read_text(encoding="utf-8")))


def _before(clip: Path, seed: int, root: Path) -> Press:
    return _press_of(_run_before(clip, seed, root, "--near", str(SHARE)))


def _beginnings(
    clip: Path, seed: int, root: Path | None, now: Press, old: Press | None
) -> list[tuple[Begun, float]]:
    """Begin both once more, in turns; nothing where either needs steps for masks as good."""
    if root is None or old is None:
        return []
    if any(not run.points or run.near(SHARE) > run.points[0][0] for run in (now, old)):
        return []
    return [
        (begun(clip, seed, EVERY), _run_before(clip, seed, root, "--begin")["begun"])
        for _ in range(REPEATS)
    ]


def _seeds(clip: Path, asked: Sequence[int], *, all_of_them: bool) -> list[int]:
    """Return the first seed, and the others whose J before is known."""
    known = kept(clip, EVERY)
    return [seed for n, seed in enumerate(asked) if not n or all_of_them or seed in known]


def _all_before(clip: Path, seeds: Sequence[int], root: Path | None) -> list[Press]:
    """Measure the engine before on the first seed; take J of the others from the file."""
    known = kept(clip, EVERY)
    found = []
    for n, seed in enumerate(seeds):
        if n and seed in known:
            found.append(Press((), math.nan, known[seed]))
        elif root is not None:
            found.append(_before(clip, seed, root))
        else:
            return []
    return found


def _beside(clip: Path, seeds: Sequence[int]) -> list[Press]:
    """Run these seeds two at a time, for their J: nothing is compared with their seconds."""
    with ThreadPoolExecutor(2) as pool:
        jobs = [
            pool.submit(commanded, clip, seed, EVERY, retrain=False, threads=1) for seed in seeds
        ]
        return [job.result()[0] for job in jobs]


def _rows(
    now: dict[str, list[Press]],
    old: dict[str, list[Press]],
    again: dict[str, list[Retrain]],
    starts: dict[str, list[tuple[Begun, float]]],
) -> list[dict[str, Any]]:
    rows = []
    for clip, runs in now.items():
        before = old.get(clip, [])
        if before:
            rows += [
                _near(clip, runs, before, starts.get(clip, [])),
                _ratio(clip, runs, before),
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


def _pairs(
    now: Sequence[Press], old: Sequence[Press], of: Callable[[Press], float]
) -> tuple[list[float], str]:
    """Return the ratios of the seeds that both were timed with, and what to say of the seconds."""
    timed = zip(now, old, strict=True)
    return _ratios([(of(a), of(b)) for a, b in timed if math.isfinite(b.masks)])


def _ratios(both: Sequence[tuple[float, float]]) -> tuple[list[float], str]:
    here, there = (statistics.median(side) for side in zip(*both, strict=True))
    ratios = [a / b for a, b in both]
    spread = f" ({min(ratios):.2f} to {max(ratios):.2f})" if len(ratios) > 1 else ""
    return ratios, f"{statistics.median(ratios):.2f}{spread}: {here:.1f} s, before {there:.1f} s"


def _near(
    clip: str,
    now: Sequence[Press],
    old: Sequence[Press],
    starts: Sequence[tuple[Begun, float]],
) -> dict[str, Any]:
    """How long it takes until masks are nearly as good as the last ones."""
    if starts:
        ratios, measured = _ratios([(here.masks, there) for here, there in starts])
    else:
        ratios, measured = _pairs(now, old, lambda run: run.near(SHARE))
    shown = [run.points[0] for run in now if run.first]
    if shown:
        j = statistics.mean(j for _, j in shown)
        measured += f" (to the weights alone); the first masks have J {j:.3f}"
    met = statistics.median(ratios) <= HALF
    late = [run for run in now if run.first and run.near(SHARE) > run.points[0][0]]
    if late:
        why = f"the first masks are not yet so good with {len(late)} of {len(now)} seeds"
    else:
        why = _why_begun(starts) if starts else "measured once: the state before takes steps for it"
    return {
        "what": f"{clip}: to {SHARE:.0%} of the final J",
        "target": f"at most {HALF:g} of the state before",
        "measured": measured,
        "met": met,
        "why": "" if met else why,
    }


def _why_begun(starts: Sequence[tuple[Begun, float]]) -> str:
    log, masks = (
        statistics.median(getattr(here, name) for here, _ in starts) for name in ("log", "masks")
    )
    return (
        f"imports take {log:.1f} s of it, the look at the video and the masks {masks - log:.1f} s"
    )


def _ratio(clip: str, now: Sequence[Press], old: Sequence[Press]) -> dict[str, Any]:
    _, measured = _pairs(now, old, lambda run: run.masks)
    return {
        "what": f"{clip}: from press to the last masks of all frames",
        "target": "(none: two commands now, one process before)",
        "measured": measured,
        "met": None,
        "why": "",
    }


def _quality(clip: str, now: Sequence[Press], old: Sequence[Press]) -> dict[str, Any]:
    here, there = (statistics.mean(r.j for r in runs) for runs in (now, old))
    each = "" if len(now) == 1 else f", mean of {len(now)} seeds"
    lower = here < there - (NOISE if len(now) < 3 else 0)
    return {
        "what": f"{clip}: final J",
        "target": "not lower",
        "measured": f"{here:.3f}, before {there:.3f}{each}",
        "met": not lower,
        "why": _spread(now, old) if lower else "",
    }


def _spread(now: Sequence[Press], old: Sequence[Press]) -> str:
    """Say how far seeds lie apart, and how sure the difference of their means is."""
    js = [[run.j for run in runs] for runs in (now, old)]
    here, there = (", ".join(f"{j:.3f}" for j in each) for each in js)
    if min(map(len, js)) < 2:
        return f"one seed; seeds differ by about {NOISE:g}"
    error = math.sqrt(sum(statistics.variance(each) / len(each) for each in js))
    apart = statistics.mean(js[0]) - statistics.mean(js[1])
    return f"seeds {here}, before {there}: {apart:+.3f}, standard error {error:.3f}"


def _text(
    now: dict[str, list[Press]], old: dict[str, list[Press]], seeds: dict[str, list[int]]
) -> str:
    lines = []
    for clip, runs in now.items():
        for n, seed in enumerate(seeds[clip]):
            for name, one in (("now", runs[n]), ("before", old[clip][n] if old[clip] else None)):
                if one is None:
                    continue
                timed = math.isfinite(one.masks)
                course = ", ".join(f"{j:.3f} at {t:.1f} s" for t, j in one.points)
                cells = [course or "–", f"{one.j:.3f}", f"{one.masks:.0f}" if timed else "–"]
                lines.append([clip, str(seed), name, *cells])
    head = ["clip", "seed", "engine", "J on the way", "J", "s to all masks"]
    return "\n\n".join(
        [
            "Seconds since the process was started, of whole runs; seeds but the first run two at "
            "a time, and nothing is compared with theirs. *Now*: masks that are in the session; "
            "*before*: what the weights would give. Without seconds: J as `press_before.json` "
            "has it.",
            markdown(head, lines, words=3),
        ]
    )


def main(arguments: list[str] | None = None) -> int:
    """Print the results; return the exit code, 2 where there is no clip."""
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n\n")[0])
    add = parser.add_argument
    add("--clips", type=Path, nargs="+", default=[], metavar="CLIP", help="frames/ and masks/")
    add("--seeds", type=int, nargs="+", default=[0, 1, 2])
    add("--keep", action="store_true", help="write J of the state before into press_before.json")
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
    seeds: dict[str, list[int]] = {}
    starts: dict[str, list[tuple[Begun, float]]] = {}
    try:
        with baseline.worktree() as root:
            for clip in options.clips:
                chosen = _seeds(clip, options.seeds, all_of_them=options.keep)
                seeds[clip.name] = chosen
                old[clip.name] = _all_before(clip, chosen, root)
                if options.keep:
                    js = [run.j for run in old[clip.name]]
                    keep(clip, EVERY, zip(chosen, js, strict=False))
                wanted = len(again) < options.retrain
                first, retrained = commanded(clip, chosen[0], EVERY, retrain=wanted)
                if retrained is not None:
                    again[clip.name] = [retrained]
                before = next(iter(old[clip.name]), None)
                starts[clip.name] = _beginnings(clip, chosen[0], root, first, before)
                now[clip.name] = [first, *_beside(clip, chosen[1:])]
                rows, text = _rows(now, old, again, starts), _text(now, old, seeds)
                if not all(old.values()):
                    text += f"\n\n{baseline.MISSING}"
                write_result(options.json, "From press to masks", rows, text)
    except InputError as error:
        print(f"press: error: {error}", file=sys.stderr)
        return 2
    table = [[row["what"], row["target"], row["measured"]] for row in rows]
    page = markdown(["what", "promised", "measured"], table, words=3)
    page = f"# From press to masks\n\n{page}\n\n{text}\n\n{machine()}.\n"
    print(page)
    if options.out is not None:
        options.out.write_text(page, encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
