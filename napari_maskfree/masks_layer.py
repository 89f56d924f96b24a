"""A session's masks as a Labels layer: one frame at a time from disk, in the boxes' colours.

napari's tools paint into the array; what they changed is fetched with :meth:`MaskStack.edits`.
"""

from __future__ import annotations

import importlib
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

import numpy as np

from maskfree.mask_place import labels_of
from napari_maskfree import constants as c
from napari_maskfree.video_layer import layer_shape

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from napari.layers import Image, Labels

    from napari_maskfree.video_info import VideoInfo

__all__ = ["MASKS_NAME", "MaskStack", "fits", "make_layer", "track_colormap", "warm_up"]

MASKS_NAME = "Masks"


class MaskStack:
    """The masks of a session as an array of track ids, int32, read when indexed.

    Its shape is that of the video's layer, ``(*planes, H, W)``: all planes of an axis that is not
    time show the same masks. A few frames are kept; :meth:`forget` drops them when the masks on
    disk have changed. What is written stays here until :meth:`edits` fetches it.

    Parameters
    ----------
    store
        Where the masks are read: ``read(frame)`` returns InstanceMasks or None.
    planes
        Lengths of the axes before y and x.
    time_axis
        Which of them is time; None for a picture, frame 0.
    height, width
        Of the frames, in pixels.
    """

    dtype = np.dtype(np.int32)
    """Wider than ids need: for a 16-bit type napari computes 65,536 colours at each new colormap,
    a tenth of a second; for this one those of the ids alone."""

    def __init__(
        self,
        store: Any,
        planes: tuple[int, ...],
        time_axis: int | None,
        height: int,
        width: int,
    ) -> None:
        self.store = store
        self.shape = (*planes, height, width)
        self.ndim = len(self.shape)
        self.time_axis = time_axis
        self._kept: OrderedDict[int, np.ndarray] = OrderedDict()
        self._before: dict[int, np.ndarray] = {}

    def __len__(self) -> int:
        return self.shape[0]

    def astype(self, _dtype: Any) -> MaskStack:
        """Stay as it is: napari offers to convert a Labels layer, and ids fit any of its types."""
        return self

    @property
    def size(self) -> int:
        """Number of pixels in all frames."""
        return int(np.prod(self.shape))

    @property
    def num_frames(self) -> int:
        """Number of frames."""
        return 1 if self.time_axis is None else self.shape[self.time_axis]

    def place(self, frame: int) -> tuple[Any, ...]:
        """Return the index of a frame in the first plane of each axis that is not time, y or x."""
        axes = range(self.ndim - 2)
        return tuple(frame if axis == self.time_axis else 0 for axis in axes)

    def forget(self, frames: Iterable[int] | None = None) -> None:
        """Read these frames (by default all) again when they are asked for next."""
        for frame in list(self._kept) if frames is None else frames:
            if frame not in self._before:
                self._kept.pop(frame, None)

    def kept(self) -> list[int]:
        """Return the frames that are in memory."""
        return list(self._kept)

    def painted(self) -> set[int]:
        """Return the frames that were written to since :meth:`edits` was last called."""
        return set(self._before)

    def edits(self) -> dict[int, tuple[np.ndarray, np.ndarray]]:
        """Return what was written since the last call: labels (H, W) before and after, by frame."""
        found = {f: (before, self._kept[f]) for f, before in self._before.items()}
        self._before.clear()
        return found

    def frame(self, index: int) -> np.ndarray:
        """Return one frame's labels (H, W)."""
        if index not in self._kept:
            self._kept[index] = labels_of(self.store.read(index), *self.shape[-2:])
            idle = [f for f in self._kept if f not in self._before]
            for old in idle[: max(0, len(idle) - c.MASK_CACHE)]:
                del self._kept[old]
        else:
            self._kept.move_to_end(index)
        return self._kept[index]

    def __getitem__(self, key: Any) -> np.ndarray:
        key = self._whole_key(key)
        if _is_points(key):
            times, y, x = self._points(key)
            found = np.zeros(times.shape, self.dtype)
            for t in np.unique(times):
                found[times == t] = self.frame(int(t))[y[times == t], x[times == t]]
            return found
        planes, times = self._planes(key)
        if isinstance(times, range):
            frames = [self.frame(t)[key[-2:]] for t in times]
            found = np.stack(frames) if frames else np.empty((0, *self.frame(0)[key[-2:]].shape))
        else:
            found = self.frame(times)[key[-2:]]
        kept = [(axis, len(p)) for axis, p in enumerate(planes) if isinstance(p, range)]
        inner = found.shape[1:] if isinstance(times, range) else found.shape
        alone = [n if axis == self.time_axis else 1 for axis, n in kept]
        whole = np.broadcast_to(found.reshape((*alone, *inner)), (*[n for _, n in kept], *inner))
        return whole.astype(self.dtype)

    def __setitem__(self, key: Any, value: Any) -> None:
        key = self._whole_key(key)
        if _is_points(key):
            times, y, x = self._points(key)
            values = np.broadcast_to(value, times.shape)
            for t in np.unique(times):
                here = times == t
                self._writable(int(t))[y[here], x[here]] = values[here]
            return
        planes, times = self._planes(key)
        values = np.broadcast_to(value, self[key].shape)
        kept = [axis for axis, p in enumerate(planes) if isinstance(p, range)]
        for n, t in enumerate(times if isinstance(times, range) else [times]):
            place = tuple(n if axis == self.time_axis else -1 for axis in kept)
            self._writable(t)[key[-2:]] = values[place]

    def _whole_key(self, key: Any) -> tuple[Any, ...]:
        key = key if isinstance(key, tuple) else (key,)
        if len(key) > self.ndim:
            raise IndexError(f"expected at most {self.ndim} indexes, got {len(key)}")
        return (*key, *[slice(None)] * (self.ndim - len(key)))

    def _planes(self, key: tuple[Any, ...]) -> tuple[list[Any], Any]:
        """Return what each axis before y and x is indexed by, and which frames those are."""
        planes = [range(n)[k] for k, n in zip(key[:-2], self.shape, strict=False)]
        return planes, 0 if self.time_axis is None else planes[self.time_axis]

    def _points(self, key: tuple[Any, ...]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        places = np.broadcast_arrays(*[np.asarray(k) for k in key])
        times = np.zeros_like(places[-1]) if self.time_axis is None else places[self.time_axis]
        return times, places[-2], places[-1]

    def _writable(self, index: int) -> np.ndarray:
        if index not in self._before:
            self._before[index] = self.frame(index)
            self._kept[index] = self._before[index].copy()
        return self._kept[index]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self[()], dtype=dtype, copy=True)


