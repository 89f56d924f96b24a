"""A part of a section that folds away under its title."""

from __future__ import annotations

from qtpy.QtGui import QIcon
from superqt import QCollapsible

__all__ = ["Fold"]


class Fold(QCollapsible):
    """Has its sign in the title's text.

    As an icon it would be painted once, in the colours that were right at that moment.
    """

    def __init__(self, title: str = "") -> None:
        none = QIcon()
        super().__init__("", expandedIcon=none, collapsedIcon=none)
        self.layout().setContentsMargins(0, 0, 0, 0)
        self.content().setObjectName("mfBody")
        self.content().layout().setContentsMargins(0, 0, 0, 0)
        self.toggled.connect(self._show_title)
        self.set_title(title)

    def set_title(self, title: str) -> None:
        """Show another title."""
        self._title = title
        self._show_title()

    def _show_title(self, *_: object) -> None:
        self.setText(f"{'▾' if self.isExpanded() else '▸'} {self._title}")
