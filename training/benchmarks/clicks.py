"""How much clicks mend: J of a mask after 0, 1, 2, 3 and 5 of them, on clips with true masks.

``python training/benchmarks/clicks.py CLIP… [--start degraded|empty|DIR] [--frames N]``

Each click goes to the middle of the largest part that is wrong, as a person's would. Masks start as
``degraded`` truth (a round part of the object is lost, a round leak is added), as ``empty`` (box
and clicks alone), or as predictions: a folder of sessions as ``quality.py --keep DIR`` leaves them.
Boxes are those of every ``--every``-th annotated frame, interpolated between.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
from scipy import ndimage

from clips import boxes_from_masks, true_ids
from maskfree.clicks import Click, apply_click
from maskfree.config import ClicksConfig
from maskfree.errors import InputError
from maskfree.session import Session
from maskfree.tracks import box_at
from maskfree.video import open_video

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from maskfree.types import Box

__all__ = ["degraded", "kept_session", "main", "mended", "next_click", "overlap"]

AFTER = (0, 1, 2, 3, 5)
"""Clicks after which J is printed."""
LOST, LEAKED = 0.35, 0.2
"""Radii of the part that is lost and of the leak, of the root of the object's area."""
STARTS = ("degraded", "empty")


def overlap(mask: np.ndarray, truth: np.ndarray) -> float:
    """Return J: intersection over union, 1 where both are empty."""
    either = int(np.count_nonzero(mask | truth))
    return int(np.count_nonzero(mask & truth)) / either if either else 1.0


def degraded(truth: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return a true mask, bool ``(H, W)``, without a round part and with a round leak."""
    side = float(np.sqrt(truth.sum()))
    inner = _any_of(truth, rng)
    rim = cv2.dilate(truth.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    outer = _any_of(rim & ~truth, rng) if (rim & ~truth).any() else inner
    return (truth & ~_disc(truth.shape, inner, LOST * side)) | _disc(
        truth.shape, outer, LEAKED * side
    )


def _any_of(mask: np.ndarray, rng: np.random.Generator) -> tuple[int, int]:
    places = np.argwhere(mask)
    y, x = places[rng.integers(len(places))]
    return int(y), int(x)


def _disc(shape: tuple[int, ...], at: tuple[int, int], radius: float) -> np.ndarray:
    y, x = np.ogrid[: shape[0], : shape[1]]
    return np.asarray((y - at[0]) ** 2 + (x - at[1]) ** 2 <= radius**2)


def next_click(mask: np.ndarray, truth: np.ndarray, box: Box) -> Click | None:
    """Return a click on the middle of the largest wrong part in the box; None: all is right."""
    x0, y0, x1, y1 = (int(v) for v in (*np.floor(box[:2]), *np.ceil(box[2:])))
    inside = np.zeros(truth.shape, bool)
    inside[max(0, y0) : y1, max(0, x0) : x1] = True
    found = []
    for belongs in (True, False):
        wrong = inside & (truth != mask) & (truth == belongs)
        parts, count = ndimage.label(wrong)
        if count:
            sizes = np.bincount(parts.ravel())[1:]
            part = np.pad(parts == 1 + int(sizes.argmax()), 1).astype(np.uint8)
            depth = cv2.distanceTransform(part, cv2.DIST_L2, 5)[1:-1, 1:-1]
            y, x = np.unravel_index(int(depth.argmax()), depth.shape)
            found.append((int(sizes.max()), Click(int(y), int(x), belongs)))
    return max(found, key=lambda each: each[0])[1] if found else None


def mended(
    frame: np.ndarray, mask: np.ndarray, truth: np.ndarray, box: Box, config: ClicksConfig
) -> tuple[list[float], list[float]]:
    """Return J after each number of clicks up to the last of `AFTER`, and seconds of each click."""
    values, seconds, made = [overlap(mask, truth)], [], []
    for _ in range(AFTER[-1]):
        click = next_click(mask, truth, box)
        if click is not None:
            begun = time.perf_counter()
            mask = apply_click(frame, mask, box, click, earlier=made, config=config)
            seconds.append(time.perf_counter() - begun)
            made.append(click)
        values.append(overlap(mask, truth))
    return values, seconds


def kept_session(folder: Path, clip: str) -> Session:
    """Open the session that ``quality.py --keep`` left in a folder, of one of the clips."""
    found = sorted(folder.glob(f"{clip}-train-*"))
    if not found:
        raise InputError(
            f"{folder} has no session of {clip}. Make one: quality.py CLIP --keep {folder}"
        )
    return Session.open(found[0])


def jobs(
    clip: Path, options: argparse.Namespace
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray, Box]]:
    """Yield frame, mask to begin with, true mask and box of some frames of each track of a clip."""
    rng = np.random.default_rng(options.seed)
    tracks = boxes_from_masks(clip, options.every)
    store = None
    if options.start not in STARTS:
        store = kept_session(Path(options.start), clip.name).mask_store()
    with open_video(clip / "frames") as video:
        truth = true_ids(clip, video.names)
        places = np.linspace(0, len(truth) - 1, min(options.frames, len(truth))).round()
        for frame in (list(truth)[int(n)] for n in places):
            masks = store.read(frame) if store is not None else None
            known = {} if masks is None else dict(zip(masks.track_ids, masks.masks, strict=True))
            for track in tracks.tracks:
                box, own = box_at(track, frame), truth[frame] == track.id
                if box is None or not own.any():
                    continue
                empty = np.zeros(own.shape, bool)
                mask = known.get(track.id, empty)
                mask = degraded(own, rng) if options.start == "degraded" else mask
                yield np.ascontiguousarray(video[frame]), mask, own, box.xyxy


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a Markdown table: a row a clip."""
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0] if __doc__ else "", allow_abbrev=False
    )
    parser.add_argument("clips", nargs="+", type=Path, metavar="CLIP", help="frames/ and masks/")
    parser.add_argument("--start", default="degraded", help="degraded, empty, or a folder")
    parser.add_argument(
        "--frames", type=int, default=4, help="frames a clip (default: %(default)s)"
    )
    parser.add_argument("--every", type=int, default=5, help="a box on every N-th annotated frame")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    head = " | ".join(f"J after {n}" for n in AFTER)
    print(f"| clip | masks | {head} | ms a click |\n| --- |{' ---: |' * (len(AFTER) + 2)}")
    rows = []
    try:
        for clip in options.clips:
            found = [mended(*job, ClicksConfig()) for job in jobs(clip, options)]
            if not found:
                continue
            values = np.mean([values for values, _ in found], 0)[list(AFTER)]
            spent = [s for _, seconds in found for s in seconds]
            rows.append(values)
            cells = " | ".join(f"{v:.3f}" for v in values)
            own = f"{1000 * float(np.median(spent)):.0f}" if spent else "-"
            print(f"| {clip.name} | {len(found)} | {cells} | {own} |", flush=True)
    except InputError as error:
        print(f"clicks: error: {error}", file=sys.stderr)
        return 2
    if rows:
        print(f"| **mean** | | {' | '.join(f'{v:.3f}' for v in np.mean(rows, 0))} | |")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
