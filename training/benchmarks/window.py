"""Whether the window stays quick: opening it, a large timeline, and the event loop during a run.

Three parts, each in a real napari window: how long the widget takes to open (and whether torch was
imported for it); how long the timeline takes to be painted with 200 tracks over 20,000 frames, at
several zooms, and to follow a step to another frame; and the gaps between two turns of the event
loop while a run of the sample clip trains, predicts and is exported. The painting of the canvas is
taken out of the gaps and stands on its own.

usage: python .ci/window.py python training/benchmarks/window.py [--tracks 200] [--frames 20000]
       [--steps 20] [--repeats 20] [--json]
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

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["main"]

PATIENCE = 3600.0
"""Seconds that a run may take."""
BEAT = 5
"""Milliseconds between two beats of an idle event loop."""
ZOOMS = (1, 4, 16, 64)
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
    add("--tracks", type=int, default=200, help="of the timeline (default: 200)")
    add("--frames", type=int, default=20_000, help="of the timeline (default: 20000)")
    add("--steps", type=int, default=20, help="of the run that trains meanwhile (default: 20)")
    add("--repeats", type=int, default=20, help="paintings of each kind (default: 20)")
    add("--json", action="store_true", help="print results for machines")
    return parser


# ---- opening


def opening(repeats: int = 3) -> dict[str, Any]:
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


def timeline(options: argparse.Namespace) -> dict[str, dict[str, float]]:
    """Return milliseconds for painting the timeline at each zoom, and for a step in time."""
    import dask.array as da

    viewer, widget = _window()
    shape = (options.frames, 240, 320)
    viewer.add_image(da.zeros(shape, chunks=(1, *shape[1:]), dtype=np.uint8), name="long")
    widget.project.load_boxes(many_tracks(options.tracks, options.frames))
    _live(1.0)
    line, rng = widget.timeline.content.line, np.random.default_rng(1)
    line.scores = {t.id: rng.random(options.frames, np.float32) for t in widget.state.tracks.tracks}
    line.refresh()
    found, zoom = {}, 1
    for wanted in ZOOMS:
        widget.timeline.zoom_by(wanted / zoom)
        zoom = wanted
        found[f"painted, zoom {wanted}"] = _timed(line.viewport().grab, options.repeats)
    frames = iter(range(100, 100 + options.repeats))
    found["a step in time"] = _timed(lambda: widget.project.go_to(next(frames)), options.repeats)
    _close(viewer, widget)
    return found


def _timed(call: Callable[[], object], count: int) -> dict[str, float]:
    took = []
    for _ in range(count):
        start = time.perf_counter()
        call()
        took.append((time.perf_counter() - start) * 1e3)
    return {"median": float(np.median(took)), "p95": float(np.percentile(took, 95))}


# ---- the event loop


class Heart:
    """Beats with the event loop; notes the gaps, less what the canvas was painted in them."""

    def __init__(self, canvas: Any) -> None:
        from qtpy.QtCore import QEvent, QObject, QTimer

        heart = self
        self.gaps: list[float] = []
        self.paintings: list[float] = []
        self._painted, self._last = 0.0, time.perf_counter()

        class Watch(QObject):
            """Times the canvas: its paint events are handled here."""

            def eventFilter(self, watched: Any, event: Any) -> bool:
                if event.type() != QEvent.Type.Paint:
                    return False
                start = time.perf_counter()
                watched.event(event)
                heart.paintings.append((time.perf_counter() - start) * 1e3)
                heart._painted += heart.paintings[-1]
                return True

        self._canvas, self._watch, self._timer = canvas, Watch(), QTimer()
        canvas.installEventFilter(self._watch)
        self._timer.timeout.connect(self._beat)
        self._timer.start(BEAT)

    def _beat(self) -> None:
        now = time.perf_counter()
        self.gaps.append((now - self._last) * 1e3 - self._painted)
        self._last, self._painted = now, 0.0

    def rest(self) -> dict[str, float]:
        """Stop, and return gaps and paintings in milliseconds."""
        self._timer.stop()
        self._canvas.removeEventFilter(self._watch)
        painted = self.paintings or [0.0]
        return {
            "beats": len(self.gaps),
            "median": float(np.median(self.gaps)),
            "p99.9": float(np.percentile(self.gaps, 99.9)),
            "longest": max(self.gaps),
            "paintings": len(self.paintings),
            "painting median": float(np.median(painted)),
            "painting longest": max(painted),
        }


def heartbeat(steps: int) -> dict[str, dict[str, float]]:
    """Return the event loop's gaps while the sample clip is trained on, predicted and exported."""
    from qtpy.QtWidgets import QApplication

    from napari_maskfree.sample_data import rabbit_boxes_path, rabbit_path

    viewer, widget = _window()
    found: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        widget.video.open_path(str(rabbit_path()))
        widget.state.set_folder(Path(folder) / "clip.maskfree")
        widget.project.load_boxes(rabbit_boxes_path())
        widget.finetune.steps.setValue(steps)
        _live(2.0)
        canvases = [w for w in QApplication.allWidgets() if "CanvasBackend" in type(w).__name__]
        canvas = max(canvases, key=lambda w: w.width() * w.height())
        found["idle"] = _beaten(canvas, _after(3.0))
        widget.finetune.start.click()
        _until(lambda: _stage(widget) == "finetune")
        found["training"] = _beaten(canvas, lambda: _stage(widget) != "finetune")
        found["prediction"] = _beaten(canvas, lambda: not widget.jobs.active)
        widget.show_section("export")
        widget.export.path.setText(str(Path(folder) / "out"))
        widget.export.refresh()
        widget.export.export.click()
        found["export"] = _beaten(canvas, lambda: not widget.export._working)
        _close(viewer, widget)
    return found


