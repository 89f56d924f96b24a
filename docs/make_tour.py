"""Walk through the plugin as the guide leads, with mouse and buttons, and log it: docs/tour.md.

usage: python .ci/window.py python docs/make_tour.py CLIP [--tracks 1 4] [--every 10] [--steps N]

CLIP holds ``frames/`` and ``masks/`` (pixel = instance id). The masks are the eyes of the one who
walks: they say where to draw a box, whether a mask is right, what is to be painted, and at the end
how good it became. The pictures show the panel alone, with the video in it painted over, because a
clip may not be free to publish.
"""

from __future__ import annotations

import argparse
import itertools
import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import napari
import numpy as np
from PIL import Image
from qtpy.QtCore import QEvent, QPoint, QPointF, QRect, Qt
from qtpy.QtGui import QColor, QMouseEvent, QPainter
from qtpy.QtWidgets import QApplication
from scipy import ndimage

from maskfree.metrics import region_similarity
from maskfree.truth_masks import match_names, read_truth
from napari_maskfree._commands import dock

if TYPE_CHECKING:
    from collections.abc import Callable

    from qtpy.QtGui import QPixmap

    from maskfree.types import InstanceMasks

DOCS = Path(__file__).parent
SIZE = (1400, 1000)
COLOURS = 64
COVER = (90, 90, 90)
RUN_TIME = 7200
GOOD = 0.8
"""A mask that covers this much of the truth (J) is accepted; below it is corrected."""
LOOKS = 8
"""Masks that are looked at after each run."""
DABS = 12
"""Presses of the brush on one mask at most."""
LEAST_DAB = 3.0
"""Pixels: a smaller fault is left as it is."""
LEFT = Qt.MouseButton.LeftButton


class Hand:
    """A mouse on the canvas, in the picture's (y, x)."""

    def __init__(self, viewer: napari.Viewer) -> None:
        self.viewer = viewer
        found = [w for w in QApplication.allWidgets() if "CanvasBackend" in type(w).__name__]
        self.canvas = max(found, key=lambda w: w.width() * w.height())

    def drag(self, *path: tuple[float, float]) -> None:
        """Press at the first place, go through the others, release at the last."""
        places = [self._place(yx) for yx in path]
        self._send(QEvent.Type.MouseMove, places[0], held=False)
        self._send(QEvent.Type.MouseButtonPress, places[0])
        for one, other in itertools.pairwise(places):
            for share in (0.3, 0.6, 1.0):
                self._send(QEvent.Type.MouseMove, one + (other - one) * share)
        self._send(QEvent.Type.MouseButtonRelease, places[-1], held=False)

    def _place(self, yx: tuple[float, float]) -> QPoint:
        camera = self.viewer.scene.camera
        half = np.array([self.canvas.height(), self.canvas.width()]) / 2
        y, x = (np.array(yx) - np.array(camera.center[-2:])) * camera.zoom + half
        return QPoint(round(x), round(y))

    def _send(self, kind: QEvent.Type, place: QPoint, *, held: bool = True) -> None:
        moved = kind == QEvent.Type.MouseMove
        event = QMouseEvent(
            kind,
            QPointF(place),
            QPointF(self.canvas.mapToGlobal(place)),
            Qt.MouseButton.NoButton if moved else LEFT,
            LEFT if held else Qt.MouseButton.NoButton,
            Qt.KeyboardModifier.NoModifier,
        )
        QApplication.sendEvent(self.canvas, event)
        live(0.04)


