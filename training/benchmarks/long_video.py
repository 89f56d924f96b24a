"""Long video files: opening, random access and scrubbing, side by side with PyAV alone.

Makes files of two hours at 1080p (see `long_files.py`), one at a time in a temporary folder: a
keyframe every 12 frames, every 250 at variable rate, and nothing but keyframes. PyAV alone is what
a person would write who knows where the keyframes are: seek, decode to the frame, make it RGB, with
the same thread settings. Both take turns on the same frames, and each frame is compared.
Targets are judged by computing time (of all threads), which other processes on the machine change
less than the time on the clock; both are shown.

usage: python training/benchmarks/long_video.py [--minutes 120] [--samples 40] [--only NAME …]
       [--folder DIR] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import numpy as np

from long_files import RATE, Kind, encode_minute, make_long
from maskfree.video import open_video
from maskfree.video_file import first_frame
from maskfree.video_index_file import INDEX_FILE

if TYPE_CHECKING:
    from collections.abc import Callable

    from maskfree.video import Video

__all__ = ["main"]

KINDS = (
    Kind("GOP 12, B-frames, mp4", 12, 3, "mp4"),
    Kind("GOP 250, B-frames, variable rate, mkv", 250, 3, "mkv", variable=True),
    Kind("all intra, mp4", 1, 0, "mp4", quality=45),
)
SMALL = Kind("GOP 12", 12, 3, "mp4")
FULL_HD, SMALL_SIZE = (1080, 1920), (180, 320)
LENGTHS = (100, 1_000, 20_000)
"""Frames of the growth table; the last row is the whole length."""
RUN = 60
"""Frames of one sequential stretch."""
SPAN = 40
"""Frames that are gone through to and fro."""
STRETCHES = 5
OPENINGS = 5
TITLE = "Long videos"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n\n")[0])
    add = parser.add_argument
    add("--minutes", type=int, default=120, help="length of the long files (default: 120)")
    add("--samples", type=int, default=40, help="frames of the random access (default: 40)")
    add("--only", nargs="+", metavar="NAME", help="files whose name holds one of these, or growth")
    add("--folder", type=Path, metavar="DIR", help="where the files are made (default: temporary)")
    add("--json", type=Path, metavar="FILE", help="write results for machines")
    return parser


Times = tuple[float, float]
"""Seconds on the clock, and of computing."""


def timed(call: Callable[[], Any]) -> tuple[Times, Any]:
    """Return how long a call took, and its result."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = call()
    return (time.perf_counter() - wall, time.process_time() - cpu), result


class Plain:
    """PyAV alone, told where the keyframes are."""

    def __init__(self, path: Path, video: Video) -> None:
        index = video._frames._index  # type: ignore[attr-defined]
        self._keys, self._starts = index.keys, index.starts
        self._container = av.open(str(path))
        self._stream = self._container.streams.video[0]
        self._stream.thread_type = "AUTO"
        self._decoded: Any = iter(())

    def __getitem__(self, index: int) -> np.ndarray:
        start = self._starts[np.searchsorted(self._starts, index, side="right") - 1]
        self._container.seek(int(self._keys[start]), stream=self._stream)
        self._decoded = self._container.decode(self._stream)
        for frame in self._decoded:
            if frame.pts == self._keys[index]:
                return frame.to_ndarray(format="rgb24")
        raise RuntimeError(f"frame {index} did not come")

    def next(self) -> np.ndarray:
        """Return the frame after the last one."""
        return next(self._decoded).to_ndarray(format="rgb24")

    def close(self) -> None:
        """Close the file."""
        self._container.close()


def measure(path: Path, samples: int, folder: Path) -> dict[str, Any]:
    """Return the times of one file: opening, random access, sequences, to and fro."""
    found: dict[str, Any] = {"bytes": path.stat().st_size}
    found["plain first"] = [timed(lambda: _plain_first(path))[0] for _ in range(OPENINGS)]
    found["first"] = [timed(lambda: first_frame(path))[0] for _ in range(OPENINGS)]
    found["build"], video = timed(lambda: open_video(path, index_folder=folder))
    video.close()
    found["kept"] = [timed(lambda: _opened(path, folder))[0] for _ in range(OPENINGS)]
    found["index bytes"] = (folder / INDEX_FILE).stat().st_size
    with open_video(path, index_folder=folder) as video:
        plain = Plain(path, video)
        found["frames"] = len(video)
        found["random"] = random_access(video, plain, samples)
        found["sequence"] = sequences(video, plain)
        found["fro"] = to_and_fro(video)
        plain.close()
    return found


def _plain_first(path: Path) -> None:
    with av.open(str(path)) as container:
        container.streams.video[0].thread_type = "AUTO"
        next(container.decode(video=0)).to_ndarray(format="rgb24")


def _opened(path: Path, folder: Path) -> None:
    with open_video(path, index_folder=folder) as video:
        video[0]


