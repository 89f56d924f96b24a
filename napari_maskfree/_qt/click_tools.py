"""Buttons that change one frame: the mask by clicks, the box from the mask, the box drawn anew."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari.utils.notifications import show_info
from qtpy.QtCore import QTimer

from napari_maskfree._qt.background import reported
from napari_maskfree._qt.section import Panel, button, explain, hint, row
from napari_maskfree.box_again import Redraw, box_from_mask
from napari_maskfree.click_mode import ClickMode

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_maskfree._qt.main_widget import MaskFreeWidget

__all__ = ["ClickTools"]

_TIP = (
    "A left click on the picture says: this belongs to the selected track; a right click, or Shift "
    "and a click: this does not. The region around follows"
)
_HOW = "Left click: belongs to track {}. Right click, or Shift + click: does not."
_NOBODY = "Select a track first."
_NO_BOX = "Draw a box around the object first (section 2)."


class ClickTools(Panel):
    """A button that stays pressed while clicks are heard, and two for the box."""

    def __init__(self, main: MaskFreeWidget) -> None:
        super().__init__()
        self.setObjectName("mfBody")
        self.main, self.state, self.project = main, main.state, main.project

        def soon(call: Callable[[], None]) -> None:
            QTimer.singleShot(0, call)

        self.mode = ClickMode(main.project, reported, show_info, defer=soon)
        self.redraw = Redraw(main.project, defer=soon, notify=show_info)
        self.clicks = button("Clicks", self._toggle, _TIP)
        self.clicks.setCheckable(True)
        self.from_mask = button(
            "Box from mask",
            self._from_mask,
            "The box of the selected track in this frame is made again, tight around its mask",
        )
        self.again = button(
            "Redraw box",
            lambda: reported(self.redraw.start),
            "Draw the box of the selected track in this frame; then the masks are shown again",
        )
        self.how = hint()
        self.add(row(self.clicks, self.from_mask, self.again), self.how)
        self.mode.changed.connect(self.refresh)
        for signal in (
            self.state.selection_changed,
            self.state.tracks_changed,
            self.state.session_changed,
            self.state.holder_changed,
        ):
            signal.connect(self.refresh)
        self.refresh()

    def show_boxes(self, shown: bool) -> None:
        """Offer what is made from a mask, once there are masks."""
        self.from_mask.setVisible(shown)
        self.again.setVisible(shown)

    def stop(self) -> None:
        """Let go of the viewer."""
        self.mode.changed.disconnect(self.refresh, missing_ok=True)
        self.mode.end()
        self.redraw.end()

    def refresh(self, *_: object) -> None:
        """Show what can be done now."""
        track, held = self.state.track(), self.state.why_read_only
        for made in (self.clicks, self.from_mask, self.again):
            explain(made, "" if made.isChecked() else held or ("" if track else _NOBODY))
        if not held and self.state.boxed() is None and not self.clicks.isChecked():
            explain(self.clicks, _NO_BOX)
        self.clicks.setChecked(self.mode.is_on)
        self.how.setVisible(self.mode.is_on)
        self.how.setText(_NOBODY if track is None else _HOW.format(f"{track.id} {track.label}"))

    def _toggle(self) -> None:
        if self.mode.is_on:
            self.mode.end()
        else:
            reported(self.mode.start)
        self.refresh()

    def _from_mask(self) -> None:
        ok, words = reported(self._make_box)
        if ok:
            show_info(words)

    def _make_box(self) -> str:
        if self.project.editor is not None:
            self.project.editor.commit()
        shown, frame = self.project.shown_masks(), self.state.frame
        return box_from_mask(self.state, frame, shown.read(frame) if shown is not None else None)
