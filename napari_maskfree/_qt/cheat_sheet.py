"""All keys on one page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QDialog, QGridLayout, QLabel

from napari_maskfree.constants import MARGIN, SPACING
from napari_maskfree.keys import GIVEN, KEYS

if TYPE_CHECKING:
    from qtpy.QtWidgets import QWidget

    from napari_maskfree._qt.shortcuts import Shortcuts

__all__ = ["CheatSheet"]

_HOW_TO_CHANGE = "MaskFree's keys can be changed in File › Preferences."


class CheatSheet(QDialog):
    """Key and what it does, ours and those of napari that one needs; Escape closes it."""

    def __init__(self, shortcuts: Shortcuts, parent: QWidget) -> None:
        super().__init__(parent)
        self.setWindowTitle("MaskFree: keys")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        ours = [(words, shortcuts.key(name)) for name, (words, _) in KEYS.items()]
        grid = QGridLayout(self)
        grid.setContentsMargins(2 * MARGIN, 2 * MARGIN, 2 * MARGIN, 2 * MARGIN)
        grid.setHorizontalSpacing(3 * MARGIN)
        grid.setVerticalSpacing(SPACING)
        for title, rows in (("MaskFree", ours), ("napari's own", GIVEN)):
            grid.addWidget(_muted(title), grid.rowCount(), 0, 1, 2)
            for words, key in rows:
                name = QLabel(key or "–")
                name.setObjectName("mfTitle")
                number = grid.rowCount()
                grid.addWidget(name, number, 0)
                grid.addWidget(QLabel(words), number, 1)
        grid.addWidget(_muted(_HOW_TO_CHANGE), grid.rowCount(), 0, 1, 2)


def _muted(text: str) -> QLabel:
    label = QLabel(text)
    label.setObjectName("mfHint")
    label.setContentsMargins(0, SPACING, 0, 0)
    return label
