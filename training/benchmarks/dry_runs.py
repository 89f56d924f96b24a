"""What every recipe would take: `maskfree train RECIPE --dry-run` of each, as one page.

Data sets of the recipes' layouts are generated; their few videos have the size of published ones,
so that clips do, too. Each dry run is a process of its own. Writes ``DRY_RUNS.md``.

usage: python training/benchmarks/dry_runs.py [RECIPE …] [--device auto] [--out FILE]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import generated_dataset
from maskfree.recipes.recipe import load_recipe, recipe_names
from maskfree.terminal import clock

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main", "page"]

OUT = Path(__file__).with_name("DRY_RUNS.md")
SIZE = {"height": 720, "width": 1280}
"""Of YouTube-VIS' and BDD100K's frames, pixels."""
GIGA = 1e9
DAY = 86_400.0
_DAYS = 2
"""From so many on, days are told in place of hours."""


def dry_run(recipe: str, folder: Path, device: str) -> dict[str, Any]:
    """Return what the command says of a recipe, or under "fault" why it says nothing."""
    config = load_recipe(recipe)
    roots = []
    for kind in [config.data.kind, *([config.extra.kind] if config.extra_share else [])]:
        roots.append(folder / kind)
        if not roots[-1].is_dir():
            generated_dataset.write_dataset(roots[-1], kind, train=2, valid=0, frames=8, **SIZE)
    command = [sys.executable, "-m", "maskfree", "train", recipe, "--data", str(roots[0])]
    command += ["--extra-data", str(roots[1])] if len(roots) > 1 else []
    command += ["--dry-run", "--json", "--device", device]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        return {"recipe": recipe, "fault": (done.stderr.strip().splitlines() or ["ended"])[-1]}
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def page(results: Sequence[dict[str, Any]], device: str) -> str:
    """Return the page as Markdown."""
    lines = [
        "# Dry runs of the recipes",
        "",
        f"`python training/benchmarks/dry_runs.py --device {device}`: each is `maskfree train "
        "RECIPE --data ROOT --dry-run` on generated videos of 1280 x 720 pixels in the recipe's "
        "layout. One clip of the largest size went forward and backward; the memory is that of one "
        "process with the whole batch at once (`schedule.accumulate` and more processes share it), "
        "and the time that of all its steps, on this device: of a machine with other work an order "
        "of magnitude. *Some*: the clip was thought too large for this machine, and the figures "
        "follow from one of half its sides.",
        "",
        "| recipe | parameters | T x H x W | clips a step | memory | seconds a step | all steps |",
        "| --- | ---: | --- | ---: | ---: | ---: | ---: |",
    ]
    for each in results:
        if "fault" in each:
            lines.append(f"| `{each['recipe']}` | {each['fault']} | | | | | |")
            continue
        own = each["ranks"][0]
        frames, _, height, width = own["clip"]
        memory = "more than there is" if own["bytes"] is None else f"{own['bytes'] / GIGA:.1f} GB"
        memory += " (some)" if own["estimated"] else ""
        step = own["seconds_a_step"]
        lines.append(
            f"| `{each['recipe']}` | {own['parameters']:,} | {frames} x {height} x {width} | "
            f"{own['clips']} | {memory} | {'–' if step is None else f'{step:.1f}'} | "
            f"{_long(each['seconds'])} |"
        )
    where = results[0]["ranks"][0]["device"] if "ranks" in results[0] else device
    lines += ["", f"Device: {where}."]
    return "\n".join(lines) + "\n"


def _long(seconds: float | None) -> str:
    if seconds is None:
        return "–"
    return clock(seconds) if seconds < _DAYS * DAY else f"{seconds / DAY:,.0f} days"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run them one after the other and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recipes", nargs="*", metavar="RECIPE")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--out", type=Path, default=OUT)
    args = parser.parse_args(arguments)
    results = []
    with tempfile.TemporaryDirectory() as folder:
        for recipe in args.recipes or recipe_names():
            results.append(dry_run(recipe, Path(folder), args.device))
            print(results[-1], file=sys.stderr, flush=True)
            args.out.write_text(page(results, args.device), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
