"""What each part of the method is worth: J on a few clips with one part switched off at a time.

Writes ``ABLATION.md``. Every finished job is kept in ``--cache``: an interrupted run goes on with
the same command, and a variant that is added or changed costs its own jobs alone.

usage: python training/benchmarks/ablation.py CLIPS [--clips NAME …] [--only VARIANT …]
       [--steps 200] [--seed 0 …] [--every 5] [--device auto] [--cache FOLDER] [--out FILE]

``CLIPS`` holds one folder a clip, as `quality.py` takes them.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import shlex
import statistics
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from job import Job
    from runner import Runner

__all__ = ["VARIANTS", "Row", "Variant", "main", "page", "run_variant"]


@dataclasses.dataclass(frozen=True)
class Variant:
    """One row: its name, what it switches off, and how.

    ``settings`` are put into the default; ``preset`` starts from another. ``kind`` is one of
    `job.KINDS`. ``refinement``: "off" adds `refinement.SWITCHED_OFF`; "needed": the row is left out
    as long as that is empty.
    """

    name: str
    off: str
    settings: Mapping[str, str] = dataclasses.field(default_factory=dict)
    kind: str = "train"
    preset: str = "tiny"
    refinement: str = ""


VARIANTS = [
    Variant("default", "nothing"),
    Variant("no projection", "the mask fills its box", {"objective.projection_weight": "0"}),
    Variant("no pairwise", "like colours belong together", {"pairwise.weight": "0"}),
    Variant("no TK-Loss", "patches matched over time", {"temporal.weight": "0"}),
    Variant("dense tube", "frame pairs in a cycle (all pairs instead)", {"temporal.tube": "dense"}),
    Variant(
        "longer gaps", "clips of near frames (up to 8 apart instead)", {"sampling.max_gap": "8"}
    ),
    Variant("no outside", "nothing beyond the box", {"objective.outside_weight": "0"}),
    Variant("no evidence", "background seen elsewhere", {"evidence.seek": "false"}),
    Variant(
        "evidence alone",
        "the consensus: the network learns from background seen elsewhere alone",
        {"consensus.train": "false", "consensus.refine": "false"},
    ),
    Variant("straight boxes", "boxes that follow the picture", {"follow.between": "false"}),
    Variant("no colours", "colours over the whole video", {"consensus.colour": "0"}),
    Variant(
        "no outside surface",
        "what goes on outside the box is background",
        {"consensus.geodesic.weight": "0"},
    ),
    Variant("no edges", "masks keep to the picture's edges", {"consensus.smooth": "0"}),
    Variant("no ellipse", "the ellipse in the box", {"consensus.shape": "0"}),
    Variant("no teacher", "the network's own masks in its labels", {"consensus.teacher_at": "1"}),
    Variant("no labels", "labels in training", {"evidence.weight": "0"}),
    Variant("no prior", "the middle of the box is object", {"prior.weight": "0"}),
    Variant("no binding", "a query for each track", {"matching.mode": "tube"}),
    Variant(
        "no slack",
        "interpolated boxes are soft",
        {"sampling.slack_per_frame": "0", "sampling.slack_per_travel": "0"},
    ),
    Variant("no stretch", "little contrast is stretched", {"sampling.contrast": "0"}),
    Variant("no lean", "the ellipse at little contrast", {"consensus.lean": "0"}),
    Variant("no enlarging", "small objects are enlarged", {"sampling.max_enlarge": "1"}),
    Variant("always prompted", "steps without boxes", {"matching.unprompted": "0"}),
    Variant(
        "no augmentation",
        "flip, zoom and colour changes",
        {"augment.flip": "false", "augment.scale_jitter": "0", "augment.colour_jitter": "0"},
    ),
    Variant("running norms", "batch norms measured anew", {"optimiser.norm_clips": "0"}),
    Variant(
        "smallest scale",
        "prediction at the middle of the scales",
        {"predict.middle_scale": "false"},
    ),
    Variant(
        "last output only", "losses on every decoder output", {"objective.deep_supervision": "0"}
    ),
    Variant("paper", "all that is beyond the paper", preset="paper"),
    Variant("no refinement", "the refinement: the network alone", refinement="off"),
    Variant(
        "refined boxes", "the network: filled boxes, refined", kind="filled", refinement="needed"
    ),
]
"""The rows, in order; the first is what the others are compared with."""
BOXES = Variant("boxes filled in", "everything")
"""The last row, which needs no run of its own."""

CLIPS = ("blackswan", "dog", "quad", "phase-cells")
"""The clips that are run where none are named."""
STEPS, EVERY = 200, 5
"""Fewer steps than the default, so that all of it is done in a night on two cores."""
OUT = Path(__file__).with_name("ABLATION.md")
CACHE = Path(__file__).with_name(".cache")
STOPPED = 130
NOTHING = "–"


@dataclasses.dataclass(frozen=True)
class Row:
    """A finished variant: J by clip (None where it failed), the filled boxes' J, the network's."""

    variant: Variant
    j: dict[str, float | None]
    box_j: dict[str, float]
    alone_j: dict[str, float] = dataclasses.field(default_factory=dict)

    @property
    def mean(self) -> float | None:
        """Mean J over the clips; None where one of them failed."""
        known = [j for j in self.j.values() if j is not None]
        return statistics.mean(known) if len(known) == len(self.j) else None

    @property
    def alone(self) -> float | None:
        """Mean J of the network's own masks; None where it was not alone on every clip."""
        known = self.alone_j.values()
        return statistics.mean(known) if len(known) == len(self.j) else None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n\n")[0])
    add = parser.add_argument
    add("folder", type=Path, metavar="CLIPS", help="folder that holds the clips' folders")
    add("--clips", nargs="+", default=list(CLIPS), metavar="NAME")
    add("--only", nargs="+", metavar="VARIANT", help="these variants, beside the default")
    add("--steps", type=int, default=STEPS)
    add("--seed", type=int, nargs="+", default=[0], help="the median over these")
    add("--every", type=int, default=EVERY, help="keyframe every N annotated frames")
    add("--device", default="auto")
    add("--cache", type=Path, default=CACHE, metavar="FOLDER", help="where finished jobs are kept")
    add("--out", type=Path, default=OUT, metavar="FILE")
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Run the ablation; return the exit code."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # see quality.py
    options = _parser().parse_args(arguments)
    from maskfree.errors import InputError
    from maskfree.storage import atomic_write
    from runner import Runner

    try:
        variants = chosen_variants(options.only)
        jobs = {v.name: jobs_of(v, options) for v in variants}  # a wrong setting is said at once
        runner = Runner(cache=options.cache)
        rows = [run_variant(v, jobs[v.name], runner) for v in variants]
        text = page(rows, options)
        atomic_write(options.out, text)
    except InputError as error:
        print(f"ablation: error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nablation: stopped; the same command goes on from here", file=sys.stderr)
        return STOPPED
    print(text, end="")
    return 0 if all(row.mean is not None for row in rows) else 2


