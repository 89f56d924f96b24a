"""One measured step: the real network, objective and sampling on a part of the real video.

The part is a few neighbouring frames with as many boxes as possible, at the size that the run has
them, so pixels, boxes and tracks are real and the long look at the whole video is left out. What
that would take is scaled up from the part, job by job: by frames, or by how often a box, a frame
beyond a last keyframe or a frame for the colours is looked at. A run that goes on from another one
takes over what that one saw, and so does the part. So is the memory of the machine for
the frames that a run keeps. What one frame costs may differ from another, corrections are left out,
and so are objects that are followed beyond their last keyframe where the part has none.
"""

from __future__ import annotations

import dataclasses
import re
import time
from typing import TYPE_CHECKING

import numpy as np
import torch

from maskfree.first_masks import first_frames
from maskfree.loose_tube import loose_tube
from maskfree.memory_use import memory_of
from maskfree.model.checkpoint import read_tensors
from maskfree.network_pass import network_pass, windows
from maskfree.out_of_memory import is_out_of_memory
from maskfree.part import (
    fullest_span,
    part_of_belief,
    part_of_tracks,
    part_of_tubes,
    part_of_video,
)
from maskfree.predict import predict_video
from maskfree.preflight_figures import Counts, Exhausted, Measured, Rates, estimate
from maskfree.prepare import prepare
from maskfree.sampling import padded_size
from maskfree.settings import iter_settings
from maskfree.trainer import Trainer
from maskfree.tube import tracks_scale

if TYPE_CHECKING:
    from collections.abc import Callable

    from maskfree.config import Config, PreflightConfig
    from maskfree.memory_use import MemoryProbe
    from maskfree.start import Start
    from maskfree.types import BoxTracks
    from maskfree.video import Video

__all__ = ["counts_of", "measure", "pieces_of"]

_ROUND = re.compile(r", round \d+ of \d+$")
_COLOURS = "colours"
_RGB = 3
_CELL_BYTES = 0.75
"""Of the evidence (`belief.py`), a cell in a box: 0.24 to 0.71 on five clips, next to none else."""
_MANY = 1000
"""Steps: measured ones are never the last of a run."""


def measure(
    video: Video,
    tracks: BoxTracks,
    begins: Start,
    *,
    device: torch.device,
    settings: PreflightConfig,
    start: float = 0.0,
    first_masks: bool = False,
    memory: Callable[[torch.device], MemoryProbe] = memory_of,
    clock: Callable[[], float] = time.perf_counter,
) -> Measured | Exhausted:
    """Measure a step and a prediction clip of a run, and estimate the whole of it.

    The random numbers of this process go on as if nothing had happened.

    Parameters
    ----------
    begins
        What the run begins with, and its settings.
    start
        Seconds that this process took before it could begin, as a run's would.
    first_masks
        Whether the run shows masks before it trains.
    memory, clock
        What measures; for tests.

    Raises
    ------
    InputError
        Where a run would: no box, settings that make no network, a loss that is not finite.
    """
    config, probe = begins.config, memory(device)
    devices = [device] if device.type == "cuda" else []
    try:
        with torch.random.fork_rng(devices):
            rates = _rates(video, tracks, begins, device, settings, start, clock)
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        return Exhausted(device.type, probe.there())
    needed = probe.peak()
    if device.type != "cuda":
        length = _length(len(video), config, settings)
        needed += _kept(video, tracks, config, len(video)) - _kept(video, tracks, config, length)
    seconds = estimate(rates, counts_of(video, tracks, config, first_masks=first_masks))
    return Measured(
        device.type,
        seconds,
        needed,
        probe.there(),
        start=None if begins.run is None else begins.run.name,
        steps=config.optimiser.steps,
    )


def _length(num_frames: int, config: Config, settings: PreflightConfig) -> int:
    """Return how many frames are looked at: no clip is shorter than it will be."""
    sampled = (config.sampling.clip_length - 1) * config.sampling.max_gap + 1
    return min(num_frames, max(settings.frames, sampled, config.predict.clip_length))


