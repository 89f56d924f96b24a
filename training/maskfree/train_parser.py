"""The grammar of ``maskfree train``."""

from __future__ import annotations

import argparse

__all__ = ["TRAIN_EPILOG", "TRAIN_SUMMARY", "add_train"]

TRAIN_SUMMARY = "train on a data set, on one GPU or many"

TRAIN_EPILOG = """\
RECIPE is the name of one of ours, as ytvis19-r50, or a TOML file whose tables are groups of
settings; with extends = "ytvis19-r50" it says only what differs. ROOT is the data set's folder in
its published layout. Boxes alone teach; what the recipe begins with may have learnt from masks.
`maskfree settings --recipe RECIPE` lists every setting with its value, unit, range and source.
Several processes act as one: the batch of the recipe is theirs together, and what is learnt is the
same up to rounding. torchrun and accelerate launch start them, on one machine or many; the run's
folder then lies on a disk that they share. The package accelerate does that:
pip install 'napari-maskfree[train]'
The run's folder holds recipe.json, metrics.jsonl, skipped.jsonl, tensorboard/ and checkpoints/.
Ctrl-C ends the step and writes a checkpoint; --resume goes on as if nothing had happened.

examples:
  maskfree train ytvis19-r50 --data youtube-vis-2019 --out run --dry-run
  maskfree train ytvis19-r50 --data youtube-vis-2019 --out run --weights coco-run
  maskfree train ytvis19-r50 --data youtube-vis-2019 --out run --resume
  maskfree train mine.toml --data ovis --out run --set schedule.batch_size=8 schedule.accumulate=4
  maskfree train ytvis19-joint --data youtube-vis-2019 --extra-data coco --out joint
  torchrun --nproc-per-node 8 -m maskfree train ytvis19-r50 --data ytvis --out run --weights coco
  accelerate launch --num_processes 8 -m maskfree train ytvis19-r50 --data ytvis --out run
"""


def add_train(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("recipe", metavar="RECIPE", help="a recipe's name, or a TOML file")
    parser.add_argument("--data", required=True, metavar="ROOT", help="folder of the data set")
    parser.add_argument(
        "--extra-data", metavar="ROOT", help="folder of the second data set, in joint training"
    )
    parser.add_argument(
        "--out", metavar="DIR", help="the run's folder; made where absent; not for --dry-run"
    )
    parser.add_argument(
        "--weights",
        metavar="FILE",
        help="begin with this network: a checkpoint, a run, a hub id; default: the recipe's",
    )
    parser.add_argument(
        "--device",
        default="auto",
        help="auto (the fastest there is), cpu, cuda or mps; default: auto",
    )
    parser.add_argument(
        "--seed", type=_seed, default=0, metavar="N", help="which of the possible runs; default: 0"
    )
    parser.add_argument(
        "--set",
        nargs="+",
        action="extend",
        default=[],
        metavar="key=value",
        help="change a setting of the recipe, as schedule.steps=3000",
    )
    parser.add_argument("--resume", action="store_true", help="go on from the newest checkpoint")
    parser.add_argument(
        "--dry-run", action="store_true", help="say what it would take, for each process, and end"
    )
    parser.add_argument("--json", action="store_true", help="print the result as JSON, for scripts")


def _seed(text: str) -> int:
    """Return a seed, see ``--seed``."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 0, got {text}")
    return int(text)
