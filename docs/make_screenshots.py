"""Take the pictures of README: the plugin at work on the rabbit sample, in a real window.

``make screenshots`` trains on the sample first, in a folder that it removes (some minutes). With a
session of the sample that has masks, ``make screenshots ARGS=DIR`` takes the pictures of that one,
which is left as it is; ``--steps N`` lets the widget train it, and takes its progress as well.
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import napari
from PIL import Image
from qtpy.QtWidgets import QApplication

from napari_maskfree._commands import dock

if TYPE_CHECKING:
    from collections.abc import Callable

IMAGES = Path(__file__).with_name("images")
SIZE = (1400, 900)
PANEL_WIDTH = 330
PANEL_COLOURS, OTHER_COLOURS = 96, 160
FRAME, PIXEL = 30, (304, 270)
RUN_TIME = 3600
ZOOM = 8


class Photographer:
    """A window with the rabbit open, and a camera."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.viewer = napari.Viewer(title="MaskFree")
        self.viewer.window.resize(*SIZE)
        self.widget = dock(self.viewer)
        self.widget.ask_save = lambda _: "discard"

    def wait(self, seconds: float, until: Callable[[], bool] = lambda: False) -> None:
        """Let the window live until something is so, at most some seconds."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and not until():
            QApplication.processEvents()
            time.sleep(0.02)

    def take(self, name: str) -> None:
        """Save a picture of the window, in few colours so that it is small."""
        self.wait(1)
        self.folder.mkdir(parents=True, exist_ok=True)
        shot = Image.fromarray(self.viewer.window.screenshot(canvas_only=False)[..., :3])
        few_colours(shot).save(self.folder / f"{name}.png", optimize=True)

    def show_only(self, *keys: str) -> None:
        """Unfold these sections and fold the others."""
        for key, section in self.widget.sections.items():
            section.set_open(key in keys)
        self.wait(0.3)

    def annotate(self, session: Path, steps: int) -> None:
        """Take the pictures up to the masks."""
        widget = self.widget
        self.take("1-empty")
        self.viewer.open_sample("napari-maskfree", "rabbit")
        self.take("2-sample")
        if steps:
            widget.state.set_folder(session)
            widget.boxes.sample.click()
            widget.finetune.steps.setValue(steps)
            widget.finetune.start.click()
            seen = lambda: bool(widget.jobs.view and len(widget.jobs.view.totals) > steps // 2)  # noqa: E731
            self.wait(RUN_TIME, seen)
            widget.project.go_to(FRAME)
            self.take("4-running")
            self.wait(RUN_TIME, lambda: bool(widget.jobs.view and not widget.jobs.view.active))
        else:
            widget.open_session(session)
        widget.project.go_to(FRAME + 1)
        self.show_only("video", "boxes")
        widget.project.masks.visible = False
        self.take("3-boxes")
        widget.project.masks.visible = True
        widget.project.go_to(FRAME)
        self.show_only("boxes", "finetune", "masks")
        self.take("5-masks")
        widget.masks.evidence.box.setChecked(True)
        self.wait(30, lambda: "Evidence" in self.viewer.layers)
        widget.project.masks.visible = False
        self.take("9-evidence")
        widget.masks.evidence.box.setChecked(False)
        widget.project.masks.visible = True

    def explain(self, out: Path) -> None:
        """Take the pictures of correspondences and export."""
        widget = self.widget
        self.show_only("correspondence", "export")
        widget.export.path.setText(str(out))
        widget.correspondence.pick.setChecked(True)
        widget.correspondence.pick_at((FRAME, *PIXEL))
        self.wait(60, lambda: "Pixel" in widget.correspondence.result.text())
        widget.project.masks.visible = False
        self.viewer.scene.camera.zoom *= ZOOM
        self.viewer.scene.camera.center = (0, *PIXEL)
        self.take("6-matches")
        self.show_only("correspondence")
        inspector = widget.correspondence
        for box in (inspector.rejected, inspector.tube):
            box.setChecked(True)
        self.wait(60, lambda: inspector.found is not None and inspector.found.path is not None)
        self.take("12-rejected-and-tube")
        for box in (inspector.rejected, inspector.tube):
            box.setChecked(False)
        self.show_only("correspondence", "export")
        self.viewer.reset_view()
        categories = widget.correspondence.categories
        categories.box.setChecked(True)
        self.wait(60, lambda: categories.found is not None)
        self.take("7-categories")
        widget.correspondence.clear.click()
        widget.project.masks.visible = True
        widget.export.refresh()
        widget.export.export.click()
        self.wait(60, widget.export.result.isVisible)
        self.viewer.theme = "light"
        self.take("8-export-light")
        self.viewer.theme = "dark"

    def correct(self) -> None:
        """Take the pictures of review, corrections and a proposal."""
        widget, state = self.widget, self.widget.state
        self.show_only("boxes", "masks")
        self.wait(10, widget.masks.review.isVisible)
        widget.masks.review.next.click()
        widget.masks.review.accept.click()
        widget.masks.correct.click()
        self.take("10-review")
        first = state.tracks.tracks[0].keyframes[0]
        for keyframe in state.tracks.tracks[0].keyframes[1:]:
            state.delete_keyframe(1, keyframe.frame)
        widget.project.masks.visible = False
        widget.project.show_boxes()
        widget.project.go_to(first.frame)
        widget.boxes.proposal.forward()
        self.wait(120, lambda: bool(state.proposal.boxes) and not state.proposal.running)
        widget.project.go_to(max(state.proposal.boxes, default=first.frame) // 2)
        self.show_only("boxes")
        self.take("11-proposal")
        widget.boxes.proposal.cancel()


def few_colours(shot: Image.Image) -> Image.Image:
    """Return a picture with a palette in which the panel on the right has its own colours."""
    panel = shot.crop((shot.width - PANEL_WIDTH, 0, *shot.size)).quantize(PANEL_COLOURS)
    other = shot.quantize(OTHER_COLOURS)
    palette = Image.new("P", (1, 1))
    palette.putpalette(
        panel.getpalette()[: 3 * PANEL_COLOURS] + other.getpalette()[: 3 * OTHER_COLOURS]
    )
    return shot.quantize(palette=palette, dither=Image.Dither.NONE)


def trained(folder: Path) -> Path:
    """Train on the sample and predict; return the session."""
    from maskfree.cli import main as maskfree
    from napari_maskfree.sample_data import rabbit_boxes_path, rabbit_path

    session = folder / "rabbit.maskfree"
    boxes = ("--boxes", str(rabbit_boxes_path()), "--session", str(session))
    for words in (("finetune", str(rabbit_path()), *boxes), ("predict", str(session))):
        if maskfree(list(words)):
            raise SystemExit("The sample could not be trained on.")
    return session


def main() -> None:
    """Take all pictures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("session", type=Path, nargs="?", help="of the sample, with masks")
    parser.add_argument("--steps", type=int, default=0, help="let the widget train the session")
    parser.add_argument("--out", type=Path, default=IMAGES)
    options = parser.parse_args()
    out = options.out.absolute()
    with tempfile.TemporaryDirectory() as scratch:
        session = Path(scratch) / "rabbit.maskfree"
        if options.session is None and not options.steps:
            trained(Path(scratch))
        elif options.session is not None and options.session.is_dir():
            shutil.copytree(options.session, session)  # the pictures correct some of its masks
        photographer = Photographer(out)
        photographer.annotate(session, options.steps)
        os.chdir(scratch)
        photographer.explain(Path("rabbit-davis"))
        photographer.correct()
        photographer.viewer.close()
        os.chdir(out)


if __name__ == "__main__":
    main()
