"""Comparing what was written with what was read back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from maskfree.formats.base import Annotations, Compared, present

if TYPE_CHECKING:
    from collections.abc import Callable

    from maskfree.types import InstanceMasks

__all__ = ["compare_frame", "compare_labels", "compare_masks"]


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
