"""How good the masks are for how few boxes: the whole job on clips with true masks.

For each clip folder (``frames/00000.jpg …`` and ``masks/00000.png …``, 8-bit instance ids) this
makes a boxes file from the masks, fine-tunes, predicts and scores, all through the public API, and
prints a table beside the interpolated boxes filled in. The masks serve the boxes and the score
alone; training never sees them, except the oracle's (``--oracle``).

usage: python training/benchmarks/quality.py CLIP… [--every 5] [--preset tiny] [--steps N]
       [--seed 0 …] [--set key=value …] [--device auto] [--json] [--draw FOLDER]
       [--jitter 0.05] [--first-only] [--oracle] [--cache FOLDER] [--keep FOLDER]
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from job import Job, Result
    from maskfree.config import Config

__all__ = ["main"]

STOPPED = 130
"""Exit code after Ctrl-C."""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n\n")[0])
    add = parser.add_argument
    add("clips", nargs="+", type=Path, metavar="CLIP")
    add("--every", type=int, default=5, help="keyframe every N annotated frames (default: 5)")
    add("--first-only", action="store_true", help="only each track's first box")
    add(
        "--jitter",
        type=float,
        default=0.0,
        metavar="S",
        help="move each side of the keyframes' boxes: standard deviation, part of the box's size",
    )
    add("--preset", default="tiny")
    add("--steps", type=int, help="optimiser steps (default: the preset's)")
    add("--seed", type=int, nargs="+", default=[0], help="one or more seeds")
    add("--set", nargs="+", action="extend", default=[], metavar="KEY=VALUE")
    add("--device", default="auto")
    add("--oracle", action="store_true", help="also train on the true masks: how much is kept?")
    add("--cache", type=Path, metavar="FOLDER", help="keep finished runs there and reuse them")
    add("--keep", type=Path, metavar="FOLDER", help="keep each run's session there")
    add("--draw", type=Path, metavar="FOLDER", help="write a contact sheet a run")
    add("--json", action="store_true", help="print results for machines")
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Run the benchmark; return the exit code."""
    # as in maskfree.cli: threads that spin while they wait are slow; read when torch is imported
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    options = _parser().parse_args(arguments)
    from maskfree.errors import InputError
    from runner import Runner

    try:
        config = chosen_config(options.preset, options.steps, options.set)
        runner = Runner(options.cache, options.keep, options.draw)
        results = [runner.run(job) for job in _jobs(options, config)]
    except InputError as error:
        print(f"quality: error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        again = "the same command goes on from here" if options.cache else "nothing was kept"
        print(f"\nquality: stopped; {again}", file=sys.stderr)
        return STOPPED
    if options.json:
        print(json.dumps([r.summary() for r in results], indent=1))
    else:
        print(_text(results, options, config))
    return 0


def chosen_config(preset_name: str, steps: int | None, pairs: list[str]) -> Config:
    """Return a preset's config with ``key=value`` pairs and the number of steps put in.

    Raises
    ------
    InputError
        For an unknown preset or key, or a value that does not fit.
    """
    from maskfree.errors import InputError
    from maskfree.presets import preset
    from maskfree.settings import override

    for pair in pairs:
        if "=" not in pair:
            raise InputError(f"--set takes KEY=VALUE, got {pair}.")
    values = dict(pair.split("=", 1) for pair in pairs)
    if steps is not None:
        values["optimiser.steps"] = str(steps)
    return override(preset(preset_name), values)


def _jobs(options: argparse.Namespace, config: Config) -> list[Job]:
    from job import Job

    return [
        Job(
            clip,
            config,
            every=options.every,
            jitter=options.jitter,
            first_only=options.first_only,
            kind=kind,
            seed=seed,
            device=options.device,
        )
        for clip in options.clips
        for seed in options.seed
        for kind in (["train", "oracle"] if options.oracle else ["train"])
    ]


def _text(results: list[Result], options: argparse.Namespace, config: Config) -> str:
    from cache import commit
    from report import machine, notes, table

    boxed = f"Boxes every {options.every} annotated frames"
    if options.first_only:
        boxed = "The first box of each track alone"
    jitter = f", sides moved by {options.jitter:g} of the box" if options.jitter else ""
    changed = f", {' '.join(options.set)}" if options.set else ""
    setting = (
        f"{boxed}{jitter}, preset {options.preset}{changed}, {config.optimiser.steps} steps, "
        f"seeds {options.seed}; commit {commit()}, {machine()}."
    )
    return f"{table(results)}\n\n{setting}\n{notes(results)}"


if __name__ == "__main__":
    raise SystemExit(main())
