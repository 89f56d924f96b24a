"""Where the keyframes are: one thin line a track, over the whole video."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QPointF, QRectF, QSize, Qt, Signal
from qtpy.QtGui import QColor, QPainter, QPen, QPolygonF
from qtpy.QtWidgets import QSizePolicy, QToolTip, QWidget

from maskfree.colours import track_colour

if TYPE_CHECKING:
    from qtpy.QtGui import QMouseEvent, QPaintEvent

    from maskfree.types import Track
    from napari_maskfree._qt.style import Palette
    from napari_maskfree.state import State

__all__ = ["Timeline"]

_LANE, _PAD, _MARK, _MOST = 14, 7, 4.0, 12


class Timeline(QWidget):
    """A lane a track: bar where the object is, diamonds at keyframes; click to go to a frame."""

    frame_picked = Signal(int)

    def __init__(self, state: State, palette: Palette) -> None:
        super().__init__()
        self.state, self.colours = state, palette
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setMouseTracking(True)

    def sizeHint(self) -> QSize:
        """Return the height of the lanes."""
        return QSize(240, _LANE * max(1, len(self._tracks())) + 2 * _PAD)

    def refresh(self) -> None:
        """Repaint after the boxes or the frame have changed."""
        self.setFixedHeight(self.sizeHint().height())
        self.update()

    def _tracks(self) -> tuple[Track, ...]:
        return self.state.tracks.tracks[:_MOST] if self.state.tracks else ()

    @property
    def _frames(self) -> int:
        return self.state.video.num_frames if self.state.video else 1

    def _x(self, frame: float) -> float:
        return _PAD + (self.width() - 2 * _PAD) * frame / max(self._frames - 1, 1)

    def _frame(self, x: float) -> int:
        share = (x - _PAD) / max(self.width() - 2 * _PAD, 1)
        return int(min(max(round(share * (self._frames - 1)), 0), self._frames - 1))

    def mousePressEvent(self, event: QMouseEvent | None) -> None:
        """Go to the frame under the mouse."""
        if event is not None and event.button() == Qt.MouseButton.LeftButton:
            self.frame_picked.emit(self._frame(event.position().x()))

    def mouseMoveEvent(self, event: QMouseEvent | None) -> None:
        """Name the frame under the mouse; with the button held, go there."""
        if event is None:
            return
        frame = self._frame(event.position().x())
        QToolTip.showText(event.globalPosition().toPoint(), f"frame {frame}", self)
        if event.buttons() & Qt.MouseButton.LeftButton:
            self.frame_picked.emit(frame)

    def paintEvent(self, _event: QPaintEvent | None) -> None:
        """Paint the lanes and the line of the current frame."""
        painter = QPainter(self)
        try:
            self._paint(painter)
        finally:
            painter.end()

    def _paint(self, painter: QPainter) -> None:
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(QColor(*self.colours.border)))
        painter.setBrush(QColor(*self.colours.field))
        painter.drawRoundedRect(QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5), 4, 4)
        for lane, track in enumerate(self._tracks()):
            self._paint_track(painter, track, _PAD + _LANE * (lane + 0.5))
        painter.setPen(QPen(QColor(*self.colours.text), 1.2))
        x = self._x(self.state.frame)
        painter.drawLine(QPointF(x, 2), QPointF(x, self.height() - 2))

    def _paint_track(self, painter: QPainter, track: Track, y: float) -> None:
        colour = QColor(*track_colour(track.id))
        bar = QColor(colour)
        bar.setAlpha(230 if track.id == self.state.selected else 110)
        ends = [*(k.frame for k in track.keyframes[1:]), self._frames - 1]
        for keyframe, end in zip(track.keyframes, ends, strict=False):
            if not keyframe.outside:
                style = Qt.PenStyle.DotLine if keyframe.occluded else Qt.PenStyle.SolidLine
                painter.setPen(QPen(bar, 3, style, Qt.PenCapStyle.FlatCap))
                painter.drawLine(QPointF(self._x(keyframe.frame), y), QPointF(self._x(end), y))
        for keyframe in track.keyframes:
            self._paint_mark(painter, self._x(keyframe.frame), y, colour, keyframe.outside)

    def _paint_mark(
        self, painter: QPainter, x: float, y: float, colour: QColor, outside: bool
    ) -> None:
        painter.setPen(QPen(colour, 1.2))
        painter.setBrush(QColor(*self.colours.field) if outside else colour)
        corners = ((0, -_MARK), (_MARK, 0), (0, _MARK), (-_MARK, 0))
        painter.drawPolygon(QPolygonF([QPointF(x + dx, y + dy) for dx, dy in corners]))
