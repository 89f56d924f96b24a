"""How quick the window is to come and to follow: imports, a click, and very long sessions.

Imports are measured in fresh processes (`import_time.py`), the click by `inspector.py`, and what a
session of 20,000 frames costs in a real napari window here: 50,000 boxes, and masks in every frame,
each against a short session that opens first. Memory is the most that the process had resident,
above what it had just before (Linux; elsewhere it is left out).

usage: python .ci/window.py python training/benchmarks/window_speed.py [--frames 20000] [--runs 3]
       [--picks 15] [--only PART …] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bench_page import table
from import_time import IMPORTS, imported, slowest
from result_file import write_result

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["PARTS", "main", "report"]

PARTS = ("imports", "click", "long")
CLICK = 50.0
"""Milliseconds from the click to the drawn answer at 1080p that are promised."""
TRACKS, SIZE = 200, (240, 320)
"""Of the long session: 250 keyframes a track at most, 50,000 in all; height and width."""
SHORT = 200
"""Frames of the short session that opens first, and that memory is compared with."""
MOST_RISE = 0.1
"""Part of what all masks would take as pixels that showing them may take."""
STEPS = 10
"""Steps in time that are measured."""
SLOWEST = 10
"""Modules that are listed."""
MIB = 2**20

Row = dict[str, Any]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n\n")[0])
    add = parser.add_argument
    add("--only", nargs="+", default=list(PARTS), choices=PARTS, metavar="PART", help="these parts")
    add("--frames", type=int, default=20_000, help="of the long session (default: 20000)")
    add("--runs", type=int, default=3, help="processes an import (default: 3)")
    add("--picks", type=int, default=15, help="clicks (default: 15)")
    add("--json", type=Path, metavar="FILE", help="write the results for machines")
    return parser


# ---- imports


def imports(runs: int) -> tuple[list[Row], str]:
    """Return the rows of the imports, and their tables."""
    rows, lines, lists = [], [], []
    for what in IMPORTS:
        found = imported(what, runs)
        over = found.median > what.budget
        modules, packages = slowest(found.modules, SLOWEST)
        told = ", ".join(f"{name} {own:.0f} ms" for name, own in packages[:4])
        why = f"Mostly: {told} (on the clock)." if over else ""
        if found.wrongly:
            why = f"{', '.join(found.wrongly)} came in with it. {why}".strip()
        rows.append(
            {
                "what": f"import: {what.name}",
                "target": f"under {what.budget:g} ms of computing" + _without(what.never),
                "measured": f"{found.median:.0f} ms",
                "met": not over and not found.wrongly,
                "why": why,
            }
        )
        low, high = min(found.milliseconds), max(found.milliseconds)
        own = sum(ms for name, ms in packages if name == "our own")
        cells = [f"{found.median:.0f}", f"{low:.0f} to {high:.0f}", f"{what.budget:g}"]
        lines.append([what.name, *cells, str(len(found.modules)), f"{own:.0f}"])
        for each, items in (("modules", modules), ("packages", packages)):
            shown = ", ".join(f"`{name}` {ms:.0f}" for name, ms in items)
            lists.append(f"- {what.name}, {each}: {shown}")
    header = ["import", "median", "spread", "budget", "modules", "our own, clock"]
    text = (
        "### Imports\n\nMilliseconds of computing in fresh processes. Below: the slowest, without "
        "what they import, by `-X importtime` (on the clock).\n\n"
    )
    return rows, text + table(header, lines, numbers=5) + "\n\n" + "\n".join(lists)


def _without(names: Sequence[str]) -> str:
    words = {"qtpy.QtWidgets": "Qt"}
    return f", without {', '.join(words.get(name, name) for name in names)}" if names else ""


# ---- a click


def click(picks: int) -> tuple[list[Row], str]:
    """Return the row of the correspondence click, as `inspector.py` measures it."""
    script = Path(__file__).with_name("inspector.py")
    command = [sys.executable, str(script), "--picks", str(picks), "--json"]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
    if done.returncode:
        raise SystemExit(f"window_speed: error: inspector.py: {done.stderr.strip()}")
    found = json.loads(done.stdout.splitlines()[-1])
    parts, load = found["ms"], found["load"]
    own, plain = parts["click to drawn"], parts["nothing changed"]
    met = own["median"] < CLICK
    busy = (
        f"Its own computing takes {own['main thread']:.1f} ms; the rest is waiting, at a load of "
        f"{load:.1f}, of which painting takes {parts['painting']['median']:.1f} ms "
        f"({plain['median']:.1f} ms where nothing has changed)."
    )
    row = {
        "what": "correspondence click, drawn, 1920×1080",
        "target": f"under {CLICK:g} ms",
        "measured": f"{own['median']:.1f} ms (p95 {own['p95']:.1f}, computing "
        f"{own['main thread']:.1f})",
        "met": met,
        "why": "" if met else busy,
    }
    lines = [
        [name, *(f"{each[key]:.1f}" for key in ("median", "p95", "main thread"))]
        for name, each in parts.items()
    ]
    text = f"### The correspondence click\n\nMilliseconds, {picks} clicks at random.\n\n"
    return [row], text + table(["part", "median", "p95", "main thread"], lines, numbers=3)


# ---- long sessions


def long_session(folder: Path, frames: int) -> Path:
    """Make a session of so many frames with boxes and masks, whose files are links to the first."""
    import zarr

    from maskfree.session import Session
    from maskfree.types import InstanceMasks
    from window import many_tracks

    height, width = SIZE
    video, shape = folder / "video.zarr", (frames, height, width, 3)
    # an array without files: every frame is its fill value
    zarr.create_array(video, shape=shape, chunks=(1, *shape[1:]), dtype="uint8", fill_value=90)
    tracks = many_tracks(TRACKS, frames)
    session = Session.create(folder / "long.maskfree", video_source=video, boxes=tracks)
    masks = np.zeros((4, height, width), bool)
    for n, mask in enumerate(masks):
        mask[20:90, 60 * n : 60 * n + 50] = True
    store = session.mask_store()
    store.write(0, InstanceMasks((1, 2, 3, 4), masks, (0.9,) * 4))
    _links(store.path / "00000.json", frames)
    return session.path


def _links(first: Path, count: int) -> None:
    """Put a file there under the numbers that follow, without copying it where that can be."""
    for number in range(1, count):
        target = first.with_name(f"{number:05d}{first.suffix}")
        try:
            os.link(first, target)
        except OSError:
            target.write_bytes(first.read_bytes())


def shown(folder: Path, frames: int) -> dict[str, float]:
    """Open a session in a window; return what that took: milliseconds, and bytes of memory."""
    import napari

    from heart import canvas_of, live, until
    from napari_maskfree._commands import dock

    viewer = napari.Viewer(title="MaskFree")
    viewer.window.resize(1400, 900)
    widget, canvas, painted = dock(viewer), canvas_of(), [0]
    canvas.frameSwapped.connect(lambda: painted.append(painted[-1] + 1))
    live(1.0)
    before = _resident()
    start, start_own = time.perf_counter(), time.thread_time()
    widget.open_session(folder)
    was = painted[-1]
    until(lambda: painted[-1] > was and widget.project.masks is not None)
    found = {
        "shown": 1e3 * (time.perf_counter() - start),
        "shown, computing": 1e3 * (time.thread_time() - start_own),
    }
    live(2.0)
    wall, own = [], []
    for n in range(STEPS):
        begun, begun_own, was = time.perf_counter(), time.thread_time(), painted[-1]
        widget.project.go_to((frames // 2 + 7 * n) % frames)
        until(lambda was=was: painted[-1] > was)  # type: ignore[misc]
        wall.append(1e3 * (time.perf_counter() - begun))
        own.append(1e3 * (time.thread_time() - begun_own))
    found |= {
        "step": statistics.median(wall),
        "step, computing": statistics.median(own),
        "rise": float(_most_resident() - before),
        "boxes": float(len(widget.project.boxes.layer.data)),
        "keyframes": float(sum(len(t.keyframes) for t in widget.state.tracks.tracks)),
        "frames": float(widget.project.masks.data.shape[0]),
    }
    widget.ask_save = lambda _: "discard"
    viewer.close()
    return found


def _resident() -> int:
    """Forget the largest resident size so far; return the present one in bytes, 0 where unknown."""
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    except OSError:
        return 0
    return _status("VmRSS")


def _most_resident() -> int:
    """Return the largest resident size since then."""
    return _status("VmHWM")


def _status(key: str) -> int:
    try:
        text = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return 0
    lines = [line for line in text.splitlines() if line.startswith(f"{key}:")]
    return int(lines[0].split()[1]) * 1024 if lines else 0


def long(frames: int) -> tuple[list[Row], str]:
    """Return the rows of the long session, and its table beside the short one's."""
    found = {}
    with tempfile.TemporaryDirectory(prefix="maskfree-") as folder:
        for count in (min(SHORT, frames), frames):
            path = long_session(Path(folder) / str(count), count)
            found[count] = shown(path, count)
    return long_report(found)


