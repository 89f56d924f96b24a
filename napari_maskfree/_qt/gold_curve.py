"""How good the runs are on the gold frames: J and F over the runs, painted by hand."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING

from qtpy.QtCore import QPointF, QRectF, QSize, Qt
from qtpy.QtGui import QColor, QPainter, QPen
from qtpy.QtWidgets import QSizePolicy, QToolTip, QWidget

from napari_maskfree._qt.painting import paint_field, painting
from napari_maskfree.constants import GOLD_HEIGHT, SCORE_COLOURS
from napari_maskfree.gold import describe

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qtpy.QtGui import QMouseEvent, QPaintEvent

    from maskfree.gold_scores import GoldScores
    from napari_maskfree._qt.style import Palette

__all__ = ["GoldCurve"]

_PAD = 6
_LEFT, _RIGHT = 26, 52
_MARK = 3.5
_LEAST_SPAN = 0.2
_GRID = 10
_NAMES_APART = 22
_ORANGE, _, _BLUE = SCORE_COLOURS
_LINES = (("J", _BLUE), ("F", _ORANGE))


class GoldCurve(QWidget):
    """A point a run, J round and F square; hollow where something of the gold was left out.

    The scale goes from the tenth below the lowest score to 1.
    """

    def __init__(self, palette: Palette) -> None:
        super().__init__()
        self.colours = palette
        self._runs: list[GoldScores] = []
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setFixedHeight(GOLD_HEIGHT)
        self.setMouseTracking(True)
        self.setAccessibleName("Scores of the runs on the gold frames")

    def sizeHint(self) -> QSize:
        """Return a low, wide size."""
        return QSize(240, GOLD_HEIGHT)

    def show_runs(self, runs: Sequence[GoldScores]) -> None:
        """Draw these runs, oldest first."""
        self._runs = list(runs)
        self.setAccessibleDescription("\n".join(map(describe, self._runs)))
        self.update()

    def points(self, name: str) -> list[tuple[QPointF, GoldScores]]:
        """Return where the scores named J or F are, in the widget's pixels, and whose they are."""
        area, low = self._area(), self._low()
        found = []
        for place, run in enumerate(self._runs):
            if run.scores is not None:
                value = run.scores.j if name == "J" else run.scores.f
                y = area.bottom() - area.height() * (value - low) / (1 - low)
                found.append((QPointF(self._x(place), y), run))
        return found

    def mouseMoveEvent(self, event: QMouseEvent | None) -> None:
        """Say what the run under the mouse scored, and on what."""
        if event is not None and self._runs:
            x = event.position().x()
            place = min(range(len(self._runs)), key=lambda n: abs(self._x(n) - x))
            where = event.globalPosition().toPoint()
            QToolTip.showText(where, describe(self._runs[place]), self)

    # ---- geometry

    def _area(self) -> QRectF:
        text = self.fontMetrics().height()
        return QRectF(self.rect()).adjusted(_LEFT, _PAD + text / 2, -_RIGHT, -_PAD - text)

    def _x(self, place: int) -> float:
        area, count = self._area(), len(self._runs)
        return area.left() + area.width() * (place / (count - 1) if count > 1 else 0.5)

    def _low(self) -> float:
        values = [v for r in self._runs if r.scores is not None for v in (r.scores.j, r.scores.f)]
        below = math.floor(min(values, default=0) * _GRID) / _GRID
        return max(0.0, min(below, 1 - _LEAST_SPAN))

    # ---- paint

    def paintEvent(self, _event: QPaintEvent | None) -> None:
        """Paint frame, scale, lines and the last values."""
        with painting(self) as painter:
            self._paint(painter)

    def _paint(self, painter: QPainter) -> None:
        paint_field(painter, self, self.colours)
        self._paint_scale(painter)
        for name, colour in _LINES:
            self._paint_line(painter, name, QColor(*colour))
        self._paint_values(painter)

    def _paint_scale(self, painter: QPainter) -> None:
        area, text = self._area(), self.fontMetrics().height()
        for value, y in ((1.0, area.top()), (self._low(), area.bottom())):
            painter.setPen(QPen(QColor(*self.colours.border)))
            painter.drawLine(QPointF(area.left(), y), QPointF(area.right(), y))
            painter.setPen(QColor(*self.colours.muted))
            room = QRectF(0, y - text / 2, _LEFT - 4, text)
            right = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
            painter.drawText(room, right, f"{value:.1f}")
        last = len(self._runs) - 1
        every = max(1, math.ceil(_NAMES_APART * max(last, 1) / max(area.width(), 1)))
        for place, run in enumerate(self._runs):
            if (last - place) % every == 0:
                room = QRectF(self._x(place) - 40, area.bottom() + 3, 80, text)
                words = f"run {int(run.run)}" if place == last else str(int(run.run))
                painter.drawText(room, Qt.AlignmentFlag.AlignCenter, words)

    def _paint_line(self, painter: QPainter, name: str, colour: QColor) -> None:
        points = self.points(name)
        painter.setPen(QPen(colour, 1.6))
        for (start, _), (end, _) in itertools.pairwise(points):
            painter.drawLine(start, end)
        for point, run in points:
            painter.setBrush(QColor(*self.colours.field) if run.left_out else colour)
            if name == "J":
                painter.drawEllipse(point, _MARK, _MARK)
            else:
                painter.drawRect(QRectF(point.x() - 3, point.y() - 3, 6, 6))

    def _paint_values(self, painter: QPainter) -> None:
        """Write the last values at the right, apart where they are close."""
        text, area = self.fontMetrics().height(), self._area()
        last = [(name, colour, self.points(name)[-1:]) for name, colour in _LINES]
        rows = [(p.y(), name, colour, r) for name, colour, own in last for p, r in own]
        rows.sort(key=lambda row: row[0])
        if len(rows) > 1 and rows[1][0] - rows[0][0] < text:
            middle = (rows[0][0] + rows[1][0]) / 2
            rows = [(middle + s * text / 2, *row[1:]) for s, row in zip((-1, 1), rows, strict=True)]
        for y, name, colour, run in rows:
            assert run.scores is not None
            value = run.scores.j if name == "J" else run.scores.f
            painter.setPen(QColor(*colour))
            room = QRectF(area.right() + _MARK + 4, y - text / 2, _RIGHT, text)
            left = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
            painter.drawText(room, left, f"{name} {value:.2f}")
