"""The names of the loss curves with their last values; a click switches a curve off or on."""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING

from qtpy.QtCore import QRectF, Qt
from qtpy.QtGui import QColor, QIcon, QPainter, QPen, QPixmap
from qtpy.QtWidgets import QToolButton, QWidget
from superqt import QFlowLayout

from napari_maskfree.loss_series import OTHER, TERMS, TOTAL

if TYPE_CHECKING:
    from napari_maskfree._qt.loss_curve import LossCurve
    from napari_maskfree._qt.style import RGB

__all__ = ["LossLegend"]

_SWATCH, _RING, _GAP = 12, 1.5, 2
_SUM = "The sum of all: what the run makes smaller"
_HOW = "Click to switch its curve off or on."


class LossLegend(QWidget):
    """One button a curve, in as many rows as they need."""

    def __init__(self, curve: LossCurve) -> None:
        super().__init__()
        self.setObjectName("mfBody")
        self.curve = curve
        self.buttons: dict[str, QToolButton] = {}
        self._flow = QFlowLayout(self)
        self._flow.setContentsMargins(0, 0, 0, 0)
        self._flow.setHorizontalSpacing(_GAP)
        self._flow.setVerticalSpacing(_GAP)

    def refresh(self) -> None:
        """Show the curves that there are now, with their last values."""
        names = self.curve.names
        for gone in [n for n in self.buttons if n not in names]:
            made = self.buttons.pop(gone)
            self._flow.removeWidget(made)
            made.deleteLater()
        for name in names:
            made = self.buttons.get(name) or self._make(name)
            value = self.curve.last(name)
            made.setText(name if math.isnan(value) else f"{name} {value + 0.0:.2g}")
            made.setMinimumWidth(max(made.minimumWidth(), made.sizeHint().width()))

    def restyle(self) -> None:
        """Take over the curves' colours, which may be those of another theme."""
        for name, made in self.buttons.items():
            made.setIcon(_icon(self.curve.colour_of(name), made.isChecked()))

    def _make(self, name: str) -> QToolButton:
        made = QToolButton()
        made.setObjectName("mfTerm")
        made.setCheckable(True)
        made.setChecked(name not in self.curve.hidden)
        made.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        made.setIcon(_icon(self.curve.colour_of(name), made.isChecked()))
        made.setCursor(Qt.CursorShape.PointingHandCursor)
        words = _SUM if name == TOTAL else TERMS.get(name, OTHER).words
        made.setToolTip(f"{words}. {_HOW}")
        made.toggled.connect(functools.partial(self._set, name))
        self.buttons[name] = made
        self._flow.addWidget(made)
        return made

    def _set(self, name: str, shown: bool) -> None:
        self.curve.set_hidden(name, not shown)
        self.buttons[name].setIcon(_icon(self.curve.colour_of(name), shown))


def _icon(colour: RGB, filled: bool) -> QIcon:
    """Return a disc of a colour; a ring where its curve is off."""
    pixmap = QPixmap(_SWATCH, _SWATCH)
    pixmap.fill(Qt.GlobalColor.transparent)
    painter = QPainter(pixmap)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(QPen(QColor(*colour), _RING))
    painter.setBrush(QColor(*colour) if filled else Qt.BrushStyle.NoBrush)
    painter.drawEllipse(QRectF(_RING, _RING, _SWATCH - 2 * _RING, _SWATCH - 2 * _RING))
    painter.end()
    return QIcon(pixmap)
