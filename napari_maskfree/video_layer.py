"""Image layers as videos: which axis is which, and how the engine reads the same frames."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from maskfree.errors import InputError
from maskfree.video import open_video
from napari_maskfree.video_info import VideoInfo

if TYPE_CHECKING:
    from napari.components import Dims
    from napari.layers import Image, Layer

    from maskfree.types import BoxTracks
    from maskfree.video import Video

__all__ = [
    "AxisChoice",
    "beside",
    "default_folder",
    "forget_source",
    "frame_of",
    "free_folder",
    "guess_axes",
    "layer_from_video",
    "layer_video",
    "point_of",
    "source_of",
    "video_info",
    "write_zarr",
]

METADATA = "maskfree"
_FEW = 4
SUFFIX = ".maskfree"
VIDEO_COPY = "video.zarr"


@dataclasses.dataclass(frozen=True)
class AxisChoice:
    """Which of a layer's own axes (rgb not counted) is time, depth, channel; None: there is none.

    The last two are always y and x. ``depth_index`` picks the plane, ``channels`` the one to three
    channels that become red, green and blue (None: the first ones).
    """

    time: int | None
    depth: int | None = None
    channel: int | None = None
    depth_index: int = 0
    channels: tuple[int, ...] | None = None


def forget_source(layer: Image) -> None:
    """Read the layer's own frames from now on, not those that it was opened from."""
    layer.metadata = {k: v for k, v in layer.metadata.items() if k != METADATA}


def source_of(layer: Layer) -> str | None:
    """Return the file or folder that a layer's frames were opened from, None where not known."""
    known = layer.metadata.get(METADATA) or {}
    return str(known["source"]) if known.get("source") else None


def layer_shape(layer: Image) -> tuple[int, ...]:
    """Return the layer's shape without the rgb axis."""
    shape = tuple(level_zero(layer).shape)
    return shape[:-1] if layer.rgb else shape


def level_zero(layer: Image) -> Any:
    """Return the layer's data, of a pyramid the largest level."""
    return layer.data[0] if layer.multiscale else layer.data


def guess_axes(layer: Image) -> AxisChoice:
    """Guess the axes: by the layer's axis labels where they say, else t, then z, then c.

    A small axis (at most 4) of a layer with two or more free axes is taken for the channels.
    """
    shape = layer_shape(layer)
    free = list(range(len(shape) - 2))
    named: dict[str, int] = {}
    for axis in free:
        label = str(layer.axis_labels[axis]).strip().lower()[:1]
        if label in ("t", "z", "c") and label not in named:
            named[label] = axis
    left = [a for a in free if a not in named.values()]
    if "c" not in named and not layer.rgb and len(free) > 1 and left:
        small = [a for a in left if shape[a] <= _FEW]
        if small:
            named["c"] = small[-1]
            left.remove(small[-1])
    for letter in ("t", "z"):
        if letter not in named and left:
            named[letter] = left.pop(0)
    return AxisChoice(named.get("t"), named.get("z"), named.get("c"))


def axes_letters(layer: Image, choice: AxisChoice) -> str:
    """Return the engine's letters for the layer's data.

    Raises
    ------
    InputError
        When two roles share an axis, or an axis of more than one plane has none.
    """
    shape = layer_shape(layer)
    letters = ["?"] * (len(shape) - 2) + ["y", "x"]
    for letter, axis in (("t", choice.time), ("z", choice.depth), ("c", choice.channel)):
        if axis is None:
            continue
        if letters[axis] != "?":
            raise InputError(
                f"Axis {axis} of {layer.name} cannot be two things at once. "
                "Give time, depth and channel an axis of their own."
            )
        letters[axis] = letter
    if "?" in letters:
        axis = letters.index("?")
        raise InputError(
            f"Axis {axis} of {layer.name} ({shape[axis]} planes) has no meaning yet. "
            "Choose whether it is time, depth or channel."
        )
    if layer.rgb and choice.channel is not None:
        raise InputError(f"{layer.name} is in colour already. Set Channel to none.")
    return "".join(letters) + ("c" if layer.rgb else "")


def video_info(layer: Image, choice: AxisChoice) -> VideoInfo:
    """Describe an open Image layer as a video.

    Raises
    ------
    InputError
        When the axes do not add up (see :func:`axes_letters`).
    """
    shape, axes = layer_shape(layer), axes_letters(layer, choice)
    known = layer.metadata.get(METADATA) or {}
    whole = choice.depth is None and choice.channel is None
    return VideoInfo(
        name=layer.name,
        source=str(known["source"]) if whole and known.get("source") else None,
        num_frames=shape[choice.time] if choice.time is not None else 1,
        height=shape[-2],
        width=shape[-1],
        fps=known.get("fps"),
        axes=axes,
        time_axis=choice.time,
        depth=choice.depth_index,
        channels=choice.channels,
        boxes=known.get("boxes"),
    )


def layer_video(layer: Image, info: VideoInfo) -> Video:
    """Return the engine's view of a layer: the same frames as RGB, read when asked for."""
    known = (layer.metadata.get(METADATA) or {}).get("video")
    if known is not None:
        return known
    if info.source:
        return open_video(info.source)
    return open_video(
        level_zero(layer), axes=info.axes, depth=info.depth, channels=info.channels, fps=info.fps
    )


