"""A session's masks as a Labels layer: one frame at a time from disk, in the boxes' colours."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any

import numpy as np

from maskfree.colours import track_colour
from napari_maskfree import constants as c
from napari_maskfree.video_layer import layer_shape

if TYPE_CHECKING:
    from napari.layers import Image, Labels

    from maskfree.session import MaskStore
    from maskfree.types import BoxTracks, InstanceMasks
    from napari_maskfree.video_info import VideoInfo

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
    """The masks of a session as an array of track ids, uint16, read when indexed.

    Its shape is that of the video's layer, ``(*planes, H, W)``: all planes of an axis that is not
    time show the same masks. A few frames are kept; :meth:`forget` drops them when the masks on
    disk have changed.

    Parameters
    ----------
    store
        Where the masks are read.
    planes
        Lengths of the axes before y and x.
    time_axis
        Which of them is time; None for a picture, frame 0.
    height, width
        Of the frames, in pixels.
    """

    dtype = np.dtype(np.uint16)

    def __init__(
        self,
        store: MaskStore,
        planes: tuple[int, ...],
        time_axis: int | None,
        height: int,
        width: int,
    ) -> None:
        self.store = store
        self.shape = (*planes, height, width)
        self.ndim = len(self.shape)
        self._time_axis = time_axis
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
            self._kept[index] = flatten(self.store.read(index), *self.shape[-2:])
            while len(self._kept) > c.MASK_CACHE:
                self._kept.popitem(last=False)
        else:
            self._kept.move_to_end(index)
        return self._kept[index]

    def __getitem__(self, key: Any) -> np.ndarray:
        key = key if isinstance(key, tuple) else (key,)
        if len(key) > self.ndim:
            raise IndexError(f"expected at most {self.ndim} indexes, got {len(key)}")
        key = (*key, *[slice(None)] * (self.ndim - len(key)))
        planes = [range(n)[k] for k, n in zip(key[:-2], self.shape, strict=False)]
        times = 0 if self._time_axis is None else planes[self._time_axis]
        if isinstance(times, range):
            frames = [self.frame(t)[key[-2:]] for t in times]
            found = np.stack(frames) if frames else np.empty((0, *self.frame(0)[key[-2:]].shape))
        else:
            found = self.frame(times)[key[-2:]]
        kept = [(axis, len(p)) for axis, p in enumerate(planes) if isinstance(p, range)]
        inner = found.shape[1:] if isinstance(times, range) else found.shape
        alone = [n if axis == self._time_axis else 1 for axis, n in kept]
        whole = np.broadcast_to(found.reshape((*alone, *inner)), (*[n for _, n in kept], *inner))
        return whole.astype(self.dtype, copy=False)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self[()], dtype=dtype, copy=True)


def track_colormap(tracks: BoxTracks | None) -> Any:
    """Return the label colormap in which each id has the colour of its boxes."""
    from napari.utils.colormaps import DirectLabelColormap

    ids = [t.id for t in tracks.tracks] if tracks is not None else []
    colours = {i: np.array([*(v / 255 for v in track_colour(i)), 1.0]) for i in ids}
    return DirectLabelColormap(
        color_dict={**colours, 0: "transparent", None: np.array([1.0, 1.0, 1.0, 1.0])}
    )


def make_layer(store: MaskStore, image: Image, info: VideoInfo, tracks: BoxTracks | None) -> Labels:
    """Return a Labels layer over the image, on its axes (scaled and moved alike, not turned)."""
    from napari.layers import Labels

    planes = layer_shape(image)[:-2]
    stack = MaskStack(store, planes, info.time_axis, info.height, info.width)
    layer = Labels(
        stack,
        name=MASKS_NAME,
        scale=image.scale,
        translate=image.translate,
        opacity=c.MASK_OPACITY,
        colormap=track_colormap(tracks),
        metadata={"maskfree": {"masks": True}},
    )
    layer.editable = False
    return layer
