"""The page of `bench.py`: what was promised and what was measured, then each part in full."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import re
import subprocess
from typing import TYPE_CHECKING

from baseline import BASELINE, ROOT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench_part import Outcome, Part

__all__ = ["page", "table", "verdict"]

HEADER = ["what", "target", "measured", "met"]
MET = {True: "yes", False: "**no**", None: "–"}
NOTHING = "–"
VERSIONS = ("torch", "transformers", "numpy", "scipy", "opencv-python-headless", "av", "zarr")
VERSIONS += ("napari", "PyQt6")
GIB = 2**30
PART_LEVEL = 3
"""A heading inside a part's text is of this level at least."""
DRAWN = (".md", ".png", ".svg")
"""Endings of what benchmarks write beside their own code."""


def verdict(outcomes: Sequence[Outcome]) -> str:
    """Return in a few words how many targets were met."""
    rows = [row for outcome in outcomes if outcome.result for row in outcome.result["rows"]]
    counted = [row["met"] for row in rows if row["met"] is not None]
    words = f"{sum(counted)} of {len(counted)} targets met"
    if len(rows) > len(counted):
        words += f", {len(rows) - len(counted)} not measured here"
    without = [outcome for outcome in outcomes if outcome.result is None or outcome.problem]
    if without:
        words += "; " + "; ".join(f"{o.part}: {o.problem or 'no result'}" for o in without)
    return words


def page(parts: Sequence[Part], outcomes: Sequence[Outcome], clips: Sequence[str]) -> str:
    """Write the page.

    Parameters
    ----------
    parts, outcomes
        What was to be run and what came of it, in the same order.
    clips
        Names of the clip folders that were given; none: one was made.
    """
    blocks = [
        "# Speed",
        "Targets and what was measured, on the machine at the end of the page. *Before* is commit "
        f"{BASELINE}. Ratios\nare measured side by side, in turns. Made by `make bench`; do not "
        "edit by hand.",
        f"{verdict([o for o in outcomes if o.result]).rstrip('.')}.",
    ]
    for part, outcome in zip(parts, outcomes, strict=True):
        blocks.append(f"**{part.about}** (`{part.name}.py`)")
        blocks.append(_summary(outcome))
    blocks += _reasons(parts, outcomes)
    for outcome in outcomes:
        if outcome.result is not None:
            blocks += [f"## {outcome.result['title']}", _lowered(outcome.result["text"])]
    blocks += ["## How it was made", _made(clips), _times(outcomes), _machine()]
    return "\n\n".join(block for block in blocks if block) + "\n"


def _summary(outcome: Outcome) -> str:
    if outcome.result is None:
        why = "It failed" if outcome.failed else "Not measured"
        return f"{why}: {outcome.problem}"
    rows = [
        [row["what"], row["target"], row["measured"], MET[row["met"]]]
        for row in outcome.result["rows"]
    ]
    found = table(HEADER, rows) if rows else "It has no targets."
    return f"{found}\n\n{outcome.problem}" if outcome.problem else found


def _reasons(parts: Sequence[Part], outcomes: Sequence[Outcome]) -> list[str]:
    """Return why each missed target was missed."""
    lines = []
    for part, outcome in zip(parts, outcomes, strict=True):
        for row in outcome.result["rows"] if outcome.result else []:
            if row["met"] is False or (row["met"] is None and row["why"]):
                why = _cell(row["why"]) or "No reason was given."
                lines.append(f"- **{_cell(row['what'])}** (`{part.name}.py`): {why}")
    return (
        ["## Targets that were missed, and what was not measured", "\n".join(lines)]
        if lines
        else []
    )


def _lowered(text: str) -> str:
    """Return a part's text with its headings below the page's own; code blocks as they are."""
    lines, code = text.strip().splitlines(), False
    marks: list[int] = []
    for line in lines:
        code ^= line.startswith("```")
        found = None if code else re.match(r"(#+) ", line)
        marks.append(len(found[1]) if found else 0)
    levels = [level for level in marks if level]
    more = max(0, PART_LEVEL - min(levels, default=PART_LEVEL))
    return "\n".join(
        "#" * more + line if level else line for line, level in zip(lines, marks, strict=True)
    )


def _made(clips: Sequence[str]) -> str:
    given = f' CLIPS="{" ".join(clips)}"' if clips else ""
    which = f"clips {', '.join(clips)}" if clips else "a clip that was made for it"
    return f"`make bench{given}`, with {which}; commit {commit()}."


def _times(outcomes: Sequence[Outcome]) -> str:
    rows = [
        [f"`{o.part}`", f"{o.minutes:.1f}", f"{o.load[0]:.1f} to {o.load[1]:.1f}"] for o in outcomes
    ]
    rows.append(["**all**", f"**{sum(o.minutes for o in outcomes):.1f}**", ""])
    return table(["part", "minutes", "load of the machine"], rows, numbers=2)


def _machine() -> str:
    """Return in words what the numbers were made on."""
    memory = f"{_memory() / GIB:.0f} GiB of memory" if _memory() else "memory unknown"
    lines = [
        f"- {_processor()}, {os.cpu_count()} logical cores, {memory}",
        f"- GPU: {_gpu() or 'none'}",
        f"- {platform.system()} {platform.release()}, {platform.machine()}",
    ]
    versions = [f"Python {platform.python_version()}"]
    for name in VERSIONS:
        try:
            versions.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            continue
    return "\n".join([*lines, f"- {', '.join(versions)}"])


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            names = [line.partition(":")[2] for line in file if line.startswith("model name")]
    except OSError:
        names = []
    return " ".join(names[0].split()) if names else platform.processor() or "processor unknown"


def _memory() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):  # not on Windows
        return 0


def _gpu() -> str:
    """Return the name of the GPU; asked of its driver, so that torch is not imported for it."""
    asked = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
    try:
        done = subprocess.run(asked, capture_output=True, encoding="utf-8", check=False, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return ", ".join(done.stdout.split("\n")).strip(", ") if done.returncode == 0 else ""


def commit() -> str:
    """Return the commit for a person to read, with a word where the code differs from it."""
    try:
        name = _git("rev-parse", "--short", "HEAD")
        changed = _git("status", "--porcelain", "--", "training", "napari_maskfree")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    own = [line for line in changed.splitlines() if not line.endswith(DRAWN)]
    return f"{name} with changes" if own else name


def _git(*arguments: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(ROOT), *arguments], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def table(header: Sequence[str], rows: Sequence[Sequence[str]], *, numbers: int = 0) -> str:
    """Write a Markdown table; the last ``numbers`` columns to the right."""
    rule = [*["---"] * (len(header) - numbers), *["---:"] * numbers]
    lines = [header, rule, *([_cell(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(text: str) -> str:
    """Return a text that stays in its cell of a table."""
    return " ".join(text.split()).replace("|", "\\|")