class LazyFrames:
    """A video as an array that is read when indexed: shape (T, H, W, 3), uint8.

    No dask array: with a chunk a frame that costs 0.5 s at 200,000 frames, and 0.2 s each time that
    one is shown.
    """

    dtype = np.dtype(np.uint8)
    ndim = 4

    def __init__(self, video: Video) -> None:
        self.video = video
        self.shape = tuple(video.shape)
        self.size = math.prod(self.shape)

    def __len__(self) -> int:
        return int(self.shape[0])

    def __getitem__(self, key: Any) -> np.ndarray:
        key = key if isinstance(key, tuple) else (key,)
        first, rest = key[0], key[1:]
        if isinstance(first, slice):
            frames = [self.video[i] for i in range(*first.indices(self.shape[0]))]
            stacked = np.stack(frames) if frames else np.empty((0, *self.shape[1:]), np.uint8)
            return stacked[(slice(None), *rest)]
        return np.asarray(self.video[int(first)])[rest]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """Return all frames at once, for who asks for a plain array."""
        whole = self[:]
        return whole if dtype is None else whole.astype(dtype)


def layer_from_video(
    video: Video, source: str, boxes: str | BoxTracks | None = None
) -> tuple[Any, dict[str, Any], str]:
    """Return a video as layer data for napari: read a frame at a time, never whole.

    ``source`` is what the engine reads it from, ``boxes`` the boxes that belong to it, or their
    file.
    """
    known: dict[str, Any] = {"source": source, "fps": video.fps, "video": video}
    if boxes is not None:
        known["boxes"] = boxes
    name = _display_name(Path(source))
    options = {
        "name": name,
        "rgb": True,
        "axis_labels": ("time", "y", "x"),
        "metadata": {METADATA: known},
    }
    return LazyFrames(video), options, "image"


def _display_name(source: Path) -> str:
    if source.name == VIDEO_COPY:
        return source.parent.stem
    return source.stem if source.suffix and not source.is_dir() else source.name


def write_zarr(video: Video, folder: Path) -> Path:
    """Copy frames that live in memory only to ``folder``/video.zarr, for the run to read.

    Written under another name first, so a broken copy is never taken for a whole one.
    """
    import zarr

    folder.mkdir(parents=True, exist_ok=True)
    target, partial = folder / VIDEO_COPY, folder / f".{VIDEO_COPY}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    shape = tuple(video.shape)
    array = zarr.create_array(
        store=str(partial), shape=shape, chunks=(1, *shape[1:]), dtype="uint8"
    )
    try:
        for index in range(shape[0]):
            array[index] = video[index]
        shutil.rmtree(target, ignore_errors=True)
        partial.rename(target)
    except OSError as error:
        shutil.rmtree(partial, ignore_errors=True)
        raise InputError(
            f"The frames could not be saved in {folder} ({error}). "
            "Make room on the disk or choose another session folder."
        ) from error
    return target


# ---- frames and the viewer's slider


def frame_of(layer: Image, info: VideoInfo, point: tuple[float, ...]) -> int:
    """Return the video's frame at a point of the viewer (world coordinates, all axes)."""
    if info.time_axis is None:
        return 0
    position = layer.world_to_data(np.asarray(point, dtype=float)[-layer.ndim :])
    return int(np.clip(np.round(position[info.time_axis]), 0, info.num_frames - 1))


def point_of(layer: Image, info: VideoInfo, dims: Dims, frame: int) -> tuple[int, float] | None:
    """Return the viewer's axis and the world position of a frame; None for a single image."""
    if info.time_axis is None:
        return None
    data = np.zeros(layer.ndim)
    data[info.time_axis] = frame
    axis = dims.ndim - layer.ndim + info.time_axis
    return axis, float(layer.data_to_world(data)[info.time_axis])


# ---- where a session goes


def default_folder(info: VideoInfo) -> Path:
    """Return VIDEO.maskfree beside the video, or under the home folder where that is not ours."""
    if info.source:
        source = Path(info.source)
        folder = beside(source)
        if "site-packages" not in source.parts and _ours(source) and _writable(folder.parent):
            return folder
        return Path.home() / "maskfree" / folder.name
    safe = "".join(ch if ch.isalnum() or ch in "-_ ." else "_" for ch in info.name).strip()
    return Path.home() / "maskfree" / f"{safe or 'video'}{SUFFIX}"


def beside(source: Path) -> Path:
    """Return VIDEO.maskfree beside the video."""
    return source.with_name(source.name.removesuffix(source.suffix) + SUFFIX)


def free_folder(folder: Path) -> Path:
    """Return ``folder``, or with -2, -3, … added where something is in it already."""
    if not folder.exists() or not any(folder.iterdir()):
        return folder
    number = 2
    while (other := folder.with_name(f"{folder.stem}-{number}{folder.suffix}")).exists():
        number += 1
    return other


def _ours(source: Path) -> bool:
    """Say whether the video is the person's own, not the sample inside the package."""
    from napari_maskfree.sample_data import rabbit_path

    with contextlib.suppress(OSError):
        return source.resolve() != Path(rabbit_path()).resolve()
    return True


def _writable(folder: Path) -> bool:
    return folder.is_dir() and os.access(folder, os.W_OK)
