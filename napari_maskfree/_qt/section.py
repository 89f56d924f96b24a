"""The building blocks of the panels: a numbered, folding section, hints, rows, buttons."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)
from superqt import QElidingLabel

from napari_maskfree.constants import MARGIN, SPACING

if TYPE_CHECKING:
    from collections.abc import Callable

    from qtpy.QtGui import QMouseEvent

__all__ = [
    "Panel",
    "Section",
    "button",
    "explain",
    "heading",
    "hint",
    "restyle",
    "row",
    "set_primary",
    "tip_of",
]

_CLOSED, _OPEN = "▸", "▾"


class _Header(QFrame):
    clicked = Signal()

    def mouseReleaseEvent(self, event: QMouseEvent | None) -> None:
        """Fold or unfold the section."""
        self.clicked.emit()
        super().mouseReleaseEvent(event)


class Section(QFrame):
    """A card with number, title, a one-line summary and a body that folds away."""

    def __init__(self, number: int, title: str, body: QWidget) -> None:
        super().__init__()
        self.setObjectName("mfSection")
        self.body = body
        body.setObjectName("mfBody")
        self.badge = QLabel(str(number))
        self.badge.setObjectName("mfBadge")
        self.badge.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self._number = number
        name = QLabel(title)
        name.setObjectName("mfTitle")
        self.summary = QElidingLabel("")
        self.summary.setObjectName("mfSummary")
        self.summary.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self.summary.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.arrow = QLabel(_OPEN)
        self.arrow.setObjectName("mfHint")
        self.header = _Header()
        self.header.setObjectName("mfHeader")
        self.header.setCursor(Qt.CursorShape.PointingHandCursor)
        line = QHBoxLayout(self.header)
        line.setContentsMargins(0, 0, 0, 0)
        line.setSpacing(SPACING + 2)
        line.addWidget(self.badge)
        line.addWidget(name)
        line.addWidget(self.summary, 1)
        line.addWidget(self.arrow)
        self.header.clicked.connect(lambda: self.set_open(not self.is_open))
        layout = QVBoxLayout(self)
        layout.setContentsMargins(MARGIN, MARGIN - 2, MARGIN, MARGIN - 2)
        layout.setSpacing(MARGIN - 2)
        layout.addWidget(self.header)
        layout.addWidget(body)
        self.set_open(True)

    @property
    def is_open(self) -> bool:
        """Whether the body is shown."""
        return self.arrow.text() == _OPEN

    def set_open(self, is_open: bool) -> None:
        """Show or fold away the body."""
        self.body.setVisible(is_open)
        self.arrow.setText(_OPEN if is_open else _CLOSED)

    def set_summary(self, text: str) -> None:
        """Say in a few words where this section stands."""
        self.summary.setText(text)
        self.summary.setToolTip(text)

    def set_mark(self, *, done: bool = False, current: bool = False) -> None:
        """Tick the badge when the section's work is done, colour it when it is the next step."""
        self.badge.setText("✓" if done else str(self._number))
        self.badge.setProperty("done", done)
        self.badge.setProperty("current", current and not done)
        restyle(self.badge)


class Panel(QWidget):
    """Body of a section: a column of rows."""

    def __init__(self) -> None:
        super().__init__()
        self.column = QVBoxLayout(self)
        self.column.setContentsMargins(0, 0, 0, 0)
        self.column.setSpacing(SPACING)

    def add(self, *widgets: QWidget) -> None:
        """Append rows."""
        for widget in widgets:
            self.column.addWidget(widget)


def restyle(widget: QWidget) -> None:
    """Make a changed property show in the style."""
    style = widget.style()
    if style is not None:
        style.unpolish(widget)
        style.polish(widget)


def heading(text: str) -> QLabel:
    """Return the title of a part of a section."""
    label = QLabel(text)
    label.setObjectName("mfHeading")
    return label


def hint(text: str = "") -> QLabel:
    """Return a muted sentence that wraps."""
    label = QLabel(text)
    label.setObjectName("mfHint")
    label.setWordWrap(True)
    return label


def button(
    text: str, slot: Callable[[], object], tip: str = "", *, primary: bool = False
) -> QPushButton:
    """Return a push button; ``tip`` is what it does, shown while it is enabled."""
    made = QPushButton(text)
    made.setProperty("primary", primary)
    made.setProperty("tip", tip)
    made.setToolTip(tip)
    made.setCursor(Qt.CursorShape.PointingHandCursor)
    made.clicked.connect(lambda: slot())
    return made


def explain(widget: QWidget, why_not: str) -> None:
    """Enable a widget, or disable it with a tooltip that says why."""
    widget.setEnabled(not why_not)
    widget.setToolTip(why_not or tip_of(widget))


def tip_of(widget: QWidget) -> str:
    """Return what an enabled widget does, and its key."""
    tip, key = str(widget.property("tip") or ""), str(widget.property("key") or "")
    return f"{tip} ({key})" if tip and key else tip or key


def set_primary(made: QPushButton, primary: bool) -> None:
    """Make a button the one to press next, or an ordinary one."""
    if made.property("primary") != primary:
        made.setProperty("primary", primary)
        restyle(made)


def row(*widgets: QWidget | int, grows: QWidget | None = None) -> QWidget:
    """Return widgets side by side; a number is empty space of that factor.

    ``grows`` takes the space that is left; by default the buttons share it.
    """
    made = QWidget()
    made.setObjectName("mfBody")
    line = QHBoxLayout(made)
    line.setContentsMargins(0, 0, 0, 0)
    line.setSpacing(SPACING)
    for widget in widgets:
        if isinstance(widget, int):
            line.addStretch(widget)
        else:
            takes = isinstance(widget, QPushButton) if grows is None else widget is grows
            line.addWidget(widget, int(takes))
    return made
