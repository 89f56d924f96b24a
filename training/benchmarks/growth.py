"""How memory and time grow with a video's length: training, prediction, export and the window.

Each measurement is a process of its own (`growth_child.py`); peak memory is the operating system's.
The videos are made by a rule (`growth_scene.py`), 320 x 180 pixels with two objects, annotated from
the first frame to the last; for exports and the window, with as many boxes drawn in a long video as
in a short one, since what a person drew is in memory. Training and prediction work on small frames
(``--area``) so that they end in time, and what they keep in memory is bounded by as much less: what
they take whatever the video's length is little then, and a growth shows the more.
``annotated`` trains on 60 annotated frames of videos whose rest has no box.

usage: python training/benchmarks/growth.py [--only PART ...] [--steps 6] [--area 14400]
       [--json FILE] [--plot FILE]

The window needs a display: .ci/window.py python training/benchmarks/growth.py
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from bench_page import table as markdown
from growth_scene import HEIGHT, WIDTH, make_session, make_video, write_masks
from result_file import write_result

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main"]

SIZES = {
    "finetune": (100, 2000),
    "predict": (100, 2000),
    "annotated": (300, 8000),
    "export davis": (100, 1000, 20000),
    "export ytvis": (100, 1000, 20000),
    "export boxes": (100, 1000, 20000),
    "window": (100, 20000),
}
"""Frames of the videos, by what is measured."""
FIRST, LAST = 20, 80
"""The annotated frames of ``annotated``."""
AREA = 160 * 90
"""Pixels of a working frame; the engine's own setting is eight times as many."""
DRAWN = 20
"""Boxes that are drawn of an object, evenly over the video, where nothing is trained."""
MOST_GROWTH, MOST_SHARE, MOST_TIMES = 0.1, 0.02, 1.1
TITLE = "Growth with the video's length"
PLOT = Path(__file__).with_name("growth.png")
NOTHING = "–"
MEGABYTE = 1e6
SIDES, EDGE = (640, 400), 60
"""Of the plot: its width and height, and the room around it, in pixels."""

Found = dict[str, dict[int, dict[str, Any]]]
"""What was measured, by part and frames."""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n\n")[0])
    add = parser.add_argument
    add("--only", nargs="+", default=list(SIZES), choices=SIZES, metavar="PART", help="these")
    add("--most", type=int, default=20000, metavar="FRAMES", help="no longer videos than these")
    add("--steps", type=int, default=6, help="of each run (default: 6)")
    add("--area", type=int, default=AREA, metavar="PIXELS", help="of a working frame: %(default)s")
    add("--json", type=Path, metavar="FILE", help="write the results for machines")
    add("--plot", type=Path, metavar="FILE", help=f"the peaks (all parts: {PLOT.name})")
    return parser


class Failed(Exception):
    """A measurement ended without a result; says why."""