def _is_points(key: tuple[Any, ...]) -> bool:
    return any(isinstance(k, (np.ndarray, list)) for k in key)


def track_colormap(colours: Mapping[int, tuple[int, int, int]]) -> Any:
    """Return the label colormap of these RGB colours (0 to 255) by track id."""
    from napari.utils.colormaps import DirectLabelColormap

    own = {i: np.array([*(v / 255 for v in rgb), 1.0]) for i, rgb in colours.items()}
    return DirectLabelColormap(
        color_dict={**own, 0: "transparent", None: np.array([1.0, 1.0, 1.0, 1.0])}
    )


def fits(layer: Labels, image: Image, info: VideoInfo) -> bool:
    """Whether a masks layer has the axes of the video's layer, as they are understood now."""
    stack = layer.data
    shape = (*layer_shape(image)[:-2], info.height, info.width)
    return bool(stack.shape == shape and stack.time_axis == info.time_axis)


def warm_up() -> None:
    """Import what napari's Labels layers need, a tenth of a second, in any thread."""
    importlib.import_module("skimage.color.colorconv")


def make_layer(
    store: Any, image: Image, info: VideoInfo, colours: Mapping[int, tuple[int, int, int]]
) -> Labels:
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
        colormap=track_colormap(colours),
        metadata={"maskfree": {"masks": True}},
    )
    return layer
