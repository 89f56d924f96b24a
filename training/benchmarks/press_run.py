"""One run of `press.py`, in a process of its own: how good the masks are after how many seconds.

Runs with this engine or with an older one, so that it uses only what both have. The clock counts
from the start of the process, what a person waits for: imports, the look at the video, the steps.
It stands still while masks are scored, which is done at the end.

usage: python training/benchmarks/press_run.py CLIP --seed 0 [--begin] --json FILE
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import torch

import baseline
from clips import boxes_from_masks
from maskfree.ignore_masks import IgnoreMasks
from maskfree.metrics import evaluate
from maskfree.predict import predict_video
from maskfree.presets import preset
from maskfree.video import open_video

if TYPE_CHECKING:
    from maskfree.types import BoxTracks, InstanceMasks
    from maskfree.video import Video

__all__ = ["main"]

PARTS = (0.0, 0.25, 1.0)
"""Parts of the run after which the masks are scored: between its ends where that tells anything."""
CPU = torch.device("cpu")


class Run:
    """A run on a clip, and what was kept of it on the way: clock and weights."""

    def __init__(self, clip: Path, seed: int, every: int) -> None:
        self.clip, self.seed = clip, seed
        self.tracks: BoxTracks = boxes_from_masks(clip, every)
        self.video: Video = open_video(clip / "frames")
        made = time.time()
        trainer = baseline.trainer_class()
        self.trainer: Any = trainer(self.video, self.tracks, preset("tiny"), device=CPU, seed=seed)
        self.prepare = time.time() - made
        self.kept: list[tuple[int, float, dict[str, torch.Tensor], Any]] = []

    def train(self) -> float:
        """Take all steps; return the seconds since the process was started."""
        steps = self.trainer.config.optimiser.steps
        wanted = {round(part * steps) for part in PARTS}
        begun, paused = psutil.Process().create_time(), 0.0
        for step in range(steps + 1):
            if step in wanted:
                now = time.time()
                weights = {k: v.clone() for k, v in self.trainer.model.state_dict().items()}
                self.kept.append((step, now - begun - paused, weights, self.trainer.memory))
                paused += time.time() - now
            if step < steps:
                self.trainer.step(step)
        now = time.time()
        self.trainer.measure_norms()
        return now - begun - paused + time.time() - now

    def score(self, step: int, weights: dict[str, torch.Tensor], memory: Any) -> dict[str, float]:
        """Return J of the masks that these weights give, and the seconds that they take."""
        self.trainer.model.load_state_dict(weights)
        self.trainer.measure_norms()
        started = time.perf_counter()
        j = self._j(memory)
        return {"step": step, "j": j, "predict": time.perf_counter() - started}

    def point(
        self, step: int, clock: float, weights: dict[str, torch.Tensor], memory: Any
    ) -> dict[str, float]:
        """Return what :meth:`score` does, and when the run was there."""
        return {"clock": clock, **self.score(step, weights, memory)}

    def _j(self, memory: Any) -> float:
        found: dict[int, InstanceMasks] = dict(
            predict_video(
                self.video,
                self.tracks,
                self.trainer.model,
                self.trainer.config,
                track_ids=self.trainer.bound_ids,
                device=CPU,
                memory=memory,
                tubes=self.trainer.tubes,
            )
        )
        ignored = IgnoreMasks(self.tracks).at
        return evaluate(found.get, self.clip / "masks", self.video.names, ignored=ignored).j


def main(arguments: list[str] | None = None) -> int:
    """Write what came of the run; return the exit code."""
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n\n")[0])
    parser.add_argument("clip", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--every", type=int, default=5)
    parser.add_argument(
        "--near", type=float, default=1.0, help="of the final J: enough to begin with"
    )
    parser.add_argument("--begin", action="store_true", help="end where the first step would begin")
    parser.add_argument("--json", type=Path, required=True, metavar="FILE")
    options = parser.parse_args(arguments)
    run = Run(options.clip, options.seed, options.every)
    if options.begin:
        seconds = time.time() - psutil.Process().create_time()
        options.json.write_text(json.dumps({"begun": seconds}), encoding="utf-8")
        return 0
    trained = run.train()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    first, *between, last = run.kept
    points = [run.point(*first), run.point(*last)]
    if points[0]["j"] < options.near * points[1]["j"]:
        points[1:1] = [run.point(*each) for each in between]
    content = {
        "steps": run.trainer.config.optimiser.steps,
        "prepare": run.prepare,
        "trained": trained,
        "peak_kb": peak,
        "points": points,
    }
    options.json.write_text(json.dumps(content), encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
