"""The patches themselves, side by side: the picked one and those that it was compared with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from qtpy.QtCore import QEvent, QRect, QRectF, QSize, Qt, Signal
from qtpy.QtGui import QColor, QHelpEvent, QImage, QPainter, QPen
from qtpy.QtWidgets import QSizePolicy, QToolTip, QWidget

from maskfree.inspect_patch import Fate
from napari_maskfree.correspondence_layers import distance_colours
from napari_maskfree.inspection import rule_words

if TYPE_CHECKING:
    from collections.abc import Callable

    from qtpy.QtGui import QMouseEvent, QPaintEvent

    from napari_maskfree._qt.style import Palette
    from napari_maskfree.inspection import FrameAnswer, Inspection, Tile

__all__ = ["PatchStrip"]

_TILE, _GAP, _EDGE, _LINE = 36, 7, 2, 16
"""Pixels: side of a patch, space between two, width of a frame, height of a line of text."""
_SMALLEST = 20
"""Pixels: patches shrink to this where the widget is narrow."""
_COLUMNS = 7
"""The picked patch, K = 5 and one that another rule rejected."""
_SHORT_FROM = 10
"""A distance from here on has one digit after the point."""
_DIMMED = 0.35
_SYMBOLS = {Fate.TOO_FAR: "✕", Fate.BEYOND_K: "■", Fate.RADIUS: "▲"}
"""Before the distance of a rejected patch: its rule, as in the picture."""


class PatchStrip(QWidget):
    """One row for each frame; a click on a row asks for its frame (``frame_clicked``)."""

    frame_clicked = Signal(int)

    def __init__(self, palette: Callable[[], Palette]) -> None:
        super().__init__()
        self._palette = palette
        self.found: Inspection | None = None
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        self.setAccessibleName("Patches side by side")
        self.setVisible(False)

    def show_found(self, found: Inspection | None) -> None:
        """Show the patches of a pixel; None: nothing is picked."""
        rows = self._rows
        self.found = found
        if rows != self._rows:
            self.updateGeometry()
        self.setVisible(found is not None)
        self.update()

    @property
    def _rows(self) -> int:
        return len(self.found.answers) if self.found is not None else 0

    def sizeHint(self) -> QSize:
        """Wide enough for all columns."""
        return QSize(_COLUMNS * (_TILE + _GAP) + _GAP, self._rows * self._row_height())

    def minimumSizeHint(self) -> QSize:
        """As high as its rows; its patches may be smaller."""
        return QSize(_COLUMNS * (_SMALLEST + _GAP) + _GAP, self._rows * self._row_height())

    @staticmethod
    def _row_height() -> int:
        return _LINE + _TILE + 2 * _EDGE + _LINE + _GAP

    def caption(self, answer: FrameAnswer) -> str:
        """Say what became of the candidates of a frame."""
        assert self.found is not None
        count, step = answer.candidates.count, answer.frame - self.found.frame
        parts = [
            f"{count(fate)} {words}"
            for fate, words in (
                (Fate.KEPT, "kept"),
                (Fate.TOO_FAR, "too far"),
                (Fate.BEYOND_K, f"beyond {self.found.grid.config.num_neighbors}"),
                (Fate.RADIUS, "outside radius"),
                (Fate.IGNORED, "ignored"),
            )
            if count(fate) or fate is Fate.KEPT
        ]
        return f"Frame {answer.frame} ({step:+d}): {' · '.join(parts)}"

    def tile_words(self, answer: FrameAnswer, tile: Tile) -> str:
        """Say where a patch lies, how far it is in colour and what became of it."""
        assert self.found is not None
        down, right = (round(v) for v in tile.shift)
        down_word, right_word = "up" if down < 0 else "down", "left" if right < 0 else "right"
        where = ", ".join(
            f"{abs(by)} px {word}" for by, word in ((right, right_word), (down, down_word)) if by
        )
        rule = rule_words(tile.fate, self.found.grid.config)
        return (
            f"Frame {answer.frame}, {where or 'the same place'}: "
            f"distance {tile.distance:.2f}, {rule}"
        )

    # ---- Qt

    def paintEvent(self, _event: QPaintEvent | None) -> None:
        """Draw the rows."""
        if self.found is None:
            return
        painter = QPainter(self)
        for row, answer in enumerate(self.found.answers):
            top = row * self._row_height()
            painter.setPen(QColor(*self._palette().text))
            line = QRect(0, top, self.width(), _LINE)
            painter.drawText(line, Qt.AlignmentFlag.AlignVCenter, self.caption(answer))
            self._draw_query(painter, self._place(0, row))
            for column, tile in enumerate(answer.tiles, start=1):
                self._draw_tile(painter, self._place(column, row), tile)
        painter.end()

    def _place(self, column: int, row: int) -> QRect:
        columns = (
            max(_COLUMNS, *(1 + len(a.tiles) for a in self.found.answers)) if self.found else 1
        )
        room = (self.width() - 2 * _GAP) // columns - _GAP
        side = min(_TILE, max(_SMALLEST, room))
        x = _GAP + column * (side + _GAP) + (_GAP if column else 0)
        return QRect(x, row * self._row_height() + _LINE + _EDGE, side, side)

    def _draw_query(self, painter: QPainter, place: QRect) -> None:
        assert self.found is not None
        painter.drawImage(place, _image(self.found.query))
        _frame(painter, place, QColor(*self._palette().text))
        self._write(painter, place, "picked", QColor(*self._palette().muted))

    def _draw_tile(self, painter: QPainter, place: QRect, tile: Tile) -> None:
        assert self.found is not None
        kept = tile.fate is Fate.KEPT
        painter.setOpacity(1 if kept else _DIMMED)
        painter.drawImage(place, _image(tile.pixels))
        painter.setOpacity(1)
        if kept:
            limit = self.found.grid.config.limit
            colour = QColor.fromRgbF(*distance_colours(np.array([tile.distance]), limit)[0])
            _frame(painter, place, colour)
        digits = 1 if tile.distance >= _SHORT_FROM else 2
        text = f"{_SYMBOLS.get(tile.fate, '')}{tile.distance:.{digits}f}"
        rgb = self._palette().text if kept else self._palette().muted
        self._write(painter, place, text, QColor(*rgb))

    @staticmethod
    def _write(painter: QPainter, place: QRect, text: str, colour: QColor) -> None:
        below = place.adjusted(-_GAP, place.height() + _EDGE, _GAP, _EDGE + _LINE)
        painter.setPen(colour)
        painter.drawText(below, Qt.AlignmentFlag.AlignHCenter | Qt.AlignmentFlag.AlignTop, text)

    def _row_at(self, y: float) -> int | None:
        row = int(y // self._row_height())
        return row if 0 <= row < self._rows else None

    def event(self, event: QEvent | None) -> bool:
        """Explain the patch under the mouse."""
        if isinstance(event, QHelpEvent) and self.found is not None:
            QToolTip.showText(event.globalPos(), self.words_at(event.pos().x(), event.pos().y()))
            return True
        return super().event(event)

    def words_at(self, x: int, y: int) -> str:
        """Say what lies at a place of the widget."""
        row = self._row_at(y)
        if self.found is None or row is None:
            return ""
        answer = self.found.answers[row]
        for column, tile in enumerate(answer.tiles, start=1):
            if self._place(column, row).contains(x, y):
                return self.tile_words(answer, tile)
        if self._place(0, row).contains(x, y):
            return f"The picked patch, in frame {self.found.frame}"
        return f"{self.caption(answer)}. Click to go there"

    def mouseReleaseEvent(self, event: QMouseEvent | None) -> None:
        """Ask for the frame of the row that was clicked."""
        if event is None or self.found is None:
            return
        row = self._row_at(event.position().y())
        if row is not None:
            picked = self._place(0, row).contains(event.position().toPoint())
            answer = self.found.answers[row]
            self.frame_clicked.emit(self.found.frame if picked else answer.frame)


def _frame(painter: QPainter, place: QRect, colour: QColor) -> None:
    pen = QPen(colour, _EDGE)
    pen.setJoinStyle(Qt.PenJoinStyle.MiterJoin)
    painter.setPen(pen)
    painter.setBrush(Qt.BrushStyle.NoBrush)
    half = _EDGE / 2
    painter.drawRect(QRectF(place).adjusted(-half, -half, half, half))


def _image(pixels: np.ndarray) -> QImage:
    """Return pixels (h, w, 3) as an image; Qt draws it enlarged without smoothing."""
    data = np.ascontiguousarray(pixels)
    height, width = data.shape[:2]
    made = QImage(data.tobytes(), width, height, 3 * width, QImage.Format.Format_RGB888)
    return made.copy()
