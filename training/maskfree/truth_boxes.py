"""The boxes that a person might have drawn, made from true masks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from maskfree.types import BoxTracks, Keyframe, Track

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from maskfree.types import Box

__all__ = ["boxes_of_ids", "boxes_of_truth"]


def boxes_of_truth(
    truth: Mapping[int, np.ndarray], regular: Collection[int], size: tuple[int, int, int]
) -> BoxTracks:
    """Return boxes around the true masks of some frames, to be interpolated between.

    Keyframes of a track: the ``regular`` frames in which it is, its first and its last annotated
    frame, and the frames around a gap. A track that is absent from an annotated frame is outside
    there.

    Parameters
    ----------
    truth
        Frame number to the ids of its pixels, integer ``(H, W)``, 0 for none; in order of frame. A
        frame that is not among them is not annotated.
    regular
        Frame numbers.
    size
        Frames, height and width of the video.
    """
    annotated, seen = list(truth), [boxes_of_ids(ids) for ids in truth.values()]
    wanted = set(regular)
    tracks = []
    for track_id in sorted({i for boxes in seen for i in boxes}):
        present = [track_id in boxes for boxes in seen]
        padded = [False, *present, False]
        keyframes = []
        for n, frame in enumerate(annotated):
            edge = not padded[n] or not padded[n + 2]
            if present[n] and (frame in wanted or edge):
                keyframes.append(Keyframe(frame, seen[n][track_id]))
            elif not present[n] and padded[n]:
                keyframes.append(Keyframe(annotated[n - 1] + 1, None, outside=True))
        tracks.append(Track(track_id, "object", tuple(keyframes)))
    return BoxTracks(*size, None, tuple(tracks))


def boxes_of_ids(ids: np.ndarray) -> dict[int, Box]:
    """Return the box around the pixels of each id but 0, integer ``(H, W)``, by id."""
    boxes = {}
    for track_id in np.unique(ids[ids > 0]):
        y, x = np.nonzero(ids == track_id)
        box = (x.min(), y.min(), x.max() + 1, y.max() + 1)
        x0, y0, x1, y1 = (float(v) for v in box)
        boxes[int(track_id)] = (x0, y0, x1, y1)
    return boxes
