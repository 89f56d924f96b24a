"""What corrected frames bring to the others: J where nobody corrected, before and after.

For each clip a session is made and trained as ``quality.py`` does it (or taken from ``--start``, a
folder of sessions as ``quality.py --keep`` leaves them). Then the frames whose masks are least sure
are corrected, all tracks, to the true masks (``--corrected 1 3``: one, and from the beginning again
three). A row has J of the frames that nobody touched: as they were, with the corrections carried on
(of all, and of those that something was carried to), and after another run of the same seed that
learns from the corrections alone. Without corrections that other run is the first one again.

usage: python training/benchmarks/corrections.py CLIP… [--corrected 1 3] [--every 5]
       [--preset tiny] [--steps N] [--seed 0] [--start FOLDER]
"""

from __future__ import annotations

import argparse
import dataclasses
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from clicks import kept_session, overlap
from clips import true_ids
from job import Job, run_job
from maskfree.carrying import find_carried, take_carried
from maskfree.config import CarryConfig
from maskfree.corrections import Correction
from maskfree.errors import InputError
from maskfree.predict import predict
from maskfree.session import Session
from maskfree.train import finetune
from quality import chosen_config

if TYPE_CHECKING:
    from collections.abc import Sequence

    from maskfree.config import Config

__all__ = ["Row", "least_sure", "main", "measured"]

COLUMNS = (
    "clip",
    "corrected frames",
    "J of the others",
    "carried on",
    "J in reach",
    "carried on there",
    "trained again",
)


@dataclasses.dataclass(frozen=True)
class Row:
    """Mean J of the masks in frames that nobody corrected, of one number of corrected ones.

    ``near_before``, ``near_carried``: of the frames that the corrections were carried to alone, NaN
    where there are none. ``frames``: the corrected ones.
    """

    frames: tuple[int, ...]
    before: float
    carried: float
    near_before: float
    near_carried: float
    trained: float


def least_sure(session: Session, count: int, apart: int) -> list[int]:
    """Return the frames of the least mean score, none within ``apart`` of another."""
    store = session.mask_store()
    scores = {t: float(np.mean(store.read(t).scores or (1.0,))) for t in store.frames()}
    chosen: list[int] = []
    for frame in sorted(scores, key=lambda t: (scores[t], t)):
        if len(chosen) < count and all(abs(frame - other) > apart for other in chosen):
            chosen.append(frame)
    return chosen


def correct(session: Session, truth: dict[int, np.ndarray], frames: Sequence[int]) -> None:
    """Correct frames to their true masks, as who paints them does."""
    for frame in frames:
        known = {
            track.id: Correction.whole(truth[frame] == track.id) for track in session.boxes.tracks
        }
        session.corrections.write(frame, known)


def carry_on(session: Session, frames: Sequence[int]) -> set[int]:
    """Carry the frames' corrections to those around; return where something arrived."""
    store, reached = session.mask_store(), set()
    with session.open_video() as video:
        for frame in frames:
            known = session.corrections.read_all()
            found = find_carried(
                video, session.boxes, store.read(frame), known, frame, config=CarryConfig()
            )
            changes, pixels = take_carried(store.read, known, frame, found)
            for there, made in changes.items():
                session.corrections.write(there, made)
            reached |= {there for there, count in pixels.items() if count}
    return reached


def scores(
    session: Session, truth: dict[int, np.ndarray], without: Sequence[int]
) -> dict[tuple[int, int], float]:
    """Return J by frame and track of all true masks in frames that nobody corrected."""
    found = {}
    for frame in truth.keys() - set(without):
        masks = session.masks.read(frame)
        known = {} if masks is None else dict(zip(masks.track_ids, masks.masks, strict=True))
        for track_id in map(int, np.unique(truth[frame][truth[frame] > 0])):
            true = truth[frame] == track_id
            found[frame, track_id] = overlap(known.get(track_id, np.zeros_like(true)), true)
    return found


def measured(
    first: Session, clip: Path, config: Config, counts: Sequence[int], options: argparse.Namespace
) -> list[Row]:
    """Return a row for each number of corrected frames; ``first`` stays as it is."""
    with first.open_video() as video:
        truth = true_ids(clip, video.names)
    apart = min(CarryConfig().frames // 2, len(truth) // (2 * max(counts)))
    order = [t for t in least_sure(first, len(truth), apart) if t in truth]
    rows = []
    for count in counts:
        frames = order[:count]
        with tempfile.TemporaryDirectory() as temporary:
            session = Session.open(shutil.copytree(first.path, Path(temporary) / "session"))
            before = scores(session, truth, frames)
            correct(session, truth, frames)
            reached = carry_on(session, frames)
            carried = scores(session, truth, frames)
            for there in reached:  # nobody looked at them: the next run is to learn from the frames
                session.corrections.write(there, {})
            for _ in finetune(session, config, device=options.device, seed=options.seed):
                pass
            for _ in predict(session, device=options.device):
                pass
            trained = scores(session, truth, frames)
        near = [key for key in before if key[0] in reached]
        rows.append(
            Row(
                frames=tuple(sorted(frames)),
                before=float(np.mean([*before.values()])),
                carried=float(np.mean([*carried.values()])),
                near_before=float(np.mean([before[key] for key in near] or [np.nan])),
                near_carried=float(np.mean([carried[key] for key in near] or [np.nan])),
                trained=float(np.mean([*trained.values()])),
            )
        )
    return rows


def _first(clip: Path, config: Config, options: argparse.Namespace, folder: Path) -> Session:
    if options.start is not None:
        return kept_session(options.start, clip.name)
    job = Job(clip, config, every=options.every, seed=options.seed, device=options.device)
    run_job(job, folder)
    return Session.open(folder)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n\n")[0])
    add = parser.add_argument
    add("clips", nargs="+", type=Path, metavar="CLIP", help="frames/ and masks/")
    add("--corrected", type=int, nargs="+", default=[1, 3], help="frames (default: 1 3)")
    add("--every", type=int, default=5, help="a box on every N-th annotated frame (default: 5)")
    add("--preset", default="tiny")
    add("--steps", type=int, help="optimiser steps (default: the preset's)")
    add("--seed", type=int, default=0)
    add("--device", default="auto")
    add("--start", type=Path, metavar="FOLDER", help="sessions that quality.py --keep left there")
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Print a Markdown table: a row a clip and number of corrected frames."""
    options = _parser().parse_args(arguments)
    print(f"| {' | '.join(COLUMNS)} |\n| --- | --- |{' ---: |' * (len(COLUMNS) - 2)}")
    try:
        config = chosen_config(options.preset, options.steps, [])
        for clip in options.clips:
            with tempfile.TemporaryDirectory() as temporary:
                first = _first(clip, config, options, Path(temporary) / "first")
                for row in measured(first, clip, config, options.corrected, options):
                    values = dataclasses.astuple(row)[1:]
                    cells = " | ".join("–" if np.isnan(v) else f"{v:.3f}" for v in values)
                    frames = ", ".join(map(str, row.frames))
                    print(f"| {clip.name} | {frames} | {cells} |", flush=True)
    except InputError as error:
        print(f"corrections: error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
