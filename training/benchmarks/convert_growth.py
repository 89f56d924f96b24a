"""How the memory of `maskfree convert` grows with a video's length, for pairs of formats.

The annotations are made by a rule: small squares that move, one a track, in frames of 160 x 96
pixels; every track has a box, or a mask, in every frame. Each conversion is a process of its own,
which finds its input written; its peak is the operating system's.

Boxes beyond a part of each track lie in a temporary file, as masks do. What still grows with the
frames is what is known of one track, where a format lists its boxes together, and a part that is
full in the longer video alone: the row says by how much, shared out among all boxes.

usage: python training/benchmarks/convert_growth.py [--only PAIR ...] [--frames 400 4000]
       [--tracks 50] [--fields] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bench_page import table as markdown
from growth_child import peak_bytes
from maskfree.formats import FORMATS, Annotations, VideoFacts, convert
from maskfree.numbered_names import NumberedNames
from maskfree.packed_keyframes import PackedKeyframes
from maskfree.types import BoxTracks, InstanceMasks, Keyframe, Track
from result_file import write_result

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from maskfree.types import Box

__all__ = ["annotations", "main", "rows_of"]

HEIGHT, WIDTH, SIDE = 96, 160, 12
FPS = 25.0
PAIRS = (
    "mot cvat",
    "cvat boxes",
    "labelstudio mot",
    "yolo bdd100k",
    "ytvis coco",
    "coco ytvis",
    "tiff davis",
    "ctc ome-zarr",
)
FRAMES, TRACKS = (400, 4000), 50
MOST_EACH = 64
"""Bytes that a frame and track may take more in a longer video."""
TITLE = "Growth of conversions with the video's length"
MEGABYTE = 1e6
MASKS = frozenset(("ytvis", "coco", "tiff", "davis", "ctc", "ome-zarr"))
"""Formats that are given masks; the others are given boxes."""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n\n")[0])
    add = parser.add_argument
    add("--only", nargs="+", default=list(PAIRS), metavar="PAIR", help='such as "mot cvat"')
    add("--frames", nargs=2, type=int, default=FRAMES, metavar=("A", "B"), help="of both videos")
    add("--tracks", type=int, default=TRACKS, metavar="N", help="default: %(default)s")
    add("--fields", action="store_true", help="every box has a field of its own, as CVAT has them")
    add("--json", type=Path, metavar="FILE", help="write the results for machines")
    add("--child", nargs=5, metavar="WORD", help=argparse.SUPPRESS)
    return parser


def _place(track: int, frame: int) -> tuple[int, int]:
    """Return the upper left corner (x, y) of a track's square."""
    across, down = WIDTH - SIDE, HEIGHT - SIDE
    return (7 * track + frame) % across, (11 * track + frame // 3) % down


def _box(track: int, frame: int) -> Box:
    x, y = _place(track, frame)
    return x + 0.25, float(y), float(x + SIDE), y + SIDE - 0.5


def annotations(frames: int, tracks: int, *, masks: bool, fields: bool = False) -> Annotations:
    """Return annotations of so many frames; with ``masks`` there are no boxes, else no masks.

    ``fields``: every box has a field of its own.
    """

    def read_masks(frame: int) -> InstanceMasks | None:
        found = np.zeros((tracks, HEIGHT, WIDTH), bool)
        for number in range(tracks):
            x, y = _place(number, frame)
            found[number, y : y + SIDE, x : x + SIDE] = True
        return InstanceMasks(tuple(range(1, tracks + 1)), found, (1.0,) * tracks)

    own = tuple(
        Track(
            number + 1,
            "cell",
            () if masks else PackedKeyframes(_keyframes(number, frames, fields)),
        )
        for number in range(tracks)
    )
    boxes = BoxTracks(frames, HEIGHT, WIDTH, FPS, own)
    return Annotations(boxes, NumberedNames(frames), read_masks if masks else lambda _: None)


def _keyframes(track: int, frames: int, fields: bool) -> Iterator[Keyframe]:
    for t in range(frames):
        extra = {"cvat": {"attributes": {"speed": f"{t / (track + 7)}"}}} if fields else {}
        yield Keyframe(t, _box(track, t), extra=extra)


def _child(words: Sequence[str]) -> int:
    """Write a source, or convert it; print what the process took."""
    what, source, target, size, path = words
    frames, tracks, fields = (int(word) for word in size.split("x"))
    given, wanted = Path(path) / source, Path(path) / f"{source}-{target}"
    if what == "write":
        made = annotations(frames, tracks, masks=source in MASKS, fields=bool(fields))
        FORMATS[source].write(made, given)
    else:
        facts = VideoFacts(frames, HEIGHT, WIDTH, FPS, NumberedNames(frames))
        convert(given, wanted, source, target, video=facts)
    print(json.dumps({"cpu": time.process_time(), **peak_bytes()}))
    return 0


def measured(
    pair: str, frames: int, tracks: int, folder: Path, *, fields: bool = False
) -> dict[str, Any]:
    """Return what a conversion takes, ``peak`` in bytes and ``cpu`` in seconds.

    Raises
    ------
    subprocess.CalledProcessError
        Where it fails.
    """
    source, target = pair.split()
    size = f"{frames}x{tracks}x{int(fields)}"
    if not (folder / source).exists():
        _run("write", source, target, size, folder)
    return _run("convert", source, target, size, folder)


def _run(*words: object) -> dict[str, Any]:
    command = [sys.executable, __file__, "--child", *map(str, words)]
    done = subprocess.run(command, stdout=subprocess.PIPE, encoding="utf-8", check=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def rows_of(found: dict[str, dict[int, dict[str, Any]]], tracks: int) -> list[dict[str, Any]]:
    """Return what was promised and measured, a row a pair."""
    rows = []
    for pair, sizes in found.items():
        low, high = min(sizes), max(sizes)
        least, most = (sizes[frames]["peak"] for frames in (low, high))
        each = (most - least) / max(1, (high - low) * tracks)
        source, target = pair.split()
        rows.append(
            {
                "what": f"peak memory, {source} to {target}, {low:,} to {high:,} frames of "
                f"{tracks} tracks",
                "target": f"at most {MOST_EACH} bytes more a frame and track",
                "measured": f"{each:.0f} bytes: {least / MEGABYTE:.0f} to {most / MEGABYTE:.0f} MB",
                "met": each <= MOST_EACH,
                "why": "" if each <= MOST_EACH else "one track at a time, and parts that are kept",
            }
        )
    return rows


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; return the exit code."""
    options = _parser().parse_args(arguments)
    if options.child:
        return _child(options.child)
    found: dict[str, dict[int, dict[str, Any]]] = {}
    text, rows = "", []
    with tempfile.TemporaryDirectory(prefix="maskfree-") as folder:
        for pair in options.only:
            for frames in sorted(options.frames):
                place = Path(folder) / str(frames)
                place.mkdir(exist_ok=True)
                one = measured(pair, frames, options.tracks, place, fields=options.fields)
                found.setdefault(pair, {})[frames] = one
            rows = rows_of(found, options.tracks)
            text = _text(found, options.tracks)
            write_result(options.json, TITLE, rows, text)
    print(text)
    return 0


def _text(found: dict[str, dict[int, dict[str, Any]]], tracks: int) -> str:
    lines = []
    for pair, sizes in found.items():
        for frames, one in sizes.items():
            peak, cpu = f"{one['peak'] / MEGABYTE:.0f}", f"{one['cpu']:.1f}"
            lines.append([pair.replace(" ", " → "), f"{frames:,}", peak, cpu])
    said = (
        f"{WIDTH}×{HEIGHT}, {tracks} tracks with a box or a mask in every frame; each row is a "
        "process of its own."
    )
    header = ["conversion", "frames", "peak, MB", "computing, s"]
    return f"{said}\n\n{markdown(header, lines, numbers=3)}"


if __name__ == "__main__":
    sys.exit(main())
