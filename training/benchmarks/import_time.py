"""What importing costs: computing time in fresh processes, and the slowest modules.

Each row imports something after what is there anyway (napari, for its plugins). The computing time
is that of plain processes; the modules' own shares are from one more with ``-X importtime``, whose
clock other programs on the machine disturb.
"""

from __future__ import annotations

import dataclasses
import re
import statistics
import subprocess
import sys

from baseline import environment

__all__ = ["IMPORTS", "Import", "Imported", "imported", "slowest"]

MARK = "from here on"
LINE = re.compile(r"import time:\s+(\d+) \|\s+(\d+) \|(\s+)(\S+)")
PLAIN = """
import sys, time
{first}
start = time.process_time()
{then}
print(time.process_time() - start, *(name in sys.modules for name in {heavy!r}))
"""
LISTED = """
import sys
{first}
print({mark!r}, file=sys.stderr, flush=True)
{then}
"""
HEAVY = ("torch", "qtpy.QtWidgets", "napari", "transformers")
OWN = ("maskfree", "napari_maskfree")


@dataclasses.dataclass(frozen=True)
class Import:
    """Something that is imported: its name, what is there before, the code, and the budget.

    ``budget``: milliseconds of computing. ``never``: what must not be imported for it.
    """

    name: str
    first: str
    then: str
    budget: float
    never: tuple[str, ...] = ()


IMPORTS = (
    Import(
        "plugin manifest (npe2)",
        "from npe2 import PluginManifest",
        'PluginManifest.from_distribution("napari-maskfree")',
        400,
        ("torch", "qtpy.QtWidgets", "napari"),
    ),
    Import(
        "widget, napari being there",
        "import napari, napari.layers, napari.viewer, qtpy.QtWidgets",
        "import napari_maskfree._qt.main_widget",
        1200,
        ("torch", "transformers"),
    ),
    Import(
        "command line (help, settings)",
        "",
        "import maskfree.cli, maskfree.commands, maskfree.config",
        150,
        ("torch", "transformers"),
    ),
    Import(
        "engine, checking a run's input",
        "",
        "import maskfree.cli, maskfree.finetune_command",
        500,
        ("torch", "transformers"),
    ),
    Import(
        "engine, to a run's first masks",
        "",
        "import maskfree.cli, maskfree.train",
        950,
        ("torch", "transformers"),
    ),
    Import(
        "engine, to train and predict",
        "",
        "import maskfree.cli, maskfree.train, maskfree.predict",
        6000,
    ),
)
"""Budgets: about half as much again as they took when this was written."""


@dataclasses.dataclass(frozen=True)
class Imported:
    """What an import took: milliseconds of computing in each process, and what came in wrongly.

    ``modules``: ``(name, own milliseconds on the clock)`` of each module.
    """

    milliseconds: list[float]
    wrongly: list[str]
    modules: list[tuple[str, float]]

    @property
    def median(self) -> float:
        """The median over the processes."""
        return statistics.median(self.milliseconds)


def imported(what: Import, runs: int) -> Imported:
    """Import it in so many fresh processes, after one whose files come from the disk."""
    parts = {"first": what.first, "then": what.then}
    listed = _run(["-X", "importtime", "-c", LISTED.format(**parts, mark=MARK)])[1]
    milliseconds, wrongly = [], set()
    for _ in range(runs):
        said = _run(["-c", PLAIN.format(**parts, heavy=HEAVY)])[0].split()
        milliseconds.append(1e3 * float(said[0]))
        there = [name for name, come in zip(HEAVY, said[1:], strict=True) if come == "True"]
        wrongly |= set(there) & set(what.never)
    return Imported(milliseconds, sorted(wrongly), modules_of(listed))


def modules_of(listed: str) -> list[tuple[str, float]]:
    """Return the modules after the mark and their own milliseconds, the slowest first."""
    after = listed.partition(MARK)[2]
    found = [(name, int(own) / 1e3) for own, _, _, name in LINE.findall(after)]
    return sorted(found, key=lambda each: -each[1])


def slowest(
    modules: list[tuple[str, float]], count: int
) -> tuple[list[tuple[str, float]], list[tuple[str, float]]]:
    """Return the slowest modules, and the packages with the sums of their modules (ours apart)."""
    packages: dict[str, float] = {}
    for name, own in modules:
        package = name.partition(".")[0]
        package = "our own" if package in OWN else package
        packages[package] = packages.get(package, 0) + own
    return modules[:count], sorted(packages.items(), key=lambda each: -each[1])[:count]


def _run(arguments: list[str]) -> tuple[str, str]:
    done = subprocess.run(
        [sys.executable, *arguments],
        env=environment(),
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"import_time: error: {done.stderr.strip().splitlines()[-1]}")
    return done.stdout, done.stderr
