"""Whether the ignore regions are shown: the layer comes with the first one, and goes by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from maskfree.errors import InputError
from napari_maskfree.ignore_layer import IgnoreLayer, make_layer

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari.components import ViewerModel
    from napari.layers import Image, Layer

    from napari_maskfree.state import State

__all__ = ["IgnoreShown"]


class IgnoreShown:
    """Makes the layer of ignore regions, and lets go of it when it is removed.

    Parameters
    ----------
    viewer, state
        Where it is shown, and what.
    image
        Returns the video's layer, None where there is none.
    add
        Adds a layer to the viewer, under the boxes.
    defer, notify
        See `IgnoreLayer`.
    """

    def __init__(
        self,
        viewer: ViewerModel,
        state: State,
        *,
        image: Callable[[], Image | None],
        add: Callable[[Layer], None],
        defer: Callable[[Callable[[], None]], None],
        notify: Callable[[str], None],
    ) -> None:
        self.viewer, self.state = viewer, state
        self._image, self._add = image, add
        self._defer, self._notify = defer, notify
        self.view: IgnoreLayer | None = None
        self._zoom = 0.0
        viewer.layers.events.removed.connect(self._on_removed)

    def close(self) -> None:
        """Let go of viewer and layer; the layer stays."""
        self.viewer.layers.events.removed.disconnect(self._on_removed)
        self._let_go()

    def show(self) -> None:
        """Show the regions, where there are any."""
        if self.state.ignoring.all and self.view is None:
            self._make()

    def fit_zoom(self, zoom: float) -> None:
        """Take the canvas's zoom."""
        self._zoom = zoom
        if self.view is not None:
            self.view.fit_zoom(zoom)

    def draw(self) -> None:
        """Make the layer, or bring it to the front, ready to draw.

        Raises
        ------
        InputError
            Where there is no video.
        """
        layer = (self.view or self._make()).layer
        self.viewer.layers.selection.active = layer
        layer.visible, layer.mode = True, "add_rectangle"

    def _make(self) -> IgnoreLayer:
        image = self._image()
        if image is None:
            raise InputError("There is no video yet. Choose one in section 1.")
        layer = make_layer(image)
        self._add(layer)
        self.view = IgnoreLayer(self.state, layer, defer=self._defer, notify=self._notify)
        self.view.fit_zoom(self._zoom)
        return self.view

    def _let_go(self) -> None:
        if self.view is not None:
            self.view.close()
            self.view = None

    def _on_removed(self, event: Any) -> None:
        if self.view is not None and event.value is self.view.layer:
            self._let_go()
