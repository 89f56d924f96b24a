"""What a format with boxes and masks holds of one frame, and how two such frames differ."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from maskfree.errors import InputError
from maskfree.formats.base import DEFAULT_LABEL, Annotations, boxes_in, present, tight_box
from maskfree.formats.box_files import close_boxes
from maskfree.formats.ytvis_walk import CROWD
from maskfree.tracks import boxes_at

if TYPE_CHECKING:
    from collections.abc import Mapping

    from maskfree.types import Box

__all__ = ["Instance", "Shown", "difference"]


@dataclasses.dataclass(frozen=True)
class Instance:
    """An instance in one frame; ``mask``: bool ``(H, W)``, None where there is only a box.

    ``crowd``: COCO's mark of an annotation that covers a group.
    """

    label: str
    xyxy: Box
    mask: np.ndarray | None = None
    occluded: bool = False
    score: float = 1.0
    crowd: bool = False


class Shown:
    """The instances of annotations, a frame at a time: masks where they are known, else boxes."""

    def __init__(self, annotations: Annotations) -> None:
        self._annotations = annotations
        tracks = annotations.boxes.tracks
        self._labels = {track.id: track.label for track in tracks}
        self._crowds = {track.id for track in tracks if track.extra.get(CROWD, 0)}

    def at(self, frame: int) -> dict[int, Instance]:
        """Return the instances of a frame by track id; one without a pixel is absent.

        Raises
        ------
        InputError
            For masks that are not of the video's size.
        """
        annotations, video = self._annotations, self._annotations.boxes
        states = boxes_at(video, frame).items()
        hidden = {track_id for track_id, state in states if state.occluded}
        masks = annotations.read_masks(frame)
        if masks is None:
            boxes = boxes_in(annotations, frame).items()
            return {i: self._instance(i, box, None, i in hidden, 1.0) for i, box in boxes}
        if masks.masks.shape[1:] != (video.height, video.width):
            height, width = masks.masks.shape[1:]
            raise InputError(
                f"The masks of frame {annotations.frame_names[frame]} are {width} x {height} "
                f"pixels, the video has {video.width} x {video.height}. Predict it again."
            )
        scores = dict(zip(masks.track_ids, masks.scores, strict=True))
        return {
            i: self._instance(i, tight_box(mask), mask, i in hidden, scores[i])
            for i, mask in present(masks).items()
        }

    def _instance(
        self, track_id: int, box: Box, mask: np.ndarray | None, occluded: bool, score: float
    ) -> Instance:
        label = self._labels.get(track_id, DEFAULT_LABEL)
        return Instance(label, box, mask, occluded, score, track_id in self._crowds)


def difference(
    wanted: Mapping[int, Instance], found: Mapping[int, Instance], kept: frozenset[str]
) -> str:
    """Return the first difference of two frames in words, else an empty string.

    ``kept``: which of ``occluded``, ``score`` and ``crowd`` the format holds; labels, boxes (but
    for rounding) and masks (to the pixel) always count.
    """
    if wanted.keys() != found.keys():
        return f"ids {sorted(found)} instead of {sorted(wanted)}"
    for track_id, one in wanted.items():
        other = found[track_id]
        if one.label != other.label:
            return f'track {track_id} is labelled "{other.label}", not "{one.label}"'
        if not close_boxes(one.xyxy, other.xyxy):
            return f"the box of track {track_id} is {other.xyxy} instead of {one.xyxy}"
        if not _equal(one.mask, other.mask):
            return f"the mask of track {track_id} differs"
        for name in sorted(kept):
            had, has = getattr(one, name), getattr(other, name)
            if had != has:
                return f"{name} of track {track_id} is {has} instead of {had}"
    return ""


def _equal(one: np.ndarray | None, other: np.ndarray | None) -> bool:
    return one is other or (one is not None and other is not None and np.array_equal(one, other))