def _beaten(canvas: Any, until: Callable[[], bool]) -> dict[str, float]:
    heart = Heart(canvas)
    _until(until)
    return heart.rest()


def _stage(widget: Any) -> str:
    view = widget.jobs.view
    return str(view.stage) if view is not None and view.active else ""


def _after(seconds: float) -> Callable[[], bool]:
    end = time.monotonic() + seconds
    return lambda: time.monotonic() > end


# ---- a window


def _window() -> tuple[Any, Any]:
    import napari

    from napari_maskfree._commands import dock

    viewer = napari.Viewer(title="MaskFree")
    viewer.window.resize(1400, 900)
    return viewer, dock(viewer)


def _until(done: Callable[[], bool]) -> None:
    """Let the window live as its own event loop does, until something is so."""
    from qtpy.QtCore import QEventLoop, QTimer

    loop, end = QEventLoop(), time.monotonic() + PATIENCE
    timer = QTimer()
    timer.timeout.connect(lambda: loop.quit() if done() or time.monotonic() > end else None)
    timer.start(50)
    loop.exec()
    timer.stop()
    if time.monotonic() > end:
        raise SystemExit("The window did not come to its end in an hour.")


def _live(seconds: float) -> None:
    _until(_after(seconds))


def _close(viewer: Any, widget: Any) -> None:
    widget.ask_save = lambda _: "discard"
    viewer.close()


def main(arguments: list[str] | None = None) -> int:
    """Run the benchmark; return the exit code."""
    options = _parser().parse_args(arguments)
    found = {"opening": opening(), "timeline": timeline(options), "loop": heartbeat(options.steps)}
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    if options.json:
        print(json.dumps({"load": load, **found}))
        return 0
    first = found["opening"]
    torch = "with torch" if first["torch"] else "torch not imported"
    print(f"load {load:.1f} on {os.cpu_count()} cores")
    print(
        f"\nThe widget opens in {first['seconds']:.2f} s (slowest {first['slowest']:.2f}), {torch}"
    )
    print(f"\nTimeline, {options.tracks} tracks x {options.frames} frames; ms: median, p95")
    for name, row in found["timeline"].items():
        print(f"  {name:18} {row['median']:8.1f} {row['p95']:8.1f}")
    print("\nGaps of the event loop without the canvas, and paintings of the canvas; ms")
    print(f"  {'':12} {'beats':>6} {'median':>8} {'p99.9':>8} {'longest':>8}", end=" ")
    print(f"{'paintings':>10} {'median':>8} {'longest':>8}")
    for name, row in found["loop"].items():
        print(f"  {name:12} {row['beats']:6} {row['median']:8.1f} {row['p99.9']:8.1f}", end=" ")
        print(f"{row['longest']:8.1f} {row['paintings']:10}", end=" ")
        print(f"{row['painting median']:8.1f} {row['painting longest']:8.1f}")
    print(
        "\nThe product's targets: opening under 2 s without torch; p99.9 of the gaps under 50 ms."
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
