"""The grammar of ``maskfree ablate``."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse

__all__ = ["ABLATE_EPILOG", "ABLATE_SUMMARY", "add_ablate"]

ABLATE_SUMMARY = "run the paper's comparisons of settings on clips with true masks"

ABLATE_EPILOG = """\
CLIPS holds a folder for each clip, with frames (00000.jpg …) and masks (00000.png …, pixel =
instance id, 0 is background; a frame without one is not annotated). Every setting is trained on
boxes made from the masks, on every clip, with every seed, and scored by J against them. It takes
hours, a minute or two a job: a finished one is kept, and the same command goes on where it was
stopped. Results that other code made do not count, unless --any-commit says so.
Written: DIR/ablation.md, and DIR/ablation.png where matplotlib is installed.
Groups: method, neighbours, radius, patch, metric, tube, matching, retention.

examples:
  maskfree ablate clips --out report
  maskfree ablate clips --out report --clips dog bear --only method neighbours --jobs 2
  maskfree ablate --generated 4 --out report          (clips that are made here)
  maskfree ablate clips --out longer --steps 600 --only method --set temporal.weight=3
  maskfree ablate clips --out report --report         (from what is finished, nothing is run)
"""


def add_ablate(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    add = parser.add_argument
    add("clips_folder", nargs="?", metavar="CLIPS", help="folder of the clips' folders")
    add("--out", required=True, metavar="DIR", help="folder of the report; made where absent")
    add("--clips", nargs="+", metavar="NAME", help="these clips only")
    add("--only", nargs="+", metavar="GROUP", help="these groups only")
    add("--steps", type=int, metavar="N", help="optimiser steps of a job; default: 150")
    add("--seeds", type=int, nargs="+", metavar="N", help="default: 0 1 2")
    add("--generated", type=int, default=0, metavar="N", help="N generated clips as well")
    add(
        "--set",
        nargs="+",
        action="extend",
        default=[],
        metavar="key=value",
        help="change the base of every job; what a row is about comes after it",
    )
    add("--cache", metavar="DIR", help="where finished jobs are kept; default: in the report's")
    add("--any-commit", action="store_true", help="take results that other code made as well")
    add(
        "--reasons", metavar="FILE", help='TOML, group = "text": what stands below a group\'s table'
    )
    add("--report", action="store_true", help="run nothing, report what is finished")
    add("--jobs", type=int, default=1, metavar="N", help="jobs side by side; default: 1")
    add("--device", default="auto", help="auto, cpu, cuda or mps; default: auto")
    add("--json", action="store_true", help="print the result as JSON, for scripts")
