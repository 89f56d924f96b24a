"""The dock under the canvas: the timeline, and what is done with the range selected on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.compat import isalive
from qtpy.QtWidgets import QHBoxLayout, QLabel, QVBoxLayout, QWidget

from napari_maskfree._qt.section import button, explain
from napari_maskfree._qt.style import style_sheet
from napari_maskfree._qt.timeline import Timeline
from napari_maskfree.constants import MARGIN, SPACING
from napari_maskfree.correction_book import hand_frames
from napari_maskfree.gold import gold_lanes

if TYPE_CHECKING:
    from napari_maskfree._qt.main_widget import MaskFreeWidget

__all__ = ["TimelineDock"]

_HOW = "Drag along a lane to select frames · Ctrl + wheel zooms · Shift + wheel goes along"
_SMALL = 30


class TimelineDock(QWidget):
    """Timeline, range and zoom."""

    def __init__(self, main: MaskFreeWidget) -> None:
        super().__init__()
        self.setObjectName("MaskFreeTimeline")
        self.main, self.state = main, main.state
        self._stopped = False
        self.line = Timeline(self.state, main.palette_)
        self.line.changes = main.changes
        self.line.frame_picked.connect(main.project.go_to)
        self.text = QLabel()
        self.text.setObjectName("mfHint")
        boxes = main.boxes
        self.absent = button(
            "Not in these frames",
            lambda: boxes.with_range(self.state.clear_range),
            "The selected track is in none of them",
        )
        self.delete = button(
            "Delete keyframes",
            lambda: boxes.with_range(self.state.remove_keyframes),
            "The selected track's, in the selected frames",
        )
        for name, made in (("not_in_range", self.absent), ("delete_range", self.delete)):
            main.python.offer(name, made)
        self.less = button("−", lambda: self.line.zoom_by(1 / 2), "Zoom out")
        self.whole = button("Fit", self.line.fit, "The whole video")
        self.more = button("+", lambda: self.line.zoom_by(2), "Zoom in")
        for small in (self.less, self.more):
            small.setFixedWidth(_SMALL)
        top = QHBoxLayout()
        top.setSpacing(SPACING)
        top.addWidget(self.text, 1)
        for made in (self.absent, self.delete, self.less, self.whole, self.more):
            top.addWidget(made)
        column = QVBoxLayout(self)
        column.setContentsMargins(MARGIN, SPACING, MARGIN, SPACING)
        column.setSpacing(SPACING)
        column.addLayout(top)
        column.addWidget(self.line, 1)
        self._follow(True)
        self.restyle()
        self.refresh()
        self._corrected()
        self._scored()

    def _follow(self, on: bool) -> None:
        """Hear the state, or hear it no more."""
        state = self.state
        for signal, slot in (
            (state.tracks_changed, self.refresh),
            (state.classes.colouring_changed, self.line.refresh),
            (state.video_changed, self._new_video),
            (state.selection_changed, self._selected),
            (state.range_changed, self._ranged),
            (state.frame_changed, self.line.show_frame),
            (state.corrections.changed, self._corrected),
            (self.main.changes.changed, self.line.refresh),
        ):
            if on:
                signal.connect(slot)
            else:
                signal.disconnect(slot, missing_ok=True)
        if on:
            self.main.scores.changed.connect(self._scored)
        elif isalive(self.main.scores):
            self.main.scores.changed.disconnect(self._scored)

    def stop(self) -> None:
        """Hear nothing more."""
        if not self._stopped:
            self._stopped = True
            self._follow(False)

    # ---- what is shown

    def refresh(self) -> None:
        """Show other boxes."""
        self.line.refresh()
        self._ranged()

    def restyle(self) -> None:
        """Take the theme's colours."""
        self.line.colours = self.main.palette_
        self.setStyleSheet(style_sheet(self.main.palette_))
        self.line.refresh()

    def _corrected(self, *_: object) -> None:
        book = self.state.corrections
        self.line.show_corrections(hand_frames(book), gold_lanes(book))

    def _new_video(self) -> None:
        self.line.fit()
        self.refresh()

    def _selected(self) -> None:
        self.line.show_selected()
        self._ranged()

    def _ranged(self) -> None:
        chosen, track = self.state.range, self.state.track()
        if chosen is None:
            self.text.setText(_HOW)
        else:
            first, last = chosen
            frames = f"Frame {first}" if first == last else f"Frames {first} to {last}"
            of = f" of {track.id} {track.label}" if track is not None else ""
            self.text.setText(f"{frames}{of}")
        why = "Select frames first: drag along the track's lane." if chosen is None else ""
        why = why or ("" if track is not None else "Select a track first.")
        for made in (self.absent, self.delete):
            explain(made, why)
        self.line.viewport().update()

    def _scored(self) -> None:
        self.line.scores = self.main.scores.scores
        self.line.viewport().update()
