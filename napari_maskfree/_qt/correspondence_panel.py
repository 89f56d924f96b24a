"""Section 5: why the masks are what they are."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import QSize
from qtpy.QtWidgets import QCheckBox, QGridLayout, QLabel, QPushButton, QWidget

from napari_maskfree._qt.background import reported
from napari_maskfree._qt.section import Panel, button, explain, hint, row
from napari_maskfree._qt.track_list import swatch
from napari_maskfree.correspondence_layers import cell_of, match_frames

if TYPE_CHECKING:
    from collections.abc import Generator

    from napari_maskfree._qt.main_widget import MaskFreeWidget
    from napari_maskfree.correspondence_layers import FrameMatches

__all__ = ["CorrespondencePanel"]

_HOW = (
    "The temporal loss asks a pixel and its look-alikes in the next frame to agree. "
    "Pick a pixel to see which they are."
)
LEGEND = (
    (1, "one match"),
    (2, "several: even region"),
    (3, "several: edge"),
    (4, "several: texture"),
    (0, "none: hidden or too far"),
)
"""Category code of the engine and what it means, in the order of the legend."""
_SWATCH = 12
_LISTED = 5


class CorrespondencePanel(Panel):
    """Pick a pixel, see its matches; show what kind of place every cell of the frame is."""

    def __init__(self, main: MaskFreeWidget) -> None:
        super().__init__()
        self.main, self.state, self.project = main, main.state, main.project
        self.found: FrameMatches | None = None
        self._waiting: tuple[int, Any] | None = None
        self._computing = False
        self.how = hint(_HOW)
        self.pick = QPushButton("Pick a pixel")
        self.pick.setCheckable(True)
        self.pick.setProperty("tip", "Then click on the picture; click here again to stop")
        self.pick.toggled.connect(self._set_picking)
        self.clear = button("Clear", self._clear, "Remove the layers of this section")
        self.categories = QCheckBox("Categories of this frame")
        self.categories.setProperty("tip", "A layer that colours each cell by its kind of match")
        self.categories.toggled.connect(self._set_categories)
        self.result = QLabel()
        self.result.setWordWrap(True)
        self.legend = _Legend()
        self.add(self.how, row(self.pick, self.clear), self.result, self.categories, self.legend)
        self.state.video_changed.connect(self.refresh)
        self.state.frame_changed.connect(self._on_frame)
        self.refresh()

    def close_panel(self) -> None:
        """Stop listening to clicks."""
        callbacks = self.main.viewer.mouse_drag_callbacks
        if self._on_drag in callbacks:
            callbacks.remove(self._on_drag)

    def refresh(self) -> None:
        """Show what can be done now."""
        video = self.state.video
        why = "Choose a video first (section 1)." if video is None else ""
        if video is not None and video.num_frames < 2:
            why = "Matches lead into the next frame, but this is a single image."
        for widget in (self.pick, self.categories):
            explain(widget, why)
        if why:
            self.pick.setChecked(False)
            self.categories.setChecked(False)
            self.found = None
        self.result.setVisible(bool(self.result.text()))
        self.legend.setVisible(self.found is not None)

    # ---- clicks in the picture

    def _set_picking(self, on: bool) -> None:
        callbacks = self.main.viewer.mouse_drag_callbacks
        image = self.project.image
        self.pick.setText("Click on the picture…" if on else "Pick a pixel")
        if on and image is not None:
            self.main.viewer.layers.selection.active = image
            callbacks.append(self._on_drag)
            self._say("Click on a pixel of the picture.")
        elif self._on_drag in callbacks:
            callbacks.remove(self._on_drag)

    def _on_drag(self, _viewer: Any, event: Any) -> Generator[None, None, None]:
        active = self.main.viewer.layers.selection.active
        drawing = active is not None and str(getattr(active, "mode", "")).startswith("add_")
        if event.button != 1 or drawing:
            return
        position, moved = tuple(event.position), False
        yield
        while event.type == "mouse_move":
            moved = True
            yield
        if not moved:
            self.pick_at(position)

    def pick_at(self, position: tuple[float, ...]) -> None:
        """Show the matches of the pixel at a position of the viewer (world coordinates)."""
        image = self.project.image
        if image is None:
            return
        yx = np.asarray(image.world_to_data(np.asarray(position, float)[-image.ndim :]))[-2:]
        self._need(lambda found: self._show_pick(found, yx))

    def _show_pick(self, found: FrameMatches, yx: np.ndarray) -> None:
        image, video = self.project.image, self.state.video
        if image is None or video is None:
            return
        cell = cell_of(yx, found.categories.shape)
        if cell is None:
            self._say("That is outside the picture: click on a pixel of the video.")
            return
        count = self.project.matches.show_pick(image, video, found, cell)
        _, distance = found.of_cell(cell)
        place = f"Pixel ({round(float(yx[1]))}, {round(float(yx[0]))})"
        if count == 0:
            self._say(
                f"{place}: no match in frame {found.target}. It is hidden there, or moved too far."
            )
            return
        values = ", ".join(f"{d:.1f}" for d in distance[:_LISTED])
        self._say(
            f"{place}: {count} {'match' if count == 1 else 'matches'} in frame {found.target}, "
            f"Lab distance {values}. Step there to see them."
        )

    # ---- the whole frame

    def _set_categories(self, on: bool) -> None:
        if on:
            self._need(self._show_categories)
        else:
            self.project.matches.hide_categories()

    def _show_categories(self, found: FrameMatches) -> None:
        image = self.project.image
        if image is not None and self.categories.isChecked():
            reported(self.project.matches.show_categories, image, found)

    def _on_frame(self) -> None:
        if self.categories.isChecked():
            self.project.matches.hide_categories()
            self._need(self._show_categories)

    # ---- the arithmetic, in the background

    def _need(self, then: Any) -> None:
        """Call ``then`` with the matches of the current frame; the latest wish counts."""
        frame = self.state.frame
        if self.found is not None and self.found.source == frame:
            then(self.found)
            return
        self._waiting = (frame, then)
        if not self._computing:
            self._compute()

    def _compute(self) -> None:
        video = self.state.video
        if self._waiting is None or video is None:
            return
        frame, then = self._waiting
        self._waiting = None
        target = frame + 1 if frame + 1 < video.num_frames else 0
        ok, frames = reported(self.project.video)
        if ok:
            self._computing = True
            self._say("Matching…")
            self.main.background.run(
                functools.partial(match_frames, frames, frame, target),
                lambda found: self._computed(found, then),
                self._failed,
            )

    def _computed(self, found: FrameMatches, then: Any) -> None:
        self._computing = False
        if self._waiting is not None:
            self._compute()
            return
        self._say("")
        self.found = found
        self.legend.show_counts(found)
        then(found)
        self.refresh()

    def _failed(self, text: str) -> None:
        self._computing = False
        self._say(text)

    def _say(self, text: str) -> None:
        self.result.setText(text)
        self.result.setVisible(bool(text))

    def _clear(self) -> None:
        self.pick.setChecked(False)
        self.categories.setChecked(False)
        self.project.matches.clear()
        self._say("")


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

    def show_counts(self, found: FrameMatches) -> None:
        """Show the frame's counts."""
        total = max(sum(found.counts.values()), 1)
        for category, label in self.counts.items():
            share = found.counts.get(category, 0) / total
            label.setText(f"{found.counts.get(category, 0)} · {share:.0%}")
            icon = swatch(found.colours.get(category, (128, 128, 128)), _SWATCH)
            self._swatches[category].setPixmap(icon.pixmap(QSize(_SWATCH, _SWATCH)))