def chosen_variants(names: Sequence[str] | None) -> list[Variant]:
    """Return the variants to run: the default, and those named or all that can be run.

    Raises
    ------
    InputError
        For an unknown name.
    """
    from maskfree.errors import InputError, nearest
    from refinement import SWITCHED_OFF

    known = {v.name: v for v in VARIANTS}
    for name in names or []:
        if name not in known:
            raise InputError(f'There is no variant "{name}".{nearest(name, known)}')
    default, *others = VARIANTS
    chosen = [v for v in others if names is None or v.name in names]
    waiting = [v.name for v in chosen if v.refinement and not SWITCHED_OFF]
    if waiting:
        print(f"ablation: left out, no refinement yet: {', '.join(waiting)}", file=sys.stderr)
    return [default, *(v for v in chosen if v.name not in waiting)]


def jobs_of(variant: Variant, options: argparse.Namespace) -> list[Job]:
    """Return a variant's jobs: every clip, every seed.

    Raises
    ------
    InputError
        For a setting that does not exist, a value that does not fit, or a missing clip.
    """
    from job import Job
    from maskfree.errors import InputError
    from quality import chosen_config
    from refinement import SWITCHED_OFF

    off = SWITCHED_OFF if variant.refinement == "off" else {}
    pairs = [f"{key}={value}" for key, value in {**variant.settings, **off}.items()]
    config = chosen_config(variant.preset, options.steps, pairs)
    jobs = []
    for name in options.clips:
        clip = options.folder / name
        if not (clip / "frames").is_dir():
            raise InputError(f"There is no clip {clip} with a folder frames. Name others: --clips.")
        jobs += [
            Job(
                clip,
                config,
                every=options.every,
                kind=variant.kind,
                seed=seed,
                device=options.device,
            )
            for seed in options.seed
        ]
    return jobs


