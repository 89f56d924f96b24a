"""How a widget paints itself by hand: a painter that is always closed, the field of a curve."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from qtpy.QtCore import QRectF
from qtpy.QtGui import QColor, QPainter, QPen

if TYPE_CHECKING:
    from collections.abc import Iterator

    from qtpy.QtWidgets import QWidget

    from napari_maskfree._qt.style import Palette

__all__ = ["paint_field", "painting"]

_ROUND = 4


@contextlib.contextmanager
def painting(widget: QWidget) -> Iterator[QPainter]:
    """Give a painter for a widget's paint event; it is closed whatever happens."""
    painter = QPainter(widget)
    try:
        yield painter
    finally:
        painter.end()


def paint_field(painter: QPainter, widget: QWidget, colours: Palette) -> QRectF:
    """Paint the rounded field that a widget's curves lie on and return its place."""
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    area = QRectF(widget.rect()).adjusted(0.5, 0.5, -0.5, -0.5)
    painter.setPen(QPen(QColor(*colours.border)))
    painter.setBrush(QColor(*colours.field))
    painter.drawRoundedRect(area, _ROUND, _ROUND)
    return area
