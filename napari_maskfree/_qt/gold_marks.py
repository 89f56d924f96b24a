"""Diamonds on the timeline's ruler: the gold frames."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QPointF, Qt
from qtpy.QtGui import QColor, QPainter, QPen, QPolygonF

from napari_maskfree.constants import GOLD_COLOUR, GOLD_SIZE

if TYPE_CHECKING:
    from collections.abc import Iterable

    from qtpy.QtCore import QRectF

__all__ = ["paint_gold"]

_CORNERS = ((0, -1), (1, 0), (0, 1), (-1, 0))


def paint_gold(painter: QPainter, places: Iterable[float], room: QRectF, edge: QColor) -> None:
    """Paint a diamond at each place.

    Parameters
    ----------
    places
        x of the diamonds' middles, in pixels of what is painted on.
    room
        Where may be painted; the diamonds stand at its foot.
    """
    painter.setClipRect(room)
    painter.setPen(QPen(edge))
    painter.setBrush(QColor(*GOLD_COLOUR))
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    y = room.bottom() - GOLD_SIZE - 1
    for x in places:
        points = [QPointF(x + dx * GOLD_SIZE, y + dy * GOLD_SIZE) for dx, dy in _CORNERS]
        painter.drawPolygon(QPolygonF(points))
    painter.setRenderHint(QPainter.RenderHint.Antialiasing, on=False)
    painter.setBrush(Qt.BrushStyle.NoBrush)
    painter.setClipping(False)
