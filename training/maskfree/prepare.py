"""What is known of an annotated video before any network: scale, boxes, evidence, consensus."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING

import numpy as np

from maskfree.consensus import Consensus
from maskfree.errors import InputError
from maskfree.evidence import collect_evidence
from maskfree.held import follow_held, is_held
from maskfree.sampling import lab_stretch
from maskfree.tube import followed_tube, tracks_scale
from maskfree.working import WorkingFrames

if TYPE_CHECKING:
    from maskfree.config import Config
    from maskfree.types import BoxTracks
    from maskfree.video import Video

__all__ = ["Prepared", "prepare"]


@dataclasses.dataclass(frozen=True)
class Prepared:
    """The video at its working scale and what its boxes and pictures say.

    ``boxes``: float ``(N, T, 4)`` in the video's pixels, NaN where absent; ``slack``: ``(N, T)``;
    ``evidence``: see :mod:`maskfree.evidence`, None where it was not looked for; ``consensus`` has
    learnt nothing yet.
    """

    frames: WorkingFrames
    boxes: np.ndarray
    slack: np.ndarray
    evidence: np.ndarray | None
    consensus: Consensus


def prepare(video: Video, tracks: BoxTracks, config: Config) -> Prepared:
    """Look at an annotated video.

    Raises
    ------
    InputError
        When there is no box.
    """
    boxes, slack = followed_tube(video, tracks, config)
    if not np.isfinite(boxes).any():
        raise InputError("There is no box to learn from. Draw a box on at least one frame.")
    scale = tracks_scale(video, tracks, config)
    frames = WorkingFrames(video, scale, cache_bytes=config.video.cache_bytes)
    stretch = lab_stretch(frames, config=config.sampling)
    passes = config.follow.held_passes if is_held(tracks, len(video)) else 0
    if not config.evidence.seek:
        passes = min(passes, 1)  # a second one would know no more
    straight, evidence = boxes, None
    for _ in range(passes):  # what stays where it was drawn would show its object as background
        boxes = follow_held(
            frames, tracks, straight, slack, evidence=evidence, stretch=stretch, config=config
        )
        evidence = _evidence(video, boxes, frames, config)
    if not passes:
        evidence = _evidence(video, boxes, frames, config)
    consensus = Consensus(video, boxes, slack, evidence, stretch=stretch, config=config.consensus)
    return Prepared(frames, boxes, slack, evidence, consensus)


def _evidence(
    video: Video, boxes: np.ndarray, frames: WorkingFrames, config: Config
) -> np.ndarray | None:
    """Collect evidence, if any is wanted, at the scale at which a whole frame fits the budget."""
    if not config.evidence.seek:
        return None
    area = frames.height * frames.width
    if area > config.sampling.frame_area:
        scale = math.sqrt(config.sampling.frame_area / (video.shape[1] * video.shape[2]))
        frames = WorkingFrames(video, scale, cache_bytes=config.video.cache_bytes)
    return collect_evidence(frames, frames.to_working(boxes), config=config.evidence)
