"""Annotations as napari's layers: masks a frame at a time, boxes as rectangles in their frames."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from maskfree.colours import track_colour
from maskfree.errors import InputError
from napari_maskfree import constants as c
from napari_maskfree.boxes_layer import BOXES_NAME, rectangle_from_box
from napari_maskfree.masks_layer import MASKS_NAME, MaskStack, track_colormap
from napari_maskfree.saved_layers import METADATA
from napari_maskfree.video_layer import layer_from_video

if TYPE_CHECKING:
    from maskfree.formats import Annotations
    from maskfree.session import Session

    LayerData = tuple[Any, dict[str, Any], str]

__all__ = ["layers_of", "session_layers"]


class _Store:
    """Annotations as the store of a `MaskStack`."""

    def __init__(self, annotations: Annotations) -> None:
        self.read = annotations.read_masks


def layers_of(annotations: Annotations, path: str) -> list[LayerData]:
    """Return a Labels layer where any frame has masks, else a Shapes layer of the boxes.

    Raises
    ------
    InputError
        Where there are more boxes than napari draws.
    """
    frames = range(len(annotations.frame_names))
    if any(annotations.read_masks(frame) is not None for frame in frames):
        return [_labels(annotations, Path(path).name)]
    return [_shapes(annotations, Path(path).name)]


def session_layers(session: Session) -> list[LayerData]:
    """Return a session's video, masks and boxes.

    Raises
    ------
    InputError
        Where its video is not there any more.
    """
    from maskfree.commands import annotations_of

    video = session.open_video()
    annotations = annotations_of(session, video.names)
    found = [layer_from_video(video, str(session.video_source), session.boxes)]
    if session.masks.frames():
        found.append(_labels(annotations, MASKS_NAME))
    if sum(len(track.keyframes) for track in session.boxes.tracks) <= c.MOST_SHAPES:
        found.append(_shapes(annotations, BOXES_NAME))
    return found


def _labels(annotations: Annotations, name: str) -> LayerData:
    boxes, length = annotations.boxes, len(annotations.frame_names)
    stack = MaskStack(_Store(annotations), (length,), 0, boxes.height, boxes.width)
    colours = {track.id: track_colour(track.id) for track in boxes.tracks}
    known = {"tracks": boxes, "names": annotations.frame_names}
    options = {
        "name": name,
        "opacity": c.MASK_OPACITY,
        "colormap": track_colormap(colours),
        "axis_labels": ("time", "y", "x"),
        "metadata": {METADATA: known},
    }
    return stack, options, "labels"


def _shapes(annotations: Annotations, name: str) -> LayerData:
    boxes = annotations.boxes
    drawn = [
        (track, keyframe, keyframe.xyxy)
        for track in boxes.tracks
        for keyframe in track.keyframes
        if keyframe.xyxy is not None
    ]
    if len(drawn) > c.MOST_SHAPES:
        raise InputError(
            f"There are {len(drawn)} boxes, and napari draws {c.MOST_SHAPES} at most without "
            "delay. Open the video with MaskFree (Plugins menu) and load the boxes there."
        )
    data = [
        np.column_stack([np.full(4, keyframe.frame), rectangle_from_box(xyxy)])
        for _, keyframe, xyxy in drawn
    ]
    colours = [[*(v / 255 for v in track_colour(track.id)), 1.0] for track, _, _ in drawn]
    options = {
        "name": name,
        "ndim": 3,
        "shape_type": "rectangle",
        "edge_color": np.array(colours).reshape(-1, 4),
        "face_color": "transparent",
        "edge_width": max(1.0, boxes.height * c.EDGE_SHARE),
        "features": {
            "track": np.array([track.id for track, _, _ in drawn], int),
            "label": np.array([track.label for track, _, _ in drawn], object),
            "occluded": np.array([keyframe.occluded for _, keyframe, _ in drawn], bool),
        },
        "text": {"string": "{track} {label}", "anchor": "upper_left", "size": c.TEXT_SIZE},
        "axis_labels": ("time", "y", "x"),
        "metadata": {METADATA: {"tracks": boxes}},
    }
    return data, options, "shapes"
