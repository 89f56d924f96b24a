"""What is known of an annotated video before any network: scale, boxes, evidence, consensus."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING

import numpy as np

from maskfree.consensus import Consensus
from maskfree.contrast import lab_stretch
from maskfree.errors import InputError
from maskfree.evidence import collect_evidence
from maskfree.hand_pixels import HandPixels
from maskfree.held import follow_held, is_held
from maskfree.ignore_masks import IgnoreMasks, without_ignored
from maskfree.supervision import by_masks
from maskfree.tube import followed_tube, kept_tube, tracks_scale
from maskfree.watch import Watch, unwatched
from maskfree.working import WorkingFrames

if TYPE_CHECKING:
    from collections.abc import Mapping

    from maskfree.belief import Belief
    from maskfree.config import Config
    from maskfree.corrections import Correction
    from maskfree.kept_tubes import KeptTubes
    from maskfree.types import BoxTracks
    from maskfree.video import Video

__all__ = ["Prepared", "learns", "prepare", "settles"]


@dataclasses.dataclass(frozen=True)
class Prepared:
    """The video at its working scale and what its boxes and pictures say.

    ``seen``: the same frames with what is ignored painted over, all else was made of those;
    ``boxes``: float ``(N, T, 4)`` in the video's pixels, NaN where absent; ``slack``: ``(N, T)``;
    ``evidence``: see :mod:`maskfree.evidence`, None where it was not looked for; ``hand``: what a
    person said of single pixels; ``consensus`` has learnt the tracks' colours where the settings
    make use of it, see :func:`settles`.
    """

    frames: WorkingFrames
    seen: WorkingFrames
    ignore: IgnoreMasks
    boxes: np.ndarray
    slack: np.ndarray
    evidence: Belief | None
    hand: HandPixels
    consensus: Consensus


def prepare(
    video: Video,
    tracks: BoxTracks,
    config: Config,
    *,
    tubes: KeptTubes | None = None,
    evidence: Belief | None = None,
    corrections: Mapping[int, Mapping[int, Correction]] | None = None,
    watch: Watch = unwatched,
) -> Prepared:
    """Look at an annotated video.

    Parameters
    ----------
    tubes
        Boxes that a run kept. Where any keyframe has changed since, all are followed anew.
    evidence
        What was seen elsewhere with those boxes, where somebody kept it as well.
    corrections
        What a person said about masks, by frame and track id; what is gold is not looked at.
    watch
        Told how far it is.

    Raises
    ------
    InputError
        When there is no box.
    """
    hand, ignore = HandPixels.of(corrections or {}, tracks, video), IgnoreMasks(tracks)
    whole, video = video, without_ignored(video, ignore, config)
    kept = tubes is not None and all(tubes.knows(track, len(video)) for track in tracks.tracks)
    if tubes is not None and kept:
        boxes, slack = kept_tube(tubes, whole, tracks, config)
    else:
        boxes, slack = followed_tube(whole, tracks, config, watch=watch)
    if not np.isfinite(boxes).any():
        raise InputError("There is no box to learn from. Draw a box on at least one frame.")
    scale = tracks_scale(video, tracks, config)
    frames = WorkingFrames(video, scale, cache_bytes=config.video.working_bytes)
    stretch = lab_stretch(frames, config=config.sampling)
    passes = config.follow.held_passes if is_held(tracks, len(video)) and not kept else 0
    if not config.evidence.seek:
        passes = min(passes, 1)  # a second one would know no more
    straight, evidence = boxes, evidence if kept else None
    # what stays where it was drawn would show its object as background, hence the rounds
    for number in range(1, passes + 1):
        turn = _numbered(watch, number, passes)
        boxes = follow_held(
            frames,
            tracks,
            straight,
            slack,
            evidence=evidence,
            stretch=stretch,
            config=config,
            watch=turn,
        )
        evidence = _evidence(video, boxes, frames, ignore, config, turn)
    if not passes and evidence is None:
        evidence = _evidence(video, boxes, frames, ignore, config, watch)
    consensus = Consensus(
        video,
        boxes,
        slack,
        evidence,
        stretch=stretch,
        config=config.consensus,
        hand=hand,
        ignore=ignore,
    )
    seen, shown = frames, frames
    if ignore:
        shown = WorkingFrames(whole, scale, cache_bytes=config.video.working_bytes)
    if settles(config):
        consensus.fit(watch=watch)
    return Prepared(shown, seen, ignore, boxes, slack, evidence, hand, consensus)


def settles(config: Config) -> bool:
    """Whether a run makes use of the consensus: its network learns from it, or it refines masks."""
    return config.consensus.refine or learns(config)


def learns(config: Config) -> bool:
    """Whether a run's network learns from the consensus."""
    return config.consensus.train and bool(config.evidence.weight) and not by_masks(config)


def _evidence(
    video: Video,
    boxes: np.ndarray,
    frames: WorkingFrames,
    ignore: IgnoreMasks,
    config: Config,
    watch: Watch,
) -> Belief | None:
    """Collect evidence, if any is wanted, at the scale at which a whole frame fits the budget."""
    if not config.evidence.seek:
        return None
    area = frames.height * frames.width
    if area > config.sampling.frame_area:
        scale = math.sqrt(config.sampling.frame_area / (video.shape[1] * video.shape[2]))
        frames = WorkingFrames(video, scale, cache_bytes=config.video.working_bytes)
    working = frames.to_working(boxes)
    return collect_evidence(frames, working, config=config.evidence, ignore=ignore, watch=watch)


def _numbered(watch: Watch, number: int, count: int) -> Watch:
    """Say which of several rounds it is."""
    if count == 1:
        return watch
    return lambda what, done, total: watch(f"{what}, round {number} of {count}", done, total)
