"""A small picture of a chosen frame; a click goes there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.compat import isalive
from qtpy.QtCore import QRectF, QSize, Qt, Signal
from qtpy.QtGui import QColor, QImage, QPainter, QPainterPath, QPen
from qtpy.QtWidgets import QSizePolicy, QWidget

from napari_maskfree._qt.painting import painting
from napari_maskfree.constants import PREVIEW_CELL
from napari_maskfree.preview_reader import draw_preview

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    import numpy as np
    from qtpy.QtGui import QMouseEvent, QPaintEvent

    from maskfree.types import InstanceMasks
    from napari_maskfree._qt.style import RGB, Palette

__all__ = ["PreviewCell"]

_ROUND = 3


class PreviewCell(QWidget):
    """Shows a picture with outlines as wide as there is room; without masks it is pale.

    ``run(work, done)`` draws it beside the window; until then it shows what it showed.
    """

    clicked = Signal()

    def __init__(self, palette: Palette, run: Callable[..., Any]) -> None:
        super().__init__()
        self.colours = palette
        self._run = run
        self._version = 0
        self._asked: tuple[int, int] | None = None
        self._picture: np.ndarray | None = None
        self._masks: InstanceMasks | None = None
        self._tracks: Mapping[int, RGB] = {}
        self._drawn: np.ndarray | None = None
        policy = QSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        policy.setHeightForWidth(True)
        self.setSizePolicy(policy)
        self.setMinimumWidth(PREVIEW_CELL)
        self.setCursor(Qt.CursorShape.PointingHandCursor)

    @property
    def drawn(self) -> np.ndarray | None:
        """What is shown: uint8 RGB ``(h, w, 3)``, None before the first is drawn."""
        return self._drawn

    def show_masks(
        self, picture: np.ndarray, masks: InstanceMasks | None, tracks: Mapping[int, RGB]
    ) -> None:
        """Show a picture and its masks in the tracks' colours; None: there are none yet."""
        self._picture, self._masks, self._tracks = picture, masks, tracks
        self._version += 1
        self.updateGeometry()
        self.update()

    def sizeHint(self) -> QSize:
        """Return the smallest size."""
        return QSize(PREVIEW_CELL, self.heightForWidth(PREVIEW_CELL))

    def heightForWidth(self, width: int) -> int:
        """Keep the picture's shape."""
        if self._picture is None:
            return width
        height, across = self._picture.shape[:2]
        return max(1, round(width * height / across))

    def mouseReleaseEvent(self, event: QMouseEvent | None) -> None:
        """Go to the frame."""
        self.clicked.emit()
        super().mouseReleaseEvent(event)

    def paintEvent(self, _event: QPaintEvent | None) -> None:
        """Paint the picture and its frame."""
        with painting(self) as painter:
            self._paint(painter)

    def _draw(self, width: int) -> None:
        """Have it drawn, unless it is."""
        asked = self._version, width
        if asked == self._asked:
            return
        self._asked = asked
        picture, masks, tracks = self._picture, self._masks, self._tracks
        assert picture is not None
        self._run(
            lambda: draw_preview(picture, masks, tracks, width=width),
            lambda drawn: self._take(drawn, asked),
        )

    def _take(self, drawn: np.ndarray, asked: tuple[int, int]) -> None:
        if isalive(self) and asked == self._asked:
            self._drawn = drawn
            self.update()

    def _paint(self, painter: QPainter) -> None:
        if self._picture is None:
            return
        self._draw(max(1, round(self.width() * self.devicePixelRatioF())))
        if self._drawn is None:
            return
        height, width, _ = self._drawn.shape
        image = QImage(self._drawn.data, width, height, 3 * width, QImage.Format.Format_RGB888)
        area = QRectF(0, 0, self.width(), self.width() * height / width)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        outline = QPainterPath()
        outline.addRoundedRect(area.adjusted(0.5, 0.5, -0.5, -0.5), _ROUND, _ROUND)
        painter.setClipPath(outline)
        painter.drawImage(area, image)
        if self._masks is None:
            veil = QColor(*self.colours.card)
            veil.setAlpha(190)
            painter.fillRect(area, veil)
            painter.setPen(QColor(*self.colours.muted))
            painter.drawText(area, Qt.AlignmentFlag.AlignCenter, "not yet")
        painter.setPen(QPen(QColor(*self.colours.border), 1))
        painter.drawPath(outline)
