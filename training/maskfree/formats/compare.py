"""Comparing what was written with what was read back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from maskfree.config import FormatConfig
from maskfree.formats.base import Annotations, Compared, boxes_in, present, tight_box

if TYPE_CHECKING:
    from collections.abc import Callable

    from maskfree.types import Box, InstanceMasks

__all__ = ["compare_boxes", "compare_frame", "compare_labels", "compare_masks"]


def compare_masks(
    source: Annotations, back: Annotations, kept: Callable[[InstanceMasks], InstanceMasks]
) -> Compared:
    """Compare masks pixel by pixel, one frame in memory; both have the same frames.

    ``kept`` turns a frame's masks into what the format can hold of them.
    """
    frames, tracks = 0, set[int]()
    for frame, name in enumerate(source.frame_names):
        masks, found = source.read_masks(frame), back.read_masks(frame)
        difference = compare_frame(None if masks is None else kept(masks), found)
        if difference:
            return Compared(f"frame {name}: {difference}")
        if found is not None:
            frames += 1
            tracks.update(found.track_ids)
    return Compared("", frames, len(tracks))


def compare_frame(expected: InstanceMasks | None, found: InstanceMasks | None) -> str:
    """Compare the masks of one frame; returns the first difference in words, else an empty string.

    ``expected``: what the format can hold; where it is None any empty frame will do.
    """
    if expected is not None and found is None:
        return "its masks are missing"
    wanted = {} if expected is None else present(expected)
    got = {} if found is None else present(found)
    if wanted.keys() != got.keys():
        return f"ids {sorted(got)} instead of {sorted(wanted)}"
    for track_id, mask in wanted.items():
        if not np.array_equal(mask, got[track_id]):
            return f"the mask of track {track_id} differs"
    return ""


def compare_labels(source: Annotations, back: Annotations) -> str:
    """Compare the label of every track of ``source``; returns the first difference in words."""
    found = {track.id: track.label for track in back.boxes.tracks}
    for track in source.boxes.tracks:
        if found.get(track.id) != track.label:
            return f'track {track.id} is labelled "{found.get(track.id)}", not "{track.label}"'
    return ""


def compare_boxes(
    source: Annotations, frame: int, masks: InstanceMasks | None, found: dict[int, Box]
) -> str:
    """Compare the boxes of one frame; returns the difference in words, else an empty string.

    ``masks``: the frame's, whose own boxes are expected; None: those of ``source``'s tracks are.
    """
    if masks is None:
        wanted = boxes_in(source, frame)
    else:
        wanted = {track_id: tight_box(mask) for track_id, mask in present(masks).items()}
    tolerance = FormatConfig().box_tolerance
    same = wanted.keys() == found.keys() and all(
        np.allclose(box, found[track_id], rtol=0, atol=tolerance)
        for track_id, box in wanted.items()
    )
    return "" if same else f"boxes {found} instead of {wanted}"
