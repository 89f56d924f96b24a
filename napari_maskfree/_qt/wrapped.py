"""A text that wraps and always has the height that its lines need."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtWidgets import QLabel

if TYPE_CHECKING:
    from qtpy.QtGui import QResizeEvent

__all__ = ["Wrapped"]


class Wrapped(QLabel):
    """A label that asks for its lines' height at the width that it really got.

    A scroll area asks its rows how high they are before its own bar takes some of their width, so a
    text that then needs one line more would be cut.
    """

    def __init__(self, text: str = "", *, muted: bool = False) -> None:
        super().__init__(text)
        self.setWordWrap(True)
        if muted:
            self.setObjectName("mfHint")

    def setText(self, text: str | None) -> None:
        """Show another text."""
        super().setText(text)
        self._fit()

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        """Ask for what the new width needs."""
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        self.setMinimumHeight(0)  # else Qt never answers with less
        self.setMinimumHeight(max(0, self.heightForWidth(self.width())))
