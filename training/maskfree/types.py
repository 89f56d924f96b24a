"""The small, frozen things that the engine's parts hand to each other."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    import torch

__all__ = [
    "Box",
    "BoxTracks",
    "Clip",
    "IgnoreRegion",
    "InstanceMasks",
    "Keyframe",
    "Matches",
    "Track",
]

Box = tuple[float, float, float, float]
"""``boxes_xyxy`` of one instance in one frame: pixels, half-open, top-left origin."""


@dataclasses.dataclass(frozen=True)
class Keyframe:
    """What a person said about one track in one frame.

    ``xyxy`` is None exactly when ``outside`` is True. ``occluded`` and ``outside`` hold until the
    next keyframe. ``extra`` keeps the fields of the file that we do not know.
    """

    frame: int
    xyxy: Box | None
    outside: bool = False
    occluded: bool = False
    extra: Mapping[str, Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Track:
    """One instance over the video: id (1, 2, …), class label, keyframes in order of frame.

    ``keyframes``: a tuple, or `packed_keyframes.PackedKeyframes`, which is equal to one.
    """

    id: int
    label: str
    keyframes: Sequence[Keyframe]
    parent: int | None = None
    extra: Mapping[str, Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class IgnoreRegion:
    """A part of the picture that is neither object nor background.

    ``polygon``: three or more corners (x, y), in pixels of the video, top-left origin (a pixel's
    edges are whole numbers); what it crosses twice is outside again (even-odd). It holds in the
    frames ``frame`` to ``until``, both included; None: to the end of the video.
    """

    polygon: tuple[tuple[float, float], ...]
    frame: int
    until: int | None
    extra: Mapping[str, Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class BoxTracks:
    """All boxes of a video: the content of a boxes file. See `tracks.py` for what one does with it.

    ``num_frames``, ``height``, ``width`` (pixels) and ``fps`` (or None) describe the video;
    ``ignore``: see `ignore_regions.py`.
    """

    num_frames: int
    height: int
    width: int
    fps: float | None
    tracks: tuple[Track, ...]
    ignore: tuple[IgnoreRegion, ...] = ()
    extra: Mapping[str, Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Clip:
    """T ordered frames as training and prediction see them.

    ``rgb``: float ``(T, 3, H, W)`` in [0, 1], H and W multiples of 32; ``lab``: float
    ``(T, 3, H4, W4)``, CIELAB of the frames averaged down to stride 4, stretched where the video
    has little contrast; ``frames``: T frame numbers.
    """

    rgb: torch.Tensor
    lab: torch.Tensor
    frames: tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class InstanceMasks:
    """The masks of one frame at the video's size.

    ``masks``: bool ``(N, H, W)``; ``track_ids`` and ``scores`` (in [0, 1]): N each. Instances may
    overlap.
    """

    track_ids: tuple[int, ...]
    masks: np.ndarray
    scores: tuple[float, ...]


@dataclasses.dataclass(frozen=True)
class Matches:
    """1:K patch correspondences from every cell of one frame's grid into another frame.

    ``target_yx``: long ``(K, H4, W4, 2)``, absolute grid cells, nearest first; ``distance``: float
    ``(K, H4, W4)``, by the metric that was asked for; ``valid``: bool ``(K, H4, W4)``, inside the
    frame and within the threshold.
    """

    target_yx: torch.Tensor
    distance: torch.Tensor
    valid: torch.Tensor
