"""All keys on one page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QDialog, QGridLayout, QLabel, QToolButton

from napari_maskfree.as_python import NAMES
from napari_maskfree.constants import MARGIN, SPACING
from napari_maskfree.keys import GIVEN, KEYS

if TYPE_CHECKING:
    from qtpy.QtWidgets import QWidget

    from napari_maskfree._qt.copy_python import CopyPython
    from napari_maskfree._qt.shortcuts import Shortcuts

__all__ = ["CheatSheet"]

_HOW_TO_CHANGE = (
    "MaskFree's keys can be changed in File › Preferences. Python: copies what does the same "
    "without the window; so does a right click on the button."
)
_WIDTH = 3
"""Columns of the grid that one column of keys takes."""


class CheatSheet(QDialog):
    """Key and what it does, ours and those of napari that one needs; Escape closes it."""

    def __init__(self, shortcuts: Shortcuts, python: CopyPython, parent: QWidget) -> None:
        super().__init__(parent)
        self.setWindowTitle("MaskFree: keys")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        ours = [(words, shortcuts.key(name), name) for name, (words, _) in KEYS.items()]
        given = [(words, key, "") for words, key in GIVEN]
        half = (len(ours) + len(given) + 1) // 2
        columns = ((("MaskFree", ours[:half]),), (("", ours[half:]), ("napari's own", given)))
        grid = QGridLayout(self)
        grid.setContentsMargins(2 * MARGIN, 2 * MARGIN, 2 * MARGIN, 2 * MARGIN)
        grid.setHorizontalSpacing(2 * MARGIN)
        grid.setVerticalSpacing(0)
        for place, groups in enumerate(columns):
            left, top = place * _WIDTH, 0
            for title, rows in groups:
                grid.addWidget(_muted(title), top, left, 1, _WIDTH)
                for line, (words, key, name) in enumerate(rows, start=top + 1):
                    shown = QLabel(key or "–")
                    shown.setObjectName("mfTitle")
                    grid.addWidget(shown, line, left)
                    grid.addWidget(QLabel(words), line, left + 1)
                    if name in NAMES:
                        grid.addWidget(_python(python, name), line, left + 2)
                top += len(rows) + 1
        grid.addWidget(_muted(_HOW_TO_CHANGE), grid.rowCount(), 0, 1, 2 * _WIDTH)


def _python(python: CopyPython, name: str) -> QToolButton:
    made = QToolButton()
    made.setText("Python")
    made.setAutoRaise(True)
    made.setToolTip("Copy this as Python, for the track and frame as they are now")
    made.clicked.connect(lambda: python.copy(name))
    return made


def _muted(text: str) -> QLabel:
    label = QLabel(text)
    label.setObjectName("mfHint")
    label.setContentsMargins(0, SPACING, 0, 0)
    return label
