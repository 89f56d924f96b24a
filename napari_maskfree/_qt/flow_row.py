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
        """Return which widgets share a line: as few lines as can be, of as many widgets each."""
        shown, lines = self._shown(), list[list[QWidget]]()
        for widget in shown:
            if lines and _width([*lines[-1], widget]) <= self.width():
                lines[-1].append(widget)
            else:
                lines.append([widget])
        most = -(-len(shown) // max(1, len(lines)))
        even = [shown[n : n + most] for n in range(0, len(shown), max(1, most))]
        return even if all(_width(line) <= self.width() for line in even) else lines

    def _height(self) -> int:
        heights = [_height(line) for line in self.lines()]
        return sum(heights) + SPACING * max(0, len(heights) - 1)

    def _place(self) -> None:
        y = 0
        for line in self.lines():
            x, high, widths = 0, _height(line), _shared(line, self.width())
            for widget, wide in zip(line, widths, strict=True):
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


def _shared(line: list[QWidget], room: int) -> list[int]:
    """Return how wide each widget of a line becomes: the buttons alike, as far as they can be."""
    widths = [w.sizeHint().width() for w in line]
    growing = [n for n, w in enumerate(line) if isinstance(w, QPushButton)]
    left = room - SPACING * (len(line) - 1)
    left -= sum(wide for n, wide in enumerate(widths) if n not in growing)
    while growing:
        part = max(0, left) // len(growing)
        wider = [n for n in growing if widths[n] > part]
        if not wider:
            for n in growing:
                widths[n] = part
            return widths
        left -= sum(widths[n] for n in wider)
        growing = [n for n in growing if n not in wider]
    return widths
