"""One measurement of `predict_speed.py`, in a process of its own: frames a second, and the limit.

Runs with this engine or with an older one, so that it uses only what both have. The network has
taken a few steps; how long a prediction takes does not depend on what it has learnt. The limit is
that of the forward pass alone: every frame once, in clips of the same length and size, nothing read
and nothing made of what comes out.

usage: python training/benchmarks/predict_run.py CLIP --json FILE [--repeats 2]
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

import baseline
from clips import boxes_from_masks
from maskfree.network_pass import network_pass
from maskfree.predict import predict_video
from maskfree.presets import preset
from maskfree.sampling import padded_size
from maskfree.tube import tracks_scale
from maskfree.video import open_video

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from maskfree.types import BoxTracks
    from maskfree.video import Video

__all__ = ["main"]

CPU = torch.device("cpu")
STEPS = 2
EVERY = 5


def predicted(trainer: Any, video: Video, tracks: BoxTracks) -> float:
    """Return the seconds that the masks of all frames take."""
    memory, tubes = trainer.memory, trainer.tubes
    return _seconds(predict_video, trainer, video, tracks, memory=memory, tubes=tubes)


def looked(trainer: Any, video: Video, tracks: BoxTracks) -> float:
    """Return the seconds of the network's pass over the video: read, seen in clips, no masks."""
    return _seconds(network_pass, trainer, video, tracks, tube=trainer.tube)


def _seconds(
    work: Callable[..., Iterator[Any]], trainer: Any, video: Video, tracks: BoxTracks, **known: Any
) -> float:
    started, bound = time.perf_counter(), trainer.bound_ids
    for _ in work(
        video, tracks, trainer.model, trainer.config, track_ids=bound, device=CPU, **known
    ):
        pass
    return time.perf_counter() - started


@torch.no_grad()
def forward(trainer: Any, video: Video, tracks: BoxTracks) -> float:
    """Return the seconds that the forward passes over all frames take, each frame once."""
    config = trainer.config
    scale = tracks_scale(video, tracks, config)
    if config.predict.middle_scale:
        scale *= 1 + config.augment.scale_jitter
    size = padded_size(*(side * scale for side in video.shape[1:3]))
    length = config.predict.clip_length
    rgb = torch.rand(1, length, 3, *size)
    trainer.model.eval()
    trainer.model(rgb)
    started = time.perf_counter()
    for _ in range(0, len(video), length):
        trainer.model(rgb)
    return time.perf_counter() - started


def main(arguments: list[str] | None = None) -> int:
    """Write what was measured; return the exit code."""
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n\n")[0])
    parser.add_argument("clip", type=Path)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--json", type=Path, required=True, metavar="FILE")
    options = parser.parse_args(arguments)
    tracks = boxes_from_masks(options.clip, EVERY)
    video = open_video(options.clip / "frames")
    trainer = baseline.trainer_class()(video, tracks, preset("tiny"), device=CPU, seed=0)
    for step in range(STEPS):
        trainer.step(step)
    trainer.measure_norms()
    predicted(trainer, video, tracks)
    seconds = [predicted(trainer, video, tracks) for _ in range(options.repeats)]
    looks = [looked(trainer, video, tracks)]
    limits = [forward(trainer, video, tracks) for _ in range(options.repeats)]
    content = {
        "frames": len(video),
        "seconds": seconds,
        "looked": looks,
        "limit": limits,
        "peak_kb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
    }
    options.json.write_text(json.dumps(content), encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
