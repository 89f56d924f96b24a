"""Where the masks of matched pixels disagree, as a napari layer.

Only the main thread may use :class:`ResidualLayer`; reading is :mod:`.residual_reader`'s.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from psygnal import Signal

from napari_maskfree import constants as c
from napari_maskfree.grid_layer import MAP_METADATA, over_video, signed_colormap

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image, Labels

    from napari_maskfree.video_info import VideoInfo

__all__ = ["RESIDUAL_NAME", "ResidualLayer", "residual_colormap"]

RESIDUAL_NAME = "Disagreement"


def residual_colormap() -> Any:
    """Return the colours of -1 (too much) to 1 (missing): by the sign, fainter towards 0."""
    return signed_colormap("residual", c.RESIDUAL_EXCESS, c.RESIDUAL_MISSING)


class ResidualLayer:
    """The layer over the masks while it is shown: ``layer``. ``lost`` tells that it was removed."""

    lost = Signal()

    def __init__(self, viewer: ViewerModel) -> None:
        self.viewer = viewer
        self.layer: Image | None = None
        self._blank = False

    def show(
        self, image: Image, masks: Labels | None, signed: np.ndarray, video: VideoInfo
    ) -> None:
        """Show a frame's residual, float (h, w) in [-1, 1], over the masks, or over the video."""
        data, scale, translate = over_video(image, signed, video)
        if self.layer is not None and self.layer.ndim != data.ndim:
            self.clear()
        self._blank = False
        if self.layer is None:
            self._add(_make(data, scale=scale, translate=translate), above=masks or image)
            return
        self.layer.data = data
        if not np.array_equal(self.layer.scale, scale):
            self.layer.scale = scale
        if not np.array_equal(self.layer.translate, translate):
            self.layer.translate = translate

    def blank(self) -> None:
        """Show nothing until the shown frame's residual is known."""
        if self.layer is not None and not self._blank:
            self.layer.data = np.broadcast_to(np.float32(0), self.layer.data.shape)
            self._blank = True

    def clear(self) -> None:
        """Remove the layer, if it is there."""
        layer, self.layer = self.layer, None
        if layer is not None and layer in self.viewer.layers:
            self.viewer.layers.remove(layer)

    def lose(self) -> None:
        """Hear that somebody removed the layer."""
        self.layer = None
        self.lost.emit()

    def _add(self, layer: Image, *, above: Any) -> None:
        self.layer = layer
        active = self.viewer.layers.selection.active
        self.viewer.layers.insert(self.viewer.layers.index(above) + 1, layer)
        if active is not None:
            self.viewer.layers.selection.active = active


def _make(data: np.ndarray, **geometry: Any) -> Image:
    from napari.layers import Image

    return Image(
        data,
        name=RESIDUAL_NAME,
        rgb=False,
        multiscale=False,
        contrast_limits=(-1, 1),
        colormap=residual_colormap(),
        blending="translucent",
        opacity=c.RESIDUAL_OPACITY,
        metadata=MAP_METADATA,
        **geometry,
    )