def random_access(video: Video, plain: Plain, samples: int) -> list[tuple[Times, Times]]:
    """Return times of (ours, PyAV's) for frames at random; the first ones warm up."""
    rng, pairs = random.Random(0), []
    for number in range(-(samples // 8), samples):
        index = rng.randrange(len(video))
        first, second = (video, plain) if number % 2 else (plain, video)
        one, a = timed(lambda f=first, i=index: f[i])
        other, b = timed(lambda f=second, i=index: f[i])
        assert np.array_equal(a, b), f"frame {index} is another one"
        if number >= 0:
            pairs.append((one, other) if number % 2 else (other, one))
    return pairs


def sequences(video: Video, plain: Plain) -> list[tuple[Times, Times]]:
    """Return times of (ours, PyAV's) for stretches of frames one after the other."""
    rng, pairs = random.Random(1), []
    run = min(RUN, len(video) // 4)
    for number in range(STRETCHES + 1):
        start = rng.randrange(len(video) - run - 1)
        assert np.array_equal(video[start], plain[start])

        def ours(start: int = start) -> list[Any]:
            return [video[start + 1 + i][0, 0, 0] for i in range(run)]

        def theirs() -> list[Any]:
            return [plain.next()[0, 0, 0] for _ in range(run)]

        calls = (ours, theirs) if number % 2 else (theirs, ours)
        (one, a), (other, b) = timed(calls[0]), timed(calls[1])
        assert a == b, "other frames"
        if number:
            pairs.append((one, other) if number % 2 else (other, one))
    return pairs


def to_and_fro(video: Video) -> dict[str, Any]:
    """Go back and forth over frames that were just shown: what it takes, and how often it seeks."""
    source: Any = video._frames
    last = len(video) // 2
    for index in range(last - SPAN + 1, last + 1):
        video[index]
    seeks, order = source.seeks, [*range(last, last - SPAN, -1), *range(last - SPAN + 1, last + 1)]
    times, _ = timed(lambda: [video[index] for index in order])
    return {"a frame": tuple(t / len(order) for t in times), "seeks": source.seeks - seeks}


def growth(folder: Path, frames: int) -> list[dict[str, Any]]:
    """Return what opening and access cost at 320 x 180, from short to long."""
    minute, rows = folder / "small.mp4", []
    encode_minute(minute, SMALL, SMALL_SIZE)
    for length in (*(n for n in LENGTHS if n < frames), frames):
        path = folder / "long.mp4"
        make_long(minute, path, length)
        build, video = timed(lambda p=path: open_video(p, index_folder=folder))
        video.close()
        kept = [timed(lambda p=path: _opened(p, folder))[0] for _ in range(OPENINGS)]
        with open_video(path, index_folder=folder) as video:
            source: Any = video._frames
            video.cache.limit = source._passed.limit = 0
            order = random.Random(0).choices(range(len(video)), k=48)
            access = [timed(lambda v=video, i=index: v[i])[0] for index in order]
            size = (folder / INDEX_FILE).stat().st_size
            rows.append({"frames": len(video), "build": build, "kept": kept})
            rows[-1] |= {"bytes": size, "access": access[8:]}
        path.unlink()
    return rows


# ---- what is said of it


def p95(values: list[float]) -> float:
    """Return the value that 95 of 100 do not exceed."""
    return sorted(values)[max(0, -(-95 * len(values) // 100) - 1)]


def medians(times: list[Times]) -> Times:
    """Return the median on the clock and of computing."""
    return statistics.median(t[0] for t in times), statistics.median(t[1] for t in times)


def rows_of(name: str, found: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the targets of one file beside what was measured."""
    rows = []
    for what, key in (("index not built yet", "first"), ("index kept", "kept")):
        wall, cpu = medians(found[key])
        slowest = max(t[0] for t in found[key])
        rows.append(
            _row(
                f"{name}: first frame, {what}",
                "under 1 s",
                f"{wall:.2f} s (slowest {slowest:.2f}, computing {cpu:.2f})",
                wall < 1,
                "a processor shared with others" if cpu < 1 else "",
            )
        )
    ratios = [_p95_ratio(found["random"], clock) for clock in (0, 1)]
    rows.append(
        _row(
            f"{name}: random access, p95 against PyAV from the keyframe",
            "at most 1.3×",
            f"{ratios[1]:.2f}× computing, {ratios[0]:.2f}× on the clock",
            ratios[1] <= 1.3,
            _why_slow(found["random"]),
        )
    )
    rates = [[b[clock] / a[clock] for a, b in found["sequence"]] for clock in (0, 1)]
    rows.append(
        _row(
            f"{name}: sequential scrubbing against PyAV's rate",
            "at least 0.8×",
            f"{statistics.median(rates[1]):.2f}× computing ({min(rates[1]):.2f} to "
            f"{max(rates[1]):.2f}), {statistics.median(rates[0]):.2f}× on the clock",
            statistics.median(rates[1]) >= 0.8,
            "what is kept takes fresh memory, which PyAV alone uses again",
        )
    )
    fro = found["fro"]
    rows.append(
        _row(
            f"{name}: {SPAN} frames to and fro",
            "from the cache (no seek)",
            f"{fro['seeks']} seeks, {1e3 * fro['a frame'][1]:.1f} ms computing a frame",
            fro["seeks"] == 0,
            "the span takes more than the cache holds",
        )
    )
    return rows


def _p95_ratio(pairs: list[tuple[Times, Times]], clock: int) -> float:
    return p95([a[clock] for a, _ in pairs]) / p95([b[clock] for _, b in pairs])


def _why_slow(pairs: list[tuple[Times, Times]]) -> str:
    here, there = ([1e3 * each[side][1] for each in pairs] for side in (0, 1))
    return (
        "frames on the way are kept, in memory that is fresh at first: computing takes "
        f"{statistics.median(here):.0f} ms at the median, PyAV {statistics.median(there):.0f}, "
        f"{p95(here):.0f} and {p95(there):.0f} at p95, of {len(pairs)} places"
    )


def _row(what: str, target: str, measured: str, met: bool, why: str) -> dict[str, Any]:
    return {
        "what": what,
        "target": target,
        "measured": measured,
        "met": met,
        "why": "" if met else why,
    }


def file_table(found: dict[str, dict[str, Any]]) -> str:
    """Return what was measured in milliseconds, a column a file."""

    def both(times: Times) -> str:
        return f"{1e3 * times[0]:.0f} / {1e3 * times[1]:.0f}"

    def pair(key: str, side: int, each: Callable[[list[float]], float], scale: int = 1) -> Any:
        def of(file: dict[str, Any]) -> str:
            times = [p[side] for p in file[key]]
            return both((each([t[0] for t in times]) / scale, each([t[1] for t in times]) / scale))

        return of

    lines: list[tuple[str, Callable[[dict[str, Any]], str]]] = [
        ("frames", lambda f: str(f["frames"])),
        ("size, MB", lambda f: f"{f['bytes'] / 1e6:.0f}"),
        ("first frame, PyAV alone", lambda f: both(medians(f["plain first"]))),
        ("first frame, index not built", lambda f: both(medians(f["first"]))),
        ("first frame, index kept", lambda f: both(medians(f["kept"]))),
        ("building the index, once", lambda f: both(f["build"])),
        ("kept index, bytes", lambda f: str(f["index bytes"])),
        ("random access, median, ours", pair("random", 0, statistics.median)),
        ("random access, median, PyAV", pair("random", 1, statistics.median)),
        ("random access, p95, ours", pair("random", 0, p95)),
        ("random access, p95, PyAV", pair("random", 1, p95)),
        (f"{RUN} frames in sequence, ours", pair("sequence", 0, statistics.median)),
        (f"{RUN} frames in sequence, PyAV", pair("sequence", 1, statistics.median)),
        ("a frame to and fro", lambda f: both(f["fro"]["a frame"])),
    ]
    table = [("clock / computing, ms", *found), ("---", *("---:" for _ in found))]
    table += [(name, *(of(file) for file in found.values())) for name, of in lines]
    return "\n".join(f"| {' | '.join(line)} |" for line in table)


def growth_table(rows: list[dict[str, Any]]) -> str:
    """Return the growth with the length of the video, computing time."""
    header = ("frames", "index built, s", "opened again, ms", "index, bytes", "access, ms")
    lines = [header, ("---:",) * len(header)]
    for row in rows:
        kept, access = medians(row["kept"])[1], medians(row["access"])[1]
        cells = (f"{row['build'][1]:.3f}", f"{1e3 * kept:.1f}", str(row["bytes"]))
        lines.append((str(row["frames"]), *cells, f"{1e3 * access:.2f}"))
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def growth_row(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the target that access does not grow with the length."""
    short, long = rows[min(1, len(rows) - 1)], rows[-1]
    ratio = medians(long["access"])[1] / medians(short["access"])[1]
    return _row(
        f"320×180: random access at {long['frames']} frames against {short['frames']}",
        "at most 1.3×",
        f"{ratio:.2f}× computing",
        ratio <= 1.3,
        "a container's own search for the keyframe grows with its length",
    )


def main(arguments: list[str] | None = None) -> int:
    """Make the files, measure, print Markdown."""
    options = _parser().parse_args(arguments)
    frames, rows, found = options.minutes * 60 * RATE, [], {}
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        for kind in KINDS:
            if options.only and not any(part in kind.name for part in options.only):
                continue
            minute, path = folder / "minute.mp4", folder / f"long.{kind.suffix}"
            encode_minute(minute, kind, FULL_HD)
            make_long(minute, path, frames, variable=kind.variable)
            found[kind.name] = measure(path, options.samples, folder)
            rows += rows_of(kind.name, found[kind.name])
            path.unlink()
        text = [f"{options.minutes} minutes at 1080p.", file_table(found)] if found else []
        if not options.only or "growth" in options.only:
            grown = growth(folder, frames)
            rows.append(growth_row(grown))
            text += ["Growth at 320×180, computing time:", growth_table(grown)]
    print("\n\n".join(text))
    for row in rows:
        word = "met" if row["met"] else f"MISSED: {row['why']}"
        print(f"- {row['what']}: {row['measured']} ({row['target']}: {word})")
    if options.json:
        done = {"title": TITLE, "rows": rows, "text": "\n\n".join(text)}
        options.json.write_text(json.dumps(done, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
