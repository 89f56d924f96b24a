"""Shows and hides the categories of the frame, with the meaning and count of each colour."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from qtpy.QtCore import QSize
from qtpy.QtWidgets import QCheckBox, QGridLayout, QLabel, QWidget

from maskfree.frame_categories import categorise_frame
from napari_maskfree._qt.background import reported
from napari_maskfree._qt.section import Panel, explain, hint
from napari_maskfree._qt.swatch import swatch

if TYPE_CHECKING:
    from maskfree.frame_categories import FrameCategories
    from napari_maskfree._qt.main_widget import MaskFreeWidget
    from napari_maskfree.near_frames import NearFrames

__all__ = ["LEGEND", "CategoryToggle"]

LEGEND = (
    (1, "one match"),
    (2, "several: even region"),
    (3, "several: edge"),
    (4, "several: texture"),
    (0, "none: hidden or too far"),
)
"""Category code of the engine and what it means, in the order of the legend."""
_SWATCH = 12


class CategoryToggle(Panel):
    """A checkbox; while it is checked the layer shows the current frame.

    ``near`` has the frames: its owner calls :meth:`follow` when they are there.
    """

    def __init__(self, main: MaskFreeWidget, near: NearFrames) -> None:
        super().__init__()
        self.setObjectName("mfBody")
        self.main, self.state, self.project, self.near = main, main.state, main.project, near
        self.found: FrameCategories | None = None
        self._sought: tuple[int, int] | None = None
        self.box = QCheckBox("Categories of this frame")
        self.box.setProperty("tip", "A layer that colours each cell by its kind of match")
        self.box.toggled.connect(self._set)
        self.project.matches.categories.lost.connect(lambda: self.box.setChecked(False))
        self.status = hint()
        self.legend = _Legend()
        self.add(self.box, self.status, self.legend)
        self._say("")

    def refresh(self, why: str) -> None:
        """Offer it, or say why not."""
        explain(self.box, why)
        if why:
            self.box.setChecked(False)
            self.forget()
        self.legend.setVisible(self.found is not None)

    def forget(self) -> None:
        """Drop what was found or is sought: it is about another video."""
        self.found, self._sought = None, None
        self.legend.setVisible(False)

    def follow(self) -> None:
        """Show the categories of the frame that is shown now, once its frames are there."""
        if not self.box.isChecked():
            return
        wanted = self._wanted()
        if self.found is not None and self.found.source == wanted[0]:
            if self.found.grid == self.near.grid:
                self._show()
                return
        self.project.matches.categories.hide()
        if self._sought == wanted:
            return
        there = self.near.want("categories", wanted)
        self._say("Matching…" if there or self.near.reading else "The video cannot be read.")
        if not there:
            return
        grid, matched = self.near.grid, self.near.matched
        assert grid is not None
        assert matched is not None
        source, target = wanted
        pair = self.near.frames[source], self.near.frames[target]
        self._sought = wanted
        self.main.background.run(
            functools.partial(
                categorise_frame, source, target, pair, grid, matched.config.category
            ),
            functools.partial(self._done, wanted),
            self.failed,
        )

    def _wanted(self) -> tuple[int, int]:
        """Return the shown frame and the one that it is matched with: the next, or the last one's
        neighbour.
        """
        video, frame = self.state.video, self.state.frame
        last = video is not None and frame + 1 >= video.num_frames
        return frame, frame - 1 if last else frame + 1

    def _set(self, on: bool) -> None:
        if on:
            self.follow()
        else:
            self._say("")
            self.legend.setVisible(False)
            self.near.want("categories", ())
            self.project.matches.categories.hide()

    def _done(self, sought: tuple[int, int], found: FrameCategories) -> None:
        if self._sought is not sought:
            return
        self._sought = None
        if found.grid == self.near.grid:
            self.found = found
        self.follow()

    def _show(self) -> None:
        image = self.project.image
        if image is None or self.found is None:
            return
        self._say("")
        self.legend.show_counts(self.found)
        self.legend.setVisible(True)
        reported(self.project.matches.categories.show, image, self.found)

    def failed(self, text: str) -> None:
        """Say what went wrong in place of the categories."""
        self._sought = None
        if self.box.isChecked():
            self._say(text)

    def _say(self, text: str) -> None:
        self.status.setText(text)
        self.status.setVisible(bool(text))


class _Legend(QWidget):
    """The colours of the categories, and how many cells of the frame have each."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("mfBody")
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setHorizontalSpacing(8)
        grid.setVerticalSpacing(2)
        self.counts: dict[int, QLabel] = {}
        self._swatches: dict[int, QLabel] = {}
        for line, (category, words) in enumerate(LEGEND):
            self._swatches[category] = QLabel()
            count = QLabel()
            count.setObjectName("mfHint")
            self.counts[category] = count
            grid.addWidget(self._swatches[category], line, 0)
            grid.addWidget(QLabel(words), line, 1)
            grid.addWidget(count, line, 2)
        grid.setColumnStretch(1, 1)

    def show_counts(self, found: FrameCategories) -> None:
        """Show the frame's counts."""
        total = max(sum(found.counts.values()), 1)
        for category, label in self.counts.items():
            share = found.counts.get(category, 0) / total
            label.setText(f"{found.counts.get(category, 0)} · {share:.0%}")
            icon = swatch(found.colours.get(category, (128, 128, 128)), _SWATCH)
            self._swatches[category].setPixmap(icon.pixmap(QSize(_SWATCH, _SWATCH)))