def live(seconds: float, until: Callable[[], bool] = lambda: False) -> None:
    """Let the window live until something is so, at most some seconds."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and not until():
        QApplication.processEvents()
        time.sleep(0.01)


class Walk:
    """One person, one clip, and the log of what was read, done and seen."""

    def __init__(self, options: argparse.Namespace, out: Path) -> None:
        self.options, self.out = options, out
        self.pictures = out / "images" / "tour"
        self.lines: list[str] = []
        self.started = time.monotonic()
        self.viewer = napari.Viewer(title="MaskFree")
        self.viewer.window.resize(*SIZE)
        self.widget = dock(self.viewer)
        self.widget.ask_save = lambda _: "discard"
        live(1)
        self.hand = Hand(self.viewer)
        truth = read_truth(options.clip / "masks")
        names = sorted(p.stem for p in (options.clip / "frames").iterdir())
        self.truth = {f: truth.ids(n) for f, n in match_names(truth, names).items()}
        self.ids: dict[int, int] = {}

    # ---- the log

    def step(self, *done: str) -> None:
        """Log what the screen says and what is done next, with a picture."""
        bar = self.widget.guide
        minutes = (time.monotonic() - self.started) / 60
        title = bar.title.text()
        self.lines.append(f"\n## {bar.place.text() or 'The end'}: {title} ({minutes:.1f} min)\n")
        self.lines.append(f"The screen says: *{bar.words.text()}*\n")
        name = f"{len(list(self.pictures.glob('*.png'))) + 1:02}.png"
        live(0.5)
        shot = self.widget.grab()
        self.cover(shot)
        path = self.pictures / name
        shot.save(str(path))
        with Image.open(path) as picture:
            few = picture.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
        few.save(path, optimize=True)
        self.lines.append(f"![The panel](images/tour/{name})\n")
        for sentence in done:
            self.lines.append(f"- {sentence}")

    def cover(self, shot: QPixmap) -> None:
        """Paint over the small pictures of the video."""
        painter, column = QPainter(shot), self.widget.scroll_area
        view = QRect(column.mapTo(self.widget, QPoint(0, 0)), column.size())
        for cell in self.widget.finetune.strip.cells.values():
            if cell.isVisible():
                place = QRect(cell.mapTo(self.widget, QPoint(0, 0)), cell.size())
                painter.fillRect(place & view, QColor(*COVER))
        painter.end()

    def note(self, text: str) -> None:
        """Log a result."""
        self.lines.append(f"\n{text}")

    # ---- the walk

    def go(self) -> None:
        """Walk from the empty window to the exported masks."""
        widget = self.widget
        self.press(widget.guide.start)
        self.step("The folder with the clip's frames is opened (Folder…).")
        widget.video.open_path(str(self.options.clip / "frames"))
        live(1)
        self.draw()
        self.step(f"Pressed Fine-tune, with {self.train_settings()}.")
        self.train()
        self.note(f"Run 1 is done. {self.quality()}")
        self.review()
        self.correct()
        self.step("Pressed Fine-tune again.")
        self.train()
        self.note(f"Run 2 is done, with the correction as truth. {self.quality()}")
        self.note(f"Reviewed on: {self.look()}. {widget.masks.review.bar.text()}.")
        self.export()
        self.step()
        self.viewer.close()

    def press(self, button: object) -> None:
        """Press a button as a mouse would, where it can be pressed."""
        assert button.isEnabled(), button.toolTip()
        button.click()
        live(0.3)

    def draw(self) -> None:
        """Draw the boxes of all objects, in every N-th frame and the last."""
        frames = [*range(0, max(self.truth), self.options.every), max(self.truth)]
        for number, track in enumerate(self.options.tracks):
            if number == 0:
                self.step(f"Pressed New boxes layer; drew a box in frame {frames[0]}.")
                self.press(self.widget.boxes.new)
            else:
                self.press(self.widget.boxes.add_track)
            self.ids[self.widget.state.selected] = track
            for place, frame in enumerate(frames):
                if (number, place) == (0, 1):
                    again, objects = ", ".join(map(str, frames[1:])), len(self.options.tracks)
                    self.step(
                        f"Drew it again in frames {again}, then pressed New track and did the same "
                        f"for the other objects, {objects} in all."
                    )
                self.draw_box(frame, track)
        boxed = self.widget.state.boxed()
        drawn = sum(len(t.keyframes) for t in boxed.tracks)
        self.note(f"{len(boxed.tracks)} tracks, {drawn} boxes drawn.")

    def draw_box(self, frame: int, track: int) -> None:
        """Draw one box with the mouse, from corner to corner."""
        state = self.widget.state
        self.widget.project.go_to(frame)
        layer = self.widget.project.boxes.layer
        self.viewer.layers.selection.active = layer
        layer.mode = "add_rectangle"
        y, x = np.nonzero(self.truth[frame] == track)
        self.hand.drag((y.min() - 0.5, x.min() - 0.5), (y.max() + 0.5, x.max() + 0.5))
        live(5, lambda: state.keyframe(state.selected) is not None)
        assert state.keyframe(state.selected), f"no box was drawn in frame {frame}"

    def train_settings(self) -> str:
        """Set the steps where they were asked for; say what is set."""
        panel = self.widget.finetune
        if self.options.steps:
            panel.steps.setValue(self.options.steps)
        return f"preset {panel.preset.currentText()}, {panel.steps.value()} steps"

    def train(self) -> None:
        """Fine-tune and wait for the masks; tell how soon there were any, and how good."""
        jobs = self.widget.jobs
        self.press(self.widget.finetune.start)
        begun = time.monotonic()
        live(60, lambda: jobs.active)
        live(RUN_TIME, lambda: bool(jobs.view.first_masks) or not self.widget.busy)
        if jobs.view.first_masks:
            seconds = time.monotonic() - begun
            live(0.5)
            self.note(f"The first masks are shown after {seconds:.0f} s. {self.quality()}")
        live(RUN_TIME, lambda: not self.widget.busy)
        assert jobs.view.state == "done", jobs.view.message
        live(10, self.widget.masks.review.isVisible)

    def review(self) -> None:
        """Accept the masks that are right, from the least sure on."""
        self.step(f"Looked at {LOOKS} masks, from the least sure on.")
        self.note(f"{self.look()}. {self.widget.masks.review.bar.text()}.")

    def look(self) -> str:
        """Look at some masks; go past those that are not good enough."""
        panel, accepted, passed = self.widget.masks.review, [], []
        self.press(panel.next)
        for _ in range(LOOKS):
            frame = self.widget.state.frame
            if min(self.scores(frame).values(), default=0.0) >= GOOD:
                accepted.append(frame)
                self.press(panel.accept)
            else:
                passed.append(frame)
                self.press(panel.next)
        said = f"Accepted frames {sorted(set(accepted))}" if accepted else "Accepted none"
        return f"{said}; went past {sorted(set(passed))}" if passed else said

    def correct(self) -> None:
        """Mend the worst mask of the video with the brush."""
        open_ = [f for f in self.truth if not self.widget.state.corrections[f]]
        worst = min(open_, key=lambda f: min(self.scores(f).values(), default=1.0))
        before = self.scores(worst)
        track = min(before, key=before.__getitem__)
        self.widget.project.go_to(worst)
        self.widget.state.select(track)
        self.step(f"Went to frame {worst}, pressed Correct and painted track {track}.")
        self.press(self.widget.masks.correct)
        dabs = self.paint(worst, track)
        after = self.scores(worst)
        self.note(
            f"{dabs} presses of brush and eraser: J of track {track} in frame {worst} "
            f"{before[track]:.2f} → {after[track]:.2f}."
        )
        self.press(self.widget.masks.accept)

    def paint(self, frame: int, track: int) -> int:
        """Dab into the middle of the largest fault until none is worth it."""
        layer, true = self.widget.project.masks, self.truth[frame] == self.ids[track]
        for count in range(DABS):
            mine = layer.data[frame] == track
            faults = [("paint", true & ~mine), ("erase", mine & ~true)]
            depths = [ndimage.distance_transform_edt(np.pad(f, 1))[1:-1, 1:-1] for _, f in faults]
            mode, depth = max(
                zip(("paint", "erase"), depths, strict=True), key=lambda d: d[1].max()
            )
            if depth.max() < LEAST_DAB:
                return count
            layer.mode, layer.selected_label = mode, track
            layer.brush_size = max(1, int(2 * depth.max()) - 1)
            y, x = np.unravel_index(depth.argmax(), depth.shape)
            self.hand.drag((y, x), (y, x))
            live(0.3)
        return DABS

    def export(self) -> None:
        """Write the masks as DAVIS."""
        panel = self.widget.export
        panel.format.setCurrentIndex(panel.format.findData("davis"))
        panel.path.setText("davis")
        panel.refresh()
        self.step("Chose the format DAVIS and pressed Export.")
        self.press(panel.export)
        live(120, panel.result.isVisible)
        self.note(panel.result.text() + ".")

    # ---- how good it is

    def scores(self, frame: int) -> dict[int, float]:
        """Return J of the shown masks by track id, in a frame that has a true one."""
        masks: InstanceMasks | None = self.widget.project.shown_masks().read(frame)
        mine = dict(zip(masks.track_ids, masks.masks, strict=True)) if masks is not None else {}
        found = {}
        for own, true_id in self.ids.items():
            true = self.truth[frame] == true_id
            if true.any():
                found[own] = region_similarity(mine.get(own, np.zeros_like(true)), true)
        return found

    def quality(self) -> str:
        """Say mean J by object."""
        by_track: dict[int, list[float]] = {}
        for frame in self.truth:
            for track, j in self.scores(frame).items():
                by_track.setdefault(track, []).append(j)
        words = [f"track {t} {np.mean(v):.3f}" for t, v in by_track.items()]
        return f"Mean J over all frames with a true mask: {', '.join(words)}."


HEAD = """# A tour: two objects, from boxes to exported masks

