"""Boxes and vectors on napari's canvas keep their GL program when their data change.

vispy (0.17.0) makes the function by which a mesh passes its colours on anew with each change, which
counts as other code: the program is written, compiled and linked once more. Seen with software GL,
that took a seventh of the time from a click to its drawn vectors.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtWidgets import QApplication

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from napari.viewer import Viewer

__all__ = ["SteadyMeshes"]


class SteadyMeshes:
    """Sees to it whenever a viewer gets a layer; where a mesh is made otherwise nothing happens."""

    def __init__(self, viewer: Viewer) -> None:
        self._inserted = viewer.layers.events.inserted
        self._inserted.connect(_steady, position="last")  # what draws the layer is there then
        _steady()

    def close(self) -> None:
        """Let go of the viewer."""
        self._inserted.disconnect(_steady)


def _steady(_event: Any = None) -> None:
    for mesh in _meshes():
        mesh.unfreeze()
        mesh._build_color_transform = _Kept(mesh._build_color_transform)
        mesh.freeze()


class _Kept:
    """Makes the function for plain colours once, as it is the same for all."""

    def __init__(self, build: Any) -> None:
        self._build, self._plain = build, None

    def __call__(self, colours: np.ndarray) -> Any:
        if colours.ndim == 2 and colours.shape[1] == 1:  # values, which a colormap turns into such
            return self._build(colours)
        if self._plain is None:
            self._plain = self._build(colours)
        return self._plain


def _meshes() -> Iterator[Any]:
    """Yield the meshes on all canvases that were not seen to yet.

    By the widgets: a plugin has no way from its viewer to the canvas.
    """
    from vispy.visuals import MeshVisual

    for widget in QApplication.allWidgets():
        canvas = getattr(widget, "_vispy_canvas", None)
        for visual in _under(getattr(canvas, "scene", None)):
            build = getattr(visual, "_build_color_transform", None)
            if isinstance(visual, MeshVisual) and build and not isinstance(build, _Kept):
                yield visual


def _under(node: Any) -> Iterator[Any]:
    """Yield a node of a scene, what it is composed of, and all nodes below it."""
    if node is not None:
        yield node
        yield from getattr(node, "_subvisuals", ())
        for child in node.children:
            yield from _under(child)
