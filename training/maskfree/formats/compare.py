"""Comparing what was written with what was read back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from maskfree.formats.base import Annotations, present

if TYPE_CHECKING:
    from collections.abc import Callable

    from maskfree.types import InstanceMasks

__all__ = ["compare_labels", "compare_masks"]


def compare_masks(
    source: Annotations, back: Annotations, kept: Callable[[InstanceMasks], InstanceMasks]
) -> str:
    """Compare masks pixel by pixel, frames matched by name, one frame in memory.

    ``kept`` turns a frame's masks into what the format can hold of them. Returns the first
    difference in words, else an empty string.
    """
    if list(source.frame_names) == list(back.frame_names):
        places = dict(enumerate(range(len(source.frame_names))))
    else:
        by_name = {name: frame for frame, name in enumerate(back.frame_names)}
        places = {f: by_name[n] for f, n in enumerate(source.frame_names) if n in by_name}
    for frame, name in enumerate(source.frame_names):
        masks = source.read_masks(frame)
        found = back.read_masks(places[frame]) if frame in places else None
        difference = _compare_frame(None if masks is None else kept(masks), found)
        if difference:
            return f"frame {name}: {difference}"
    return ""


def _compare_frame(expected: InstanceMasks | None, found: InstanceMasks | None) -> str:
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
