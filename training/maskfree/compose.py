"""From the logits of single instances to the masks and scores of a frame. No torch here."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from maskfree.confidence import box_fit, stability
from maskfree.types import InstanceMasks

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from maskfree.config import Config
    from maskfree.consensus import Consensus

__all__ = ["Part", "compose", "floor_logit", "masks_of_boxes", "refined"]

Part = tuple[tuple[slice, slice], np.ndarray]
"""A window (rows, columns) of a frame, and logits there, float ``(h, w)``."""


def refined(consensus: Consensus | None, n: int, frame: int) -> Part | None:
    """Return what a consensus says of track number ``n``; None where it says nothing."""
    crop = consensus.crop(n, frame) if consensus is not None else None
    return None if crop is None else ((crop.rows, crop.columns), crop.full())


def masks_of_boxes(
    parts: Mapping[int, Part],
    boxes: np.ndarray,
    ids: Sequence[int],
    ignored: np.ndarray | None,
    size: tuple[int, int],
    config: Config,
) -> InstanceMasks:
    """Put the tracks' logits into one frame, each with its score.

    Parameters
    ----------
    parts
        By the track's place in ``boxes (N, 4)`` and ``ids``.
    ignored
        Pixels of the frame that have no part in the scores: bool ``(H, W)``, None: there are none.
    size
        Height and width of the frame.
    """
    scores = []
    for n, (window, logits) in parts.items():
        hidden = None if ignored is None else ignored[window]
        above = logits - floor_logit(config)
        scores.append(
            stability(above, config.predict.stability_margin, hidden)
            * box_fit(logits > floor_logit(config), window, boxes[n], hidden)
        )
    return compose(list(parts.values()), [ids[n] for n in parts], scores, size, config)


def compose(
    parts: Sequence[Part],
    ids: Sequence[int],
    scores: Sequence[float],
    size: tuple[int, int],
    config: Config,
) -> InstanceMasks:
    """Put the instances' logits into one frame; a pixel belongs to its likeliest instance."""
    height, width = size
    best = np.zeros((height, width), np.float32)
    owner = np.full((height, width), -1, np.int32)
    floor = floor_logit(config)
    for n, (window, logits) in enumerate(parts):
        wins = (logits > floor) & ((owner[window] < 0) | (logits > best[window]))
        owner[window][wins] = n
        best[window][wins] = logits[wins]
    kept = [n for n in range(len(parts)) if (owner == n).any()]
    masks = np.stack([owner == n for n in kept]) if kept else np.zeros((0, height, width), bool)
    return InstanceMasks(
        tuple(ids[n] for n in kept), masks, tuple(round(scores[n], 4) for n in kept)
    )


def floor_logit(config: Config) -> float:
    """Return the logit above which a pixel is the instance."""
    return math.log(config.predict.mask_threshold / (1 - config.predict.mask_threshold))