A log of one walk through the window that follows only what the screen says, made by
`python .ci/window.py python docs/make_tour.py CLIP --tracks {tracks} --every {every}` on the clip
`{clip}` ({frames} frames). Boxes and paint are drawn with the mouse; the clip's true masks are the
eyes of the one who walks, and the network never sees them. Pictures show the panel alone, the video
in it painted over. Minutes
are from the opening of the window, on a CPU.
"""


def main() -> None:
    """Walk, and write the log."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clip", type=Path, help="a folder with frames/ and masks/")
    parser.add_argument("--tracks", type=int, nargs="+", default=[1, 4], help="ids in the masks")
    parser.add_argument("--every", type=int, default=10, help="draw boxes every N frames")
    parser.add_argument("--steps", type=int, default=0, help="optimiser steps (default: preset's)")
    parser.add_argument("--out", type=Path, default=DOCS)
    options = parser.parse_args()
    options.out = options.out.resolve()
    pictures = options.out / "images" / "tour"
    shutil.rmtree(pictures, ignore_errors=True)
    pictures.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as scratch:
        clip = Path(scratch) / options.clip.name
        shutil.copytree(options.clip, clip)  # the session is made beside it
        os.chdir(scratch)  # and the export there
        options.clip = clip
        walk = Walk(options, options.out)
        walk.go()
    head = HEAD.format(
        tracks=" ".join(map(str, options.tracks)),
        every=options.every,
        clip=options.clip.name,
        frames=len(walk.truth),
    )
    (options.out / "tour.md").write_text(head + "\n".join(walk.lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
