"""A trained network for the next run to begin with: a path, a hub id, or a file that is chosen."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtWidgets import QFileDialog, QHBoxLayout, QLineEdit, QWidget

from maskfree.storage import home_path
from napari_maskfree._qt.section import button
from napari_maskfree.constants import SPACING

if TYPE_CHECKING:
    from napari_maskfree.run_plan import RunPlan

__all__ = ["WeightsField"]

_KINDS = "Weights (*.safetensors *.pth *.pt *.pkl *.bin);;All files (*)"
_ABOUT = (
    "A trained network to begin with: a checkpoint of Mask2Former or MaskFreeVIS (detectron2's or "
    "transformers'), another run's model.safetensors, or a hub id. The preset must have its sizes. "
    "Empty: what the preset begins with."
)


class WeightsField(QWidget):
    """Shows what the plan says, and tells it what a person types or chooses."""

    def __init__(self, plan: RunPlan, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.plan = plan
        self.text = QLineEdit()
        self.text.setPlaceholderText("the preset's own")
        self.text.setToolTip(_ABOUT)
        self.text.editingFinished.connect(self._typed)
        self.browse = button("Browse…", self._browse, "Choose a file with weights")
        self.browse.setObjectName("mfInFold")
        self.setObjectName("mfBody")
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(SPACING)
        layout.addWidget(self.text, 1)
        layout.addWidget(self.browse)
        plan.changed.connect(self.refresh)
        self.refresh()

    def release(self) -> None:
        """Let go of the plan, before the widget is gone."""
        self.plan.changed.disconnect(self.refresh, missing_ok=True)

    def refresh(self) -> None:
        """Show what the next run begins with."""
        if self.text.text() != self.plan.weights:
            self.text.setText(self.plan.weights)

    def _typed(self) -> None:
        text = self.text.text().strip()
        path = home_path(text)
        # os.path's says no to what the system takes for no name
        self.plan.set_weights(str(path.absolute()) if text and os.path.exists(path) else text)

    def _browse(self) -> None:
        start = str(Path(self.plan.weights).parent) if self.plan.weights else ""
        path, _ = QFileDialog.getOpenFileName(self, "Begin with weights", start, _KINDS)
        if path:
            self.plan.set_weights(path)
