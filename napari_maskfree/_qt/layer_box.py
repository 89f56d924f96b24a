"""A checkbox that shows and hides a layer of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QSignalBlocker, QTimer
from qtpy.QtWidgets import QCheckBox

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["LayerBox"]


class LayerBox(QCheckBox):
    """Checked while its layer is shown, or is on its way.

    Parameters
    ----------
    text, tip
        What it shows, and what that means.
    toggled
        Called with its state when a person, or a key, changes it.
    clear
        Removes the layer, if it is there.
    """

    def __init__(
        self,
        text: str,
        tip: str,
        toggled: Callable[[bool], object],
        clear: Callable[[], object],
    ) -> None:
        super().__init__(text)
        self._clear = clear
        self.setProperty("tip", tip)
        self.toggled.connect(toggled)

    def uncheck(self) -> None:
        """Uncheck it, as there is nothing to show: the layer goes soon, and nobody is called."""
        if not self.isChecked():
            return
        blocked = QSignalBlocker(self)
        self.setChecked(False)
        blocked.unblock()
        # we may be called while napari removes several layers, and it has counted them
        QTimer.singleShot(0, self._drop)

    def _drop(self) -> None:
        if not self.isChecked():
            self._clear()
