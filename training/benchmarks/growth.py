"""How memory and time grow with a video's length: training, prediction, export and the window.

Each measurement is a process of its own (`growth_child.py`); peak memory is the operating system's.
The videos are made by a rule (`growth_scene.py`), 320 x 180 pixels with two objects. ``annotated``
trains on 60 annotated frames of videos whose rest has no box.

usage: python training/benchmarks/growth.py [--only PART ...] [--steps 6] [--json FILE]
       [--plot training/benchmarks/growth.png]

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
from typing import Any

import cv2
import numpy as np

from growth_scene import HEIGHT, WIDTH, make_session, make_video, write_masks
from report import markdown

__all__ = ["main"]

SIZES = {
    "finetune": (100, 500, 2000),
    "annotated": (100, 1000, 8000),
    "predict": (100, 500, 2000),
    "export davis": (100, 1000, 20000),
    "export ytvis": (100, 1000, 20000),
    "export boxes": (100, 1000, 20000),
    "window": (100, 1000, 20000),
}
"""Frames of the videos, by what is measured."""
FIRST, LAST = 20, 80
"""The annotated frames of ``annotated``."""
MOST_GROWTH, MOST_SHARE = 0.1, 0.02
MEGABYTE = 1e6
SIDES, EDGE = (640, 400), 60
"""Of the plot: its width and height, and the room around it, in pixels."""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n\n")[0])
    add = parser.add_argument
    add("--only", nargs="+", default=list(SIZES), choices=SIZES, metavar="PART", help="these")
    add("--most", type=int, default=20000, metavar="FRAMES", help="no longer videos than these")
    add("--steps", type=int, default=6, help="of each run (default: 6)")
    add("--json", type=Path, metavar="FILE", help="write the results for machines")
    add("--plot", type=Path, metavar="FILE", help="draw the peaks into a picture")
    return parser


def _child(what: str, folder: Path, more: str) -> dict[str, Any]:
    script = Path(__file__).with_name("growth_child.py")
    command = [sys.executable, str(script), what, str(folder), more]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", check=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def measured(part: str, frames: int, steps: int, root: Path) -> dict[str, Any]:
    """Return what one part takes on a video of so many frames."""
    video, folder = root / f"{frames}.mp4", root / f"{part}-{frames}"
    what, _, name = part.partition(" ")
    if not video.exists():
        make_video(video, frames)
    if part == "annotated":
        make_session(folder, video, frames, first=FIRST, last=LAST)
        return _child("finetune", folder, str(steps))
    if part == "predict":
        make_session(folder, video, frames, first=FIRST, last=LAST)
        _child("finetune", folder, str(steps))
        return _child("predict", folder, "")
    if part == "finetune":
        make_session(folder, video, frames)
        return _child("finetune", folder, str(steps))
    masks = root / f"masks-{frames}"  # one session for exports and window: they change nothing
    if not masks.exists():
        write_masks(make_session(masks, video, frames), frames)
    size = sum(path.stat().st_size for path in (masks / "masks").iterdir())
    return {**_child(what, masks, name), "share": size / (frames * HEIGHT * WIDTH)}


def _row(part: str, found: dict[int, dict[str, Any]]) -> dict[str, Any]:
    low, high = min(found), max(found)
    grown = found[high]["peak"] / found[low]["peak"] - 1
    peaks = " to ".join(f"{found[f]['peak'] / MEGABYTE:.0f}" for f in (low, high))
    return {
        "what": f"peak memory, {part}, {low} to {high} frames",
        "target": f"grows by less than {MOST_GROWTH:.0%}",
        "measured": f"{grown:+.1%}",
        "met": grown < MOST_GROWTH,
        "why": "" if grown < MOST_GROWTH else f"{peaks} MB",
    }


def table(found: dict[str, dict[int, dict[str, Any]]]) -> str:
    """Write a Markdown table, a row a measurement."""
    rows = []
    for part, sizes in found.items():
        for frames, one in sizes.items():
            cells = [part, str(frames), f"{one['peak'] / MEGABYTE:.0f}", f"{one['cpu']:.1f}"]
            rows.append([*cells, f"{one['before']:.1f}" if "before" in one else "-"])
    header = ["part", "frames", "peak MB", "CPU s", "CPU s before the first step"]
    return markdown(header, rows)


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


def main(arguments: list[str] | None = None) -> int:
    """Run the benchmark; return the exit code."""
    options = _parser().parse_args(arguments)
    found: dict[str, dict[int, dict[str, Any]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for part in options.only:
            if part == "window" and sys.platform == "linux" and not os.environ.get("DISPLAY"):
                continue
            for frames in (f for f in SIZES[part] if f <= options.most):
                one = measured(part, frames, options.steps, Path(folder))
                found.setdefault(part, {})[frames] = one
                print(f"{part}, {frames} frames", file=sys.stderr)
    rows = [_row(part, sizes) for part, sizes in found.items()]
    for part, sizes in found.items():
        shares = [one["share"] for one in sizes.values() if "share" in one]
        if shares and part == "export davis":
            share = max(shares)
            rows.append(
                {
                    "what": "masks on disk, of raw masks of a byte a pixel",
                    "target": f"at most {MOST_SHARE:.0%}",
                    "measured": f"{share:.2%}",
                    "met": share <= MOST_SHARE,
                    "why": "",
                }
            )
    text = table(found)
    print(text)
    if options.json is not None:
        result = {"title": "Growth with the video's length", "rows": rows, "text": text}
        options.json.write_text(json.dumps(result))
    if options.plot is not None:
        plot(found, options.plot)
    return 0


if __name__ == "__main__":
    sys.exit(main())
