"""How long the correspondence inspector takes from the click to the drawn answer.

Opens the plugin in a real napari window with a generated video (or ``--video``), clicks on pixels
at random, and measures from the press of the mouse until the canvas was painted with the answer.
Prints median and 95th percentile of each part; ``nothing changed`` is the same window painted
without an answer, which is what the machine's graphics cost. The column ``main thread`` is its
computing time, which other processes on the machine hardly change.

usage: python .ci/window.py python training/benchmarks/inspector.py [--picks 50] [--each-side 1]
       [--rejected] [--tube] [--size 1920x1080] [--frames 8] [--video PATH] [--seed 0] [--json]
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
import time
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["main"]

TARGET = 50.0
"""Milliseconds from the click to the drawn answer that the product promises at 1080p."""
PATIENCE = 120.0
"""Seconds that anything may take."""
WARM_UP = 5
"""Picks that do not count: graphics drivers compile their programs."""
PARTS = ("arithmetic", "layers", "panel and mouse", "painting", "click to drawn")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n\n")[0])
    add = parser.add_argument
    add("--picks", type=int, default=50, help="clicks that are measured (default: 50)")
    add("--each-side", type=int, default=1, metavar="N", help="frames before and after (default 1)")
    add("--rejected", action="store_true", help="show the rejected candidates as well")
    add("--tube", action="store_true", help="follow the cyclic tube as well")
    add("--size", default="1920x1080", help="of the generated video (default: 1920x1080)")
    add("--frames", type=int, default=8, help="of the generated video (default: 8)")
    add("--video", metavar="PATH", help="a video of your own")
    add("--seed", type=int, default=0)
    add("--json", action="store_true", help="print results for machines")
    return parser


class Stopwatch:
    """Wall and main-thread milliseconds of the parts of one pick."""

    def __init__(self) -> None:
        self.parts: dict[str, list[tuple[float, float]]] = {name: [] for name in PARTS}

    @contextlib.contextmanager
    def time(self, part: str) -> Iterator[None]:
        """Measure a block."""
        wall, own = time.perf_counter(), time.thread_time()
        yield
        self.parts[part].append(
            ((time.perf_counter() - wall) * 1e3, (time.thread_time() - own) * 1e3)
        )

    def wrap(self, part: str, call: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function that measures each call."""

        def timed(*arguments: Any, **options: Any) -> Any:
            with self.time(part):
                return call(*arguments, **options)

        return timed

    def drop(self, count: int) -> None:
        """Forget the first measurements."""
        for each in self.parts.values():
            del each[:count]

    def table(self) -> dict[str, dict[str, float]]:
        """Return median and 95th percentile of each part, in milliseconds."""
        found = {}
        for name, values in self.parts.items():
            wall, own = np.array(values).T
            found[name] = {
                "median": float(np.median(wall)),
                "p95": float(np.percentile(wall, 95)),
                "main thread": float(np.median(own)),
            }
        return found


