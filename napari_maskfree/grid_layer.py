"""Maps on a coarser grid over the video: where their cells lie, and colours by sign. No Qt here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_maskfree.video_layer import METADATA, layer_shape

if TYPE_CHECKING:
    from napari.layers import Image

    from napari_maskfree.video_info import VideoInfo

RGB = tuple[int, int, int]

__all__ = ["MAP_METADATA", "is_map", "over_video", "signed_colormap"]

_KEY = "map"
MAP_METADATA = {METADATA: {_KEY: True}}
"""Metadata of a layer that shows such a map."""


def is_map(layer: Any) -> bool:
    """Say whether a layer is one of our maps, and so no video."""
    return bool((layer.metadata.get(METADATA) or {}).get(_KEY))


def signed_colormap(name: str, below: RGB, above: RGB) -> Any:
    """Return colours from -1 to 1: one by each sign, clear at 0, the fainter the nearer to it."""
    from napari.utils.colormaps import Colormap

    low, high = np.array([below, above]) / 255
    colours = [(*low, 1.0), (*low, 0.0), (*high, 0.0), (*high, 1.0)]
    near = 1e-3  # the two colours meet where both are clear
    return Colormap(colours, controls=[0.0, 0.5 - near, 0.5 + near, 1.0], name=name)


def over_video(
    image: Image, maps: np.ndarray, video: VideoInfo
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return maps on the image's own axes (a view), their scale and their translation.

    The grid divides the frame evenly, and napari counts pixel centres: the centre of the first
    cell lies half a cell, less half a pixel, from that of the first pixel. All planes of an axis
    that is not time, y or x show the same.

    Parameters
    ----------
    maps
        ``(T, h, w)``, or ``(h, w)`` for the same in every frame.
    """
    planes, grid = layer_shape(image)[:-2], maps.shape[-2:]
    if maps.ndim == 2:
        shown = maps
    elif video.time_axis is None:
        shown = maps[0]
    else:
        shown = maps[
            tuple(slice(None) if a == video.time_axis else None for a in range(len(planes)))
        ]
    cell = np.array([video.height, video.width]) / grid
    scale, translate = np.array(image.scale, float), np.array(image.translate, float)
    translate[-2:] += scale[-2:] * (cell - 1) / 2
    scale[-2:] *= cell
    return np.broadcast_to(shown, (*planes, *grid)), scale, translate
