"""A small live curve of the losses, painted by hand."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from qtpy.QtCore import QPointF, QRectF, QSize, Qt
from qtpy.QtGui import QColor, QPainter, QPen, QPolygonF
from qtpy.QtWidgets import QSizePolicy, QWidget

if TYPE_CHECKING:
    from qtpy.QtGui import QPaintEvent

    from napari_maskfree._qt.style import Palette

__all__ = ["LossCurve"]

_HEIGHT = 64
_PAD = 6
_SMOOTH = 0.85
_FLOOR = 1e-6


class LossCurve(QWidget):
    """The total loss over the steps, logarithmic: pale as it is, and smoothed over it."""

    def __init__(self, palette: Palette) -> None:
        super().__init__()
        self.colours = palette
        self._steps: list[int] = []
        self._values: list[float] = []
        self._total = 1
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setMinimumHeight(_HEIGHT)

    def sizeHint(self) -> QSize:
        """Return a low, wide size."""
        return QSize(240, _HEIGHT)

    def show_values(self, steps: list[int], values: list[float], total: int) -> None:
        """Draw the loss of each step seen, of ``total`` steps."""
        self._steps, self._values, self._total = steps, values, max(total, 1)
        self.update()

    def paintEvent(self, _event: QPaintEvent | None) -> None:
        """Paint the frame, the pale raw curve and the smooth one over it."""
        painter = QPainter(self)
        try:
            self._paint(painter)
        finally:
            painter.end()

    def _paint(self, painter: QPainter) -> None:
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        area = QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5)
        painter.setPen(QPen(QColor(*self.colours.border)))
        painter.setBrush(QColor(*self.colours.field))
        painter.drawRoundedRect(area, 4, 4)
        inner = area.adjusted(_PAD, _PAD, -_PAD, -_PAD)
        values = self._values
        if len(values) < 2:
            painter.setPen(QColor(*self.colours.muted))
            painter.drawText(inner, Qt.AlignmentFlag.AlignCenter, "the loss appears here")
            return
        colour = QColor(*self.colours.accent)
        pale = QColor(colour)
        pale.setAlpha(80)
        self._line(painter, inner, values, values, QPen(pale, 1.0))
        self._line(painter, inner, values, _smooth(values), QPen(colour, 1.8))

    def _line(
        self,
        painter: QPainter,
        area: QRectF,
        scale: list[float],
        values: list[float],
        pen: QPen,
    ) -> None:
        logs = [math.log(max(v, _FLOOR)) for v in scale]
        low, high = min(logs), max(logs)
        span = max(high - low, 1e-3)
        painter.setPen(pen)
        points = []
        for step, value in zip(self._steps, values, strict=False):
            x = area.left() + area.width() * min(step / self._total, 1.0)
            y = area.bottom() - area.height() * (math.log(max(value, _FLOOR)) - low) / span
            points.append(QPointF(x, y))
        painter.drawPolyline(QPolygonF(points))


def _smooth(values: list[float]) -> list[float]:
    """Return the running mean that forgets: each value counts less the older it is."""
    result, mean, weight = [], 0.0, 0.0
    for value in values:
        mean, weight = mean * _SMOOTH + value, weight * _SMOOTH + 1
        result.append(mean / weight)
    return result
