"""How good the masks are for how few boxes: the whole job on clips with true masks.

For each clip folder (``frames/00000.jpg …`` and ``masks/00000.png …``, 8-bit instance ids) this
makes a boxes file from the masks, fine-tunes, predicts and scores, all through the public API, and
prints a table beside the interpolated boxes filled in. The masks serve the boxes and the score
alone; training never sees them.

usage: python training/benchmarks/quality.py CLIP… [--every 5] [--preset tiny] [--steps 300]
       [--seed 0 …] [--set key=value …] [--device auto] [--json] [--draw FOLDER]
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import platform
import statistics
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import imageio.v3 as imageio
import numpy as np
import torch

from maskfree.contact_sheet import contact_sheet
from maskfree.errors import InputError, InputWarning
from maskfree.metrics import evaluate
from maskfree.predict import predict
from maskfree.presets import preset
from maskfree.session import Session
from maskfree.settings import override
from maskfree.tracks import boxes_at
from maskfree.train import finetune
from maskfree.types import BoxTracks, InstanceMasks, Keyframe, Track
from maskfree.video import open_video

if TYPE_CHECKING:
    from maskfree.config import Config

FEWEST = 10
"""A clip with fewer annotated frames keeps all of them as keyframes."""


@dataclasses.dataclass(frozen=True)
class Result:
    """One clip, one seed: scores in [0, 1], wall-clock seconds."""

    clip: str
    seed: int
    tracks: int
    frames: int
    j: float
    f: float
    box_j: float
    train_seconds: float
    predict_seconds: float


def boxes_from_masks(clip: Path, every: int) -> BoxTracks:
    """Make boxes from a clip's masks.

    Keyframes of a track: its first and last annotated frame, every N-th annotated frame of the clip
    between them, and the frames around a gap. A track that is absent from an annotated frame is
    outside there.
    """
    with open_video(clip / "frames") as video:
        count, height, width, _ = video.shape
    files = {int(p.stem): p for p in (clip / "masks").glob("*.png")}
    annotated = sorted(files)
    seen = [_boxes_of(imageio.imread(files[t])) for t in annotated]
    regular = set(range(0, len(annotated), every if len(annotated) >= FEWEST else 1))
    tracks = []
    for track_id in sorted({i for boxes in seen for i in boxes}):
        present = [track_id in boxes for boxes in seen]
        padded = [False, *present, False]
        keyframes = []
        for n, frame in enumerate(annotated):
            edge = not padded[n] or not padded[n + 2]
            if present[n] and (n in regular or edge):
                keyframes.append(Keyframe(frame, seen[n][track_id]))
            elif not present[n] and padded[n]:
                keyframes.append(Keyframe(annotated[n - 1] + 1, None, outside=True))
        tracks.append(Track(track_id, "object", tuple(keyframes)))
    return BoxTracks(count, height, width, None, tuple(tracks))


def _boxes_of(mask: np.ndarray) -> dict[int, tuple[float, float, float, float]]:
    boxes = {}
    for track_id in np.unique(mask[mask > 0]):
        y, x = np.nonzero(mask == track_id)
        box = (x.min(), y.min(), x.max() + 1, y.max() + 1)
        x0, y0, x1, y1 = (float(v) for v in box)
        boxes[int(track_id)] = (x0, y0, x1, y1)
    return boxes


def filled_boxes(tracks: BoxTracks, frame: int) -> InstanceMasks:
    """Take each box, interpolated where there is no keyframe, as its mask; the smaller in front."""
    states = boxes_at(tracks, frame)
    masks = np.zeros((len(states), tracks.height, tracks.width), bool)
    for mask, state in zip(masks, states.values(), strict=True):
        x0, y0, x1, y1 = (round(v) for v in state.xyxy)
        mask[y0:y1, x0:x1] = True
    return InstanceMasks(tuple(states), masks, (1.0,) * len(states))


def run(
    clip: Path, config: Config, *, every: int, seed: int, device: str, draw: Path | None
) -> Result:
    """Do the whole job on one clip and score it."""
    tracks = boxes_from_masks(clip, every)
    with tempfile.TemporaryDirectory() as folder:
        session = Session.create(
            Path(folder) / "session", video_source=clip / "frames", boxes=tracks
        )
        started = time.monotonic()
        for progress in finetune(session, config, device=device, seed=seed):
            _say(f"{clip.name} seed {seed}: step {progress.step}/{progress.steps}")
        trained = time.monotonic()
        for done in predict(session, device=device):
            _say(f"{clip.name} seed {seed}: frame {done.done}/{done.total}")
        predicted = time.monotonic()
        store = session.mask_store()
        with session.open_video() as video, warnings.catch_warnings():
            warnings.simplefilter("ignore", InputWarning)
            scores = evaluate(store.read, clip / "masks", video.names)
            boxes = evaluate(lambda t: filled_boxes(tracks, t), clip / "masks", video.names)
            if draw is not None:
                draw.mkdir(parents=True, exist_ok=True)
                sheet = contact_sheet(video, tracks, store.read)
                imageio.imwrite(draw / f"{clip.name}-seed{seed}.png", sheet)
    return Result(
        clip=clip.name,
        seed=seed,
        tracks=len(tracks.tracks),
        frames=tracks.num_frames,
        j=scores.j,
        f=scores.f,
        box_j=boxes.j,
        train_seconds=trained - started,
        predict_seconds=predicted - trained,
    )


def table(results: list[Result]) -> str:
    """Write Markdown: a row a clip, the median over its seeds, and their spread."""
    rows = [
        "| clip | tracks | frames | box filled in J | **J** | F | J&F | train s | predict s |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    clips = list(dict.fromkeys(r.clip for r in results))
    medians = []
    for clip in clips:
        own = [r for r in results if r.clip == clip]
        j, f = (statistics.median(getattr(r, name) for r in own) for name in ("j", "f"))
        medians.append((own[0].box_j, j, f))
        spread = f" ({min(r.j for r in own):.3f} to {max(r.j for r in own):.3f})"
        seconds = [
            statistics.median(getattr(r, n) for r in own)
            for n in ("train_seconds", "predict_seconds")
        ]
        rows.append(
            f"| {clip} | {own[0].tracks} | {own[0].frames} | {own[0].box_j:.3f} | "
            f"**{j:.3f}**{spread if len(own) > 1 else ''} | {f:.3f} | {(j + f) / 2:.3f} | "
            f"{seconds[0]:.0f} | {seconds[1]:.0f} |"
        )
    box, j, f = (statistics.mean(m[i] for m in medians) for i in range(3))
    rows.append(f"| **mean** | | | {box:.3f} | **{j:.3f}** | {f:.3f} | {(j + f) / 2:.3f} | | |")
    return "\n".join(rows)


def _say(text: str) -> None:
    if sys.stderr.isatty():
        print(f"\r{text}\x1b[K", end="", file=sys.stderr, flush=True)


def main(arguments: list[str] | None = None) -> int:
    """Run the benchmark; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("clips", nargs="+", type=Path, metavar="CLIP")
    parser.add_argument("--every", type=int, default=5, help="keyframe every N annotated frames")
    parser.add_argument("--preset", default="tiny")
    parser.add_argument("--steps", type=int, help="optimiser steps (default: the preset's)")
    parser.add_argument("--seed", type=int, nargs="+", default=[0], help="one or more seeds")
    parser.add_argument("--set", nargs="+", action="extend", default=[], metavar="KEY=VALUE")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--json", action="store_true", help="print results for machines")
    parser.add_argument("--draw", type=Path, metavar="FOLDER", help="write a contact sheet a clip")
    options = parser.parse_args(arguments)
    try:
        values = dict(pair.split("=", 1) for pair in options.set)
        if options.steps is not None:
            values["optimiser.steps"] = str(options.steps)
        config = override(preset(options.preset), values)
        results = []
        for clip in options.clips:
            for seed in options.seed:
                result = run(
                    clip,
                    config,
                    every=options.every,
                    seed=seed,
                    device=options.device,
                    draw=options.draw,
                )
                results.append(result)
                took = result.train_seconds + result.predict_seconds
                print(
                    f"{clip.name} seed {seed}: J {result.j:.3f} F {result.f:.3f}, "
                    f"box {result.box_j:.3f}, {took:.0f} s",
                    file=sys.stderr,
                    flush=True,
                )
    except (InputError, ValueError) as error:
        print(f"quality: error: {error}", file=sys.stderr)
        return 2
    if options.json:
        print(json.dumps([dataclasses.asdict(r) for r in results], indent=1))
    else:
        print(table(results))
        print(
            f"\nEvery {options.every}th frame boxed, preset {options.preset}, "
            f"{config.optimiser.steps} steps, seeds {options.seed}; torch {torch.__version__}, "
            f"{torch.get_num_threads()} threads, {platform.machine()}, {os.cpu_count()} cores."
        )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
