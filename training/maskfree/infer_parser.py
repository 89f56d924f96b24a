"""The grammar of ``maskfree infer`` and ``maskfree ap``."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse

__all__ = [
    "AP_EPILOG",
    "AP_SUMMARY",
    "INFER_EPILOG",
    "INFER_SUMMARY",
    "add_ap",
    "add_infer",
]

INFER_SUMMARY = "a trained model's results on a data set, for its evaluation"

INFER_EPILOG = """\
RUN is the folder of a training run, whose newest checkpoint and recipe are taken, one of its
checkpoints, or weights: of a run, or released ones of Mask2Former or MaskFreeVIS, whose network
--recipe names. ROOT is the data set's folder, laid out as published.
The whole of a video goes through the network at once; where that is too much for the memory,
--set inference.clip_length=32 makes clips of it, whose instances are linked.
ytvis2019, ytvis2021 and ovis: OUT is what the evaluation server takes, zipped where it ends in
.zip; coco: a results file for pycocotools; bdd100k: frames in Scalabel's format, with run
lengths, for bdd100k.eval. A process that was stopped or killed is gone on with: the videos that
are done lie in OUT.parts.

examples:
  maskfree infer runs/r50 --data YouTube-VIS --out results.zip
  maskfree infer model_final.pth --recipe ytvis19-r50 --data YouTube-VIS --out results.zip
  maskfree infer runs/ovis --data OVIS --split valid --set inference.clip_length=40 --out r.zip
"""

AP_SUMMARY = "YouTube-VIS's AP and AR of a results file over a data set"

AP_EPILOG = """\
Needs a split with true masks, and TrackEval (pip install --no-deps trackeval). AP is the mean over
the overlaps 0.5, 0.55 to 0.95 and the classes; AR1 and AR10 count a video's one or ten surest
tracks of a class. Percent; with --json parts of one.

example:
  maskfree infer run --data YouTube-VIS --split held --out held.json
  maskfree ap held.json --data YouTube-VIS --kind ytvis2019 --split held --full
"""

_KINDS = "ytvis2019, ytvis2021, ovis, bdd100k or coco"


def add_infer(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("source", metavar="RUN", help="a run, a checkpoint, or weights")
    parser.add_argument("--data", required=True, metavar="ROOT", help="the data set's folder")
    parser.add_argument("--kind", help=f"{_KINDS}; default: the recipe's")
    parser.add_argument("--split", help="which part of it; default: the recipe's, valid")
    parser.add_argument("--out", required=True, metavar="FILE", help="the results file to write")
    parser.add_argument(
        "--recipe", metavar="NAME", help="a recipe by name or file; default: the run's own"
    )
    parser.add_argument(
        "--device", default="auto", help="auto (the fastest there is), cpu, cuda or mps"
    )
    parser.add_argument(
        "--set",
        nargs="+",
        action="extend",
        default=[],
        metavar="key=value",
        help="change a setting, as inference.short_side=480",
    )
    parser.add_argument("--json", action="store_true", help="print the result as JSON, for scripts")


def add_ap(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("results", metavar="FILE", help="a results file, not zipped")
    parser.add_argument("--data", required=True, metavar="ROOT", help="the data set's folder")
    parser.add_argument("--kind", default="ytvis2019", help="ytvis2019, ytvis2021 or ovis")
    parser.add_argument("--split", default="valid", help="which part of it; default: valid")
    parser.add_argument("--full", action="store_true", help="a line for each class")
    parser.add_argument("--json", action="store_true", help="print the result as JSON, for scripts")
