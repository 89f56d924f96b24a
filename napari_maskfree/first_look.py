"""The first frame of a video that is still being read: there at once, gone when it is open."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_maskfree.grid_layer import MAP_METADATA

if TYPE_CHECKING:
    import numpy as np
    from napari.components import ViewerModel
    from napari.layers import Image

__all__ = ["FirstLook"]


class FirstLook:
    """One picture in the viewer, which nobody can take for a video and draw boxes on."""

    def __init__(self, viewer: ViewerModel) -> None:
        self._viewer = viewer
        self.layer: Image | None = None

    def show(self, picture: np.ndarray, name: str) -> None:
        """Show the first frame, uint8 RGB ``(H, W, 3)``, of the video ``name``."""
        from napari.layers import Image

        self.drop()
        layer = Image(picture, rgb=True, name=f"{name} (reading…)", metadata=dict(MAP_METADATA))
        self.layer = layer
        self._viewer.add_layer(layer)

    def drop(self) -> None:
        """Take it away again, where a person has not done so."""
        layer, self.layer = self.layer, None
        if layer is not None and layer in self._viewer.layers:
            self._viewer.layers.remove(layer)
