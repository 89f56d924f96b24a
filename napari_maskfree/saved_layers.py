"""What a layer of napari stands for when it is saved: annotations of a video.

The window's own layers show a part of them (the boxes of one frame, overlapping masks flattened):
they are asked for all of it. Layers that somebody else made are taken as they are.
"""

from __future__ import annotations

import dataclasses
import weakref
from typing import TYPE_CHECKING, Any

import numpy as np

from maskfree.errors import InputError
from maskfree.formats import Annotations
from maskfree.formats.label_images import from_ids
from maskfree.numbered_names import NumberedNames
from maskfree.tracks import empty_tracks
from maskfree.types import Keyframe, Track
from napari_maskfree.boxes_layer import box_from_vertices, is_upright

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from maskfree.types import Box, BoxTracks, InstanceMasks
    from napari_maskfree.project import Project

__all__ = ["METADATA", "Owner", "annotations_of_labels", "tracks_of_shapes"]

METADATA = "maskfree"
_OWNER, _TRACKS = "owner", "tracks"
_LARGEST = np.iinfo(np.uint32).max


class Owner:
    """Leads from a layer to the window's project, which it does not keep alive; never copied."""

    def __init__(self, project: Project) -> None:
        self._project = weakref.ref(project)

    def __deepcopy__(self, memo: object) -> Owner:
        return self

    def annotations(self) -> Annotations | None:
        """Return what the window holds; None where it is closed or has no video."""
        project = self._project()
        if project is None or project.state.video is None or project.image is None:
            return None
        video = project.video()
        count, height, width, _ = video.shape
        tracks = project.state.tracks or empty_tracks(count, height, width, video.fps)
        shown = project.shown_masks(frozen=True)
        return Annotations(tracks, video.names, _no_masks if shown is None else shown.read)

    def mark(self, metadata: dict[str, Any]) -> dict[str, Any]:
        """Return a layer's metadata with the way to its owner."""
        return {**metadata, METADATA: {**(metadata.get(METADATA) or {}), _OWNER: self}}


def _no_masks(_frame: int) -> None:
    return None


def _known(meta: dict[str, Any]) -> dict[str, Any]:
    return dict((meta.get("metadata") or {}).get(METADATA) or {})


def _owned(meta: dict[str, Any]) -> Annotations | None:
    owner = _known(meta).get(_OWNER)
    return owner.annotations() if isinstance(owner, Owner) else None


def annotations_of_labels(data: Any, meta: dict[str, Any]) -> Annotations:
    """Return what a Labels layer stands for, a frame in memory at a time.

    ``data``: ids ``(T, H, W)`` or ``(H, W)``; ``meta``: as napari hands it to a writer.

    Raises
    ------
    InputError
        For other axes, and later, when a frame is read, for negative ids.
    """
    owned = _owned(meta)
    if owned is not None:
        return owned
    data = data[0] if meta.get("multiscale") else data
    if len(data.shape) not in (2, 3):
        raise InputError(
            f"Masks of a video are (time, y, x), the layer has the shape {tuple(data.shape)}. Save "
            "one plane of it."
        )
    count = data.shape[0] if len(data.shape) == 3 else 1
    tracks = _known(meta).get(_TRACKS) or empty_tracks(count, *data.shape[-2:], None)
    store = getattr(data, "store", None)
    painted: Callable[[], set[int]] = getattr(data, "painted", set)

    def read_masks(frame: int) -> InstanceMasks | None:
        if store is not None and frame not in painted():
            found: InstanceMasks | None = store.read(frame)
            return found
        ids = np.asarray(data[frame] if len(data.shape) == 3 else data)
        if ids.min(initial=0) < 0 or ids.max(initial=0) > _LARGEST:
            raise InputError(f"Frame {frame} has ids below 0 or beyond {_LARGEST}. Renumber them.")
        return from_ids(ids.astype(np.uint32), f"frame {frame}")

    return Annotations(tracks, _names(meta, count), read_masks)


def _names(meta: dict[str, Any], count: int) -> Sequence[str]:
    names = _known(meta).get("names")
    return NumberedNames(count) if names is None or len(names) != count else names


def tracks_of_shapes(data: Sequence[np.ndarray], meta: dict[str, Any]) -> BoxTracks:
    """Return the boxes that a Shapes layer stands for: a keyframe for each shape.

    ``data``: vertices ``(V, 3)``, frame, y and x. The feature ``track`` tells whose box it is,
    ``label`` its class, ``occluded``; without it each shape is a track of its own. Where an object
    leaves the picture is no shape: it is kept as it was read.

    Raises
    ------
    InputError
        For a layer that nothing says the video's size of, shapes that are not upright rectangles of
        one frame, and two boxes of a track in a frame.
    """
    owned = _owned(meta)
    if owned is not None:
        return owned.boxes
    video: BoxTracks | None = _known(meta).get(_TRACKS)
    if video is None:
        raise InputError(
            "Nothing says which video these shapes are for. Draw the boxes with MaskFree, or open "
            "a boxes file and change that."
        )
    features = meta.get("features")
    columns = {name: list(features[name]) for name in features} if features is not None else {}
    before = {track.id: track for track in video.tracks}
    found: dict[int, dict[int, Keyframe]] = {}
    labels: dict[int, str] = {}
    for place, vertices in enumerate(data):
        frame, box = _box_of(np.asarray(vertices), place, video)
        track_id = int(columns["track"][place]) if "track" in columns else place + 1
        occluded = bool(columns["occluded"][place]) if "occluded" in columns else False
        if frame in found.setdefault(track_id, {}):
            raise InputError(f"Track {track_id} has two boxes in frame {frame}. Remove one.")
        extra = _extra_of(before.get(track_id), frame)
        found[track_id][frame] = Keyframe(frame, box, occluded=occluded, extra=extra)
        labels[track_id] = str(columns["label"][place]) if "label" in columns else "object"
    tracks = []
    for track_id, keyframes in sorted(found.items()):
        old = before.get(track_id, Track(track_id, labels[track_id], ()))
        gone = [each for each in old.keyframes if each.outside and each.frame not in keyframes]
        ordered = sorted([*keyframes.values(), *gone], key=lambda each: each.frame)
        new = dataclasses.replace(old, label=labels[track_id], keyframes=tuple(ordered))
        tracks.append(new)
    return dataclasses.replace(video, tracks=tuple(tracks))


def _box_of(vertices: np.ndarray, place: int, video: BoxTracks) -> tuple[int, Box]:
    frames = np.unique(vertices[:, 0].round()) if vertices.shape[1] == 3 else np.zeros(1)
    if len(frames) != 1 or not is_upright(vertices) or not 0 <= frames[0] < video.num_frames:
        raise InputError(
            f"Shape {place} is no upright rectangle in one frame of the video. Draw rectangles."
        )
    return int(frames[0]), box_from_vertices(vertices)


def _extra_of(track: Track | None, frame: int) -> dict[str, Any]:
    keyframes = () if track is None else track.keyframes
    return next((dict(each.extra) for each in keyframes if each.frame == frame), {})
