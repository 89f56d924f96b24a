"""What `window.py` found, as a page of Markdown and as lines for a person: tables and targets."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import platform
import shlex
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["page", "printed", "targets"]

OPENS_IN, GAP, CLICK = 2.0, 50.0, 50.0
"""What the product promises: seconds to open; milliseconds of a gap, and from click to answer."""
TIMES = {"median": "median", "p95": "p95", "main thread": "main thread"}
GAPS = {
    "beats": "beats",
    "median": "median",
    "p99.9": "p99.9",
    "longest": "longest",
    "main thread p99.9": "main thread p99.9",
    "paintings": "paintings",
    "painting median": "median",
    "painting longest": "longest",
}
COUNTS = ("beats", "paintings")
SHAPES = ("bermuda", "PartSegCore_compiled_backend", "numba")
"""Packages that draw napari's shapes faster than its own Python, the fastest first."""

Table = tuple[list[str], list[list[str]]]


def targets(found: Mapping[str, Any]) -> Table:
    """Return header and rows: what is promised, and what was measured."""
    rows = []
    if "opening" in found:
        own = found["opening"]
        torch = "torch imported" if own["torch"] else "torch not imported"
        rows.append(
            [
                "the widget opens",
                f"under {OPENS_IN:g} s, without torch",
                f"{own['seconds']:.2f} s (slowest {own['slowest']:.2f}), {torch}",
            ]
        )
    for name, own in found.get("loop", {}).items():
        if name != "idle":
            said = f"{own['p99.9']:.1f} ms (longest {own['longest']:.1f})"
            rows.append([f"gaps in {name}, p99.9", f"under {GAP:g} ms", said])
    if "inspector" in found:
        own = found["inspector"]["ms"]["click to drawn"]
        said = f"{own['median']:.1f} ms (p95 {own['p95']:.1f})"
        at = f"click to drawn answer at {found['inspector']['size'].replace('x', '×')}"
        rows.append([at, f"under {CLICK:g} ms", said])
    return ["what", "promised", "measured"], rows


def _timeline(found: Mapping[str, Any]) -> Table:
    rows = found["timeline"]["ms"].items()
    return ["ms", *TIMES.values()], [
        [name, *(f"{own[key]:.1f}" for key in TIMES)] for name, own in rows
    ]


def _inspector(found: Mapping[str, Any]) -> Table:
    rows = found["inspector"]["ms"].items()
    return ["ms", *TIMES.values()], [
        [name, *(f"{own[key]:.1f}" for key in TIMES)] for name, own in rows
    ]


def _loop(found: Mapping[str, Any]) -> Table:
    rows = found["loop"].items()
    return ["ms", *GAPS.values()], [
        [name, *(f"{own[key]:.0f}" if key in COUNTS else f"{own[key]:.1f}" for key in GAPS)]
        for name, own in rows
    ]


def page(found: Mapping[str, Any], arguments: Sequence[str]) -> str:
    """Write the page: what was run, the tables, the machine.

    Parameters
    ----------
    found
        As `window.py` prints it with ``--json``.
    arguments
        Of the command that made it.
    """
    from cache import commit
    from report import machine, markdown

    command = shlex.join(["python", "training/benchmarks/window.py", *arguments])
    parts = [
        "# The window",
        "How quick it is, in a real napari window. *Main thread* is the computing time of the "
        "window's own\nthread; the other times are those on the clock. Made by `window.py`; do not "
        "edit by hand.",
        f"```sh\npython .ci/window.py {command}\n```",
        markdown(*targets(found), words=3),
    ]
    if "timeline" in found:
        own = found["timeline"]
        size = f"{own['tracks']} tracks × {own['frames']:,} frames, {own['keyframes']:,} keyframes"
        parts += [
            f"## Timeline and steps in time\n\n{size}; {own['boxes in the frame']} boxes in the "
            "frame. *Zoomed* and *scrolled* are painted anew. *Drawn*: until\nthe canvas shows it.",
            markdown(*_timeline(found)),
        ]
    if "loop" in found:
        parts += [
            "## Gaps of the event loop\n\nWithout the canvas, whose paintings are on the right.",
            markdown(*_loop(found)),
        ]
    if "inspector" in found:
        own = found["inspector"]
        height, width = own["grid"]
        parts += [
            f"## Correspondence inspector\n\nAt {own['size'].replace('x', '×')}, compared on "
            f"{width}×{height} cells; `inspector.py` says what its parts are.",
            markdown(*_inspector(found)),
        ]
    parts.append(f"Commit {commit()}; {machine()}; {_versions(found)}.\n{_loads(found)}.")
    return "\n\n".join(parts) + "\n"


def _versions(found: Mapping[str, Any]) -> str:
    """Return in words what draws the window."""
    from qtpy import API_NAME, QT_VERSION

    shapes = next((name for name in SHAPES if importlib.util.find_spec(name)), "pure Python")
    words = [
        f"Python {platform.python_version()}",
        f"napari {importlib.metadata.version('napari')}",
        f"{API_NAME} {QT_VERSION}",
        f"shapes by {shapes}",
    ]
    if "timeline" in found:
        words.append(f"canvas by {found['timeline']['renderer']}")
    return ", ".join(words)


def _loads(found: Mapping[str, Any]) -> str:
    low, high = min(found["load"]), max(found["load"])
    return f"Load of the machine meanwhile, this program's own included: {low:.1f} to {high:.1f}"


def printed(found: Mapping[str, Any]) -> str:
    """Return the tables as lines for a person."""
    tables = [targets(found)]
    for name, rows in (("timeline", _timeline), ("loop", _loop), ("inspector", _inspector)):
        if name in found:
            tables.append(rows(found))
    return "\n\n".join([_loads(found), *(_columns(header, rows) for header, rows in tables)])


def _columns(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, *rows]
    wide = [max(len(line[n]) for line in lines) for n in range(len(header))]
    return "\n".join(
        "  ".join(
            cell.ljust(size) if n == 0 else cell.rjust(size)
            for n, (cell, size) in enumerate(zip(line, wide, strict=True))
        ).rstrip()
        for line in lines
    )
