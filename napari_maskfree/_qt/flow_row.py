"""Widgets side by side that go onto a second line where there is no room for all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QEvent, QSize
from qtpy.QtWidgets import QPushButton, QSizePolicy, QWidget

from napari_maskfree.constants import SPACING

if TYPE_CHECKING:
    from qtpy.QtGui import QResizeEvent

__all__ = ["FlowRow"]


class FlowRow(QWidget):
    """A row that wraps; the buttons of a line share the room that is left.

    It asks for the height of its lines at the width that it really got, as :class:`.Wrapped` does.
    """

    def __init__(self, *widgets: QWidget) -> None:
        super().__init__()
        self.setObjectName("mfBody")
        self._widgets, self._known = widgets, QSize()
        for widget in widgets:
            widget.setParent(self)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        self._place()

    def sizeHint(self) -> QSize:
        """Return the size of one line."""
        return QSize(_width(self._shown()), self._height())

    def minimumSizeHint(self) -> QSize:
        """Return the width of its widest widget, and the height of its lines."""
        return QSize(max((_width([w]) for w in self._shown()), default=0), self._height())

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        """Put the widgets onto lines of the new width."""
        super().resizeEvent(event)
        self._place()

    def event(self, event: QEvent | None) -> bool:
        """Put the widgets anew where one has another text, was shown or hidden."""
        if event is not None and event.type() == QEvent.Type.LayoutRequest:
            self._place()
        return super().event(event)

    def _shown(self) -> list[QWidget]:
        return [widget for widget in self._widgets if not widget.isHidden()]

    def lines(self) -> list[list[QWidget]]:
        """Return which widgets share a line: as many on each, as far as they fit."""
        shown, count = self._shown(), 1
        while count < len(shown):
            most = -(-len(shown) // count)
            lines = [shown[n : n + most] for n in range(0, len(shown), most)]
            if all(_width(line) <= self.width() for line in lines):
                return lines
            count += 1
        return [[widget] for widget in shown]

    def _height(self) -> int:
        heights = [_height(line) for line in self.lines()]
        return sum(heights) + SPACING * max(0, len(heights) - 1)

    def _place(self) -> None:
        y = 0
        for line in self.lines():
            x, high = 0, _height(line)
            growing = [w for w in line if isinstance(w, QPushButton)]
            left = max(0, self.width() - _width(line))
            for widget in line:
                wide = widget.sizeHint().width()
                if widget in growing:
                    part = left // len(growing)
                    wide, left = wide + part, left - part
                    growing.remove(widget)
                widget.setGeometry(x, y, min(wide, self.width()), high)
                x += wide + SPACING
            y += high + SPACING
        if self._known != self.minimumSizeHint():
            self._known = self.minimumSizeHint()
            self.setFixedHeight(self._known.height())
            self.updateGeometry()


def _width(line: list[QWidget]) -> int:
    return sum(w.sizeHint().width() for w in line) + SPACING * (len(line) - 1)


def _height(line: list[QWidget]) -> int:
    return max((w.sizeHint().height() for w in line), default=0)
