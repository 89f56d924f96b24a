"""Layers are removed while the GL context of napari's canvas is the current one.

napari frees what a removed layer had in GL at once, in whichever context is current, and between
two paintings that is Qt's own. Seen with napari 0.9.2 and Mesa 22.3 (software GL): after Points and
Vectors had gone like that the driver found no vertex shader when the canvas was drawn, and crashed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.compat import isalive

if TYPE_CHECKING:
    from napari.viewer import Viewer

__all__ = ["CanvasContext", "make_canvas_current"]


def make_canvas_current() -> None:
    """Make the context of the canvas that was drawn last the current one, if there is one."""
    from vispy.gloo import get_current_canvas

    canvas = get_current_canvas()
    if canvas is not None and isalive(canvas.native):
        canvas.set_current()


class CanvasContext:
    """Sees to it for all layers of a viewer, also those that a person deletes."""

    def __init__(self, viewer: Viewer) -> None:
        self._removing = viewer.layers.events.removing
        self._removing.connect(self._on_removing)

    def close(self) -> None:
        """Let go of the viewer."""
        self._removing.disconnect(self._on_removing)

    def _on_removing(self, _event: Any) -> None:
        make_canvas_current()
