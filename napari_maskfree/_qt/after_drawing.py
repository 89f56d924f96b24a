"""Calls that wait until a window has been drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.compat import isalive
from qtpy.QtCore import QTimer

from napari_maskfree._qt.canvas_context import make_canvas_current
from napari_maskfree.constants import DRAWN_AFTER

if TYPE_CHECKING:
    from collections.abc import Callable

    from qtpy.QtWidgets import QWidget

__all__ = ["after_drawing"]


def after_drawing(window: QWidget | None, call: Callable[[], None]) -> None:
    """Call a function a moment later, when what is changed now has been drawn.

    Nothing is called where the window is gone or has been closed by then.
    """

    def call_now() -> None:
        if window is not None and isalive(window) and window.isVisible():
            make_canvas_current()  # it may be a layer that goes
            call()

    QTimer.singleShot(DRAWN_AFTER, call_now)
