"""Beside the brush: it may keep inside the box, and holes and specks go at a press."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from napari.utils.notifications import show_info
from qtpy.QtWidgets import QCheckBox, QSpinBox

from maskfree.config import TidyConfig
from napari_maskfree._qt.background import reported
from napari_maskfree._qt.flow_row import FlowRow
from napari_maskfree._qt.section import Panel, button, explain, hint, row
from napari_maskfree.constants import TIDY_MOST
from napari_maskfree.tidy import apply_tidied, tidied

if TYPE_CHECKING:
    from maskfree.session import Session
    from napari_maskfree._qt.main_widget import MaskFreeWidget
    from napari_maskfree.tidy import Tidied

__all__ = ["CorrectTools"]

_INSIDE = "Brush, eraser and fill change a track only where its box is in the frame"
_SIZE = f"Largest hole or speck that goes, in pixels; auto: {TidyConfig().share:.0%} of each object"


class CorrectTools(Panel):
    """A checkbox for the brush, and the filter with its size."""

    def __init__(self, main: MaskFreeWidget) -> None:
        super().__init__()
        self.setObjectName("mfBody")
        self.main, self.state = main, main.state
        self._busy = False
        self.inside = QCheckBox("Keep inside the box")
        self.inside.setProperty("tip", _INSIDE)
        self.inside.setToolTip(_INSIDE)
        self.inside.toggled.connect(self._set_inside)
        self.why = hint()
        self.tidy = button(
            "Fill holes, drop specks",
            self._tidy,
            "In this frame's masks; what you painted, erased or accepted stays",
        )
        self.size = QSpinBox()
        self.size.setRange(0, TIDY_MOST)
        self.size.setSuffix(" px")
        self.size.setSpecialValueText("auto")
        self.size.setToolTip(_SIZE)
        self.size.setAccessibleName("Largest hole or speck")
        self.all = QCheckBox("All tracks")
        self.all.setToolTip("Of all tracks, not of the selected one only")
        self.all.toggled.connect(self.refresh)
        self.add(self.inside, self.why, FlowRow(self.tidy, row(self.size, self.all)))
        for signal in (
            self.state.selection_changed,
            self.state.tracks_changed,
            self.state.frame_changed,
            self.state.session_changed,
            self.state.holder_changed,
        ):
            signal.connect(self.refresh)
        self.refresh()

    def refresh(self, *_: object) -> None:
        """Show what can be done now."""
        chosen, frame = self.state.track(), self.state.frame
        no_box = chosen is not None and self.state.box_state(chosen.id) is None
        self.why.setVisible(self.inside.isChecked() and no_box)
        if chosen is not None:
            self.why.setText(f"Track {chosen.id} has no box in frame {frame}: nothing is painted.")
        nobody = chosen is None and not self.all.isChecked()
        why = "Select a track first, or tick All tracks." if nobody else ""
        explain(self.tidy, "Still at work." if self._busy else self.state.why_read_only or why)

    def _set_inside(self, on: bool) -> None:
        self.state.keep_inside_box = on
        self.refresh()

    def _tidy(self) -> None:
        project, frame, session = self.main.project, self.state.frame, self.state.session
        if project.editor is not None:
            project.editor.commit()
        shown = project.shown_masks(frozen=True)
        if shown is None:
            show_info("There are no masks yet. Fine-tune first (section 3).")
            return
        work = functools.partial(
            tidied,
            frame,
            known=shown.corrections.read(frame),
            track_id=None if self.all.isChecked() else self.state.selected,
            max_size=self.size.value() or None,
        )
        self._set_busy(True)
        self.main.background.run(
            lambda: work(masks=shown.read(frame)),
            lambda found: self._done(session, found),
            lambda _: self._set_busy(False),
        )

    def _done(self, session: Session | None, found: Tidied) -> None:
        self._set_busy(False)
        if session is self.state.session:
            ok, words = reported(apply_tidied, self.state, found)
            if ok:
                show_info(words)

    def _set_busy(self, busy: bool) -> None:
        self._busy = busy
        self.refresh()
