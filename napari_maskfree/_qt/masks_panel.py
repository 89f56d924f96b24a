"""Section 4: the masks."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QCheckBox, QFormLayout, QWidget
from superqt import QLabeledSlider

from napari_maskfree._qt.background import reported
from napari_maskfree._qt.evidence_toggle import EvidenceToggle
from napari_maskfree._qt.section import Panel, button, hint
from napari_maskfree.constants import MASK_OPACITY, RESULT_INTERVAL

if TYPE_CHECKING:
    from napari_maskfree._qt.main_widget import MaskFreeWidget

__all__ = ["MasksPanel"]

_EMPTY = "Masks appear here when a run has predicted them. Press Fine-tune in section 3."
_PERCENT = 100


class MasksPanel(Panel):
    """Opacity and outline of the masks layer, which it brings back; what the masks stand on."""

    def __init__(self, main: MaskFreeWidget) -> None:
        super().__init__()
        self.main, self.state, self.project = main, main.state, main.project
        self._shown_at = 0.0
        self._styled: object = None
        self.empty = hint(_EMPTY)
        self.opacity = QLabeledSlider(Qt.Orientation.Horizontal)
        self.opacity.setRange(0, _PERCENT)
        self.opacity.setValue(round(MASK_OPACITY * _PERCENT))
        self.opacity.valueChanged.connect(self._set_opacity)
        self.outline = QCheckBox("Outlines only")
        self.outline.toggled.connect(self._set_outline)
        self.show_layer = button("Show masks", self._show, "Add the masks layer to the viewer")
        self.evidence = EvidenceToggle(main)
        self.controls = QWidget()
        self.controls.setObjectName("mfBody")
        form = QFormLayout(self.controls)
        form.setContentsMargins(0, 0, 0, 0)
        form.addRow("Opacity", self.opacity)
        form.addRow(self.outline)
        self.add(self.empty, self.controls, self.show_layer, self.evidence)
        self.state.session_changed.connect(self.refresh)
        main.jobs.updated.connect(self._while_predicting)
        main.jobs.finished.connect(self.refresh)
        self.refresh()

    def refresh(self) -> None:
        """Show the state."""
        session, video = self.state.session, self.state.video
        frames = len(session.mask_store().frames()) if session is not None else 0
        shown = self.project.masks is not None
        self.empty.setVisible(frames == 0)
        self.controls.setVisible(shown)
        self.show_layer.setVisible(frames > 0 and not shown)
        if self._styled is not self.project.masks:
            self._styled = self.project.masks
            self._set_opacity(self.opacity.value())
            self._set_outline(self.outline.isChecked())
        self.evidence.refresh()
        total = video.num_frames if video is not None else 0
        self.main.set_summary("masks", f"{frames} of {total} frames" if frames else "")

    def _while_predicting(self) -> None:
        view = self.main.jobs.view
        due = time.monotonic() - self._shown_at > RESULT_INTERVAL / 1000
        if view is not None and view.stage == "predict" and view.active and due:
            self._shown_at = time.monotonic()
            reported(self.project.show_masks)
            self.refresh()

    def _show(self) -> None:
        reported(self.project.show_masks)
        self.refresh()

    def _set_opacity(self, percent: int) -> None:
        if self.project.masks is not None:
            self.project.masks.opacity = percent / _PERCENT

    def _set_outline(self, only: bool) -> None:
        if self.project.masks is not None and self.state.video is not None:
            width = max(1, round(self.state.video.height / 240))
            self.project.masks.contour = width if only else 0