def long_report(found: dict[int, dict[str, float]]) -> tuple[list[Row], str]:
    """Return rows and text of what was measured, by the number of frames."""
    frames, last = max(found), found[max(found)]
    whole = frames * SIZE[0] * SIZE[1]
    rise, boxes = last["rise"], int(last["boxes"])
    little = boxes < last["keyframes"] / 10
    rows = [
        {
            "what": f"{last['keyframes']:,.0f} boxes",
            "target": "not all at once in the layer",
            "measured": f"{boxes} in the frame's layer; a step in time {last['step']:.0f} ms "
            f"(computing {last['step, computing']:.0f})",
            "met": little,
            "why": "" if little else "The layer holds boxes of other frames.",
        },
        {
            "what": f"Labels layer of {frames:,} frames",
            "target": f"memory under {MOST_RISE:.0%} of its {whole / MIB:,.0f} MiB",
            "measured": f"{rise / MIB:.0f} MiB, shown after {last['shown'] / 1e3:.1f} s "
            f"(computing {last['shown, computing'] / 1e3:.1f} s)",
            "met": rise < MOST_RISE * whole if rise > 0 else None,
            "why": "" if rise > 0 else "Memory is measured on Linux alone.",
        },
    ]
    header = ["session", "keyframes", "in the layer", "shown, ms", "computing", "a step, ms"]
    header += ["computing", "memory, MiB"]
    lines = [
        [
            f"{count:,} frames",
            *(f"{own[key]:,.0f}" for key in ("keyframes", "boxes", "shown", "shown, computing")),
            *(f"{own[key]:.1f}" for key in ("step", "step, computing")),
            f"{own['rise'] / MIB:.0f}",
        ]
        for count, own in found.items()
    ]
    text = (
        "### Long sessions\n\nBoxes of 200 tracks and masks in every frame, 320×240, opened in a "
        "window until drawn; the step is\ndrawn as well. The first one opens with what the window "
        "needs once.\n\n"
    )
    return rows, text + table(header, lines, numbers=7)


def report(parts: Sequence[tuple[list[Row], str]]) -> dict[str, Any]:
    """Return the result for `bench.py`."""
    rows = [row for own, _ in parts for row in own]
    return {"title": "The window", "rows": rows, "text": "\n\n".join(text for _, text in parts)}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; return the exit code."""
    options = _parser().parse_args(arguments)
    parts: dict[str, Callable[[], tuple[list[Row], str]]] = {
        "imports": lambda: imports(options.runs),
        "click": lambda: click(options.picks),
        "long": lambda: long(options.frames),
    }
    found = []
    for name in (name for name in PARTS if name in options.only):
        found.append(parts[name]())
        result = report(found)
        write_result(options.json, result["title"], result["rows"], result["text"])
    print(f"# {result['title']}\n\n{result['text']}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
