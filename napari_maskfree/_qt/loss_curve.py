"""Live curves of each loss and of their sum, painted by hand."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from qtpy.QtCore import QPointF, QRectF, QSize, Qt
from qtpy.QtGui import QColor, QPainter, QPen, QPolygonF
from qtpy.QtWidgets import QSizePolicy, QWidget

from napari_maskfree._qt.painting import paint_field, painting
from napari_maskfree.loss_series import OTHER, TERMS, TOTAL, Series, log_range, thin

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from qtpy.QtGui import QPaintEvent

    from napari_maskfree._qt.style import RGB, Palette

__all__ = ["LossCurve"]

_HEIGHT = 112
_PAD = 6
_GUTTER = 26
"""Pixels left of the curves, for the numbers."""
_THIN, _BOLD = 1.3, 2.2
_PALE = 70


class LossCurve(QWidget):
    """Each loss over the steps on one logarithmic scale, smoothed; the sum bold, and pale as it is.

    ``hidden`` are the names of the curves that are switched off.
    """

    def __init__(self, palette: Palette) -> None:
        super().__init__()
        self.colours = palette
        self.hidden: set[str] = set()
        self._steps: list[int] = []
        self._series: dict[str, Series] = {}
        self._total = 1
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setMinimumHeight(_HEIGHT)
        self.setToolTip("The losses at each step, logarithmic; the bold line is their sum")

    def sizeHint(self) -> QSize:
        """Return a low, wide size."""
        return QSize(240, _HEIGHT)

    def show_values(
        self,
        steps: list[int],
        totals: Sequence[float],
        terms: Mapping[str, Sequence[float]],
        total: int,
    ) -> None:
        """Draw the losses of each step seen, of ``total`` steps; only what is new is taken over.

        Another list of steps is another run. ``terms``: by name, NaN where a step had none.
        """
        if steps is not self._steps:
            self._steps, self._series = steps, {}
        for name, values in ((TOTAL, totals), *terms.items()):
            self._series.setdefault(name, Series()).extend(values, len(steps))
        self._total = max(total, 1)
        self.update()

    @property
    def names(self) -> list[str]:
        """The curves that there are, the sum first."""
        return list(self._series)

    def last(self, name: str) -> float:
        """Return a loss at the last step; NaN where it had none."""
        values = self._series[name].values
        return values[-1] if values else math.nan

    def colour_of(self, name: str) -> RGB:
        """Return the colour of a curve."""
        return self.colours.text if name == TOTAL else TERMS.get(name, OTHER).colour

    def set_hidden(self, name: str, hidden: bool) -> None:
        """Switch a curve off or on."""
        (self.hidden.add if hidden else self.hidden.discard)(name)
        self.update()

    def curves(self, columns: int) -> dict[str, np.ndarray]:
        """Return the smoothed curves that are on: points (n, 2), the sum last, to lie on top."""
        steps = np.asarray(self._steps)
        shown = [n for n in (*self.names[1:], TOTAL) if n in self._series and n not in self.hidden]
        return {n: self._thin(steps, self._series[n].smooth, columns) for n in shown}

    def _thin(self, steps: np.ndarray, values: list[float], columns: int) -> np.ndarray:
        known = steps[: len(values)]  # a run's list of steps grows before we hear of the losses
        return thin(known, np.asarray(values), total=self._total, columns=max(columns, 1))

    # ---- painting

    def paintEvent(self, _event: QPaintEvent | None) -> None:
        """Paint the frame, the powers of ten and the curves."""
        with painting(self) as painter:
            self._paint(painter)

    def _paint(self, painter: QPainter) -> None:
        area = paint_field(painter, self, self.colours)
        whole = area.adjusted(_PAD, _PAD, -_PAD, -_PAD)
        inner = whole.adjusted(_GUTTER, 0, 0, 0)
        curves = self.curves(int(inner.width()))
        if len(self._steps) < 2 or not curves:
            painter.setPen(QColor(*self.colours.muted))
            words = "Every curve is switched off" if self._series else "The losses appear here"
            painter.drawText(whole, Qt.AlignmentFlag.AlignCenter, words)
            return
        scale = log_range(list(curves.values()))
        self._paint_powers(painter, inner, scale)
        painter.setClipRect(inner.adjusted(-2, -2, 2, 2))
        if TOTAL in curves:
            pale = QColor(*self.colours.text)
            pale.setAlpha(_PALE)
            raw = self._thin(
                np.asarray(self._steps), self._series[TOTAL].values, int(inner.width())
            )
            _line(painter, inner, scale, raw, QPen(pale, 1.0))
        for name, points in curves.items():
            pen = QPen(QColor(*self.colour_of(name)), _BOLD if name == TOTAL else _THIN)
            _line(painter, inner, scale, points, pen)

    def _paint_powers(self, painter: QPainter, area: QRectF, scale: tuple[float, float]) -> None:
        """Paint a faint line at each power of ten, with its number."""
        low, high = scale
        muted = QColor(*self.colours.muted)
        font = painter.font()
        font.setPointSizeF(max(6.0, font.pointSizeF() * 0.8))
        painter.setFont(font)
        for power in range(math.ceil(low), math.floor(high) + 1):
            y = area.bottom() - area.height() * (power - low) / (high - low)
            painter.setPen(QPen(QColor(*self.colours.border), 1, Qt.PenStyle.DotLine))
            painter.drawLine(QPointF(area.left(), y), QPointF(area.right(), y))
            painter.setPen(muted)
            room = QRectF(area.left() - _GUTTER, y - _GUTTER / 2, _GUTTER - 4, _GUTTER)
            right = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
            painter.drawText(room, right, f"{10.0**power:g}")


def _line(
    painter: QPainter, area: QRectF, scale: tuple[float, float], points: np.ndarray, pen: QPen
) -> None:
    """Draw points (share of the width, value); what is below the scale runs along its foot."""
    low, high = scale
    with np.errstate(divide="ignore"):
        up = (np.log10(np.maximum(points[:, 1], 0)) - low) / (high - low)
    x = area.left() + area.width() * points[:, 0]
    y = area.bottom() - area.height() * np.clip(up, 0, 1)
    painter.setPen(pen)
    painter.drawPolyline(QPolygonF([QPointF(*p) for p in zip(x.tolist(), y.tolist(), strict=True)]))
