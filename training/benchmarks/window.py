"""Whether the window stays quick: opening it, a large timeline, and the event loop during a run.

Four parts, each in a real napari window: how long the widget takes to open (and whether torch was
imported for it); how long the timeline takes to be painted, zoomed and scrolled with 200 tracks
over 20,000 frames, and the whole window to follow a step in time; the gaps between two turns of the
event loop while a run trains, predicts and is exported, without the painting of the canvas, which
stands on its own; and what `inspector.py` measures. ``--report`` writes it all into a page.

The column ``main thread`` is the computing time of the window's own thread, which other processes
on the machine change less than the time on the clock.

usage: python .ci/window.py python training/benchmarks/window.py [--only PART …] [--tracks 200]
       [--frames 20000] [--steps 20] [--video PATH --boxes PATH] [--repeats 20] [--picks 50]
       [--json] [--report training/benchmarks/WINDOW.md]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from heart import after, beaten, canvas_of, live, until
from window_report import page, printed

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["PARTS", "main", "many_tracks"]

PARTS = ("opening", "timeline", "loop", "inspector")
ZOOMS = (1, 4, 16, 64)
WHEEL = 1.25
"""What one notch of the wheel zooms by."""
STILL = 5.0
"""Seconds after which a step in time is taken to have changed nothing in the canvas."""
TURN = 5
"""Milliseconds of one turn of the event loop at most."""
OPENING = """
import sys, time
import napari
from napari_maskfree._commands import dock
from qtpy.QtWidgets import QApplication
viewer = napari.Viewer()
QApplication.processEvents()
start = time.perf_counter()
dock(viewer)
QApplication.processEvents()
print(time.perf_counter() - start, "torch" in sys.modules, flush=True)
viewer.close()
"""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n\n")[0])
    add = parser.add_argument
    add("--only", nargs="+", default=list(PARTS), choices=PARTS, metavar="PART", help="these parts")
    add("--tracks", type=int, default=200, help="of the timeline (default: 200)")
    add("--frames", type=int, default=20_000, help="of the timeline (default: 20000)")
    add("--steps", type=int, default=20, help="of the run that trains meanwhile (default: 20)")
    add("--video", type=Path, metavar="PATH", help="that it trains on (default: the sample)")
    add("--boxes", type=Path, metavar="PATH", help="a boxes file for that video")
    add("--repeats", type=int, default=20, help="paintings of each kind (default: 20)")
    add("--picks", type=int, default=50, help="clicks in the inspector (default: 50)")
    add("--json", action="store_true", help="print results for machines")
    add("--report", type=Path, metavar="PATH", help="write a page of Markdown")
    return parser


# ---- opening


def opening(repeats: int = 5) -> dict[str, Any]:
    """Return the seconds that the widget takes to open in a fresh process, and if torch came in."""
    seconds, torch = [], False
    for _ in range(repeats):
        done = subprocess.run(
            [sys.executable, "-c", OPENING], capture_output=True, encoding="utf-8", check=True
        )
        took, imported = done.stdout.split()[-2:]
        seconds.append(float(took))
        torch |= imported == "True"
    return {"seconds": float(np.median(seconds)), "slowest": max(seconds), "torch": torch}


# ---- the timeline


def many_tracks(count: int, frames: int) -> Any:
    """Return tracks with keyframes all over the video, some occluded, some outside for a while."""
    from maskfree.types import BoxTracks, Keyframe, Track

    rng, tracks = np.random.default_rng(0), []
    for track_id in range(1, count + 1):
        places = np.sort(rng.choice(frames, size=min(frames // 5, 250), replace=False))
        keyframes = []
        for number, frame in enumerate(places.tolist()):
            x, outside = float(rng.uniform(0, 200)), bool(number and rng.random() < 0.1)
            box = None if outside else (x, 20.0, x + 50, 90.0)
            occluded = not outside and bool(rng.random() < 0.2)
            keyframes.append(Keyframe(frame, box, outside=outside, occluded=occluded))
        tracks.append(Track(track_id, "object", tuple(keyframes)))
    return BoxTracks(frames, 240, 320, None, tuple(tracks))


def timeline(options: argparse.Namespace) -> dict[str, Any]:
    """Return milliseconds for painting, zooming and scrolling, and for a step in time."""
    import dask.array as da

    viewer, widget = _window()
    shape = (options.frames, 240, 320)
    viewer.add_image(da.zeros(shape, chunks=(1, *shape[1:]), dtype=np.uint8), name="long")
    tracks = many_tracks(options.tracks, options.frames)
    widget.project.load_boxes(tracks)
    live(1.0)
    line, rng = widget.timeline.content.line, np.random.default_rng(1)
    line.scores = {t.id: rng.random(options.frames, np.float32) for t in tracks.tracks}
    line.refresh()
    paint, rows, zoom = line.viewport().grab, {}, 1
    for wanted in ZOOMS:
        widget.timeline.zoom_by(wanted / zoom)
        zoom = wanted
        rows[f"painted, zoom {wanted}"] = _timed(lambda _: paint(), options.repeats)
    bars = {"along": line.horizontalScrollBar(), "down": line.verticalScrollBar()}
    acts: dict[str, Callable[[int], object]] = {
        "zoomed": lambda n: line.zoom_by(WHEEL if n % 2 else 1 / WHEEL),
        **{
            f"scrolled {way}": lambda n, bar=bar: bar.setValue(n * bar.pageStep() // 2)  # type: ignore[misc]
            for way, bar in bars.items()
        },
    }
    for name, act in acts.items():
        rows[name] = _timed(lambda n, act=act: (act(n), paint()), options.repeats)  # type: ignore[misc]
    line.fit()
    first, canvas, swaps = min(100, options.frames // 2), canvas_of(), [0]
    canvas.frameSwapped.connect(lambda: swaps.append(swaps[-1] + 1))

    def drawn(n: int) -> None:
        before = swaps[-1]
        widget.project.go_to((first + options.repeats + n) % options.frames)
        end = time.monotonic() + STILL
        while swaps[-1] == before and time.monotonic() < end:
            _turn()

    steps = _timed(lambda n: widget.project.go_to((first + n) % options.frames), options.repeats)
    rows["a step in time"] = steps
    live(1.0)
    rows["a step in time, drawn"] = _timed(drawn, options.repeats)
    found = {
        "tracks": options.tracks,
        "frames": options.frames,
        "keyframes": sum(len(t.keyframes) for t in tracks.tracks),
        "boxes in the frame": len(widget.project.boxes.layer.data),
        "renderer": _renderer(canvas),
        "ms": rows,
    }
    _close(viewer, widget)
    return found


def _timed(call: Callable[[int], object], count: int) -> dict[str, float]:
    """Return what the calls took in milliseconds; each is told how many came before it."""
    wall, own = [], []
    for number in range(count):
        start, start_own = time.perf_counter(), time.thread_time()
        call(number)
        wall.append((time.perf_counter() - start) * 1e3)
        own.append((time.thread_time() - start_own) * 1e3)
    return {
        "median": float(np.median(wall)),
        "p95": float(np.percentile(wall, 95)),
        "main thread": float(np.median(own)),
    }


def _turn() -> None:
    from qtpy.QtCore import QCoreApplication, QEventLoop

    QCoreApplication.processEvents(QEventLoop.ProcessEventsFlag.AllEvents, TURN)


def _renderer(canvas: Any) -> str:
    """Return what draws the canvas: a graphics card's driver, or a program."""
    from vispy.gloo import gl

    canvas.makeCurrent()
    return str(gl.glGetParameter(gl.GL_RENDERER))