def _rates(
    video: Video,
    tracks: BoxTracks,
    begins: Start,
    device: torch.device,
    settings: PreflightConfig,
    start: float,
    clock: Callable[[], float],
) -> Rates:
    whole_config, run = begins.config, begins.run
    length = _length(len(video), whole_config, settings)
    first = fullest_span(tracks, len(video), length, whole_config)
    last = first + length
    part = part_of_video(video, first, last, whole_config)
    boxes = part_of_tracks(tracks, first, last)
    config = _at_scale(whole_config, tracks_scale(video, tracks, whole_config), boxes)
    tubes = part_of_tubes(begins.tubes(), tracks, first, last)
    evidence = part_of_belief(begins.evidence(), first, last)
    spent = _Jobs(clock)
    prepared = prepare(part, boxes, config, tubes=tubes, evidence=evidence, watch=spent)
    spent.end()
    began = clock()
    trainer = Trainer(
        part,
        boxes,
        _only_steps(config),
        device=device,
        seed=0,
        weights=None if run is None else read_tensors(run.kept_weights_path),
        prepared=prepared,
    )
    loaded = clock() - began
    for index in range(settings.warm_up):
        trainer.step(index)
    began = clock()
    for index in range(settings.steps):
        trainer.step(settings.warm_up + index)
    step = (clock() - began) / settings.steps
    began = clock()
    trainer.measure_norms()
    norm = clock() - began
    bound = trainer.track_ids if config.matching.mode == "bound" else []
    began = clock()
    for _ in network_pass(
        part, boxes, trainer.model, config, track_ids=bound, device=device, tube=trainer.tube
    ):
        pass
    looked = clock() - began
    began = clock()
    for _ in predict_video(
        part,
        boxes,
        trainer.model,
        config,
        track_ids=bound,
        device=device,
        memory=trainer.memory if config.consensus.refine else None,
        tubes=trainer.tubes,
    ):
        pass
    masks = clock() - began
    here, whole = pieces_of(boxes, length, config), pieces_of(tracks, len(video), whole_config)
    looks = {job: seconds * _factor(job, here, whole) for job, seconds in spent.seconds.items()}
    return Rates(
        start=start + loaded,
        prepare=sum(looks.values()),
        settle=looks.get(_COLOURS, 0.0),
        step=step,
        norm=norm,
        look=looked / len(_clips(part, boxes, config)),
        refine=max(0.0, masks - looked) / length,
    )


def _at_scale(config: Config, scale: float, boxes: BoxTracks) -> Config:
    """Return the config with which boxes of a part are as large as in the whole video."""
    drawn, _ = loose_tube(boxes, range(boxes.num_frames), config=config.sampling)
    present = drawn[np.isfinite(drawn).all(-1)]
    if not len(present):
        return config
    sides = np.sqrt((present[:, 2] - present[:, 0]) * (present[:, 3] - present[:, 1]))
    least = next(each for each in iter_settings(config.sampling) if each.key == "object_size").low
    size = max(least or 0.0, scale * float(np.median(sides)))
    sampling = dataclasses.replace(config.sampling, object_size=size)
    return dataclasses.replace(config, sampling=sampling)


def _only_steps(config: Config) -> Config:
    """Return the config with one clip for the norms, and without what comes once in a run."""
    optimiser = dataclasses.replace(
        config.optimiser,
        steps=max(config.optimiser.steps, _MANY),
        norm_clips=min(1, config.optimiser.norm_clips),
    )
    consensus = dataclasses.replace(config.consensus, teacher_at=1.0)
    return dataclasses.replace(config, optimiser=optimiser, consensus=consensus)


