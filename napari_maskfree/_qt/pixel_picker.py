"""The mouse over the picture: clicks that pick a pixel, and the cursor that is followed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.compat import isalive
from qtpy.QtCore import QObject, QTimer, Signal

from napari_maskfree.constants import FOLLOW_INTERVAL

if TYPE_CHECKING:
    from collections.abc import Generator

    from napari.viewer import Viewer

__all__ = ["PixelPicker"]

_LOOKING = {"pan_zoom", "select", "direct", "transform"}
"""Modes of the active layer in which a click draws nothing."""

Position = tuple[float, ...]


class PixelPicker(QObject):
    """``clicked`` and ``hovered`` tell positions of the viewer, in world coordinates.

    While the cursor is followed, ``hovered`` comes once in an interval, with the latest position:
    nothing queues up where answers are slower than the mouse.
    """

    clicked = Signal(object)
    hovered = Signal(object)

    def __init__(self, viewer: Viewer, parent: QObject) -> None:
        super().__init__(parent)
        self.viewer = viewer
        self.position: Position | None = None
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(FOLLOW_INTERVAL)
        self._timer.timeout.connect(self._tell)

    def set_clicks(self, on: bool) -> None:
        """Listen to clicks, or no longer."""
        _switch(self.viewer.mouse_drag_callbacks, self._on_drag, on)

    def set_follow(self, on: bool) -> None:
        """Follow the cursor, or no longer."""
        _switch(self.viewer.mouse_move_callbacks, self._on_move, on)
        self.position = None
        if isalive(self._timer):
            self._timer.stop()

    def tell_again(self) -> None:
        """Tell the cursor's position once more: the frame under it is another one."""
        if self.position is not None and not self._timer.isActive():
            self._timer.start()

    def close(self) -> None:
        """Stop listening."""
        self.set_clicks(False)
        self.set_follow(False)

    def _on_drag(self, _viewer: Any, event: Any) -> Generator[None, None, None]:
        active = self.viewer.layers.selection.active
        drawing = str(getattr(active, "mode", "pan_zoom")) not in _LOOKING
        if event.button != 1 or drawing:
            return
        position, moved = tuple(event.position), False
        yield
        while event.type == "mouse_move":
            moved = True
            yield
        if not moved:
            self.clicked.emit(position)

    def _on_move(self, _viewer: Any, event: Any) -> None:
        self.position = tuple(event.position)
        if not self._timer.isActive():
            self._timer.start()

    def _tell(self) -> None:
        if self.position is not None:
            self.hovered.emit(self.position)


def _switch(callbacks: Any, callback: Any, on: bool) -> None:
    if on and callback not in callbacks:
        callbacks.append(callback)
    elif not on and callback in callbacks:
        callbacks.remove(callback)