# ---- the event loop


def heartbeat(options: argparse.Namespace) -> dict[str, dict[str, float]]:
    """Return the event loop's gaps while a clip is trained on, predicted and exported."""
    from napari_maskfree.sample_data import rabbit_boxes_path, rabbit_path

    viewer, widget = _window()
    found: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        widget.video.open_path(str(options.video or rabbit_path()))
        widget.state.set_folder(Path(folder) / "clip.maskfree")
        widget.project.load_boxes(options.boxes or rabbit_boxes_path())
        widget.finetune.steps.setValue(options.steps)
        live(2.0)
        canvas = canvas_of()
        found["idle"] = beaten(canvas, after(3.0))
        widget.finetune.start.click()
        until(lambda: _stage(widget) == "finetune")
        found["training"] = beaten(canvas, lambda: _stage(widget) != "finetune")
        found["prediction"] = beaten(canvas, lambda: not widget.jobs.active)
        widget.show_section("export")
        widget.export.path.setText(str(Path(folder) / "out"))
        widget.export.refresh()
        live(1.0)
        widget.export.export.click()
        found["export"] = beaten(canvas, lambda: not widget.export._working)
        _close(viewer, widget)
    return found


def _stage(widget: Any) -> str:
    view = widget.jobs.view
    return str(view.stage) if view is not None and view.active else ""


# ---- a window


def _window() -> tuple[Any, Any]:
    import napari

    from napari_maskfree._commands import dock

    viewer = napari.Viewer(title="MaskFree")
    viewer.window.resize(1400, 900)
    return viewer, dock(viewer)


def _close(viewer: Any, widget: Any) -> None:
    widget.ask_save = lambda _: "discard"
    viewer.close()


# ---- the inspector


def inspector(picks: int) -> dict[str, Any]:
    """Return what `inspector.py` measures, in a process of its own."""
    script = Path(__file__).with_name("inspector.py")
    command = [sys.executable, str(script), "--picks", str(picks), "--json"]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", check=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def main(arguments: list[str] | None = None) -> int:
    """Run the benchmark; return the exit code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    options = _parser().parse_args(arguments)
    parts: dict[str, Callable[[], dict[str, Any]]] = {
        "opening": opening,
        "timeline": lambda: timeline(options),
        "loop": lambda: heartbeat(options),
        "inspector": lambda: inspector(options.picks),
    }
    found: dict[str, Any] = {"load": [_load()]}
    for name in PARTS:
        if name in options.only:
            found[name] = parts[name]()
            found["load"].append(_load())
    if options.report is not None:
        from maskfree.storage import atomic_write

        atomic_write(options.report, page(found, arguments))
    print(json.dumps(found) if options.json else printed(found))
    return 0


def _load() -> float:
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")


if __name__ == "__main__":
    sys.exit(main())