def _child(what: str, folder: Path, *more: object) -> dict[str, Any]:
    script = Path(__file__).with_name("growth_child.py")
    command = [sys.executable, str(script), what, str(folder), *map(str, more)]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
    if done.returncode:
        said = done.stderr.strip().splitlines()
        raise Failed(said[-1] if said else f"It ended with code {done.returncode}.")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def measured(part: str, frames: int, options: argparse.Namespace, root: Path) -> dict[str, Any]:
    """Return what one part takes on a video of so many frames.

    Raises
    ------
    Failed
        Where its process ended without a result.
    """
    video, folder = root / f"{frames}.mp4", root / f"{part}-{frames}"
    trained = root / f"finetune-{frames}"
    what, _, name = part.partition(" ")
    if not video.exists():
        make_video(video, frames)
    if part == "annotated":
        make_session(folder, video, frames, first=FIRST, last=LAST)
        return _child("finetune", folder, options.steps, options.area)
    if part in ("finetune", "predict") and not trained.exists():
        make_session(trained, video, frames)
        first = _child("finetune", trained, options.steps, options.area)
        if part == "finetune":
            return first
    if part == "predict":
        return _child("predict", trained)
    masks = root / f"masks-{frames}"  # one session for exports and window: they change nothing
    if not masks.exists():
        write_masks(make_session(masks, video, frames, every=frames // DRAWN), frames)
    size = sum(path.stat().st_size for path in (masks / "masks").iterdir())
    return {**_child(what, masks, *name.split()), "share": size / (frames * HEIGHT * WIDTH)}


def _row(part: str, sizes: dict[int, dict[str, Any]]) -> dict[str, Any]:
    low, high = min(sizes), max(sizes)
    least, most = (sizes[frames]["peak"] / MEGABYTE for frames in (low, high))
    grown = most / least - 1
    each = (most - least) * MEGABYTE / max(high - low, 1)
    return {
        "what": f"peak memory, {part}, {low:,} to {high:,} frames",
        "target": f"grows by less than {MOST_GROWTH:.0%}",
        "measured": f"{grown:+.1%}: {least:.0f} to {most:.0f} MB",
        "met": grown < MOST_GROWTH,
        "why": "" if grown < MOST_GROWTH else f"{each:.0f} bytes a frame",
    }


def rows_of(found: Found, failed: dict[str, str]) -> list[dict[str, Any]]:
    """Return what was promised and measured; ``failed``: why, by part."""
    rows = [_row(part, sizes) for part, sizes in found.items()]
    if "annotated" in found:
        before = [one["before"] for _, one in sorted(found["annotated"].items())]
        low, high = min(found["annotated"]), max(found["annotated"])
        times = before[-1] / before[0]
        rows.append(
            {
                "what": f"computing before the first step, {LAST - FIRST} annotated frames of "
                f"{low:,} and of {high:,}",
                "target": f"at most {MOST_TIMES:g}×",
                "measured": f"{times:.2f}×: {before[0]:.1f} s, {before[-1]:.1f} s",
                "met": times <= MOST_TIMES,
                "why": "" if times <= MOST_TIMES else "see the table below",
            }
        )
    if "export davis" in found:
        share = max(one["share"] for one in found["export davis"].values())
        rows.append(
            {
                "what": "masks on disk, of raw masks of a byte a pixel",
                "target": f"at most {MOST_SHARE:.0%}",
                "measured": f"{share:.2%}",
                "met": share <= MOST_SHARE,
                "why": "",
            }
        )
    for part, why in failed.items():
        row = {"what": f"peak memory, {part}", "target": f"grows by less than {MOST_GROWTH:.0%}"}
        rows.append({**row, "measured": NOTHING, "met": None, "why": why})
    return rows


def table(found: Found) -> str:
    """Write a Markdown table, a row a measurement."""
    rows = []
    for part, sizes in found.items():
        for frames, one in sizes.items():
            cells = [part, f"{frames:,}", f"{one['peak'] / MEGABYTE:.0f}", f"{one['cpu']:.1f}"]
            rows.append([*cells, f"{one['before']:.1f}" if "before" in one else NOTHING])
    header = ["part", "frames", "peak, MB", "computing, s", "before the first step, s"]
    return markdown(header, rows, numbers=4)


def plot(found: dict[str, dict[int, dict[str, Any]]], path: Path) -> None:
    """Draw the peaks in MB over the frames (logarithmic), a line a part."""
    width, height = SIDES
    picture = np.full((height, width, 3), 255, np.uint8)
    points = [(f, one["peak"] / MEGABYTE) for sizes in found.values() for f, one in sizes.items()]
    most = max(peak for _, peak in points) * 1.1
    low, high = (np.log10(edge(f for f, _ in points)) for edge in (min, max))

    def place(frames: int, peak: float) -> tuple[int, int]:
        across = (np.log10(frames) - low) / max(high - low, 1e-9)
        return (
            round(EDGE + across * (width - 3 * EDGE)),
            round(height - EDGE - peak / most * (height - 2 * EDGE)),
        )

    for number, (part, sizes) in enumerate(found.items()):
        hue = np.uint8([[[number * 180 // len(found), 200, 180]]])
        colour = tuple(int(v) for v in cv2.cvtColor(hue, cv2.COLOR_HSV2BGR)[0, 0])
        line = [place(f, one["peak"] / MEGABYTE) for f, one in sizes.items()]
        cv2.polylines(picture, [np.array(line)], False, colour, 2, cv2.LINE_AA)
        at = (line[-1][0] + 4, line[-1][1])
        cv2.putText(picture, part, at, cv2.FONT_HERSHEY_SIMPLEX, 0.4, colour, 1, cv2.LINE_AA)
    for frames in sorted({f for f, _ in points}):
        at = (place(frames, 0)[0] - 10, height - EDGE + 20)
        cv2.putText(picture, str(frames), at, cv2.FONT_HERSHEY_SIMPLEX, 0.35, (0, 0, 0))
    title = f"peak memory in MB (0 to {most:.0f}) over frames"
    cv2.putText(picture, title, (EDGE, 30), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (0, 0, 0))
    cv2.imwrite(str(path), picture)


def text_of(found: Found, options: argparse.Namespace, picture: str) -> str:
    """Return the part's text: what it was measured on, the table, the plot."""
    parts = [
        f"{WIDTH}×{HEIGHT}, two objects with boxes in every frame (*annotated*: in {LAST - FIRST} "
        f"frames), {options.steps} steps on working frames of {options.area:,} pixels; what may be "
        "kept of frames, crops and evidence is bounded by as much less than by default as these "
        "are smaller. For exports and the window about twenty boxes are drawn of each object, "
        "however long the video is. Each row is a process of its own.",
        table(found),
    ]
    if picture:
        parts.append(f"![peak memory over frames]({picture})")
    return "\n\n".join(parts)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; return the exit code."""
    options = _parser().parse_args(arguments)
    whole = options.only == list(SIZES)
    picture = options.plot or (PLOT if whole else None)
    found: Found = {}
    failed: dict[str, str] = {}
    with tempfile.TemporaryDirectory(prefix="maskfree-") as folder:
        for part in options.only:
            if part == "window" and sys.platform == "linux" and not os.environ.get("DISPLAY"):
                failed[part] = "There is no display: .ci/window.py runs it on one of its own."
                continue
            try:
                sizes = [f for f in SIZES[part] if f <= options.most]
                own = {f: measured(part, f, options, Path(folder)) for f in sizes}
            except Failed as error:
                failed[part] = str(error)
                continue
            found[part] = own
            if picture is not None:
                plot(found, picture)
            text = text_of(found, options, picture.name if picture is not None else "")
            write_result(options.json, TITLE, rows_of(found, failed), text)
    rows, text = rows_of(found, failed), text_of(found, options, picture.name if picture else "")
    write_result(options.json, TITLE, rows, text)
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