def run_variant(variant: Variant, jobs: Sequence[Job], runner: Runner) -> Row:
    """Run a variant's jobs; one that fails leaves a gap in the row and is named on stderr."""
    from maskfree.errors import InputError

    print(f"— {variant.name}", file=sys.stderr, flush=True)
    found: dict[str, list[float | None]] = {job.clip.name: [] for job in jobs}
    box_j: dict[str, float] = {}
    alone: dict[str, list[float]] = {}
    for job in jobs:
        try:
            result = runner.run(job)
        except InputError as error:
            print(f"ablation: {variant.name}, {job}: {error}", file=sys.stderr, flush=True)
            found[job.clip.name].append(None)
            continue
        found[job.clip.name].append(result.j)
        box_j[job.clip.name] = result.box_j
        if result.alone_j is not None:
            alone.setdefault(job.clip.name, []).append(result.alone_j)
    j = {clip: _median(own) for clip, own in found.items()}
    return Row(variant, j, box_j, {clip: statistics.median(own) for clip, own in alone.items()})


def _median(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.median(known) if len(known) == len(values) else None


def page(rows: Sequence[Row], options: argparse.Namespace) -> str:
    """Write the page: what was run, the table, the setting."""
    from cache import commit
    from report import machine

    default = rows[0]
    seeds = " ".join(map(str, options.seed))
    command = f"python training/benchmarks/ablation.py CLIPS --steps {options.steps} --seed {seeds}"
    if options.every != EVERY:
        command += f" --every {options.every}"
    if options.clips != list(CLIPS):
        command += f" --clips {shlex.join(options.clips)}"
    if options.only:
        command += f" --only {shlex.join(options.only)}"
    seed = f"one seed ({seeds})" if len(options.seed) == 1 else f"the median of seeds {seeds}"
    return f"""# Ablation

What each part is worth: mean J over the tracks of each clip, with that part switched off and all
else at the default. *Alone* is the mean J of the network's own masks, before their refinement.
Made by `ablation.py`; do not edit by hand.

```sh
{command}
```

{variants_table(rows, default)}

Reduced setting: boxes every {options.every} annotated frames, {options.steps} steps, {seed}. A
difference is as uncertain as the spread between seeds: see `quality.py --seed 0 1 2`.

Commit {commit()}; {machine()}.
"""


def variants_table(rows: Sequence[Row], default: Row) -> str:
    """Write the table: a row a variant, and last the boxes filled in without any network."""
    from report import markdown

    clips = list(default.j)
    boxes = Row(BOXES, {clip: default.box_j.get(clip) for clip in clips}, {})
    cells = [
        [
            row.variant.name,
            row.variant.off,
            *(_number(row.j[clip]) for clip in clips),
            _number(row.mean),
            "" if row is default else _difference(row.mean, default.mean),
            _number(row.alone),
            "" if row is default else _difference(row.alone, default.alone),
        ]
        for row in [*rows, boxes]
    ]
    header = ["variant", "switches off", *clips, "mean", "to the default"]
    header += ["alone", "to the default"]
    return markdown(header, cells, words=2)


def _number(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.3f}"


def _difference(value: float | None, default: float | None) -> str:
    return NOTHING if value is None or default is None else f"{value - default:+.3f}"


if __name__ == "__main__":
    raise SystemExit(main())
