"""What kind of place each cell of a frame is, in the method's colours, as a napari layer.

Only the main thread may use it; :func:`maskfree.frame_categories.categorise_frame` does the
arithmetic.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from psygnal import Signal

from napari_maskfree import constants as c

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image, Labels

    from maskfree.frame_categories import FrameCategories

RGB = tuple[int, int, int]

__all__ = ["CATEGORY_NAME", "CategoryLayer", "category_colormap"]

CATEGORY_NAME = "Match categories"


class CategoryLayer:
    """The layer over the viewer's video while it is shown; ``lost``: somebody removed it."""

    lost = Signal()

    def __init__(self, viewer: ViewerModel) -> None:
        self.viewer = viewer
        self._layer: Labels | None = None

    @property
    def layer(self) -> Labels | None:
        """Our layer while it is in the viewer."""
        there = self._layer is not None and self._layer in self.viewer.layers
        return self._layer if there else None

    def show(self, image: Image, found: FrameCategories) -> None:
        """Show what kind of place each cell of the frame is, in the method's colours."""
        cell, scale = found.grid.cell_size, np.asarray(image.scale[-2:])
        # napari counts pixel centres: the middle of the first cell is half a cell less half a pixel
        place = {
            "scale": scale * cell,
            "translate": np.asarray(image.translate[-2:]) + scale * (cell - 1) / 2,
        }
        # napari's label 0 is transparent, and the method's category 0 is a colour of its own
        labels = found.categories + 1
        layer = self.layer
        if layer is not None:
            layer.data = labels
            layer.scale, layer.translate = place["scale"], place["translate"]
            layer.visible = True
            return
        from napari.layers import Labels

        self._layer = Labels(
            labels,
            name=CATEGORY_NAME,
            colormap=category_colormap(found.colours),
            opacity=c.CATEGORY_OPACITY,
            **place,
        )
        self._layer.editable = False
        active = self.viewer.layers.selection.active
        self.viewer.layers.insert(self.viewer.layers.index(image) + 1, self._layer)
        if active is not None:
            self.viewer.layers.selection.active = active

    def hide(self) -> None:
        """Hide the layer: it belongs to another frame or was switched off."""
        if self.layer is not None:
            self.layer.visible = False

    def lose(self, layer: object) -> None:
        """Hear that somebody removed a layer, which may be ours."""
        if self._layer is not None and layer is self._layer:
            self._layer = None
            self.lost.emit()

    def clear(self) -> None:
        """Remove the layer, if it is there."""
        layer, self._layer = self.layer, None
        if layer is not None:
            self.viewer.layers.remove(layer)


def category_colormap(colours: dict[int, RGB]) -> Any:
    """Return the colours of the categories for a layer that holds category + 1."""
    from napari.utils.colormaps import DirectLabelColormap

    shown: dict[int | None, Any] = {
        value + 1: np.array([*(v / 255 for v in rgb), 1.0]) for value, rgb in colours.items()
    }
    return DirectLabelColormap(color_dict={**shown, 0: "transparent", None: "transparent"})
