"""A session's masks as a Labels layer: one frame at a time from disk, in the boxes' colours."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any

import numpy as np

from maskfree.colours import track_colour
from napari_maskfree import constants as c

if TYPE_CHECKING:
    from napari.layers import Image, Labels

    from maskfree.session import MaskStore
    from maskfree.types import BoxTracks, InstanceMasks
    from napari_maskfree.state import VideoInfo

__all__ = ["MASKS_NAME", "MaskStack", "flatten", "make_layer", "track_colormap"]

MASKS_NAME = "Masks"


def flatten(instances: InstanceMasks | None, height: int, width: int) -> np.ndarray:
    """Return uint16 (H, W): each pixel's track id, 0 for none; where two overlap the surer one."""
    labels = np.zeros((height, width), np.uint16)
    if instances is None:
        return labels
    for index in np.argsort(instances.scores, kind="stable"):
        labels[np.asarray(instances.masks[index], bool)] = instances.track_ids[index]
    return labels


class MaskStack:
    """The masks of a session as an array (T, H, W) of track ids, uint16, read when indexed.

    A few frames are kept; :meth:`forget` drops them when the masks on disk have changed.
    """

    dtype = np.dtype(np.uint16)
    ndim = 3

    def __init__(self, store: MaskStore, num_frames: int, height: int, width: int) -> None:
        self.store = store
        self.shape = (num_frames, height, width)
        self._kept: OrderedDict[int, np.ndarray] = OrderedDict()

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def size(self) -> int:
        """Number of pixels in all frames."""
        return int(np.prod(self.shape))

    def forget(self) -> None:
        """Read every frame again when it is asked for next."""
        self._kept.clear()

    def frame(self, index: int) -> np.ndarray:
        """Return one frame's labels (H, W)."""
        if index not in self._kept:
            self._kept[index] = flatten(self.store.read(index), *self.shape[1:])
            while len(self._kept) > c.MASK_CACHE:
                self._kept.popitem(last=False)
        else:
            self._kept.move_to_end(index)
        return self._kept[index]

    def __getitem__(self, key: Any) -> np.ndarray:
        key = key if isinstance(key, tuple) else (key,)
        first, rest = key[0], key[1:]
        if isinstance(first, slice):
            frames = [self.frame(i) for i in range(*first.indices(self.shape[0]))]
            stacked = np.stack(frames) if frames else np.empty((0, *self.shape[1:]), self.dtype)
            return stacked[(slice(None), *rest)]
        return self.frame(int(first) % self.shape[0])[rest]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        whole = np.stack([self.frame(i) for i in range(self.shape[0])])
        return whole if dtype is None else whole.astype(dtype)


def track_colormap(tracks: BoxTracks | None) -> Any:
    """Return the label colormap in which each id has the colour of its boxes."""
    from napari.utils.colormaps import DirectLabelColormap

    ids = [t.id for t in tracks.tracks] if tracks is not None else []
    colours = {i: np.array([*(v / 255 for v in track_colour(i)), 1.0]) for i in ids}
    return DirectLabelColormap(
        color_dict={**colours, 0: "transparent", None: np.array([1.0, 1.0, 1.0, 1.0])}
    )


def make_layer(store: MaskStore, image: Image, info: VideoInfo, tracks: BoxTracks | None) -> Labels:
    """Return a Labels layer over the image's time and (y, x) axes."""
    from napari.layers import Labels

    stack = MaskStack(store, info.num_frames, info.height, info.width)
    axes = [*([] if info.time_axis is None else [info.time_axis]), image.ndim - 2, image.ndim - 1]
    scale, translate = np.asarray(image.scale)[axes], np.asarray(image.translate)[axes]
    if info.time_axis is None:
        scale, translate = np.r_[1.0, scale], np.r_[0.0, translate]
    layer = Labels(
        stack,
        name=MASKS_NAME,
        scale=scale,
        translate=translate,
        opacity=c.MASK_OPACITY,
        colormap=track_colormap(tracks),
        metadata={"maskfree": {"masks": True}},
    )
    layer.editable = False
    return layer
