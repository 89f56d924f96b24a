"""How fast it all is: every part of the benchmark, one after the other, and a page of the results.

The parts run in processes of their own, so that one that fails, takes too long or misses something
is a line in the table and the others go on. Each has a share of the time, and what the parts before
it have left of theirs; of one that takes longer, what it has measured by then is shown. Ctrl-C
keeps the finished parts; ``--resume`` goes on from there, as long as the code is the same.

usage: python training/benchmarks/bench.py [--clips CLIP …] [--only PART …] [--skip PART …]
       [--minutes 30] [--resume] [--out FILE] [--cache FOLDER]
"""

from __future__ import annotations

import argparse
import contextlib
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from baseline import BENCHMARKS
from bench_page import page, verdict
from bench_part import Kept, Part, run_part

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bench_part import Outcome

__all__ = ["PARTS", "main"]

PARTS = (
    Part("tk_loss", "TK-Loss and correspondence against the released form", 2.25),
    Part("gpu_kernels", "The fused kernels", 0.25),
    Part("step_time", "Where a training step's time goes", 0.75, clips=True),
    Part("press", "From press to masks", 14.5, clips=True),
    Part("predict_speed", "Prediction", 5.0, clips=True),
    Part("long_video", "Long videos", 1.5),
    Part("growth", "Memory and time as the video grows", 4.5, window=True),
    Part("window_speed", "The window", 1.25, window=True),
)
"""In this order; their minutes are what `make bench` may take."""
RESULTS = BENCHMARKS / "RESULTS.md"
CACHE = BENCHMARKS / ".cache" / "bench"
CLIP_FRAMES = 12
"""Frames of the clip that is made where none is given."""
DONE, FAILED, BAD_INPUT, STOPPED = 0, 1, 2, 130


def _parser() -> argparse.ArgumentParser:
    names = [part.name for part in PARTS]
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n\n")[0])
    add = parser.add_argument
    add(
        "--clips",
        nargs="+",
        type=Path,
        default=[],
        metavar="CLIP",
        help="folders with frames/ and masks/ (default: a clip that is made for it)",
    )
    add("--only", nargs="+", choices=names, metavar="PART", help=f"of {', '.join(names)}")
    add("--skip", nargs="+", choices=names, default=[], metavar="PART", help="without these")
    add(
        "--minutes",
        type=float,
        default=sum(part.minutes for part in PARTS),
        help="that all parts together may take (default: %(default)g)",
    )
    add("--resume", action="store_true", help="do not repeat what was finished with this code")
    add("--out", type=Path, metavar="FILE", help=f"the page (all parts: {RESULTS.name})")
    add("--cache", type=Path, default=CACHE, metavar="FOLDER", help="keep finished parts there")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; return the exit code."""
    options = _parser().parse_args(arguments)
    for clip in options.clips:
        if not all((clip / folder).is_dir() for folder in ("frames", "masks")):
            message = f"a clip is a folder with frames/ and masks/, got {clip}"
            print(f"bench: error: {message}", file=sys.stderr)
            return BAD_INPUT
    chosen = [
        p for p in PARTS if p.name in (options.only or [p.name]) and p.name not in options.skip
    ]
    if not chosen:
        print("bench: error: no part is left to run; see --only and --skip", file=sys.stderr)
        return BAD_INPUT
    try:
        outcomes = _run(chosen, options)
    except KeyboardInterrupt:
        print(
            "\nbench: stopped; the finished parts are kept. Go on: the same command with --resume "
            "(make bench ARGS=--resume)",
            file=sys.stderr,
        )
        return STOPPED
    text = page(chosen, outcomes, [clip.name for clip in options.clips])
    out = options.out or (RESULTS if len(chosen) == len(PARTS) else None)
    if out is None:
        print(text)
    else:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(text, encoding="utf-8")
        print(f"{out}: {verdict(outcomes)}")
    return FAILED if any(outcome.failed for outcome in outcomes) else DONE


def _run(parts: Sequence[Part], options: argparse.Namespace) -> list[Outcome]:
    """Run the parts, or take what is kept of them."""
    kept = Kept(options.cache, options.clips)
    known = {p.name: kept.read(p) for p in parts} if options.resume else {}
    share = options.minutes * 60 / sum(part.minutes for part in PARTS)
    outcomes = []
    with _clips(options.clips) as clips:
        end = time.monotonic()
        for part in parts:
            outcome = known.get(part.name)
            how = "as it was"
            if outcome is None:
                print(f"bench: {part.name} …", end=" ", file=sys.stderr, flush=True)
                end += part.minutes * share
                outcome = run_part(part, clips, end - time.monotonic())
                kept.write(part, outcome)
                how = f"{outcome.minutes:.1f} min"
            else:
                print(f"bench: {part.name} …", end=" ", file=sys.stderr)
            print(f"{how}; {verdict([outcome])}", file=sys.stderr, flush=True)
            outcomes.append(outcome)
    return outcomes


@contextlib.contextmanager
def _clips(given: Sequence[Path]) -> Iterator[list[Path]]:
    """Yield the clips that were given, or one that is made: two painted objects that move."""
    if given:
        yield [clip.resolve() for clip in given]
        return
    from napari_maskfree.sample_data.generated import generated_clip

    with tempfile.TemporaryDirectory(prefix="maskfree-") as folder:
        made = Path(folder) / "generated"
        generated_clip(CLIP_FRAMES).write(made)
        yield [made]


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # its parts are to end with it
    sys.exit(main())
