"""A clip with true masks, and the boxes that a person might have drawn on it.

A clip is a folder: ``frames/00000.jpg …`` and ``masks/00000.png …`` (pixel = instance id, 0 is
background), a mask for some frames or for all. A frame without one is unannotated, not empty.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from maskfree.errors import InputError
from maskfree.tracks import boxes_at
from maskfree.truth_boxes import boxes_of_truth
from maskfree.truth_masks import match_names, read_truth
from maskfree.types import BoxTracks, InstanceMasks, Keyframe
from maskfree.video import open_video

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from maskfree.types import Box

__all__ = ["boxes_from_masks", "filled_boxes", "first_only", "jittered", "true_ids"]

FEWEST = 10
"""A clip with fewer annotated frames keeps all of them as keyframes."""
DECIMALS = 2
"""A jittered box is rounded to this many, as in a boxes file made by hand."""
LEAST_SIDE = 1.0
"""A jittered box is at least this wide and high, pixels."""


def true_ids(clip: Path, names: Sequence[str]) -> dict[int, np.ndarray]:
    """Return the ids ``(H, W)`` of every annotated frame, by frame number."""
    truth = read_truth(clip / "masks")
    return {frame: truth.ids(name) for frame, name in match_names(truth, names).items()}


def boxes_from_masks(clip: Path, every: int) -> BoxTracks:
    """Make boxes from a clip's masks.

    Keyframes of a track: its first and last annotated frame, every N-th annotated frame of the clip
    between them, and the frames around a gap. A track that is absent from an annotated frame is
    outside there.

    Raises
    ------
    InputError
        Where ``every`` is less than 1, or frames or masks are missing.
    """
    if every < 1:
        raise InputError(f"--every must be 1 or more frames, got {every}.")
    with open_video(clip / "frames") as video:
        count, height, width, _ = video.shape
        names = video.names
    truth = true_ids(clip, names)
    annotated = list(truth)
    regular = annotated[:: every if len(annotated) >= FEWEST else 1]
    return boxes_of_truth(truth, regular, (count, height, width))


def jittered(tracks: BoxTracks, deviation: float, *, seed: int) -> BoxTracks:
    """Move each side of each keyframe's box, as a hasty hand would.

    Parameters
    ----------
    deviation
        Standard deviation of the normal distribution that each side's move is drawn from, as a part
        of the box's width (left, right) or height (top, bottom).
    seed
        Which of the possible moves.

    Raises
    ------
    InputError
        For a negative deviation.
    """
    if not deviation >= 0:
        raise InputError(f"--jitter must be 0 or more of a box's size, got {deviation:g}.")
    rng = np.random.default_rng(seed)

    def moved(keyframe: Keyframe) -> Keyframe:
        if keyframe.xyxy is None:
            return keyframe
        box = _moved(np.array(keyframe.xyxy), deviation, tracks, rng)
        return dataclasses.replace(keyframe, xyxy=box)

    return _with_keyframes(tracks, [tuple(map(moved, t.keyframes)) for t in tracks.tracks])


def _moved(box: np.ndarray, deviation: float, tracks: BoxTracks, rng: np.random.Generator) -> Box:
    size = np.tile(box[2:] - box[:2], 2)
    frame = np.array([tracks.width, tracks.height], float)
    box = box + rng.normal(0, deviation, 4) * size
    low = np.clip(box[:2], 0, frame - LEAST_SIDE)
    high = np.clip(box[2:], low + LEAST_SIDE, frame)
    x0, y0, x1, y1 = (float(v) for v in np.round([*low, *high], DECIMALS))
    return x0, y0, x1, y1


def first_only(tracks: BoxTracks) -> BoxTracks:
    """Keep each track's first box and nothing else: no other keyframe, and no `outside`."""
    first = [next(k for k in t.keyframes if k.xyxy is not None) for t in tracks.tracks]
    return _with_keyframes(tracks, [(keyframe,) for keyframe in first])


def _with_keyframes(tracks: BoxTracks, keyframes: list[tuple[Keyframe, ...]]) -> BoxTracks:
    changed = (
        dataclasses.replace(track, keyframes=own)
        for track, own in zip(tracks.tracks, keyframes, strict=True)
    )
    return dataclasses.replace(tracks, tracks=tuple(changed))


def filled_boxes(tracks: BoxTracks, frame: int) -> InstanceMasks:
    """Take each box, interpolated where there is no keyframe, as its mask; the smaller in front."""
    states = boxes_at(tracks, frame)
    masks = np.zeros((len(states), tracks.height, tracks.width), bool)
    for mask, state in zip(masks, states.values(), strict=True):
        x0, y0, x1, y1 = (round(v) for v in state.xyxy)
        mask[y0:y1, x0:x1] = True
    return InstanceMasks(tuple(states), masks, (1.0,) * len(states))