class Window:
    """The plugin with a video open and the inspector waiting for clicks."""

    def __init__(self, options: argparse.Namespace) -> None:
        import napari
        from qtpy.QtWidgets import QApplication

        from napari_maskfree._commands import dock

        self.viewer = napari.Viewer(title="MaskFree")
        self.viewer.window.resize(1400, 900)
        self.widget = dock(self.viewer)
        if options.video:
            self.widget.video.open_path(options.video)
        else:
            width, height = (int(side) for side in options.size.split("x"))
            frames = generated(options.frames, height, width, options.seed)
            self.viewer.add_image(frames, rgb=True, name="generated")
        self.panel = self.widget.correspondence
        self.panel.each_side.setValue(options.each_side)
        self.panel.rejected.setChecked(options.rejected)
        self.panel.tube.setChecked(options.tube)
        self.panel.pick.setChecked(True)
        self.video = self.widget.state.video
        self.widget.project.go_to(self.video.num_frames // 2)
        found = [w for w in QApplication.allWidgets() if "CanvasBackend" in type(w).__name__]
        self.canvas = max(found, key=lambda w: w.width() * w.height())
        self.painted = 0
        self.canvas.frameSwapped.connect(self._count)
        self.wait(self.at_hand)
        self.settle()

    def _count(self) -> None:
        self.painted += 1

    def at_hand(self) -> bool:
        """Say whether the frames around the shown one have been read."""
        panel = self.panel
        targets, tube = panel._frames(self.widget.state.frame)
        return panel.near.grid is not None and all(t in panel.near.frames for t in targets + tube)

    def wait(self, until: Callable[[], bool]) -> None:
        """Let the window live until something is so."""
        from qtpy.QtCore import QCoreApplication, QEventLoop

        end = time.monotonic() + PATIENCE
        while not until():
            if time.monotonic() > end:
                raise SystemExit("The window did not answer in two minutes.")
            QCoreApplication.processEvents(QEventLoop.ProcessEventsFlag.AllEvents, 5)

    def settle(self) -> None:
        """Wait until nothing is painted any more."""
        for _ in range(3):
            before, end = self.painted, time.monotonic() + 0.1
            self.wait(lambda end=end: time.monotonic() > end)  # type: ignore[misc]
            if self.painted == before:
                return

    def send_click(self, yx: tuple[float, float]) -> None:
        """Press and release the left button over a pixel of the video."""
        from qtpy.QtCore import QEvent, QPointF, Qt
        from qtpy.QtGui import QMouseEvent
        from qtpy.QtWidgets import QApplication

        camera = self.viewer.scene.camera
        half = np.array([self.canvas.height(), self.canvas.width()]) / 2
        y, x = (np.array(yx) - np.array(camera.center[-2:])) * camera.zoom + half
        place, left, none = QPointF(x, y), Qt.MouseButton.LeftButton, Qt.MouseButton.NoButton
        for kind, held in (
            (QEvent.Type.MouseButtonPress, left),
            (QEvent.Type.MouseButtonRelease, none),
        ):
            there = QPointF(self.canvas.mapToGlobal(place.toPoint()))
            plain = Qt.KeyboardModifier.NoModifier
            event = QMouseEvent(kind, place, there, left, held, plain)
            QApplication.sendEvent(self.canvas, event)

    def paint(self) -> None:
        """Wait until the canvas was painted once more."""
        before = self.painted
        self.wait(lambda: self.painted > before)


def generated(frames: int, height: int, width: int, seed: int) -> np.ndarray:
    """Return a smooth texture that drifts: uint8 RGB ``(T, H, W, 3)``."""
    import cv2

    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 255, (height // 24 + 2, width // 24 + 2, 3), np.uint8)
    texture = cv2.resize(coarse, (width + 8 * frames, height), interpolation=cv2.INTER_CUBIC)
    return np.stack([texture[:, 8 * t : 8 * t + width] for t in range(frames)])


def measure(window: Window, picks: int, seed: int) -> Stopwatch:
    """Click on pixels at random and measure each answer."""
    from napari_maskfree._qt import correspondence_panel

    watch, rng = Stopwatch(), np.random.default_rng(seed)
    matches, panel = window.widget.project.matches, window.panel
    correspondence_panel.inspect = watch.wrap("arithmetic", correspondence_panel.inspect)
    matches.show = watch.wrap("layers", matches.show)
    size = np.array([window.video.height, window.video.width])
    for number in range(picks + WARM_UP):
        yx = rng.uniform(0.1, 0.9, 2) * size
        panel.found = None
        with watch.time("click to drawn"):
            with watch.time("panel and mouse"):
                window.send_click((float(yx[0]), float(yx[1])))
                if panel.found is None:
                    raise SystemExit(f"Pick {number} was not answered: {panel.result.text()}")
            with watch.time("painting"):
                window.paint()
        window.settle()
    whole = zip(watch.parts["panel and mouse"], *(watch.parts[p] for p in PARTS[:2]), strict=True)
    watch.parts["panel and mouse"] = [
        (all_[0] - a[0] - b[0], all_[1] - a[1] - b[1]) for all_, a, b in whole
    ]
    watch.drop(WARM_UP)
    return watch


def nothing_changed(window: Window, count: int) -> dict[str, float]:
    """Return what painting the canvas takes where nothing has changed."""
    watch = Stopwatch()
    for _ in range(count + WARM_UP):
        with watch.time("painting"):
            window.canvas.update()
            window.paint()
        window.settle()
    watch.parts = {"painting": watch.parts["painting"]}
    watch.drop(WARM_UP)
    return watch.table()["painting"]


def main(arguments: list[str] | None = None) -> int:
    """Run the benchmark; return the exit code."""
    options = _parser().parse_args(arguments)
    window = Window(options)
    try:
        watch = measure(window, options.picks, options.seed)
        table = {**watch.table(), "nothing changed": nothing_changed(window, options.picks)}
        grid = window.panel.near.grid
    finally:
        window.widget.ask_save = lambda _: "discard"
        window.viewer.close()
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    size = f"{window.video.width}x{window.video.height}"
    if options.json:
        print(json.dumps({"size": size, "grid": grid.shape, "load": load, "ms": table}))
        return 0
    print(f"{options.picks} picks at {size}, compared on {grid.shape[1]}x{grid.shape[0]} cells")
    print(f"load {load:.1f} on {os.cpu_count()} cores; milliseconds\n")
    print(f"{'':16} {'median':>8} {'p95':>8} {'main thread':>12}")
    for name, row in table.items():
        print(f"{name:16} {row['median']:8.1f} {row['p95']:8.1f} {row['main thread']:12.1f}")
    print(f"\nThe product's target: {TARGET:g} ms from the click to the drawn answer.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
