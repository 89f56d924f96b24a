"""A small square of a colour, as an icon."""

from __future__ import annotations

from qtpy.QtCore import Qt
from qtpy.QtGui import QColor, QIcon, QPainter, QPixmap

__all__ = ["swatch"]

_SIZE = 14
_CORNER = 3.0


def swatch(rgb: tuple[int, int, int], size: int = _SIZE, corner: float = _CORNER) -> QIcon:
    """Return a rounded square of a colour, the same in a selected row."""
    pixmap = QPixmap(size, size)
    pixmap.fill(Qt.GlobalColor.transparent)
    painter = QPainter(pixmap)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(QColor(*rgb))
    painter.drawRoundedRect(0, 0, size, size, corner, corner)
    painter.end()
    made = QIcon(pixmap)
    made.addPixmap(pixmap, QIcon.Mode.Selected)
    return made