class _Jobs:
    """A watch that takes the time of each job, and what comes before it to the job before."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.seconds: dict[str, float] = {"": 0.0}
        self._clock, self._job, self._last = clock, "", clock()

    def __call__(self, what: str, _done: int, _total: int) -> None:
        """Hear of a finished piece, or of the start of a job."""
        self.end()
        self._job = _ROUND.sub("", what)

    def end(self) -> None:
        """Count what was spent since the last call."""
        now = self._clock()
        self.seconds[self._job] = self.seconds.get(self._job, 0.0) + now - self._last
        self._last = now


def pieces_of(tracks: BoxTracks, num_frames: int, config: Config) -> dict[str, int]:
    """Return how much there is to do of each job before the first step; "": of all others."""
    boxes, _ = loose_tube(tracks, range(num_frames), config=config.sampling)
    present = np.isfinite(boxes).all(-1).sum(1)
    sources = min(max(0, num_frames - 1), config.evidence.max_sources)
    held = 0
    for track in tracks.tracks:
        last = track.keyframes[-1] if track.keyframes else None
        if last is not None and last.xyxy is not None:
            held += min(num_frames - 1 - last.frame, config.follow.most_held)
    return {
        "": num_frames,
        "boxes after the last keyframe": held,
        "background seen elsewhere": int(present.sum()) * sources,
        _COLOURS: int(np.minimum(present, config.consensus.frames).sum()),
    }


def _factor(job: str, here: dict[str, int], whole: dict[str, int]) -> float:
    """Return by how much a job of the whole video is longer than the same job of the part."""
    kind = job if job in here else ""
    return whole[kind] / max(1, here[kind])


def _clips(video: Video, tracks: BoxTracks, config: Config) -> list[tuple[int, int]]:
    """Return the clips that prediction looks at, half-open."""
    height, width = _predicted_size(video, tracks, config)
    room = config.predict.clip_area // (height * width)
    length = max(1, min(config.predict.clip_length, room))
    return windows(0, len(video), length, min(config.predict.overlap, length - 1))


def _predicted_size(video: Video, tracks: BoxTracks, config: Config) -> tuple[int, int]:
    scale = tracks_scale(video, tracks, config)
    if config.predict.middle_scale:
        scale *= 1 + config.augment.scale_jitter
    height, width = (max(1, round(side * scale)) for side in video.shape[1:3])
    return padded_size(height, width)


def counts_of(
    video: Video, tracks: BoxTracks, config: Config, *, first_masks: bool = False
) -> Counts:
    """Return how often a run and its prediction do each of what is measured."""
    steps, consensus = config.optimiser.steps, config.consensus
    settles = consensus.refine or (consensus.train and bool(config.evidence.weight))
    teaches = settles and round(consensus.teacher_at * steps) < steps
    clips = len(_clips(video, tracks, config))
    saves = (steps - 1) // config.optimiser.checkpoint_every + 1
    boxes, _ = loose_tube(tracks, range(len(video)), config=config.sampling)
    return Counts(
        frames=len(video),
        steps=steps,
        norms=config.optimiser.norm_clips * (saves + teaches),
        taught=min(clips, consensus.teacher_clips) if teaches else 0,
        views=2 if config.predict.mirror and config.augment.flip else 1,
        clips=clips,
        first=len(first_frames(boxes, consensus.first_boxes)) if first_masks else 0,
    )


def _kept(video: Video, tracks: BoxTracks, config: Config, num_frames: int) -> int:
    """Return the bytes of what a run keeps of so many frames: they grow with a video's length.

    The decoded frames, those at the working scale, and the evidence. What the evidence is worked
    out with is gone again before the network comes.
    """
    height, width = video.shape[1:3]
    scale = tracks_scale(video, tracks, config)
    decoded = num_frames * height * width * _RGB
    working = round(decoded * scale**2)
    video_limit = min(config.video.cache_bytes, config.video.run_bytes)
    found = 0
    if config.evidence.seek:
        area = min(height * width * scale**2, config.sampling.frame_area)
        cells = num_frames * area / config.evidence.cell**2
        found = round(cells * _boxed_share(video, tracks, config) * _CELL_BYTES)
    return min(decoded, video_limit) + min(working, config.video.working_bytes) + found


def _boxed_share(video: Video, tracks: BoxTracks, config: Config) -> float:
    """Return the mean part of a frame that is in boxes; where two lie, both count, up to all."""
    boxes, _ = loose_tube(tracks, range(len(video)), config=config.sampling)
    areas = np.nansum((boxes[..., 2:] - boxes[..., :2]).prod(-1), axis=0)
    return float(np.minimum(areas / np.prod(video.shape[1:3]), 1.0).mean())
